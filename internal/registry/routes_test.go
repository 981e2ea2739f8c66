package registry_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
)

var errDisk = errors.New("the disk is gone")

// failing is a record that writes no routes.
type failing struct{ registry.Store }

func (failing) PutRoute(context.Context, record.NamedRoute) error        { return errDisk }
func (failing) DeleteRoute(context.Context, herald.AppKey, string) error { return errDisk }

// unreadable is a record whose routes cannot be read.
type unreadable struct{ registry.Store }

func (unreadable) Routes(context.Context) ([]record.NamedRoute, error) { return nil, errDisk }

func TestRoutesStayInMemory(t *testing.T) {
	w := newWorld(t)
	app, _ := w.newApp()
	route := herald.Route{Steps: []herald.RouteStep{{Channel: herald.ChannelLive}, {Channel: herald.ChannelSMS, After: herald.Duration(time.Minute)}}}
	row, created, err := w.PutRoute(t.Context(), app, herald.DefaultRouteName, route)
	must(t, err)
	if !created || row.Steps[1].Unless != herald.StateReceived || route.Steps[1].Unless != "" {
		t.Errorf("saved %+v, new: %v; what was given is %+v", row, created, route)
	}
	if _, created, err := w.PutRoute(t.Context(), app, herald.DefaultRouteName, route); created || err != nil {
		t.Errorf("the same again is new: %v, %v", created, err)
	}
	w.stop()
	w.wrap = func(s registry.Store) registry.Store { return failing{s} }
	w.start(serverKey)
	a, err := w.App(app)
	must(t, err)
	before := a.Route(herald.DefaultRouteName)
	if before == nil || len(before.Steps) != 2 || before.Steps[0].Unless != herald.StateReceived {
		t.Fatalf("after a restart the route is %+v", before)
	}
	// What cannot be written is not in memory either.
	if _, _, err := w.PutRoute(t.Context(), app, herald.DefaultRouteName, herald.LiveRoute()); !errors.Is(err, errDisk) {
		t.Errorf("without a disk: %v", err)
	}
	if err := w.DeleteRoute(t.Context(), app, herald.DefaultRouteName); !errors.Is(err, errDisk) {
		t.Errorf("without a disk: %v", err)
	}
	if a.Route(herald.DefaultRouteName) != before || len(w.Routes(app)) != 1 {
		t.Error("the memory has what the record has not")
	}
	w.stop()
	w.wrap = nil
	w.start(serverKey)
	a, err = w.App(app)
	must(t, err)
	before = a.Route(herald.DefaultRouteName)
	_, _, err = w.PutRoute(t.Context(), app, herald.DefaultRouteName, herald.LiveRoute())
	must(t, err)
	if len(before.Steps) != 2 || len(a.Route(herald.DefaultRouteName).Steps) != 1 {
		t.Error("a change of a route changes what messages hold")
	}
	must(t, w.DeleteRoute(t.Context(), app, herald.DefaultRouteName))
	if a.Route(herald.DefaultRouteName) != nil {
		t.Error("a deleted route is there")
	}
}

func TestRoutesOfNobody(t *testing.T) {
	w := newWorld(t)
	app, _ := w.newApp()
	none := herald.NewAppKey()
	_, _, put := w.PutRoute(t.Context(), none, "x", herald.LiveRoute())
	_, get := w.Route(none, "x")
	_, unknown := w.Route(app, "x")
	for what, err := range map[string]error{"put": put, "get": get, "unknown": unknown, "delete": w.DeleteRoute(t.Context(), none, "x"), "delete an unknown one": w.DeleteRoute(t.Context(), app, "x")} {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	if w.Routes(none) != nil || w.Routes(app) != nil {
		t.Error("there are routes of nobody")
	}
	reg := registry.New(registry.Config{Store: unreadable{w.db}, ServerKey: serverKey})
	if err := reg.Load(t.Context()); !errors.Is(err, errDisk) {
		t.Errorf("a record that cannot be read is loaded: %v", err)
	}
}
