package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// slowBook is an address book in which it takes long to find those of one message.
type slowBook struct {
	AddressBook
	asked, goesOn chan struct{}
	once          sync.Once
}

func (s *slowBook) AddressKinds(ctx context.Context, app herald.AppKey, owner record.Owner) ([]record.AddressKind, error) {
	first := false
	s.once.Do(func() { first = true })
	if first {
		close(s.asked)
		<-s.goesOn
	}
	return s.AddressBook.AddressKinds(ctx, app, owner)
}

// TestSlowPlanKeepsNobody: while it is asked who is to be reached by a step of one
// message, steps of others are planned.
func TestSlowPlanKeepsNobody(t *testing.T) {
	b := routed(t, credential(herald.VendorAPNs, "", ""))
	slow := &slowBook{AddressBook: b.db, asked: make(chan struct{}), goesOn: make(chan struct{})}
	made := make(chan struct{}, 2)
	old := b.routes
	b.routes = func(b *bench) RouteConfig {
		c := old(b)
		c.Addresses, c.OnErrands = slow, func() { made <- struct{}{} }
		return c
	}
	b.again()
	slow.AddressBook = b.db
	ords := b.devices(2)
	for _, o := range ords {
		b.address(record.OwnerDevice, o, "apns", "")
	}
	large := b.sendBy(to(ords[0]), nil)
	b.must(b.d.planDue(t.Context()))
	<-slow.asked
	quick := b.sendBy(to(ords[1]), nil)
	b.must(b.d.planDue(t.Context()))
	<-made
	if !b.tried(quick, ords[1]) {
		t.Error("the other is not planned")
	}
	if b.tried(large, ords[0]) {
		t.Error("the one that waits is planned")
	}
	close(slow.goesOn)
	b.d.turns.wait()
	if !b.tried(large, ords[0]) {
		t.Error("it is not planned when it goes on")
	}
}

func (b *bench) tried(m *record.Message, o herald.Ordinal) bool {
	b.t.Helper()
	s, err := b.db.Tried(b.t.Context(), b.app, m.ID, 1, record.OwnerDevice, 0)
	b.must(err)
	return s.Contains(o)
}

// TestRouteTurns: steps of one message come one after the other, also those that
// are added while one is being planned; so many messages as there are places are
// planned at once.
func TestRouteTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouteTurns()
		goesOn := make(chan struct{})
		var mu sync.Mutex
		var began, ended []string
		add := func(id herald.MessageID, steps ...int) {
			var list []record.RouteStep
			for _, s := range steps {
				list = append(list, record.RouteStep{Msg: id, Step: s})
			}
			r.add(list, func(s record.RouteStep) {
				name := fmt.Sprint(s.Msg, " ", s.Step)
				mu.Lock()
				began = append(began, name)
				mu.Unlock()
				<-goesOn
				mu.Lock()
				defer mu.Unlock()
				ended = append(ended, name)
			})
		}
		want := func(what string, list *[]string, want ...string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if got := slices.Sorted(slices.Values(*list)); !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
		one := herald.MessageID(1)
		add(one, 0, 1)
		add(one, 2)
		add(2, 0)
		want("at first", &began, one.String()+" 0", herald.MessageID(2).String()+" 0")
		for id := herald.MessageID(3); id <= routesAtOnce; id++ {
			add(id, 0)
		}
		go add(99, 0)
		want("no place is left", &ended)
		if mu.Lock(); len(began) != routesAtOnce {
			t.Errorf("%d are planned at once", len(began))
		}
		mu.Unlock()
		close(goesOn)
		synctest.Wait()
		r.wait()
		if i, j := slices.Index(ended, one.String()+" 0"), slices.Index(began, one.String()+" 1"); i < 0 || j < 0 || len(began) != routesAtOnce+3 || len(ended) != len(began) || len(r.queue) != 0 {
			t.Errorf("began %q, ended %q", began, ended)
		}
		if got := ofOne(ended, one.String()); !slices.Equal(got, []string{one.String() + " 0", one.String() + " 1", one.String() + " 2"}) {
			t.Errorf("the steps of one came as %q", got)
		}
	})
}

func ofOne(list []string, id string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s[:len(s)-2] != id })
}

// leases notes until when a step is kept.
type leases struct {
	LiveStore
	until []time.Time
}

func (l *leases) PutOffStep(_ context.Context, _ record.RouteStep, until time.Time) error {
	l.until = append(l.until, until)
	return nil
}

// TestLeaseIsRenewed: a step that takes long to be planned is nobody else's
// meanwhile.
func TestLeaseIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &leases{}
		d := &Dispatcher{c: Config{Now: time.Now, Routes: RouteConfig{Live: l}}}
		begun := time.Now()
		if err := d.renewed(t.Context(), record.RouteStep{}, func() error { <-time.After(50 * time.Second); return context.Canceled }); !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v", err)
		}
		<-time.After(time.Hour)
		if want := []time.Time{begun.Add(80 * time.Second), begun.Add(100 * time.Second)}; !slices.EqualFunc(l.until, want, time.Time.Equal) {
			t.Errorf("it was kept until %v, want %v", l.until, want)
		}
	})
}
