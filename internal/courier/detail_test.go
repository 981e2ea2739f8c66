package courier

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
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// one sends a message to one device and gives its attempt.
func one(t *testing.T, w *world, change func(*record.Message, *record.Errand)) record.Attempt {
	t.Helper()
	w.devices("fcm", 7, 8)
	m := w.message(1, "fcm", time.Minute, 7, 8)
	m.Group, m.Direct = nil, []herald.Ordinal{7}
	if change != nil {
		change(m, w.errands[1])
	}
	_, stop := w.start()
	defer stop()
	w.over(10 * time.Minute)
	w.check()
	if len(w.attempts) != 1 {
		t.Fatalf("attempts %+v, want one", w.attempts)
	}
	a := w.attempts[0]
	if a.App != app || a.Msg != 1 || a.Vendor != "fcm" || a.Step != 1 || a.Ord != 7 || a.At.IsZero() {
		t.Errorf("attempt %+v", a)
	}
	return a
}

func TestAttempts(t *testing.T) {
	tests := []struct {
		name       string
		idempotent bool
		result     provider.Result
		err        error
		want       record.Attempt
	}{
		{"accepted", true, provider.Result{Reference: "r", Parts: 2, Shortened: true}, nil, record.Attempt{Fate: record.FateAccepted, Reference: "r", Parts: 2, Shortened: true, Tries: 1}},
		{"rejected", true, provider.Result{}, provider.Errorf(provider.Rejected, "BadTopic", "Mend it.", "wrong"), record.Attempt{Fate: record.FateFailed, Code: "rejected/BadTopic", Text: "wrong", Remedy: "Mend it.", Tries: 1}},
		{"too large", true, provider.Result{}, provider.Errorf(provider.TooLarge, "", "Less.", "long"), record.Attempt{Fate: record.FateFailed, Code: "too_large", Text: "long", Remedy: "Less.", Tries: 1}},
		{"unregistered", true, provider.Result{}, provider.Errorf(provider.Unregistered, "410", "", "gone"), record.Attempt{Fate: record.FateFailed, Code: "unregistered/410", Text: "gone", Tries: 1}},
		{"unknown", false, provider.Result{}, &provider.Error{Kind: provider.Unavailable, Unknown: true, Text: "no answer"}, record.Attempt{Fate: record.FateUnknown, Code: "unavailable", Text: "no answer", Tries: 1}},
		{"an error of no kind", false, provider.Result{}, errCrash, record.Attempt{Fate: record.FateUnknown, Code: "unavailable", Text: "the connection ended before the vendor answered", Tries: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.add("fcm", tt.idempotent, func(sent) (provider.Result, error) { return tt.result, tt.err })
				got := one(t, w, nil)
				if tt.name == "an error of no kind" {
					tt.want.Remedy = got.Remedy
				}
				got.App, got.Msg, got.Step, got.Vendor, got.Owner, got.Ord, got.At = "", 0, 0, "", "", 0, time.Time{}
				if fmt.Sprint(got) != fmt.Sprint(tt.want) {
					t.Errorf("got %+v\nwant %+v", got, tt.want)
				}
			})
		})
	}
}

func TestUnavailableUntilExpiry(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.add("fcm", true, func(sent) (provider.Result, error) { return provider.Result{}, provider.OfStatus(500, 0) })
		a := one(t, w, nil)
		if a.Fate != record.FateFailed || a.Code != "unavailable" || a.Tries < 3 || !strings.Contains(a.Text, "until the message expired") {
			t.Errorf("attempt %+v", a)
		}
	})
}

func TestDebug(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := w.add("fcm", true, nil)
		v.speak = func(ctx context.Context) {
			client, err := egress.New(egress.Config{})
			if err != nil {
				t.Error(err)
				return
			}
			defer client.Close()
			_, _ = provider.Call(ctx, client, egress.Request{Method: "POST", URL: "no address"})
		}
		a := one(t, w, func(m *record.Message, _ *record.Errand) { m.Facts = &record.Facts{Debug: true} })
		var x []provider.Exchange
		if err := json.Unmarshal(a.Trace, &x); err != nil || len(x) != 1 || x[0].URL != "no address" {
			t.Errorf("trace %s: %v", a.Trace, err)
		}
	})
}

func TestMoved(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.add("fcm", true, func(sent) (provider.Result, error) { return provider.Result{Moved: "new"}, nil })
		one(t, w, nil)
		list, err := w.AddressesIn(t.Context(), app, record.OwnerDevice, "fcm", "", 7, 7, 10)
		if err != nil || len(list) != 1 || list[0].Token != "new" {
			t.Errorf("addresses %+v, %v", list, err)
		}
	})
}

// TestRegisteredSince has a vendor speak of an address as it was before.
func TestRegisteredSince(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		before := time.Now().Add(-time.Hour)
		w.add("fcm", true, func(sent) (provider.Result, error) {
			return provider.Result{}, &provider.Error{Kind: provider.Unregistered, Since: before}
		})
		one(t, w, nil)
		if list, _ := w.AddressesIn(t.Context(), app, record.OwnerDevice, "fcm", "", 7, 7, 10); len(list) != 1 {
			t.Errorf("addresses %+v", list)
		}
	})
}

// speaker is a directory in which device 7 speaks Chinese on Android.
type speaker struct{}

func (speaker) Languages(herald.AppKey, []string) func(herald.Ordinal) string {
	return func(o herald.Ordinal) string {
		if o == 7 {
			return "zh"
		}
		return ""
	}
}

func (speaker) Platforms(herald.AppKey) func(herald.Ordinal) herald.Platform {
	return func(o herald.Ordinal) herald.Platform {
		if o == 7 {
			return herald.PlatformAndroid
		}
		return herald.PlatformIOS
	}
}

func TestContent(t *testing.T) {
	body := `{"notification":{"title":"a","languages":{"zh":{"title":"b"}}},"data":1,"platform_data":{"ios":2}}`
	tests := []struct {
		name     string
		change   func(*record.Message, *record.Errand)
		ord      herald.Ordinal
		title    string
		data     string
		options  string
		language bool
	}{
		{"as the device reads it", nil, 7, "b", "1", "", true},
		{"another device", nil, 8, "a", "2", "", true},
		{"a recipient has neither", func(_ *record.Message, e *record.Errand) { e.Owner = record.OwnerRecipient }, 7, "a", "1", "", true},
		{"options of the message", func(m *record.Message, _ *record.Errand) {
			m.Facts = &record.Facts{Vendors: herald.VendorOptions{"fcm": json.RawMessage(`{"a":1}`), "apns": nil}}
		}, 7, "b", "1", `{"a":1}`, true},
		{"the step says something else", func(m *record.Message, _ *record.Errand) {
			m.Facts = &record.Facts{Vendors: herald.VendorOptions{"fcm": json.RawMessage(`{"a":1}`)}, Route: &herald.Route{Steps: []herald.RouteStep{
				{}, {Notification: &herald.Notification{Title: "c"}, Options: json.RawMessage(`{"b":2}`)},
			}}}
		}, 7, "c", "1", `{"b":2}`, true},
		{"a step that is not there", func(_ *record.Message, e *record.Errand) { e.Step = 9 }, 7, "b", "1", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := New(Config{Directory: speaker{}})
			m := &record.Message{Body: []byte(body)}
			e := &record.Errand{Lane: record.Lane{Vendor: "fcm"}, Step: 1, Owner: record.OwnerDevice}
			if tt.change != nil {
				tt.change(m, e)
			}
			says, err := c.contentOf(m, e)
			if err != nil {
				t.Fatal(err)
			}
			got := says.of(tt.ord)
			if got.Content.Notification.Title != tt.title || string(got.Content.Data) != tt.data || string(got.Options) != tt.options {
				t.Errorf("got %+v, options %s", got.Content, got.Options)
			}
			if says.of(tt.ord) != got {
				t.Error("it is made twice")
			}
		})
	}
	if _, err := New(Config{}).contentOf(&record.Message{Body: []byte("no JSON")}, &record.Errand{}); err == nil {
		t.Error("a damaged body is read")
	}
}

func TestMessagesThatAreOver(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(w *world, m *record.Message)
		want   string
	}{
		"withdrawn":  {func(_ *world, m *record.Message) { m.State = herald.MessageWithdrawn }, "skipped withdrawn"},
		"replaced":   {func(_ *world, m *record.Message) { m.State = herald.MessageReplaced }, "skipped replaced"},
		"expired":    {func(_ *world, m *record.Message) { m.State = herald.MessageExpired }, "skipped expired"},
		"purged":     {func(w *world, _ *record.Message) { delete(w.messages, 1) }, "skipped purged"},
		"damaged":    {func(w *world, _ *record.Message) { w.damaged = true }, "failed damaged"},
		"unreadable": {func(_ *world, m *record.Message) { m.Content, m.Body = herald.Content{}, []byte("{") }, "failed damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				v := w.add("fcm", true, nil)
				w.devices("fcm", 0, 3)
				tt.change(w, w.message(1, "fcm", time.Hour, 0, 3))
				_, stop := w.start()
				defer stop()
				w.over(time.Minute)
				same(t, w.check(), map[string]int{tt.want: 3})
				if len(v.sent()) != 0 {
					t.Error("it was sent")
				}
			})
		})
	}
}

// TestUnless sends on to devices that have received a message, where that is not
// far enough.
func TestUnless(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.add("fcm", true, nil)
		w.devices("fcm", 0, 3)
		m := w.message(1, "fcm", time.Hour, 0, 3)
		m.Facts = &record.Facts{Route: &herald.Route{Steps: []herald.RouteStep{{}, {Unless: herald.StateDisplayed}}}}
		w.received[1] = sets.New(0, 1, 2)
		_, stop := w.start()
		defer stop()
		w.over(time.Minute)
		same(t, w.check(), map[string]int{"accepted": 3})
	})
}

// batcher is a vendor that takes several addresses in a call.
type batcher struct {
	*vendor
	mu    sync.Mutex
	parts []int
	// forgot is that it has not answered for all, once.
	forgot bool
}

func (b *batcher) MaxBatch() int { return 10 }

func (b *batcher) SendBatch(_ context.Context, to []provider.Address, _ *provider.Message) (out []provider.Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.parts = append(b.parts, len(to))
	for _, a := range to {
		switch {
		case strings.HasSuffix(a.Token, "3"):
			out = append(out, provider.Outcome{Err: provider.Errorf(provider.Rejected, "", "", "no")})
		default:
			out = append(out, provider.Outcome{Result: provider.Result{Reference: a.Token}})
		}
	}
	if len(out) > 5 && !b.forgot {
		b.forgot = true
		out = out[:5]
	}
	return out
}

func TestBatches(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := w.add("fcm", true, nil)
		b := &batcher{vendor: v}
		v.as = b
		w.devices("fcm", 0, 101)
		w.message(1, "fcm", time.Hour, 0, 101)
		_, stop := w.start()
		defer stop()
		w.over(time.Minute)
		same(t, w.check(), map[string]int{"accepted": 91, "failed rejected": 10})
		if n := len(b.parts); n < 11 || n > 13 {
			t.Errorf("calls for %v addresses", b.parts)
		}
	})
}

func TestReports(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.add("fcm", true, func(sent) (provider.Result, error) { return provider.Result{Reference: "r1"}, nil })
		one(t, w, nil)
		c, stop := w.start()
		defer stop()
		later := time.Now().Add(-time.Second).UTC()
		err := c.Reports(t.Context(), app, "fcm", []provider.Report{
			{Reference: "r1", State: herald.StateReceived, Time: later}, {Reference: "nobody's", State: herald.StateClicked}, {State: herald.StateClicked},
		})
		if err != nil || w.states(herald.StateReceived) != 1 || w.states(herald.StateClicked) != 0 || !w.attempts[0].StateAt.Equal(later) {
			t.Errorf("%v, events %+v", err, w.events)
		}
		problem := provider.Errorf(provider.Rejected, "30005", "Ask them.", "nobody has the number")
		if err := c.Reports(t.Context(), app, "fcm", []provider.Report{{Reference: "r1", Err: problem}}); err != nil || w.attempts[0].Problem.Code != "30005" {
			t.Errorf("%v, attempts %+v", err, w.attempts)
		}
		if err := c.Reports(t.Context(), app, "fcm", nil); err != nil {
			t.Error(err)
		}
		w.mu.Lock()
		w.fail = errors.New("no disk")
		w.mu.Unlock()
		if err := c.Reports(t.Context(), app, "fcm", []provider.Report{{Reference: "r1"}}); err == nil {
			t.Error("what was not kept is taken")
		}
	})
}
