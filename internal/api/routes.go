package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/dispatch"
	"github.com/herald-push/herald/internal/record"
)

// RouteRequest is the body of PUT /v1/routes/{name}.
type RouteRequest struct {
	herald.Route
}

// RouteView is a named route as its app sees it.
type RouteView struct {
	Name string `json:"name"`
	herald.Route
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// RouteList lists the named routes of an app.
type RouteList struct {
	Routes []RouteView `json:"routes"`
}

// MessageRoute is the route of a message.
type MessageRoute struct {
	Name string `json:"name,omitempty" doc:"The named route that it was when the message was accepted. What is changed there later does not change the message."`
	herald.Route
}

// Routes manages the named routes of apps.
type Routes struct{ c Config }

func routeView(r *record.NamedRoute) RouteView {
	return RouteView{Name: r.Name, Route: r.Route, CreatedAt: r.Created, UpdatedAt: r.Updated}
}

// Put saves a route under a name, and tells whether the name is new.
func (s *Routes) Put(ctx context.Context, p Principal, name string, r RouteRequest) (RouteView, bool, error) {
	if err := p.may(ScopeSend); err != nil {
		return RouteView{}, false, err
	}
	if err := herald.ValidName("name", name); err != nil {
		return RouteView{}, false, err
	}
	// The TTL is that of each message, and checked with it.
	if err := validRoute("", &r.Route, herald.MaxTTL); err != nil {
		return RouteView{}, false, err
	}
	row, created, err := s.c.Registry.PutRoute(ctx, p.App, name, r.Route)
	if err != nil {
		return RouteView{}, false, err
	}
	return routeView(&row), created, nil
}

// Get shows a named route.
func (s *Routes) Get(_ context.Context, p Principal, name string) (RouteView, error) {
	if err := p.may(ScopeSend); err != nil {
		return RouteView{}, err
	}
	row, err := s.c.Registry.Route(p.App, name)
	if err != nil {
		return RouteView{}, err
	}
	return routeView(&row), nil
}

// List shows all named routes, in byte order of their names.
func (s *Routes) List(_ context.Context, p Principal) (RouteList, error) {
	if err := p.may(ScopeSend); err != nil {
		return RouteList{}, err
	}
	out := RouteList{Routes: []RouteView{}}
	for _, row := range s.c.Registry.Routes(p.App) {
		out.Routes = append(out.Routes, routeView(&row))
	}
	return out, nil
}

// Delete removes a named route. Messages that were accepted with it keep it.
func (s *Routes) Delete(ctx context.Context, p Principal, name string) error {
	if err := p.may(ScopeSend); err != nil {
		return err
	}
	return s.c.Registry.DeleteRoute(ctx, p.App, name)
}

// validRoute checks a route with what its steps say; at is the member that it
// is, "" for the whole body.
func validRoute(at string, r *herald.Route, ttl time.Duration) error {
	if err := r.Validate(at, ttl); err != nil {
		return err
	}
	for i := range r.Steps {
		if n := r.Steps[i].Notification; n != nil {
			if err := validWhole(herald.StepField(at, i)+".notification", n); err != nil {
				return err
			}
		}
	}
	return nil
}

// validWay checks what a message says of how it goes to people, as far as that
// does not depend on its app.
func validWay(r *SendRequest, ttl time.Duration) error {
	if r.Digest != nil {
		if err := r.Digest.Validate(ttl); err != nil {
			return err
		}
	}
	switch {
	case r.Route == nil:
		return nil
	case r.Route.Name != "":
		return herald.ValidName("route", r.Route.Name)
	}
	return validRoute("route", &herald.Route{Steps: r.Route.Steps}, ttl)
}

// addWay puts into a request how the message goes to people. A named route is
// looked up now, in memory, and the message keeps what it was.
func (s *Messages) addWay(ctx context.Context, app herald.AppKey, r *SendRequest, q *dispatch.Request) error {
	if r.Debug {
		factsOf(q).Debug = true
	}
	if r.Digest != nil {
		factsOf(q).Digest = r.Digest
	}
	if r.Route == nil && q.Message.TTL == 0 {
		return nil
	}
	if r.Route != nil && r.Route.Name == "" {
		route := herald.Route{Steps: r.Route.Steps}.Filled()
		factsOf(q).Route = &route
		return nil
	}
	a, err := s.c.Registry.App(app)
	if err != nil {
		return err
	}
	if r.Route == nil {
		takeDefault(ctx, a.Route(herald.DefaultRouteName), q)
		return nil
	}
	route := a.Route(r.Route.Name)
	if route == nil {
		return herald.Invalid("route", "Save it first with PUT /v1/routes/{name}, or check the name.", "there is no route %.140q", r.Route.Name)
	}
	if err := route.Validate("", q.Message.TTL); err != nil {
		var e *herald.Error
		if errors.As(err, &e) {
			return herald.Invalid("route", e.Remedy, "the route %.140q does not fit the message: %s", r.Route.Name, e.Error())
		}
		return fmt.Errorf("api: checking the route %q: %w", r.Route.Name, err)
	}
	f := factsOf(q)
	f.Route, f.RouteName = route, r.Route.Name
	return nil
}

// takeDefault gives a message that names no route the default one of its app, if
// there is one. It asked for none, so that it is never refused for it: steps that
// come after its TTL are left out. What a page sends to itself goes by nothing
// that costs the app money.
func takeDefault(ctx context.Context, route *herald.Route, q *dispatch.Request) {
	if route == nil {
		return
	}
	if who, ok := ctx.Value(senderKey{}).(*record.Sender); ok && who.Kind == record.AuditPage {
		return
	}
	f := factsOf(q)
	f.Route, f.RouteName = route, herald.DefaultRouteName
	if within, all := route.Within(q.Message.TTL); !all {
		if len(within.Steps) == 0 {
			within = herald.LiveRoute()
		}
		f.Route = &within
	}
}

// showWay shows how a message goes to people.
func showWay(v *MessageView, f *record.Facts) {
	v.Debug, v.Digest = f.Debug, f.Digest
	if f.Route != nil {
		v.Route = &MessageRoute{Name: f.RouteName, Route: *f.Route}
	}
}
