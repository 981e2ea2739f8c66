package courier

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
	"github.com/herald-push/herald/internal/store/sqlite"
)

// TestRecord has a real record in the place of the model: what the courier
// expects of it is so.
func TestRecord(t *testing.T) {
	ctx, now := t.Context(), time.Now().UTC().Truncate(time.Millisecond)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(t.TempDir(), "herald.db")})
	must(err)
	t.Cleanup(func() { must(db.Close()) })
	must(db.CreateApp(ctx, record.App{Key: app, Name: "a", SecretHash: []byte("h"), Created: now}))
	var ords []herald.Ordinal
	for i := range 30 {
		d, _, err := db.Register(ctx, record.Registration{Device: record.Device{
			App: app, ID: herald.RegistrationID(fmt.Sprintf("%020d", i)), Platform: herald.PlatformIOS, Created: now, Seen: now,
		}})
		must(err)
		ords = append(ords, d.Ord)
		must(db.SetAddress(ctx, record.Address{App: app, Owner: record.OwnerDevice, Ord: d.Ord, Kind: "sms", Token: token("sms", d.Ord), Created: now, Updated: now}))
	}
	m := record.Message{State: herald.MessageSending, Target: 30, Direct: ords, Body: []byte(`{"notification":{"title":"a"}}`), Later: []record.StepAfter{{Step: 1}}}
	m.ID, m.App, m.TTL, m.Due, m.Accepted, m.Priority, m.Audience = 1<<20, app, time.Hour, now, now, herald.PriorityNormal, herald.Audience{All: true}
	_, err = db.Accept(ctx, record.Acceptance{Message: m})
	must(err)
	steps, err := db.LeaseRouteSteps(ctx, time.Now().Add(time.Hour), time.Minute, 9)
	must(err)
	if len(steps) != 1 {
		t.Fatalf("steps %+v", steps)
	}
	must(db.PlanStep(ctx, steps[0], []record.Errand{{
		Lane: record.Lane{App: app, Vendor: "sms"}, Msg: m.ID, Step: 1, Owner: record.OwnerDevice, Kind: "sms", At: now, Left: sets.New(ords...),
	}}, true))

	w := newWorld(t)
	v := w.add("sms", false, nil)
	v.answer = func(s sent) (provider.Result, error) {
		switch n := v.of()[s.token]; {
		case s.token == token("sms", ords[3]):
			return provider.Result{}, provider.Errorf(provider.Unregistered, "21610", "", "gone")
		case s.token == token("sms", ords[4]) && n == 1:
			return provider.Result{}, provider.OfStatus(503, 0)
		case s.token == token("sms", ords[5]):
			return provider.Result{}, provider.Lost(errCrash, true)
		case s.token == token("sms", ords[6]):
			return provider.Result{Reference: "r6", Moved: "moved"}, nil
		}
		return provider.Result{Reference: "r" + s.token}, nil
	}
	w.errandStore, w.addressStore, w.messageStore = db, db, db
	c, stop := w.start()
	defer stop()
	counts := map[string]int{}
	for end := time.Now().Add(5 * time.Minute); counts["all"] < 30; <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("outcomes %v", counts)
		}
		list, err := db.AttemptCounts(ctx, app, m.ID)
		must(err)
		clear(counts)
		for _, n := range list {
			counts[string(n.Fate)+" "+n.Code] += int(n.Count)
			counts["all"] += int(n.Count)
		}
	}
	same(t, counts, map[string]int{"all": 30, "accepted ": 28, "failed unregistered/21610": 1, "unknown unavailable": 1})
	if n := len(v.sent()); n != 31 {
		t.Errorf("%d calls", n)
	}
	gone, err := db.AddressesIn(ctx, app, record.OwnerDevice, "sms", "", ords[3], ords[3], 9)
	must(err)
	moved, err := db.AddressesIn(ctx, app, record.OwnerDevice, "sms", "", ords[6], ords[6], 9)
	must(err)
	if len(gone) != 0 || len(moved) != 1 || moved[0].Token != "moved" {
		t.Errorf("addresses %+v, %+v", gone, moved)
	}
	must(c.Reports(ctx, app, "sms", []provider.Report{{Reference: "r6", State: herald.StateReceived}}))
	if w.states(herald.StateReceived) != 1 {
		t.Errorf("events %+v", w.events)
	}
}
