package v1

import (
	"context"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/record"
)

const exampleAudit = `{"id":"1795253400000000","time":"2026-11-21T09:30:00Z","actor":{"kind":"master","address":"203.0.113.7"},"operation":"updateKey","object":"k7","changes":{"networks":{"new":["203.0.113.0/24"]}}}`

// unaudited are the operations that write and change nothing that is there:
// messages and receipts are records of themselves.
var unaudited = []string{"sendMessage", "sendBatch", "reportReceipts", "publish"}

// audited reports whether an operation is in the audit log.
func (o *operation) audited() bool { return o.write && !slices.Contains(unaudited, o.id) }

// audit gives the context of an operation that is in the audit log, and its
// entry. What it is about is the name in the path.
func (a *API) audit(ctx context.Context, x *exchange, op *operation, in any) (context.Context, *record.Auditing) {
	if !op.audited() || x.p.App == "" {
		return ctx, nil
	}
	object := ""
	v := reflect.ValueOf(in).Elem()
	for _, f := range reflect.VisibleFields(v.Type()) {
		switch f.Tag.Get("path") {
		case "", "kind": // which of the addresses of an alias
			continue
		case "alias":
			object = record.AuditedAlias(x.p.App, herald.Alias(v.FieldByIndex(f.Index).String()))
		default:
			object = v.FieldByIndex(f.Index).String()
		}
	}
	return a.service.Apps.Audited(ctx, x.p, op.id, object, a.from(x))
}

// from is the address of the caller.
func (a *API) from(x *exchange) netip.Addr { return a.cfg.Address(x.r) }

type auditInput struct {
	Actor     string   `query:"actor" maxLength:"128" doc:"Only changes by this key (its ID), or by this kind of caller: master, key, page, admin." example:"master"`
	Operation string   `query:"operation" maxLength:"128" doc:"Only this operation." example:"deleteKey"`
	Object    string   `query:"object" maxLength:"512" doc:"Only changes of what has this ID or name."`
	Alias     string   `query:"alias" maxLength:"128" doc:"Only changes of this alias, in the place of object."`
	Since     string   `query:"since" format:"date-time" doc:"Only changes at or after this time."`
	Until     string   `query:"until" format:"date-time" doc:"Only changes before this time."`
	Cursor    string   `query:"cursor" doc:"next_cursor of the page before."`
	Limit     pageSize `query:"limit" doc:"Entries on a page."`
}

func moment(name, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, herald.Invalid(name, "Write it as in RFC 3339, such as 2026-11-21T09:30:00Z.", "%.40q is not a time", s)
	}
	return t, nil
}

func (in *auditInput) query() (q api.AuditQuery, err error) {
	q = api.AuditQuery{Actor: in.Actor, Operation: in.Operation, Object: in.Object, Alias: herald.Alias(in.Alias), Cursor: in.Cursor}
	if q.Since, err = moment("since", in.Since); err != nil {
		return q, err
	}
	if q.Until, err = moment("until", in.Until); err != nil {
		return q, err
	}
	q.Limit, err = in.Limit.int()
	return q, err
}

// addAudit adds the audit log.
func (a *API) addAudit() {
	register(a, operation{
		id: "listAudit", method: "GET", path: "/v1/audit", tag: "App and keys", summary: "Show who changed what",
		description: "Shows the audit log, newest first: each change that a back end, a page or the command line made of the app, its keys, devices, aliases, tags, segments and files, and each message that was withdrawn. " +
			"An entry is written with the commit of the change, so that neither is there without the other; where a change takes several commits, with the first; a call that found nothing to change may be there too. " +
			"What devices do about themselves, messages that are sent and receipts are not in it. Entries are kept for 90 days unless the server is configured otherwise (`audit.keep`). Needs the master secret.",
		answer: `{"entries":[` + exampleAudit + `]}`,
	}, func(ctx context.Context, x *exchange, in *auditInput) (*reply[api.AuditPage], error) {
		q, err := in.query()
		if err != nil {
			return nil, err
		}
		return answer(a.service.Apps.Audit(ctx, x.p, q))
	})
}
