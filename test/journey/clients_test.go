package journey_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client/device"
)

// client is a device of some make.
type client interface {
	visitor
	// resumes tells that messages count as received only at the next
	// connection: a plain EventSource cannot say so before.
	resumes() bool
	tape() *tape
}

// visitor comes and goes. It comes back by itself when it loses the server;
// away and back are what its user does.
type visitor interface {
	// connect registers a new device and connects it.
	connect(t *testing.T, s *server)
	away(t *testing.T)
	back(t *testing.T)
	// leave ends the client for good, however it stands.
	leave(t *testing.T)
}

// makes lists the clients that every journey is told to. Each gives a fresh
// client, or skips the test if the machine lacks what it needs.
var makes = []struct {
	name string
	make func(t *testing.T) client
}{
	{"chromium-websocket", func(t *testing.T) client { return newScripted(t, "browser.mjs", "websocket") }},
	{"chromium-eventsource", func(t *testing.T) client { return newScripted(t, "browser.mjs", "sse") }},
	{"npm-ws", func(t *testing.T) client { return newScripted(t, "ws-client.mjs", "websocket") }},
	{"npm-eventsource", func(t *testing.T) client { return newScripted(t, "eventsource-client.mjs", "sse") }},
	{"curl", newCurl},
	{"go-sdk", func(*testing.T) client { return &sdk{events: newTape()} }},
}

// company is the clients of one journey, by name.
type company map[string]client

// gather connects one client of each make. What the machine lacks is skipped
// in a subtest of its own.
func gather(t *testing.T, s *server) company {
	t.Helper()
	all := company{}
	t.Cleanup(func() {
		for _, c := range all {
			c.leave(t)
		}
	})
	for _, m := range makes {
		t.Run("connect/"+m.name, func(t *testing.T) {
			c := m.make(t)
			c.connect(t, s)
			all[m.name] = c
		})
	}
	if t.Failed() || len(all) == 0 {
		t.FailNow()
	}
	return all
}

// each runs a subtest for each client.
func (all company) each(t *testing.T, what string, do func(t *testing.T, c client)) {
	t.Helper()
	for _, m := range makes {
		if c := all[m.name]; c != nil {
			t.Run(what+"/"+m.name, func(t *testing.T) { do(t, c) })
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}

// welcomed waits until the server has welcomed the client, from a place of its
// tape on.
func welcomed(t *testing.T, p *tape, from int) event {
	t.Helper()
	return p.await(t, "welcome", from, func(e event) bool { return e.Event == "frame" && e.Frame.Type == "welcome" })
}

func gone(t *testing.T, p *tape, from int) {
	t.Helper()
	p.await(t, "end of the connection", from, func(e event) bool { return e.Event == "closed" })
}

// scripted is a client of one of the scripts in test/interop.
type scripted struct {
	helper *helper
	kind   string
	name   string
	server *server
	token  string
}

func newScripted(t *testing.T, script, kind string) *scripted {
	t.Helper()
	return &scripted{helper: useHelper(t, script), kind: kind, name: herald.NewSecret(12)}
}

func (c *scripted) connect(t *testing.T, s *server) {
	t.Helper()
	c.server, c.token = s, s.register(t).Token
	c.back(t)
}

func (c *scripted) back(t *testing.T) {
	t.Helper()
	from := c.tape().length()
	c.helper.ask(t, object{"cmd": "connect", "client": c.name, "kind": c.kind, "url": c.server.url, "token": c.token})
	e := welcomed(t, c.tape(), from)
	if e.Frame.Heartbeat != 50 || e.Frame.Timeout != 75 || !herald.RegistrationID(e.Frame.RegistrationID).Valid() {
		t.Errorf("the welcome lacks something: %+v", e.Frame)
	}
	if c.kind == "websocket" {
		open := c.tape().await(t, "open", from, func(e event) bool { return e.Event == "open" })
		if open.Protocol != "herald.v1" {
			t.Errorf("subprotocol %q, want herald.v1", open.Protocol)
		}
		if !strings.HasPrefix(open.Extensions, "permessage-deflate") {
			t.Errorf("extensions %q, want permessage-deflate: this client offers it", open.Extensions)
		}
	}
}

func (c *scripted) away(t *testing.T) {
	t.Helper()
	from := c.tape().length()
	c.helper.ask(t, object{"cmd": "away", "client": c.name})
	gone(t, c.tape(), from)
}

func (c *scripted) leave(t *testing.T) {
	t.Helper()
	c.helper.ask(t, object{"cmd": "forget", "client": c.name})
}

func (c *scripted) resumes() bool { return c.kind == "sse" }
func (c *scripted) tape() *tape   { return c.helper.tape(c.name) }

// sdk is the Go SDK.
type sdk struct {
	dev    *device.Device
	events *tape
	stop   context.CancelFunc
	done   chan error
}

func (c *sdk) connect(t *testing.T, s *server) {
	t.Helper()
	dev, err := device.Register(t.Context(), device.Options{URL: s.url, AppKey: herald.AppKey(s.context.AppKey)})
	if err != nil {
		t.Fatal(err)
	}
	c.dev = dev
	c.back(t)
}

func (c *sdk) back(t *testing.T) {
	t.Helper()
	from := c.events.length()
	ctx, stop := context.WithCancel(context.Background())
	c.stop, c.done = stop, make(chan error, 1)
	go func(done chan<- error) { done <- c.dev.Listen(ctx, c.handler()) }(c.done)
	welcomed(t, c.events, from)
}

func (c *sdk) handler() device.Handler {
	frameOf := func(kind, id, title string) event {
		e := event{Event: "frame", Frame: frame{Type: kind, ID: id}}
		e.Frame.Notification.Title = title
		return e
	}
	return device.Handler{
		OnMessage: func(_ context.Context, m device.Message) error {
			c.events.add(frameOf("message", m.ID.String(), m.Notification.Title))
			return nil
		},
		OnWithdraw: func(_ context.Context, id herald.MessageID) { c.events.add(frameOf("withdraw", id.String(), "")) },
		OnState: func(s device.State) {
			switch s.Phase {
			case device.Connected:
				c.events.add(frameOf("welcome", "", ""))
			case device.Waiting:
				c.events.add(event{Event: "closed", Reason: errors.Join(s.Err).Error()})
			}
		},
		OnProblem: func(e *herald.Error) { c.events.add(event{Event: "failure", Detail: e.Error()}) },
	}
}

func (c *sdk) away(t *testing.T) {
	t.Helper()
	if c.stop == nil {
		return
	}
	c.stop()
	if err := <-c.done; err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Listen: %v", err)
	}
	c.stop = nil
}

func (c *sdk) leave(t *testing.T) { c.away(t) }
func (c *sdk) resumes() bool      { return false }
func (c *sdk) tape() *tape        { return c.events }
