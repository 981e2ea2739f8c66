package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/herald-push/herald"
)

// Route is a route that the app has saved.
type Route struct {
	Name string `json:"name"`
	herald.Route
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// MessageRoute is the route of a message.
type MessageRoute struct {
	// Name is that of the saved route that it was when the message was accepted;
	// "" if it was none.
	Name string `json:"name,omitempty"`
	herald.Route
}

// SetRoute saves a route under a name. Messages that name no route take the one
// called [herald.DefaultRouteName]. Messages that were accepted with what was
// there before keep it.
func (c *Client) SetRoute(ctx context.Context, name string, r herald.Route) (Route, error) {
	var out Route
	err := c.do(ctx, call{method: http.MethodPut, path: routePath(name), body: r, into: &out})
	return out, err
}

// Route shows a saved route.
func (c *Client) Route(ctx context.Context, name string) (Route, error) {
	var out Route
	err := c.do(ctx, call{method: http.MethodGet, path: routePath(name), into: &out})
	return out, err
}

// Routes lists all saved routes, in byte order of their names.
func (c *Client) Routes(ctx context.Context) ([]Route, error) {
	var out struct {
		Routes []Route `json:"routes"`
	}
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/routes", into: &out})
	return out.Routes, err
}

// DeleteRoute deletes a saved route.
func (c *Client) DeleteRoute(ctx context.Context, name string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: routePath(name)})
}

func routePath(name string) string { return "/v1/routes/" + url.PathEscape(name) }
