package smpp

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/wire/smpp"
)

// peer is the other end of a session.
type peer struct {
	conn  net.Conn
	asked chan *smpp.PDU // what the client has sent
}

// pair makes a session over a pipe. answer says what a request is answered with; nil
// for nothing.
func pair(t *testing.T, answer func(*smpp.PDU) *smpp.PDU) (*session, *peer) {
	t.Helper()
	near, far := net.Pipe()
	p := &peer{conn: far, asked: make(chan *smpp.PDU, 1000)}
	go func() {
		r := bufio.NewReader(far)
		for {
			u, err := smpp.Read(r)
			if err != nil {
				return
			}
			p.asked <- u
			if a := answer(u); a != nil {
				p.say(a)
			}
		}
	}()
	s := newSession(near, 10, func(*smpp.PDU) {})
	t.Cleanup(func() {
		s.end(errClosed)
		s.wg.Wait()
		_ = far.Close()
	})
	return s, p
}

func (p *peer) say(u *smpp.PDU) {
	if b, err := u.Append(nil); err == nil {
		_, _ = p.conn.Write(b)
	}
}

func polite(u *smpp.PDU) *smpp.PDU {
	if u.Command.IsResponse() {
		return nil
	}
	return u.Respond(smpp.OK)
}

func submit() *smpp.PDU {
	return &smpp.PDU{Command: smpp.SubmitSM, Message: &smpp.Message{Text: []byte("a")}}
}

// TestKeepsAlive asks every 30 s, and does not end a session that answers.
func TestKeepsAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := pair(t, polite)
		<-time.After(10*time.Minute + time.Second)
		if n := len(p.asked); n != 20 || !s.usable() {
			t.Errorf("asked %d times in 10 minutes, usable %v", n, s.usable())
		}
		for range len(p.asked) {
			if u := <-p.asked; u.Command != smpp.EnquireLink {
				t.Errorf("asked %s", u.Command)
			}
		}
	})
}

// TestSilent ends a session whose other side answers nothing.
func TestSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := pair(t, func(*smpp.PDU) *smpp.PDU { return nil })
		began := time.Now()
		_, asked, err := s.ask(t.Context(), submit(), nil)
		if !asked || !errors.Is(err, errSilent) || time.Since(began) != time.Minute {
			t.Errorf("%v, asked %v, after %s", err, asked, time.Since(began))
		}
	})
}

// TestOverdue ends a session that answers everything but one submit, whose place in
// the window would be lost.
func TestOverdue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := pair(t, func(u *smpp.PDU) *smpp.PDU {
			if u.Command == smpp.SubmitSM {
				return nil
			}
			return polite(u)
		})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		if _, asked, err := s.ask(ctx, submit(), nil); !asked || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, asked %v", err, asked)
		}
		<-s.done
		if took := time.Since(began); took != time.Minute || !errors.Is(s.reason(), errSilent) {
			t.Errorf("after %s: %v", took, s.reason())
		}
	})
}

// TestRetiring: after an unbind nothing more is submitted, what was is still
// answered, and who does not close the connection then is left.
func TestRetiring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var late *smpp.PDU
		s, p := pair(t, func(u *smpp.PDU) *smpp.PDU {
			if u.Command == smpp.SubmitSM {
				late = u.Respond(smpp.OK)
				return nil
			}
			return polite(u)
		})
		answered := make(chan error, 1)
		go func() {
			_, _, err := s.ask(t.Context(), submit(), nil)
			answered <- err
		}()
		<-p.asked
		p.say(&smpp.PDU{Command: smpp.Unbind, Sequence: 77})
		if u := <-p.asked; u.Command != smpp.Unbind.Response() || u.Sequence != 77 {
			t.Errorf("answered %+v", u)
		}
		synctest.Wait()
		if _, asked, err := s.ask(t.Context(), submit(), nil); asked || !errors.Is(err, errEnded) || s.usable() {
			t.Errorf("then: %v, asked %v", err, asked)
		}
		p.say(late)
		if err := <-answered; err != nil {
			t.Error(err)
		}
		<-time.After(enquireEvery)
		synctest.Wait()
		if !errors.Is(s.reason(), errEnded) {
			t.Errorf("it has ended by %v", s.reason())
		}
	})
}

// TestAnswers looks at what the service centre is answered.
func TestAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := pair(t, polite)
		for _, row := range []struct {
			said    smpp.PDU
			command smpp.Command
			status  smpp.Status
		}{
			{smpp.PDU{Command: smpp.EnquireLink}, smpp.EnquireLink.Response(), smpp.OK},
			{smpp.PDU{Command: smpp.DeliverSM, Message: &smpp.Message{}}, smpp.DeliverSM.Response(), smpp.OK},
			{smpp.PDU{Command: smpp.SubmitSM, Message: &smpp.Message{}}, smpp.SubmitSM.Response(), smpp.BadBindState},
			{smpp.PDU{Command: 0x103}, smpp.GenericNack, smpp.BadCommand},
		} {
			row.said.Sequence = 4711
			p.say(&row.said)
			if u := <-p.asked; u.Command != row.command || u.Status != row.status || u.Sequence != 4711 {
				t.Errorf("%s is answered %+v", row.said.Command, u)
			}
		}
		// What answers nothing is let go by.
		p.say(&smpp.PDU{Command: smpp.SubmitSM.Response(), Sequence: 99})
		p.say(&smpp.PDU{Command: smpp.Command(0x103).Response(), Sequence: 99})
		if _, _, err := s.ask(t.Context(), submit(), nil); err != nil {
			t.Error(err)
		}
	})
}

// TestUnsendable: what cannot be written spoils nothing and leaves nothing behind.
func TestUnsendable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := pair(t, polite)
		for range 50 { // more than the window
			if _, asked, err := s.ask(t.Context(), &smpp.PDU{Command: smpp.SubmitSM}, nil); err == nil || asked {
				t.Fatalf("%v, asked %v", err, asked)
			}
		}
		if _, _, err := s.ask(t.Context(), submit(), nil); err != nil {
			t.Error(err)
		}
	})
}

// TestDoesNotRead ends a session whose other side takes nothing.
func TestDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		s := newSession(near, 1, func(*smpp.PDU) {})
		began := time.Now()
		_, asked, err := s.ask(t.Context(), submit(), nil)
		if asked || err == nil || time.Since(began) != writeWithin {
			t.Errorf("%v, asked %v, after %s", err, asked, time.Since(began))
		}
		s.wg.Wait()
		_ = far.Close()
	})
}

func TestNumbersGoAround(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := pair(t, polite)
		s.mu.Lock()
		s.seq = 0x7ffffffe
		s.mu.Unlock()
		for _, want := range []uint32{0x7fffffff, 1, 2} {
			if _, _, err := s.ask(t.Context(), submit(), nil); err != nil {
				t.Fatal(err)
			}
			if u := <-p.asked; u.Sequence != want {
				t.Errorf("number %x, want %x", u.Sequence, want)
			}
		}
	})
}

func TestPause(t *testing.T) {
	for _, row := range []struct {
		failures int
		kind     provider.Kind
		want     time.Duration
	}{
		{1, provider.Unavailable, time.Second}, {2, provider.Throttled, 2 * time.Second}, {7, provider.Unavailable, time.Minute}, {1000, provider.Unavailable, time.Minute},
		{1, provider.Unauthorized, 30 * time.Second}, {2, provider.Unauthorized, time.Minute}, {100, provider.Unauthorized, 10 * time.Minute},
	} {
		if got := pause(row.failures, row.kind); got != row.want {
			t.Errorf("%d, %s: %s, want %s", row.failures, row.kind, got, row.want)
		}
	}
}

func TestValidity(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	for left, want := range map[time.Duration]string{
		0: "000000000100000R", -time.Hour: "000000000100000R", 90 * time.Second: "000000000130000R", 26*time.Hour + 3*time.Minute: "000001020300000R",
		30 * 24 * time.Hour: "000030000000000R", 365 * 24 * time.Hour: "000099000000000R",
	} {
		m := &provider.Message{Expires: now.Add(left)}
		if left == 0 {
			m.Expires = time.Time{}
		}
		if got := validity(m, now); got != want || len(got) != 16 {
			t.Errorf("%s: %s, want %s", left, got, want)
		}
	}
}

func TestNameOf(t *testing.T) {
	for _, row := range []struct {
		id   string
		base int
		want string
	}{
		{"0A3f", 0, "0A3f"}, {"0A3f", 16, "2623"}, {"0000002623", 10, "2623"}, {"abc-1", 16, "abc-1"}, {"", 10, ""}, {"ffffffffffffffffff", 16, "ffffffffffffffffff"},
	} {
		if got := nameOf(row.id, row.base); got != row.want {
			t.Errorf("%q in base %d: %q, want %q", row.id, row.base, got, row.want)
		}
	}
}

// FuzzAddresses holds that what is taken for an address can be written.
func FuzzAddresses(f *testing.F) {
	for _, s := range []string{"", "+8613800138000", "10690", "Herald", "a name that is too long", "文", "+12", "€€€€€€"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var list []smpp.Party
		if p, err := sourceOf(s); err == nil {
			list = append(list, p)
		}
		if n, err := number(s); err == nil {
			list = append(list, smpp.Party{Address: n})
		}
		for _, p := range list {
			u := &smpp.PDU{Command: smpp.SubmitSM, Message: &smpp.Message{Source: p, Dest: p}}
			if _, err := u.Append(nil); err != nil || len(p.Address) > 15 {
				t.Fatalf("%q became %+v: %v", s, p, err)
			}
		}
	})
}

func TestText(t *testing.T) {
	for _, row := range []struct{ title, body, want string }{
		{"Shop", "Your code is 1.", "Shop Your code is 1."}, {"", "body", "body"}, {"title", "", "title"}, {" a ", " b ", "a b"},
		{"提醒。", "你的订单到了", "提醒。你的订单到了"}, {"【商店】", "验证码1234", "【商店】验证码1234"}, {"商店", "验证码1234", "商店 验证码1234"}, {"Hi!", "you", "Hi! you"},
	} {
		o := options{}
		m := &provider.Message{Content: herald.Content{Notification: &herald.Notification{Title: row.title, Body: row.body}}}
		if got := o.text(m); got != row.want {
			t.Errorf("%q and %q: %q, want %q", row.title, row.body, got, row.want)
		}
	}
}

// TestGroups puts receipts of parts together in every order.
func TestGroups(t *testing.T) {
	for _, row := range []struct{ name, steps, want string }{
		{"receipts after all", "1 2 w r1 r2", "1,2 received"},
		{"receipts before all", "1 r1 2 r2 w", "1,2 received"},
		{"one before", "1 r1 2 w r2", "1,2 received"},
		{"the first fails", "1 2 w x1 r2", "1,2 UNDELIV"},
		{"the second fails", "1 2 w r1 x2", "1,2 UNDELIV"},
		{"it fails before all", "1 x1 2 r2 w", "1,2 UNDELIV"},
		{"twice the same", "1 2 w r1 r1 r2 r2", "1,2 received"},
		{"both fail", "1 2 w x1 x2", "1,2 UNDELIV"},
		{"it was not submitted whole", "1 d r1", ""},
		{"of nobody", "r7", "7 received"},
		{"without a name", "0 2 w r2", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			var all groups
			g := all.begin(2)
			var said []string
			tell := func(r provider.Report, ok bool) {
				if word := string(r.State); ok && r.Err != nil {
					said = append(said, r.Reference+" "+r.Err.Code)
				} else if ok {
					said = append(said, r.Reference+" "+word)
				}
			}
			for step := range strings.FieldsSeq(row.steps) {
				switch step[0] {
				case 'w':
					tell(all.whole(g, "1,2"))
				case 'd':
					all.drop(g)
				case 'r':
					tell(all.receipt(provider.Report{Reference: step[1:], State: herald.StateReceived}))
				case 'x':
					tell(all.receipt(provider.Report{Reference: step[1:], Err: &provider.Error{Code: "UNDELIV"}}))
				case '0':
					all.named(g, "")
				default:
					all.named(g, step)
				}
			}
			if got := strings.Join(said, ", "); got != row.want {
				t.Errorf("told %q, want %q", got, row.want)
			}
		})
	}
	var all groups
	for i := range maxRemembered + 10 {
		all.named(all.begin(2), string(rune(i+1)))
	}
	if n := len(all.of); n != maxRemembered || len(all.order) != n {
		t.Errorf("%d parts are remembered", n)
	}
	all.named(nil, "x") // a message of one part
	all.drop(nil)
	if _, ok := all.whole(nil, "x"); ok {
		t.Error("a message of one part is a group")
	}
}
