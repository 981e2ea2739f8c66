package api

import (
	"context"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// SessionStore keeps sessions that outlive their connections.
type SessionStore interface {
	// List lists sessions by client; next is "" at the end. A page may be short.
	List(ctx context.Context, f record.TopicSessionFilter) (list []record.TopicSessionState, next string, err error)
	// Session gives one with its subscriptions, and how many publications wait for
	// it; not_found if there is none.
	Session(ctx context.Context, app herald.AppKey, client string) (*record.TopicSessionState, int, error)
	// End ends one.
	End(ctx context.Context, app herald.AppKey, client string) error
}

// Sessions shows and ends sessions that outlive their connections.
type Sessions struct{ c Config }

// SessionQuery selects persistent sessions.
type SessionQuery struct {
	Device herald.RegistrationID // "" for all
	Cursor string
	Limit  int
}

// SessionView is a persistent session.
type SessionView struct {
	ClientID       string                `json:"client_id" doc:"Client ID of the MQTT client."`
	RegistrationID herald.RegistrationID `json:"registration_id,omitempty" doc:"The device that it belongs to."`
	Connected      bool                  `json:"connected" doc:"Whether its client is connected now."`
	ExpiresIn      int64                 `json:"expires_in" doc:"For how many seconds it is kept without a connection."`
	EndsAt         time.Time             `json:"ends_at,omitzero" doc:"When it ends if its client stays away; absent while that is connected."`
	MQTTVersion    string                `json:"mqtt_version" doc:"Version of MQTT that its client spoke last." enum:"3.1,3.1.1,5.0"`
	Dropped        int64                 `json:"dropped" doc:"Publications that it did not get because too many waited."`
	Waiting        *int64                `json:"waiting,omitempty" doc:"Stored publications that are not acknowledged by it yet; only when one session is shown."`
	Subscriptions  []SessionSubscription `json:"subscriptions,omitempty" doc:"Only when one session is shown."`
}

// SessionSubscription is a subscription of a persistent session.
type SessionSubscription struct {
	Filter string `json:"filter" doc:"With $share/GROUP/ before it if it is shared."`
	QoS    int    `json:"qos" doc:"The highest QoS with which it gets publications."`
}

// SessionPage is one page of persistent sessions, by client ID.
type SessionPage struct {
	Sessions   []SessionView `json:"sessions" doc:"In byte order of their client IDs. A page may be short, or empty, before the last."`
	NextCursor string        `json:"next_cursor,omitempty"`
}

func sessionView(s *record.TopicSessionState) SessionView {
	v := SessionView{
		ClientID: s.Client, RegistrationID: s.Device, Connected: s.Ends.IsZero(), ExpiresIn: int64(s.Expiry), EndsAt: s.Ends, Dropped: s.Dropped,
		MQTTVersion: map[byte]string{3: "3.1", 5: "5.0"}[s.Version],
	}
	if v.MQTTVersion == "" {
		v.MQTTVersion = "3.1.1"
	}
	return v
}

// List shows persistent sessions.
func (s *Sessions) List(ctx context.Context, p Principal, q SessionQuery) (SessionPage, error) {
	if err := p.may(ScopeDevicesRead); err != nil {
		return SessionPage{}, err
	}
	limit, err := pageSize(q.Limit)
	if err != nil {
		return SessionPage{}, err
	}
	f := record.TopicSessionFilter{App: p.App, Any: q.Device == "", After: q.Cursor, Limit: limit}
	if q.Device != "" {
		d, err := s.c.Registry.Device(ctx, p.App, q.Device)
		if err != nil {
			return SessionPage{}, err
		}
		f.Ord = d.Ord
	}
	list, next, err := s.c.Sessions.List(ctx, f)
	if err != nil {
		return SessionPage{}, err
	}
	page := SessionPage{Sessions: []SessionView{}, NextCursor: next}
	for i := range list {
		page.Sessions = append(page.Sessions, sessionView(&list[i]))
	}
	return page, nil
}

// Get shows one.
func (s *Sessions) Get(ctx context.Context, p Principal, client string) (SessionView, error) {
	if err := p.may(ScopeDevicesRead); err != nil {
		return SessionView{}, err
	}
	state, waiting, err := s.c.Sessions.Session(ctx, p.App, client)
	if err != nil {
		return SessionView{}, err
	}
	v, n := sessionView(state), int64(waiting)
	v.Waiting = &n
	for i := range state.Subs {
		v.Subscriptions = append(v.Subscriptions, SessionSubscription{state.Subs[i].Filter, int(state.Subs[i].QoS)})
	}
	return v, nil
}

// End ends one whose client is away: what waits for it goes with it.
func (s *Sessions) End(ctx context.Context, p Principal, client string) error {
	if err := p.may(ScopeDevicesWrite); err != nil {
		return err
	}
	state, _, err := s.c.Sessions.Session(ctx, p.App, client)
	if err != nil {
		return err
	}
	if state.Ends.IsZero() {
		return herald.Errorf(herald.CodeConflict, "Disconnect the client first, or remove its device.", "the client of the session is connected")
	}
	return s.c.Sessions.End(ctx, p.App, client)
}
