package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// leave closes a session and waits until the server knows.
func (n *node) leave(s *session, d api.RegisterAnswer) {
	n.t.Helper()
	_ = s.c.CloseNow()
	n.until("the session ends", func() bool {
		var v api.DeviceView
		n.call("GET", "/v1/devices/"+string(d.RegistrationID), "", nil, &v)
		return !v.Online
	})
}

func (n *node) until(what string, done func() bool, last ...*string) {
	n.t.Helper()
	deadline := time.NewTimer(2 * time.Minute)
	defer deadline.Stop()
	again := time.NewTicker(5 * time.Millisecond) // a server cannot be asked without end
	defer again.Stop()
	for !done() {
		select {
		case <-again.C:
		case <-deadline.C:
			for _, s := range last {
				what += "; the last was " + *s
			}
			n.t.Fatalf("waited in vain until %s", what)
		}
	}
}

// silent checks that nothing comes but the answer to a ping.
func (s *session) silent() {
	s.t.Helper()
	s.say(`{"type":"ping"}`)
	if f := s.next(); f.Type != "pong" {
		s.t.Fatalf("got %+v, want nothing", f)
	}
}

// closed waits until the server closes the connection, and checks the code.
func (s *session) closed(want int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	for {
		_, _, err := s.c.Read(ctx)
		if err == nil {
			continue // what was on its way
		}
		if got := websocket.CloseStatus(err); int(got) != want {
			s.t.Fatalf("closed with %d (%v), want %d", got, err, want)
		}
		return
	}
}

func (s *session) ack(ids ...string) {
	s.t.Helper()
	s.say(`{"type":"ack","ids":["%s"]}`, strings.Join(ids, `","`))
}

func to(d api.RegisterAnswer, members string) string {
	return fmt.Sprintf(`{"audience":{"registration_ids":["%s"]},"notification":{"title":"x"}%s}`, d.RegistrationID, members)
}

// crowd registers devices past the API.
func (n *node) crowd(count int) {
	n.t.Helper()
	sem := make(chan struct{}, 64)
	for i := range count {
		sem <- struct{}{}
		go func() {
			defer func() { <-sem }()
			q := registry.RegisterRequest{App: n.app.AppKey, Installation: fmt.Sprintf("installation-%06d", i), Platform: herald.PlatformOther}
			if _, _, _, err := n.srv.registry.Register(context.Background(), q); err != nil {
				n.t.Error(err)
			}
		}()
	}
	for range cap(sem) {
		sem <- struct{}{}
	}
}

// A group of more than 1,000 devices, of which a few connect: away and back,
// with a restart between.
func TestGroupAwayAndBack(t *testing.T) {
	n := startNode(t, t.TempDir())
	d := n.register(api.RegisterRequest{Installation: "0123456789abcdef"})
	away := n.register(api.RegisterRequest{Installation: "fedcba9876543210"})
	n.crowd(herald.MaxDirect)
	const total = herald.MaxDirect + 2
	s := n.connect(d.Token, "")
	a := n.send(`{"audience":"all","notification":{"title":"Hello"}}`).ID.String()
	s.expect("message", a)
	n.counts(a, fmt.Sprintf(`sending %d {"pending":%d,"sent":1}`, total, total-1))
	s.ack(a)
	n.counts(a, fmt.Sprintf(`sending %d {"pending":%d,"received":1}`, total, total-1))
	n.leave(s, d)
	b := n.send(`{"audience":"all","notification":{"title":"While you were away"}}`).ID.String()

	n.end()
	n.start()
	n.counts(a, fmt.Sprintf(`sending %d {"pending":%d,"received":1}`, total, total-1))
	s = n.connect(d.Token, "")
	s.expect("message", b)
	s.silent() // what it has acknowledged does not come again
	s.ack(b)
	other := n.connect(away.Token, "")
	other.expect("message", a)
	other.expect("message", b)
	other.ack(a, b)
	n.counts(a, fmt.Sprintf(`sending %d {"pending":%d,"received":2}`, total, total-2))
	// A device of the crowd is removed.
	reg, _, _, err := n.srv.registry.Register(t.Context(), registry.RegisterRequest{App: n.app.AppKey, Installation: "installation-000000", Platform: herald.PlatformOther})
	if err != nil {
		t.Fatal(err)
	}
	if status := n.call("DELETE", "/v1/devices/"+string(reg.ID), "", nil, nil); status != 204 {
		t.Fatalf("removing answered %d", status)
	}
	n.counts(a, fmt.Sprintf(`sending %d {"device_gone":1,"pending":%d,"received":2}`, total, total-3))
	if c := n.send(`{"audience":"all","data":1}`); *c.Target != total-1 {
		t.Errorf("target %d after a removal, want %d", *c.Target, total-1)
	}
	if status := n.call("DELETE", "/v1/messages/"+b, "", nil, nil); status != 200 {
		t.Fatalf("withdrawing answered %d", status)
	}
	n.counts(b, fmt.Sprintf(`withdrawn %d {"device_gone":1,"received":2,"withdrawn":%d}`, total, total-3))
}

// A message that is withdrawn reaches nobody any more, and who has it is told,
// now or at the next connection.
func TestWithdrawJourney(t *testing.T) {
	n := startNode(t, t.TempDir())
	d, away := n.register(api.RegisterRequest{}), n.register(api.RegisterRequest{})
	s := n.connect(d.Token, "")
	m := n.send(`{"audience":"all","notification":{"title":"x"}}`).ID.String()
	s.expect("message", m)
	if status := n.call("DELETE", "/v1/messages/"+m, "", nil, nil); status != 200 {
		t.Fatalf("withdrawing answered %d", status)
	}
	s.expect("withdraw", m)
	n.counts(m, `withdrawn 2 {"unconfirmed":1,"withdrawn":1}`)
	s.ack(m) // it was on its way: it still counts
	n.counts(m, `withdrawn 2 {"received":1,"withdrawn":1}`)
	never := n.connect(away.Token, "")
	never.silent()
	n.leave(s, d)
	n.end()
	n.start()
	s = n.connect(d.Token, "") // it has not said that it knows of the withdrawal
	s.expect("withdraw", m)
	var a api.ReceiptsAnswer
	n.call("POST", "/v1/receipts", d.Token, `{"receipts":[{"id":"`+m+`","event":"withdrawn"}]}`, &a)
	if a.Accepted != 1 {
		t.Errorf("receipts %+v", a)
	}
	n.leave(s, d)
	n.connect(d.Token, "").silent()
	n.counts(m, `withdrawn 2 {"received":1,"withdrawn":1}`)
}

func TestCollapseJourney(t *testing.T) {
	n := startNode(t, t.TempDir())
	d := n.register(api.RegisterRequest{})
	first := n.send(to(d, `,"collapse_key":"score"`)).ID.String()
	other := n.send(to(d, `,"collapse_key":"news"`)).ID.String()
	second := n.send(to(d, `,"collapse_key":"score"`)).ID.String()
	n.counts(first, `replaced 1 {"replaced":1}`)
	s := n.connect(d.Token, "")
	s.expect("message", other)
	s.expect("message", second)
	third := n.send(to(d, `,"collapse_key":"score"`)).ID.String()
	s.expect("message", third)
	n.counts(second, `replaced 1 {"unconfirmed":1}`)
	s.ack(other, second, third)
	n.counts(second, `replaced 1 {"received":1}`)
	n.counts(third, `done 1 {"received":1}`)
}

func TestTTLJourney(t *testing.T) {
	n := startNode(t, t.TempDir())
	d, away := n.register(api.RegisterRequest{}), n.register(api.RegisterRequest{})
	s := n.connect(d.Token, "")
	a := n.send(`{"audience":"all","notification":{"title":"now"},"ttl":0}`)
	if a.Stored || *a.Target != 2 {
		t.Errorf("answer %+v", a)
	}
	if f := s.next(); f.Type != "message" || f.ID != a.ID.String() || f.Cursor != "" {
		t.Errorf("got %+v", f)
	}
	s.ack(a.ID.String())
	n.counts(a.ID.String(), `done 2 {"pending":1,"received":1}`)
	// Who was not meant cannot acknowledge it.
	third := n.register(api.RegisterRequest{})
	stranger := n.connect(third.Token, "")
	stranger.ack(a.ID.String())
	stranger.silent()
	n.counts(a.ID.String(), `done 2 {"pending":1,"received":1}`)
	waiting := n.connect(away.Token, "")
	waiting.silent()

	// On a busy machine a second may pass before it is sent at all.
	for sent := false; !sent; {
		short := n.send(to(away, `,"ttl":1`)).ID.String()
		n.until("the message ends", func() bool {
			var v api.MessageView
			n.call("GET", "/v1/messages/"+short, "", nil, &v)
			return v.State == herald.MessageExpired
		})
		waiting.say(`{"type":"ping"}`)
		f := waiting.next()
		if sent = f.Type == "message"; sent {
			n.counts(short, `expired 1 {"unconfirmed":1}`)
		} else {
			n.counts(short, `expired 1 {"expired":1}`)
		}
	}
	n.leave(stranger, third)
	late := n.send(to(third, `,"ttl":1`)).ID.String()
	n.counts(late, `expired 1 {"expired":1}`)
	n.connect(third.Token, "").silent()
}

func TestScheduledJourney(t *testing.T) {
	n := startNode(t, t.TempDir())
	d := n.register(api.RegisterRequest{})
	var at time.Time
	var a api.SendAnswer
	// The audience is that of the time when it falls due. On a busy machine that
	// may have come before the tag is there.
	for wait := 2 * time.Second; !time.Now().Before(at); wait *= 2 {
		at = time.Now().Add(wait)
		tag := "vip" + wait.String()
		a = n.send(`{"audience":{"tags":["` + tag + `"]},"notification":{"title":"later"},"send_at":"` + at.Format(time.RFC3339Nano) + `"}`)
		if time.Now().Before(at) && (a.Target != nil || a.Estimate == nil || *a.Estimate != 0 || !a.Stored) {
			t.Errorf("answer %+v", a)
		}
		n.call("POST", "/v1/tags/"+tag, "", `{"add":["`+string(d.RegistrationID)+`"]}`, nil)
	}
	n.end()
	n.start()
	s := n.connect(d.Token, "")
	s.expect("message", a.ID.String())
	if early := time.Until(at); early > 0 {
		t.Errorf("it came %s early", early)
	}
	s.ack(a.ID.String())
	n.counts(a.ID.String(), `done 1 {"received":1}`)
}

// On a shared phone the next user never sees what waits for the last one.
func TestSharedPhone(t *testing.T) {
	n := startNode(t, t.TempDir())
	d := n.register(api.RegisterRequest{Alias: "anna", Installation: "0123456789abcdef"})
	mail := func(alias string) string {
		return n.send(`{"audience":{"aliases":["` + alias + `"]},"notification":{"title":"for ` + alias + `"}}`).ID.String()
	}
	waiting := mail("anna")
	if status := n.call("PATCH", "/v1/devices/"+string(d.RegistrationID), "", `{"alias":"ben"}`, nil); status != 200 {
		t.Fatalf("binding answered %d", status)
	}
	n.counts(waiting, `done 1 {"rebound":1}`)
	if a := n.send(`{"audience":{"aliases":["anna"]},"data":1}`); *a.Target != 0 || a.Unknown != 0 {
		t.Errorf("to an alias that has no device any more: %+v", a)
	}
	s := n.connect(d.Token, "")
	ben := mail("ben")
	s.expect("message", ben)
	s.ack(ben)
	// The same while a session is open, by registering again.
	n.register(api.RegisterRequest{Alias: "carl", Installation: "0123456789abcdef"})
	carl := mail("carl")
	s.expect("message", carl)
	s.silent()
	n.leave(s, d)
	mail("carl")
	n.end()
	n.start()
	n.register(api.RegisterRequest{Alias: "dora", Installation: "0123456789abcdef"})
	dora := mail("dora")
	s = n.connect(d.Token, "")
	s.expect("message", dora)
	s.silent()
}

func TestReceiptsOverHTTP(t *testing.T) {
	n := startNode(t, t.TempDir())
	d := n.register(api.RegisterRequest{})
	ids := make([]string, 3)
	for i := range ids {
		ids[i] = n.send(to(d, "")).ID.String()
	}
	es := n.events(d.Token, "")
	first, second, third := es.next(), es.next(), es.next()
	if got := []string{first.ID, second.ID, third.ID}; !slices.Equal(got, ids) {
		t.Fatalf("events %v, want %v", got, ids)
	}
	var a api.ReceiptsAnswer
	n.call("POST", "/v1/receipts", d.Token, `{"receipts":[{"id":"`+ids[2]+`","event":"displayed"}],"cursor":"`+first.Cursor+`"}`, &a)
	if a.Accepted != 1 || a.Unknown != 0 {
		t.Errorf("answer %+v", a)
	}
	n.counts(ids[0], `done 1 {"received":1}`)
	n.counts(ids[1], `sending 1 {"sent":1}`)
	n.counts(ids[2], `done 1 {"displayed":1}`)
	es.close()
	// The next connection acknowledges by Last-Event-ID.
	es = n.events(d.Token, second.Cursor)
	n.counts(ids[1], `done 1 {"received":1}`)
	last := n.send(to(d, "")).ID.String()
	if f := es.next(); f.ID != last {
		t.Errorf("got %+v, want %s and nothing twice", f, last)
	}
	es.close()
	// A back end reports for a device, in the app's name.
	n.call("POST", "/v1/receipts", "", `{"receipts":[{"id":"`+last+`","event":"clicked","registration_id":"`+string(d.RegistrationID)+`"}]}`, &a)
	n.counts(last, `done 1 {"clicked":1}`)
}

// eventStream reads the messages of an SSE connection.
type eventStream struct {
	t    *testing.T
	resp *http.Response
	r    *bufio.Reader
	stop context.CancelFunc
}

func (n *node) events(token, lastEventID string) *eventStream {
	n.t.Helper()
	ctx, stop := context.WithTimeout(context.WithoutCancel(n.t.Context()), 2*time.Minute)
	req, err := http.NewRequestWithContext(ctx, "GET", n.srv.URL()+"/v1/live/sse?access_token="+token, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	if lastEventID != "" {
		req.Header.Set("Last-Event-ID", lastEventID)
	}
	resp, err := n.client.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	es := &eventStream{n.t, resp, bufio.NewReader(resp.Body), stop}
	n.t.Cleanup(es.close)
	return es
}

func (es *eventStream) close() {
	es.stop()
	_ = es.resp.Body.Close()
}

// next gives the next message, with the event's id as its cursor.
func (es *eventStream) next() (f frame) {
	es.t.Helper()
	var id, name, data string
	for {
		line, err := es.r.ReadString('\n')
		if err != nil {
			es.t.Fatal(err)
		}
		field, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			id = value
		case "event":
			name = value
		case "data":
			data = value
		case "":
			if line == "\n" && name == "" && data != "" {
				if err := unmarshal(data, &f); err != nil {
					es.t.Fatal(err)
				}
				f.Cursor = id
				return f
			}
			if line == "\n" {
				name, data = "", ""
			}
		}
	}
}

func TestTokensRevoked(t *testing.T) {
	n := startNode(t, t.TempDir())
	d := n.register(api.RegisterRequest{Installation: "0123456789abcdef"})
	s := n.connect(d.Token, "")
	if status := n.call("PATCH", "/v1/devices/"+string(d.RegistrationID), "", `{"revoke_tokens":true}`, nil); status != 200 {
		t.Fatalf("revoking answered %d", status)
	}
	s.closed(live.CloseBadToken)
	if status := n.call("GET", "/v1/devices/"+string(d.RegistrationID), d.Token, nil, nil); status != 401 {
		t.Errorf("the revoked token is answered %d", status)
	}
	again := n.register(api.RegisterRequest{Installation: "0123456789abcdef"})
	if again.RegistrationID != d.RegistrationID || again.Created {
		t.Errorf("registered again as %+v", again)
	}
	s = n.connect(again.Token, "")
	m := n.send(to(d, "")).ID.String()
	s.expect("message", m)
	if status := n.call("DELETE", "/v1/devices/"+string(d.RegistrationID), again.Token, nil, nil); status != 204 {
		t.Errorf("a device removing itself is answered %d", status)
	}
	s.closed(live.CloseBadToken)
	n.counts(m, `done 1 {"device_gone":1}`)
	if status := n.call("GET", "/v1/devices/"+string(d.RegistrationID), "", nil, nil); status != 404 {
		t.Errorf("the removed device is answered %d", status)
	}
}

func TestRotateSecret(t *testing.T) {
	n := startNode(t, t.TempDir())
	old := n.app.MasterSecret
	fresh, err := n.srv.Admin().RotateApp(t.Context(), n.app.AppKey, 0)
	if err != nil || fresh.MasterSecret == old || fresh.JWTSecret != n.app.JWTSecret {
		t.Fatalf("rotated to %+v, %v", fresh, err)
	}
	if status := n.call("GET", "/v1/messages", "", nil, nil); status != 401 {
		t.Errorf("the old secret is answered %d", status)
	}
	n.app = fresh
	if status := n.call("GET", "/v1/messages", "", nil, nil); status != 200 {
		t.Errorf("the new secret is answered %d", status)
	}
}

func TestDrain(t *testing.T) {
	n := startNode(t, t.TempDir())
	d := n.register(api.RegisterRequest{})
	s := n.connect(d.Token, "")
	url := n.srv.URL()
	n.stop()
	if f := s.next(); f.Type != "reconnect" {
		t.Errorf("got %+v", f)
	}
	s.closed(live.CloseDraining)
	if err := <-n.done; err != nil {
		t.Errorf("the server ended with %v", err)
	}
	n.stop = nil
	if resp, err := n.client.Get(url + "/livez"); err == nil {
		resp.Body.Close()
		t.Error("the port is still open")
	}
	if _, err := readRun(t.Context(), n.cfg.Data); err == nil {
		t.Error("run.json is left")
	}
	if err := n.srv.Close(); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("closing again: %v", err)
	}
}
