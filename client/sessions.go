package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/herald-push/herald"
)

// Session is a session over MQTT that outlives its connection.
type Session struct {
	ClientID       string                `json:"client_id"`
	RegistrationID herald.RegistrationID `json:"registration_id,omitempty"`
	Connected      bool                  `json:"connected"`
	ExpiresIn      int64                 `json:"expires_in"`       // seconds without a connection
	EndsAt         time.Time             `json:"ends_at,omitzero"` // zero while it is connected
	MQTTVersion    string                `json:"mqtt_version"`
	Dropped        int64                 `json:"dropped"`
	// Waiting and Subscriptions are set when one session is shown.
	Waiting       *int64                `json:"waiting,omitempty"`
	Subscriptions []SessionSubscription `json:"subscriptions,omitempty"`
}

// SessionSubscription is a subscription of a session.
type SessionSubscription struct {
	Filter string `json:"filter"` // with $share/GROUP/ before it if it is shared
	QoS    int    `json:"qos"`
}

// SessionPage is one page of sessions, in byte order of their client IDs. A page
// may be short before the last.
type SessionPage struct {
	Sessions   []Session `json:"sessions"`
	NextCursor string    `json:"next_cursor,omitempty"` // "" on the last
}

// Sessions lists the persistent sessions of a device, or of all if id is "".
func (c *Client) Sessions(ctx context.Context, id herald.RegistrationID, cursor string, limit int) (SessionPage, error) {
	v := page(cursor, limit)
	setUnlessEmpty(v, "registration_id", string(id))
	var out SessionPage
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/sessions", query: v, into: &out})
	return out, err
}

// Session shows a persistent session with its subscriptions, and how much waits
// for it.
func (c *Client) Session(ctx context.Context, clientID string) (Session, error) {
	var out Session
	err := c.do(ctx, call{method: http.MethodGet, path: sessionPath(clientID), into: &out})
	return out, err
}

// EndSession ends a persistent session whose client is away.
func (c *Client) EndSession(ctx context.Context, clientID string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: sessionPath(clientID)})
}

func sessionPath(clientID string) string { return "/v1/sessions/" + url.PathEscape(clientID) }
