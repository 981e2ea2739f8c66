package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/herald-push/herald"
)

// AuditEntry says who changed what.
type AuditEntry struct {
	ID        string                 `json:"id"`
	Time      time.Time              `json:"time"`
	Actor     AuditActor             `json:"actor"`
	Operation string                 `json:"operation"`        // as the API calls it, e.g. "createKey"
	Object    string                 `json:"object,omitempty"` // ID or name; empty if it is the app, or many
	Changes   map[string]AuditChange `json:"changes,omitempty"`
}

// AuditActor is who made a change.
type AuditActor struct {
	Kind           string                `json:"kind"`               // master, key, page, admin
	KeyID          string                `json:"key_id,omitempty"`   // of a key
	KeyName        string                `json:"key_name,omitempty"` // of a key, at that time
	RegistrationID herald.RegistrationID `json:"registration_id,omitempty"`
	Address        string                `json:"address"` // "local" for admin
}

// AuditChange is what a member was and is.
type AuditChange struct {
	Old json.RawMessage `json:"old,omitempty"`
	New json.RawMessage `json:"new,omitempty"`
}

// AuditPage is one page of the audit log, newest first.
type AuditPage struct {
	Entries    []AuditEntry `json:"entries"`
	NextCursor string       `json:"next_cursor,omitempty"`
}

// AuditQuery selects entries of the audit log; what is zero does not filter.
type AuditQuery struct {
	Actor     string // the ID of a key, or master, key, page, admin
	Operation string
	Object    string
	Alias     herald.Alias // in the place of Object
	Since     time.Time
	Until     time.Time
	Cursor    string
	Limit     int
}

// Audit shows who changed what, newest first. It needs the master secret.
func (c *Client) Audit(ctx context.Context, q AuditQuery) (AuditPage, error) {
	v := url.Values{}
	add := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	add("actor", q.Actor)
	add("operation", q.Operation)
	add("object", q.Object)
	add("alias", string(q.Alias))
	for name, t := range map[string]time.Time{"since": q.Since, "until": q.Until} {
		if !t.IsZero() {
			v.Set(name, t.UTC().Format(time.RFC3339Nano))
		}
	}
	add("cursor", q.Cursor)
	if q.Limit != 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	var out AuditPage
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/audit", query: v, into: &out})
	return out, err
}
