package courier

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// room is a vendor that takes few messages and makes digests.
type room struct {
	*vendor
	refuses bool // to make a digest
}

func (r *room) Digest(list []*provider.Message) (*provider.Message, error) {
	if r.refuses {
		return nil, provider.Errorf(provider.Rejected, "", "", "they do not fit")
	}
	out := *list[len(list)-1]
	var titles []string
	for _, m := range list {
		titles = append(titles, m.Content.Notification.Title)
	}
	out.Content.Notification = &herald.Notification{Title: strings.Join(titles, " ")}
	return &out, nil
}

func newRoom(w *world, answer func(sent) (provider.Result, error)) *room {
	r := &room{vendor: w.add("dingtalk", false, answer)}
	r.driver.Rate = &provider.Rate{Calls: 20, Per: time.Minute, Digest: true}
	r.as = r
	return r
}

// post adds a message to a room.
func (w *world) post(id herald.MessageID, d *herald.Digest) *record.Message {
	m := &record.Message{State: herald.MessageSending}
	m.ID, m.App, m.TTL, m.Due = id, app, time.Hour, w.now()
	m.Content.Notification = &herald.Notification{Title: fmt.Sprintf("m%d", id), Body: "text"}
	m.Facts = &record.Facts{Digest: d, Debug: true}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.messages[id] = m
	w.lastID++
	w.errands[w.lastID] = &record.Errand{
		Lane: record.Lane{App: app, Vendor: "dingtalk"}, ID: w.lastID, Msg: id, Step: 1, Owner: record.OwnerApp, At: w.now(), Left: sets.New(0),
	}
	w.whole[w.lastID] = sets.New(0)
	return m
}

// shown counts in how many calls each message was.
func shown(list []sent) map[string]int {
	out := map[string]int{}
	for _, s := range list {
		for _, title := range strings.Fields(s.m.Content.Notification.Title) {
			out[title]++
		}
	}
	return out
}

func TestDigestOfWhatIsTooMuch(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		r := newRoom(w, nil)
		c, stop := w.start()
		defer stop()
		for i := range herald.MessageID(200) { // two in a second
			w.post(1+i, nil)
			c.Wake()
			elapse(500 * time.Millisecond)
		}
		begin := time.Now()
		w.over(time.Minute)
		if took := time.Since(begin); took > 15*time.Second {
			t.Errorf("the last messages waited %v", took)
		}
		same(t, w.check(), map[string]int{"accepted": 200})
		list := r.sent()
		got := shown(list)
		for i := range 200 {
			if n := got[fmt.Sprintf("m%d", i+1)]; n != 1 {
				t.Errorf("message %d was in %d calls", i+1, n)
			}
		}
		for i := 20; i < len(list); i++ {
			if d := list[i].at.Sub(list[i-20].at); d <= time.Minute {
				t.Fatalf("21 calls in %v", d)
			}
		}
		if len(list) < 15 || len(list) > 40 {
			t.Errorf("%d calls", len(list))
		}
		joined := 0
		for _, a := range w.attempts {
			if strings.Contains(a.Text, "messages that became one") {
				joined++
			}
		}
		if joined < 150 {
			t.Errorf("%d attempts say that they became one", joined)
		}
	})
}

func TestDigestWindow(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		r := newRoom(w, nil)
		_, stop := w.start()
		defer stop()
		begin := time.Now()
		d := &herald.Digest{Key: "build", Window: herald.Duration(5 * time.Minute)}
		for i := range herald.MessageID(30) {
			w.post(1+i, d)
		}
		w.post(100, &herald.Digest{Key: "other", Window: herald.Duration(5 * time.Minute)})
		w.post(101, nil)
		w.over(10 * time.Minute)
		same(t, w.check(), map[string]int{"accepted": 32})
		list := r.sent()
		if len(list) != 3 {
			t.Fatalf("%d calls: %v", len(list), shown(list))
		}
		for _, s := range list {
			n := len(strings.Fields(s.m.Content.Notification.Title))
			if after := s.at.Sub(begin); n != 1 && n != 30 || after > 5*time.Minute+5*time.Second {
				t.Errorf("%d messages in a call after %v", n, after)
			}
		}
	})
}

func TestWindow(t *testing.T) {
	due := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	j := &errand{c: New(Config{}), Errand: record.Errand{Owner: record.OwnerRecipient}}
	at := func(after time.Duration, ttl time.Duration) time.Time {
		j.m = &record.Message{Facts: &record.Facts{Digest: &herald.Digest{Key: "k", Window: herald.Duration(time.Minute)}}}
		j.m.Due, j.m.TTL = due.Add(after), ttl
		return j.window()
	}
	ends := map[time.Time]bool{}
	for i := range 60 {
		end := at(time.Duration(i)*time.Second, time.Hour)
		if d := end.Sub(j.m.Due); d <= 0 || d > time.Minute {
			t.Errorf("a message waits %v", d)
		}
		ends[end] = true
	}
	if len(ends) > 2 {
		t.Errorf("a minute has %d windows", len(ends))
	}
	if end := at(0, time.Minute); !end.Before(j.m.Expires()) {
		t.Error("a message waits until it has expired")
	}
	j.Owner = record.OwnerDevice
	if !at(0, time.Hour).IsZero() {
		t.Error("a message to devices waits")
	}
}

func TestDigestRefused(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		r := newRoom(w, nil)
		r.refuses = true
		for i := range herald.MessageID(30) {
			w.post(1+i, nil)
		}
		_, stop := w.start()
		defer stop()
		w.over(10 * time.Minute)
		same(t, w.check(), map[string]int{"accepted": 30})
		if n := len(r.sent()); n != 30 {
			t.Errorf("%d calls", n)
		}
	})
}

// TestDigestLost has the outcome of a digest be that of all its messages.
func TestDigestLost(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		newRoom(w, func(s sent) (provider.Result, error) {
			if strings.Contains(s.m.Content.Notification.Title, "m15") {
				return provider.Result{}, provider.Lost(errCrash, true)
			}
			return provider.Result{Reference: "r"}, nil
		})
		d := &herald.Digest{Key: "k", Window: herald.Duration(time.Minute)}
		for i := range herald.MessageID(20) {
			w.post(1+i, d)
		}
		_, stop := w.start()
		defer stop()
		w.over(10 * time.Minute)
		same(t, w.check(), map[string]int{"unknown unavailable": 20})
	})
}

// TestDigestRecall recalls messages that wait to become one, and while they are
// sent.
func TestDigestRecall(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		r := newRoom(w, nil)
		r.slow = 5 * time.Second
		c, stop := w.start()
		defer stop()
		d := &herald.Digest{Key: "k", Window: herald.Duration(time.Minute)}
		var end time.Time
		for i := range herald.MessageID(10) {
			m := w.post(1+i, d)
			j := &errand{c: c, m: m, Errand: record.Errand{Owner: record.OwnerApp}}
			end = j.window()
		}
		elapse(time.Until(end) + gathering/2) // one is the host, the others have come
		recall := func(id herald.MessageID) {
			w.mu.Lock()
			w.messages[id].State = herald.MessageWithdrawn
			w.mu.Unlock()
			c.Recall(app, id)
		}
		for id := range herald.MessageID(5) {
			recall(1 + id)
		}
		elapse(3 * time.Second) // the rest of them are being sent
		if n := len(r.sent()); n != 1 {
			t.Fatalf("%d calls", n)
		}
		recall(7)
		w.over(10 * time.Minute)
		got := shown(r.sent())
		for id := range 10 {
			if n, want := got[fmt.Sprintf("m%d", id+1)], min(1, id/5); n != want {
				t.Errorf("message %d was in %d calls, want %d", id+1, n, want)
			}
		}
		out := w.check()
		if out["skipped withdrawn"] != 5 || out["accepted"]+out["unknown unavailable"] != 5 || out["accepted"] < 4 && out["unknown unavailable"] != 1 {
			t.Errorf("outcomes %v", out)
		}
	})
}

func TestDigestStop(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		r := newRoom(w, nil)
		d := &herald.Digest{Key: "k", Window: herald.Duration(time.Second)}
		for i := range herald.MessageID(10) {
			w.post(1+i, d)
		}
		for range 8 {
			_, stop := w.start()
			elapse(250 * time.Millisecond)
			stop()
		}
		_, stop := w.start()
		defer stop()
		w.over(10 * time.Minute)
		same(t, w.check(), map[string]int{"accepted": 10})
		if n := len(r.sent()); n > 2 {
			t.Errorf("%d calls", n)
		}
	})
}

func TestJoined(t *testing.T) {
	message := func(title, body string) *provider.Message {
		return &provider.Message{Content: herald.Content{Notification: &herald.Notification{Title: title, Body: body}}, CollapseKey: "k"}
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	high := message("b", "two")
	high.Priority, high.Expires = herald.PriorityHigh, now
	out, err := joined([]*provider.Message{message("a", "one"), high, message("a", "three"), message("", "four"), message("c", ""), message("a", "five")})
	if err != nil || out.Content.Notification.Title != "a" || out.Content.Notification.Body != "one\nb: two\nthree\nfour\nc\nfive" ||
		out.CollapseKey != "" || out.Priority != herald.PriorityHigh || !out.Expires.Equal(now) {
		t.Errorf("%+v, %+v, %v", out, out.Content.Notification, err)
	}
	own := message("a", "one")
	own.Options = json.RawMessage(`{}`)
	for _, list := range [][]*provider.Message{{own, message("a", "b")}, {{}, message("a", "b")}} {
		if _, err := joined(list); err == nil {
			t.Error("messages that cannot become one did")
		}
	}
	w := newWorld(t)
	v := w.add("smtp", true, nil)
	lease := &provider.Lease{Provider: v, Driver: v.driver}
	if m, err := merge(lease, []*guest{{c: &call{m: message("a", "1")}}, {c: &call{m: message("a", "2")}}}); err != nil || m.Content.Notification.Body != "1\n2" {
		t.Errorf("%+v, %v", m, err)
	}
}
