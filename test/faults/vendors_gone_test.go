package faults_test

import (
	"fmt"
	"net/http"
	"path"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/sim/apns"
)

// departures stands before Apple and looks for calls of whom Apple has said, in
// what is over, that they have gone.
type departures struct {
	*apns.Service

	mu    sync.Mutex // guards what follows
	gone  map[string]bool
	known map[string]bool // gone, and every message since has come to its end
	calls map[string]int  // since the last message began
	wrong []string
}

func (d *departures) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token := path.Base(r.URL.Path)
	d.mu.Lock()
	d.calls[token]++
	if d.known[token] {
		d.wrong = append(d.wrong, fmt.Sprintf("%s is asked for, of which Apple has said that it has gone", token))
	}
	d.mu.Unlock()
	d.Service.ServeHTTP(w, r)
}

// leaves has devices remove the app.
func (d *departures) leaves(at time.Time, tokens ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, token := range tokens {
		d.gone[token] = true
		d.Remove(token, at)
	}
}

// returns has devices have it again. They register anew.
func (d *departures) returns(tokens ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, token := range tokens {
		delete(d.gone, token)
		delete(d.known, token)
		d.Return(token)
	}
}

// begins forgets who was asked for.
func (d *departures) begins() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = map[string]int{}
}

// ends says that a message to all has come to its end, and checks that everybody
// was asked for who was not known to have gone.
func (d *departures) ends(devices int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range devices {
		if t := token(int64(i + 1)); d.calls[t] == 0 && !d.known[t] {
			d.wrong = append(d.wrong, fmt.Sprintf("%s is not asked for", t))
		}
	}
	for t := range d.gone {
		d.known[t] = true
	}
}

// asksGone is the planted defect that the check has to see.
const asksGone = "asks_gone"

// TestGoneAddresses kills the server while Apple says of every fifth device that
// it has gone. Nobody is asked for again of whom that was said in a message that
// has come to its end, but who has registered anew.
func TestGoneAddresses(t *testing.T) {
	t.Parallel()
	for _, planted := range []string{"", asksGone + ":1"} {
		t.Run("planted "+planted, func(t *testing.T) {
			t.Parallel()
			wrong := goneAddresses(t, planted)
			if planted == "" && len(wrong) > 0 {
				t.Errorf("wrong in %d places:\n\t%s", len(wrong), few(wrong))
			}
			if planted != "" && len(wrong) == 0 {
				t.Error("the check does not see it")
			}
		})
	}
}

func goneAddresses(t *testing.T, planted string) []string {
	const devices, rounds = 700, 2 // more than a batch
	var ahead atomic.Int64
	c := newClientele(t, &ahead, devices, 0)
	service, ok := c.apple.vendor.(*apns.Service)
	if !ok {
		t.Fatal("it is not Apple")
	}
	d := &departures{Service: service, gone: map[string]bool{}, known: map[string]bool{}, calls: map[string]int{}}
	c.apple.vendor, c.apple.calm = d, true
	c.gather()
	env := append(c.n.env[:len(c.n.env):len(c.n.env)], "FAULTS_PLANTED="+planted)
	restart := func() {
		c.client.CloseIdleConnections()
		at := time.Duration(ahead.Add(int64(3 * time.Minute))) // what was under way is not leased any more
		c.n.env = append(env[:len(env):len(env)], "FAULTS_CLOCK="+at.String())
		c.n.mustStart()
	}
	c.n.kill()
	restart()
	for round := range rounds {
		var leave, back []string
		for i := range int64(devices) {
			switch t := token(i + 1); i % 15 {
			case int64(round), int64(round) + 5, int64(round) + 10:
				leave = append(leave, t)
			case int64(round) - 1:
				back = append(back, t)
			}
		}
		d.leaves(time.Now().Add(time.Duration(ahead.Load())), leave...)
		d.returns(back...)
		for _, token := range back {
			c.call(http.MethodPost, "/v1/devices", map[string]any{"addresses": []map[string]string{{"vendor": "apns", "token": token}}}, nil)
		}
		d.begins()
		c.apple.allow(530)
		var sent struct{ ID herald.MessageID }
		c.call(http.MethodPost, "/v1/messages", map[string]any{
			"audience": "all", "notification": map[string]string{"title": "Hello"},
			"route": map[string]any{"steps": []map[string]string{{"channel": "vendor"}}},
		}, &sent)
		until(t, "calls are under way", c.apple.stuck)
		c.n.kill()
		c.apple.allow(-1)
		restart()
		until(t, "the message has come to its end", func() bool {
			r, _ := c.outcomes(sent.ID)
			return len(r.Pending) == 0
		})
		d.ends(devices)
	}
	if code := c.n.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, wrong := range inspect(c.n.data, true) {
		t.Error(wrong)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.wrong
}
