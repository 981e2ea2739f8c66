package courier

import (
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/record"
)

// TestEarlyReport: what a vendor says of a message before it is written down that
// it took it is not lost.
func TestEarlyReport(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var c *Courier
		begun := make(chan struct{})
		w.add("fcm", true, func(sent) (provider.Result, error) {
			<-begun
			if err := c.Reports(t.Context(), app, "fcm", []provider.Report{{Reference: "r1,r2", State: herald.StateReceived}}); err != nil {
				t.Error(err)
			}
			return provider.Result{Reference: "r1,r2"}, nil
		})
		w.devices("fcm", 7, 8)
		m := w.message(1, "fcm", time.Minute, 7, 8)
		m.Group, m.Direct = nil, []herald.Ordinal{7}
		var stop func()
		c, stop = w.start()
		defer stop()
		close(begun) // c is there
		w.over(time.Minute)
		if n := w.states(herald.StateReceived); n != 1 || len(w.attempts) != 1 || w.attempts[0].State != herald.StateReceived {
			t.Errorf("%d received, attempts %+v", n, w.attempts)
		}
		if len(c.early.list) != 0 {
			t.Errorf("held still: %v", c.early.list)
		}
	})
}

func TestEarlyIsBounded(t *testing.T) {
	var e early
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var list []record.VendorReport
	for i := range maxEarly {
		list = append(list, record.VendorReport{Vendor: "v", Reference: herald.MessageID(i + 1).String()})
	}
	e.hold(app, list, now)
	more := []record.VendorReport{{Vendor: "v", Reference: "more"}}
	if e.hold(app, more, now.Add(earlyFor)); len(e.list) != maxEarly {
		t.Errorf("%d are held, want %d", len(e.list), maxEarly)
	}
	if e.hold(app, more, now.Add(earlyFor+1)); len(e.list) != 1 {
		t.Errorf("%d are held, want one", len(e.list))
	}
	if got := e.of(app, []record.Attempt{{Vendor: "v", Reference: "more"}, {Vendor: "v"}, {Vendor: "other", Reference: "more"}}); len(got) != 1 {
		t.Errorf("found %+v", got)
	}
}

// TestEndedLater: an address that the vendor says later leads to nobody is not
// used again, unless it was registered since.
func TestEndedLater(t *testing.T) {
	for name, anew := range map[string]bool{"as it was": false, "registered anew": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.add("fcm", true, func(sent) (provider.Result, error) { return provider.Result{Reference: "r1"}, nil })
				one(t, w, nil)
				if anew {
					elapse(time.Second)
					w.devices("fcm", 7, 8)
				}
				c, stop := w.start()
				defer stop()
				gone := provider.Errorf(provider.Unregistered, "30005", "", "nobody has the number")
				if err := c.Reports(t.Context(), app, "fcm", []provider.Report{{Reference: "r1", Err: gone}}); err != nil {
					t.Fatal(err)
				}
				list, err := w.Addresses(t.Context(), app, record.OwnerDevice, 7)
				if err != nil || len(list) == 0 {
					t.Fatalf("%+v, %v", list, err)
				}
				if valid := list[0].Invalid.IsZero(); valid != anew {
					t.Errorf("valid: %v, want %v", valid, anew)
				}
			})
		})
	}
}
