package registry

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// loadRoutes reads the named routes of all apps, which stay in memory: each
// message of an app that has a default one asks for it.
func (r *Registry) loadRoutes(ctx context.Context) error {
	list, err := r.store.Routes(ctx)
	if err != nil {
		return err
	}
	for i := range list {
		if app := r.app(list[i].App); app != nil {
			app.keepRoute(list[i])
		}
	}
	return nil
}

// keepRoute puts a route into the memory, with its conditions written out. What
// is there is never changed, so that messages can hold on to it.
func (a *App) keepRoute(row record.NamedRoute) {
	row.Route = row.Filled()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.routes[row.Name] = &row
}

// Route finds a named route of the app, in memory; nil if there is none. It must
// not be changed.
func (a *App) Route(name string) *herald.Route {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r := a.routes[name]; r != nil {
		return &r.Route
	}
	return nil
}

func routeNotFound(name string) error {
	return herald.Errorf(herald.CodeNotFound, "GET /v1/routes lists the routes of the app.", "there is no route %.140q", name)
}

// Route finds a named route of an app; not_found if there is none.
func (r *Registry) Route(key herald.AppKey, name string) (record.NamedRoute, error) {
	app, err := r.App(key)
	if err != nil {
		return record.NamedRoute{}, err
	}
	app.mu.Lock()
	defer app.mu.Unlock()
	row := app.routes[name]
	if row == nil {
		return record.NamedRoute{}, routeNotFound(name)
	}
	return *row, nil
}

// Routes lists the named routes of an app, in byte order of their names.
func (r *Registry) Routes(key herald.AppKey) (out []record.NamedRoute) {
	if app := r.app(key); app != nil {
		app.mu.Lock()
		defer app.mu.Unlock()
		for _, row := range app.routes {
			out = append(out, *row)
		}
	}
	slices.SortFunc(out, func(a, b record.NamedRoute) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// PutRoute saves a route under a name, and tells whether the name is new. What
// says the same as before is not written.
func (r *Registry) PutRoute(ctx context.Context, key herald.AppKey, name string, route herald.Route) (row record.NamedRoute, created bool, err error) {
	app, err := r.App(key)
	if err != nil {
		return row, false, err
	}
	app.change.Lock()
	defer app.change.Unlock()
	now := r.now().UTC().Truncate(time.Millisecond)
	row = record.NamedRoute{App: key, Name: name, Route: route.Filled(), Created: now, Updated: now}
	app.mu.Lock()
	old, count := app.routes[name], len(app.routes)
	app.mu.Unlock()
	switch {
	case old != nil && reflect.DeepEqual(old.Route, row.Route):
		return *old, false, nil
	case old != nil:
		row.Created = old.Created
	case count >= herald.MaxRoutes:
		return row, false, herald.Errorf(herald.CodeLimitReached, "Delete routes that are not used any more.", "an app has at most %d routes", herald.MaxRoutes)
	}
	if err := r.store.PutRoute(ctx, row); err != nil {
		return row, false, err
	}
	app.keepRoute(row)
	return row, old == nil, nil
}

// DeleteRoute removes a named route; not_found if there is none. Messages that
// were accepted with it keep it.
func (r *Registry) DeleteRoute(ctx context.Context, key herald.AppKey, name string) error {
	app, err := r.App(key)
	if err != nil {
		return err
	}
	app.change.Lock()
	defer app.change.Unlock()
	if app.Route(name) == nil {
		return routeNotFound(name)
	}
	if err := r.store.DeleteRoute(ctx, key, name); err != nil {
		return err
	}
	app.mu.Lock()
	defer app.mu.Unlock()
	delete(app.routes, name)
	return nil
}
