package journey_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// event is something that a client saw, in the form in which the scripts of
// test/interop print it.
type event struct {
	Event      string `json:"event"` // open, frame, publish, goodbye, refused, closed, pageerror, failure
	Client     string `json:"client"`
	Frame      frame  `json:"frame"`
	Protocol   string `json:"protocol"`
	Extensions string `json:"extensions"`
	Code       int    `json:"code"`
	Reason     string `json:"reason"`
	Detail     string `json:"detail"`

	Publish publication `json:"publish"` // of publish, which MQTT clients see

	// Answers to calls.
	Call  int             `json:"call"`
	Value json.RawMessage `json:"value"`
	Error string          `json:"error"`

	at time.Time
}

// frame is a frame of the session protocol, as far as the journeys look.
type frame struct {
	Type           string  `json:"type"`
	ID             string  `json:"id"`
	Cursor         string  `json:"cursor"`
	RegistrationID string  `json:"registration_id"`
	AfterMS        *int64  `json:"after_ms"`
	Heartbeat      float64 `json:"heartbeat"`
	Timeout        float64 `json:"timeout"`
	Code           string  `json:"code"`
	Remedy         string  `json:"remedy"`
	Notification   struct {
		Title string `json:"title"`
		Body  string `json:"body"`
	} `json:"notification"`
}

func (e event) String() string {
	switch {
	case e.Event == "frame" && e.Frame.Type == "message":
		return "message " + e.Frame.ID + " " + e.Frame.Notification.Title
	case e.Event == "publish":
		return fmt.Sprintf("publish %s %.40q", e.Publish.Topic, e.Publish.Payload)
	case e.Event == "frame":
		return e.Frame.Type + " " + e.Frame.ID
	default:
		return strings.TrimSpace(fmt.Sprintf("%s %d %s%s", e.Event, e.Code, e.Reason, e.Detail))
	}
}

// tape keeps what one client saw, in order, and wakes who waits for more.
type tape struct {
	mu      sync.Mutex
	list    []event
	changed chan struct{} // closed and replaced at each event
}

func newTape() *tape { return &tape{changed: make(chan struct{})} }

func (p *tape) add(e event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e.at = time.Now()
	p.list = append(p.list, e)
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *tape) all() ([]event, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.list), p.changed
}

// length is where the tape stands, for await.
func (p *tape) length() int {
	list, _ := p.all()
	return len(list)
}

// await waits until one of the events from a place on satisfies the condition,
// and gives it.
func (p *tape) await(t *testing.T, what string, from int, is func(event) bool) event {
	t.Helper()
	deadline := time.After(patience)
	for {
		list, changed := p.all()
		for _, e := range list[from:] {
			if e.Event == "failure" || e.Event == "pageerror" {
				t.Fatalf("the client failed while waiting for %s: %s", what, e.Detail)
			}
			if is(e) {
				return e
			}
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("no %s within %s; seen: %v", what, patience, list)
		}
	}
}

func (p *tape) awaitFrame(t *testing.T, kind, id string) event {
	t.Helper()
	return p.await(t, strings.TrimSpace(kind+" "+id), 0, func(e event) bool {
		return e.Event == "frame" && e.Frame.Type == kind && (id == "" || e.Frame.ID == id)
	})
}

// messages lists the IDs of the message frames, in order, copies included.
func (p *tape) messages() []string {
	list, _ := p.all()
	var ids []string
	for _, e := range list {
		if e.Event == "frame" && e.Frame.Type == "message" {
			ids = append(ids, e.Frame.ID)
		}
	}
	return ids
}

// unique drops the copies after the first of each.
func unique(ids []string) []string {
	var out []string
	for _, id := range ids {
		if !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// poll asks again until the answer satisfies, for what no event announces.
func poll(t *testing.T, what string, ask func() (done bool, now string)) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		done, now := ask()
		if done {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not %s within %s, but %s", what, patience, now)
		}
	}
}
