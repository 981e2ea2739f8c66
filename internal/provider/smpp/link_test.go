package smpp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/provider/smpp"
	"github.com/herald-push/herald/internal/sim"
	simsmpp "github.com/herald-push/herald/internal/sim/smpp"
	wire "github.com/herald-push/herald/internal/wire/smpp"
)

// TestReconnects ends the session in every way there is; the next message goes
// over another one.
func TestReconnects(t *testing.T) {
	for name, end := range map[string]func(*world){
		"cut":      func(w *world) { w.centre.Cut() },
		"unbind":   func(w *world) { w.centre.Ask(wire.PDU{Command: wire.Unbind}) },
		"garbage":  func(w *world) { w.centre.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) },
		"too long": func(w *world) { w.centre.Write([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, false, simsmpp.Config{})
			p := w.provider(t, w.with())
			for i := range 3 {
				if _, err := send(t, p, here, message(herald.MessageID(i+1), "a")); err != nil {
					t.Fatal(err)
				}
				end(w)
				// With an unbind the client ends nothing by itself, and submits no more.
				eventually(t, "the end of the session", func() bool { return w.centre.Sessions() == 0 })
				// The service centre may know before the client does.
				eventually(t, "that the client knows", func() bool { return !smpp.Open(p) })
			}
			if n, b := len(w.centre.Taken()), w.centre.Binds(); n != 3 || b != 3 {
				t.Errorf("%d taken in %d sessions", n, b)
			}
		})
	}
}

// TestLostBind: a service centre that has lost the session gets another one.
func TestLostBind(t *testing.T) {
	w := newWorld(t, false, simsmpp.Config{})
	p := w.provider(t, w.with())
	w.desk.Fail(sim.Fault{Status: int(wire.BadBindState)})
	_, err := send(t, p, here, message(1, "a"))
	_ = refused(t, err, provider.Unavailable)
	if _, err := send(t, p, here, message(2, "a")); err != nil || w.centre.Binds() != 2 {
		t.Errorf("%d sessions, %v", w.centre.Binds(), err)
	}
}

// TestUnknownFate: what was submitted and not answered is not submitted again.
func TestUnknownFate(t *testing.T) {
	w := newWorld(t, false, simsmpp.Config{})
	p := w.provider(t, w.with())
	if _, err := send(t, p, here, message(1, "a")); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(){
		"cut": w.centre.Cut, "garbage": func() { w.centre.Write(make([]byte, 16)) },
		// A response to the submit that cannot be read: after the bind and a message it
		// is the third request of the session.
		"response": func() { w.centre.Write([]byte{0, 0, 0, 17, 0x80, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 3, 'x'}) },
	} {
		w.desk.Calls()
		reached := make(chan struct{})
		w.desk.Fail(sim.Fault{Delay: time.Hour, Reached: func() { close(reached) }})
		ended := make(chan error, 1)
		go func() {
			_, err := p.Send(t.Context(), provider.Address{Token: here}, message(2, "b"))
			ended <- err
		}()
		<-reached
		spoil()
		if e := refused(t, <-ended, provider.Unavailable); !e.Unknown {
			t.Errorf("%s: %+v", name, e)
		}
		if _, err := send(t, p, here, message(3, "c")); err != nil {
			t.Fatal(err)
		}
		eventually(t, name+": the calls", func() bool { return len(w.desk.Calls()) > 0 })
		w.centre.Cut() // the next one is the first message of its session
		eventually(t, "the end of the session", func() bool { return w.centre.Sessions() == 0 && !smpp.Open(p) })
		if _, err := send(t, p, here, message(4, "d")); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range w.centre.Taken() {
		if m.Text == "b" {
			t.Error("it was submitted twice")
		}
	}
}

// TestBackOff: after a bind has failed, the next one waits.
func TestBackOff(t *testing.T) {
	for _, row := range []struct {
		status wire.Status
		kind   provider.Kind
	}{
		{wire.BadPassword, provider.Unauthorized}, {wire.BadSystemID, provider.Unauthorized}, {wire.BindFailed, provider.Unauthorized}, {wire.BadSystemType, provider.Unauthorized},
		{0x410, provider.Unauthorized}, {wire.AlreadyBound, provider.Unavailable}, {wire.SystemError, provider.Unavailable}, {wire.Throttled, provider.Throttled},
	} {
		t.Run(row.status.String(), func(t *testing.T) {
			w := newWorld(t, false, simsmpp.Config{})
			w.centre.RefuseBinds(row.status)
			now := time.Now()
			p := smpp.At(t, provider.Config{Values: w.with(), Egress: w.egress(), Now: func() time.Time { return now }})
			last := time.Duration(0)
			for range 5 {
				for range 3 {
					_, err := send(t, p, here, message(1, "a"))
					e := refused(t, err, row.kind)
					if e.Unknown || e.Remedy == "" || e.Code != row.status.String() || e.RetryAfter <= 0 {
						t.Fatalf("%+v", e)
					}
					last = max(last, e.RetryAfter)
				}
				now = now.Add(last)
			}
			if n := w.desk.Connections(); n != 5 || last < 16*time.Second {
				t.Errorf("%d connections, the last pause is %s", n, last)
			}
			// Who verifies does not wait.
			w.centre.RefuseBinds(wire.OK)
			if err := p.Check(t.Context()); err != nil {
				t.Error(err)
			}
			if _, err := send(t, p, here, message(1, "a")); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWindow never has more submits without a response than the window.
func TestWindow(t *testing.T) {
	w := newWorld(t, false, simsmpp.Config{})
	p := w.provider(t, w.with("window", "3"))
	hold := make(chan struct{})
	for range 3 {
		w.desk.Fail(sim.Fault{Reached: func() { <-hold }})
	}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if _, err := send(t, p, here, message(herald.MessageID(i+1), "a")); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "a full window", func() bool { return w.centre.Most() == 3 })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := p.Send(ctx, provider.Address{Token: here}, message(99, "late"))
	if e := refused(t, err, provider.Unavailable); e.Unknown {
		t.Errorf("it was not submitted: %+v", e)
	}
	close(hold)
	wg.Wait()
	if n, most := len(w.centre.Taken()), w.centre.Most(); n != 20 || most > 3 {
		t.Errorf("%d taken, %d at once", n, most)
	}
}

// TestParts has parts of a long text refused.
func TestParts(t *testing.T) {
	long := strings.Repeat("0123456789", 40) // three parts
	for _, row := range []struct {
		name   string
		faults []sim.Fault
		kind   provider.Kind // "" if it is taken
		calls  int
	}{
		{"the first too early", []sim.Fault{{Status: 0x58}}, provider.Throttled, 1},
		{"the second too early, three times", []sim.Fault{{}, {Status: 0x58}, {Status: 0x14}, {Status: 0x58}}, "", 6},
		{"the second refused", []sim.Fault{{}, {Status: 0x45}}, provider.Rejected, 2},
		{"the third lost", []sim.Fault{{}, {}, {Reset: true}}, provider.Unavailable, 3},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t, false, simsmpp.Config{})
			p := w.provider(t, w.with())
			smpp.Hurry(p)
			w.desk.Fail(row.faults...)
			r, err := send(t, p, here, message(1, long))
			if calls := len(w.desk.Calls()); calls != row.calls {
				t.Errorf("%d calls", calls)
			}
			if row.kind == "" {
				if got := w.centre.Taken(); err != nil || r.Parts != 3 || len(got) != 1 || got[0].Text != long {
					t.Errorf("%+v, %v", r, err)
				}
				return
			}
			e := refused(t, err, row.kind)
			if n := row.calls; n > 1 && !strings.Contains(e.Text, fmt.Sprintf("part %d of 3: ", n)) || e.Unknown != row.faults[len(row.faults)-1].Reset {
				t.Errorf("%+v", e)
			}
			// Sent once more, the parts are put together with those from before.
			if _, err := send(t, p, here, message(1, long)); err != nil || len(w.centre.Taken()) != 1 {
				t.Errorf("then: %v", err)
			}
		})
	}
}

// TestPartsGivenUp: who waits for the second part to be taken can be told to stop.
func TestPartsGivenUp(t *testing.T) {
	w := newWorld(t, false, simsmpp.Config{})
	p := w.provider(t, w.with())
	ctx, cancel := context.WithCancel(t.Context())
	w.desk.Fail(sim.Fault{}, sim.Fault{Status: 0x58, Reached: cancel})
	_, err := p.Send(ctx, provider.Address{Token: here}, message(1, strings.Repeat("a", 200)))
	// It may stop while it waits for the response, or afterwards.
	if e := refused(t, err, provider.KindOf(err)); e.Kind != provider.Throttled && !e.Unknown {
		t.Errorf("%+v", e)
	}
}

func TestCheckUsesTheSession(t *testing.T) {
	w := newWorld(t, false, simsmpp.Config{})
	p := w.provider(t, w.with())
	if err := p.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of a session that was for checking only", func() bool { return w.centre.Sessions() == 0 })
	if _, err := send(t, p, here, message(1, "a")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := p.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.centre.Binds(); n != 2 || w.centre.Sessions() != 1 {
		t.Errorf("%d sessions were opened", n)
	}
	w.centre.Silence(true)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if err := p.Check(ctx); provider.KindOf(err) != provider.Unavailable || !errors.Is(err, context.Canceled) {
		t.Errorf("a silent service centre: %v", err)
	}
	w.centre.Silence(false) // it answers the unbind
}

func TestClosed(t *testing.T) {
	w := newWorld(t, false, simsmpp.Config{})
	p := w.provider(t, w.with())
	if _, err := send(t, p, here, message(1, "a")); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the unbind", func() bool { return w.centre.Sessions() == 0 })
	_, err := send(t, p, here, message(2, "a"))
	if e := refused(t, err, provider.Unavailable); e.Unknown {
		t.Errorf("%+v", e)
	}
	if n := len(w.centre.Taken()); n != 1 || w.desk.Connections() != 1 {
		t.Errorf("%d taken over %d connections", n, w.desk.Connections())
	}
}

// TestTranscript shows what is taken down of submits and binds.
func TestTranscript(t *testing.T) {
	w := newWorld(t, false, simsmpp.Config{})
	var script provider.Transcript
	ctx := provider.WithTranscript(t.Context(), &script)
	p := w.provider(t, w.with())
	if _, err := p.Send(ctx, provider.Address{Token: here}, message(1, strings.Repeat("文", 100))); err != nil {
		t.Fatal(err)
	}
	list := script.Exchanges()
	if len(list) != 2 {
		t.Fatalf("%+v", list)
	}
	var said struct {
		Destination, Text, Part string
		Coding                  int `json:"data_coding"`
	}
	var answer map[string]string
	for i, x := range list {
		if err := errors.Join(json.Unmarshal([]byte(x.Body), &said), json.Unmarshal([]byte(x.Answer), &answer)); err != nil {
			t.Fatal(err)
		}
		if want := strings.Repeat("文", []int{67, 33}[i]); x.URL != "smpp://"+w.server.Address || said.Text != want || said.Part != fmt.Sprintf("%d/2", i+1) || said.Coding != 8 ||
			said.Destination != here[1:] || answer["command_status"] != "ESME_ROK 0x00" || answer["message_id"] == "" {
			t.Errorf("%+v", x)
		}
	}
	w.centre.RefuseBinds(wire.BadPassword)
	_, err := w.provider(t, w.with()).Send(ctx, provider.Address{Token: here}, message(1, "a"))
	_ = refused(t, err, provider.Unauthorized)
	list = script.Exchanges()
	if x := list[len(list)-1]; len(list) != 3 || x.Method != "bind_transceiver" || !strings.Contains(x.Body, `"password":"…"`) || !strings.Contains(x.Err, "ESME_RINVPASWD") || strings.Contains(x.Body+x.Err, password) {
		t.Errorf("%+v", x)
	}
}

func TestTransmitter(t *testing.T) {
	w := newWorld(t, false, simsmpp.Config{})
	if _, err := send(t, w.provider(t, w.with("bind", "transmitter")), here, message(1, "a")); err != nil {
		t.Fatal(err)
	}
	if got := w.centre.Taken(); len(got) != 1 || got[0].Receipt {
		t.Errorf("%+v", got)
	}
}
