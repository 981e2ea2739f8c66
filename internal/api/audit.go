package api

import (
	"context"
	"encoding/json"
	"net/netip"
	"strconv"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// AuditStore keeps the audit log.
type AuditStore interface {
	AddAudit(ctx context.Context, e record.Audit) error
	Audits(ctx context.Context, app herald.AppKey, f record.AuditFilter) ([]record.Audit, error)
}

// AuditView is an entry of the audit log.
type AuditView struct {
	ID        string                 `json:"id"`
	Time      time.Time              `json:"time"`
	Actor     AuditActor             `json:"actor"`
	Operation string                 `json:"operation" doc:"As this document calls it; createApp and rotateApp are of the command line."`
	Object    string                 `json:"object,omitempty" doc:"ID or name of what was changed; absent if it is the app, or many. An alias is told by the start of a hash."`
	Changes   map[string]AuditChange `json:"changes,omitempty" doc:"What was and what is, of app and keys. Never a secret."`
}

// AuditActor is who made a change.
type AuditActor struct {
	Kind           string                `json:"kind" enum:"master,key,page,admin" doc:"admin is the command line on the machine of the server."`
	KeyID          string                `json:"key_id,omitempty"`
	KeyName        string                `json:"key_name,omitempty" doc:"The name of the key at that time."`
	RegistrationID herald.RegistrationID `json:"registration_id,omitempty" doc:"Of the page."`
	Address        string                `json:"address" doc:"Where the call came from, as the server sees it; local for admin."`
}

// AuditChange is what a member was and is.
type AuditChange struct {
	Old json.RawMessage `json:"old,omitempty" doc:"Absent if it was not set, or is long."`
	New json.RawMessage `json:"new,omitempty" doc:"Absent if it is not set any more, or is long."`
}

// AuditPage is one page of the audit log, newest first.
type AuditPage struct {
	Entries    []AuditView `json:"entries"`
	NextCursor string      `json:"next_cursor,omitempty"`
}

// AuditQuery selects entries of the audit log; zero members do not filter.
type AuditQuery struct {
	Actor     string // a kind, or the ID of a key
	Operation string
	Object    string
	Alias     herald.Alias // in the place of Object
	Since     time.Time
	Until     time.Time
	Cursor    string
	Limit     int
}

// Audited begins a change that is to be in the audit log. The entry goes with
// the first commit of the context that it gives; Noted is to be called when the
// change is done. What devices do about themselves is not in the log.
func (s *Apps) Audited(ctx context.Context, p Principal, operation, object string, from netip.Addr) (context.Context, *record.Auditing) {
	e := record.Audit{App: p.App, Time: s.now().UTC().Truncate(time.Millisecond), Operation: operation, Object: object, Origin: from.Unmap().WithZone("").String()}
	switch p.Kind {
	case Master:
		e.Kind = record.AuditMaster
	case Key:
		e.Kind, e.Actor, e.Name = record.AuditKey, p.KeyID, p.KeyName
	case Page:
		e.Kind, e.Actor = record.AuditPage, string(p.Device)
	default:
		return ctx, nil
	}
	return record.WithAudit(ctx, e)
}

// Noted writes the entry of a change that is done, if no commit has taken it.
// The change stays if that fails.
func (s *Apps) Noted(ctx context.Context, a *record.Auditing) {
	if s.c.Audits == nil || !a.Take() {
		return
	}
	if err := s.c.Audits.AddAudit(context.WithoutCancel(ctx), a.Entry()); err != nil {
		s.c.Log.ErrorContext(ctx, "api: a change is not in the audit log", "operation", a.Entry().Operation, "error", err)
	}
}

func (s *Apps) now() time.Time {
	if s.c.Now == nil {
		return time.Now()
	}
	return s.c.Now()
}

// Audit lists the audit log, newest first.
func (s *Apps) Audit(ctx context.Context, p Principal, q AuditQuery) (AuditPage, error) {
	if err := p.may(ScopeManage); err != nil {
		return AuditPage{}, err
	}
	limit, err := pageSize(q.Limit)
	if err != nil {
		return AuditPage{}, err
	}
	f := record.AuditFilter{Actor: q.Actor, Operation: q.Operation, Object: q.Object, Since: q.Since, Until: q.Until, Limit: limit + 1}
	if q.Alias != "" {
		if q.Object != "" {
			return AuditPage{}, herald.Invalid("alias", "Give one of object and alias.", "an entry has one object")
		}
		f.Object = record.AuditedAlias(p.App, q.Alias)
	}
	if q.Cursor != "" {
		if f.Before, err = strconv.ParseInt(q.Cursor, 10, 64); err != nil || f.Before <= 0 {
			return AuditPage{}, herald.Invalid("cursor", "Use next_cursor of the page before.", "%.40q is not a cursor of this list", q.Cursor)
		}
	}
	list, err := s.c.Audits.Audits(ctx, p.App, f)
	if err != nil {
		return AuditPage{}, err
	}
	page := AuditPage{Entries: []AuditView{}}
	if len(list) > limit {
		list = list[:limit]
		page.NextCursor = strconv.FormatInt(list[limit-1].ID, 10)
	}
	for _, e := range list {
		page.Entries = append(page.Entries, auditView(e))
	}
	return page, nil
}

func auditView(e record.Audit) AuditView {
	v := AuditView{ID: strconv.FormatInt(e.ID, 10), Time: e.Time, Operation: e.Operation, Object: e.Object,
		Actor: AuditActor{Kind: e.Kind, KeyName: e.Name, Address: e.Origin}}
	switch e.Kind {
	case record.AuditKey:
		v.Actor.KeyID = e.Actor
	case record.AuditPage:
		v.Actor.RegistrationID = herald.RegistrationID(e.Actor)
	}
	if len(e.Changes) > 0 {
		v.Changes = make(map[string]AuditChange, len(e.Changes))
		for name, c := range e.Changes {
			v.Changes[name] = AuditChange(c)
		}
	}
	return v
}
