package server

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/record"
)

func (a admin) CreateGroup(ctx context.Context, name string) (api.GroupSecrets, error) {
	g, secret, err := a.registry.CreateGroup(ctx, name)
	if err != nil {
		return api.GroupSecrets{}, err
	}
	return api.GroupSecrets{GroupKey: g.Key, Name: g.Name, Secret: secret}, nil
}

func (a admin) ListGroups(context.Context) ([]api.GroupSummary, error) {
	out := []api.GroupSummary{}
	for _, g := range a.registry.Groups() {
		out = append(out, groupSummary(g))
	}
	return out, nil
}

func groupSummary(g record.AppGroup) api.GroupSummary {
	v := api.GroupSummary{GroupKey: g.Key, Name: g.Name, CreatedAt: g.Created, Apps: g.Apps}
	if v.Apps == nil {
		v.Apps = []herald.AppKey{}
	}
	return v
}

// ChangeGroup makes each change in a commit of its own, so that the audit log
// of each app has it.
func (a admin) ChangeGroup(ctx context.Context, key herald.GroupKey, change api.GroupChange) (api.GroupSummary, error) {
	g, err := a.registry.Group(key)
	if err != nil {
		return api.GroupSummary{}, err
	}
	for _, app := range change.Add {
		if g, err = a.registry.JoinGroup(auditedGroup(ctx, "joinGroup", app, key), key, app); err != nil {
			return api.GroupSummary{}, err
		}
	}
	for _, app := range change.Remove {
		if g, err = a.registry.LeaveGroup(auditedGroup(ctx, "leaveGroup", app, key), key, app); err != nil {
			return api.GroupSummary{}, err
		}
	}
	return groupSummary(g), nil
}

func auditedGroup(ctx context.Context, operation string, app herald.AppKey, key herald.GroupKey) context.Context {
	ctx = audited(ctx, operation, app)
	record.AuditOf(ctx).Note(func(e *record.Audit) { e.Object = string(key) })
	return ctx
}

func (a admin) RotateGroup(ctx context.Context, key herald.GroupKey, keep time.Duration) (api.GroupSecrets, error) {
	g, secret, err := a.registry.RotateGroup(ctx, key, keep)
	if err != nil {
		return api.GroupSecrets{}, err
	}
	return api.GroupSecrets{GroupKey: g.Key, Name: g.Name, Secret: secret}, nil
}

func (a admin) DeleteGroup(ctx context.Context, key herald.GroupKey) error {
	return a.registry.DeleteGroup(ctx, key)
}

func (a remoteAdmin) CreateGroup(ctx context.Context, name string) (out api.GroupSecrets, err error) {
	err = a.call(ctx, http.MethodPost, "/admin/groups", adminGroup{Name: name}, &out)
	return out, err
}

func (a remoteAdmin) ListGroups(ctx context.Context) (out []api.GroupSummary, err error) {
	err = a.call(ctx, http.MethodGet, "/admin/groups", nil, &out)
	return out, err
}

func (a remoteAdmin) ChangeGroup(ctx context.Context, key herald.GroupKey, change api.GroupChange) (out api.GroupSummary, err error) {
	err = a.call(ctx, http.MethodPost, "/admin/groups/apps", adminGroup{Key: key, GroupChange: change}, &out)
	return out, err
}

func (a remoteAdmin) RotateGroup(ctx context.Context, key herald.GroupKey, keep time.Duration) (out api.GroupSecrets, err error) {
	err = a.call(ctx, http.MethodPost, "/admin/groups/rotate", adminGroup{Key: key, Keep: keep}, &out)
	return out, err
}

func (a remoteAdmin) DeleteGroup(ctx context.Context, key herald.GroupKey) error {
	var out adminGroup
	return a.call(ctx, http.MethodPost, "/admin/groups/delete", adminGroup{Key: key}, &out)
}

// adminGroup is the body of calls about groups.
type adminGroup struct {
	Key  herald.GroupKey `json:"group_key,omitempty"`
	Name string          `json:"name,omitempty"`
	Keep time.Duration   `json:"keep,omitempty"` // of the old secret
	api.GroupChange
}

// groupRoutes is what the operations port serves of groups.
func (s *Server) groupRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /admin/groups", s.admin(func(r *http.Request) (any, error) { return s.Admin().ListGroups(r.Context()) }))
	mux.HandleFunc("POST /admin/groups", s.admin(func(r *http.Request) (any, error) {
		in, err := adminBody[adminGroup](r)
		if err != nil {
			return nil, err
		}
		return s.Admin().CreateGroup(r.Context(), in.Name)
	}))
	mux.HandleFunc("POST /admin/groups/apps", s.admin(func(r *http.Request) (any, error) {
		in, err := adminBody[adminGroup](r)
		if err != nil {
			return nil, err
		}
		return s.Admin().ChangeGroup(r.Context(), in.Key, in.GroupChange)
	}))
	mux.HandleFunc("POST /admin/groups/rotate", s.admin(func(r *http.Request) (any, error) {
		in, err := adminBody[adminGroup](r)
		if err != nil {
			return nil, err
		}
		return s.Admin().RotateGroup(r.Context(), in.Key, in.Keep)
	}))
	mux.HandleFunc("POST /admin/groups/delete", s.admin(func(r *http.Request) (any, error) {
		in, err := adminBody[adminGroup](r)
		if err != nil {
			return nil, err
		}
		return adminGroup{}, s.Admin().DeleteGroup(r.Context(), in.Key)
	}))
}

func adminBody[T any](r *http.Request) (in T, err error) {
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return in, herald.Invalid("", "Send a JSON object.", "the body is not JSON")
	}
	return in, nil
}
