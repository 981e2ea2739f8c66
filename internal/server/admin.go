package server

import (
	"context"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
)

// admin administers a registry in this process.
type admin struct {
	registry *registry.Registry
	// follow, if set, begins to serve an app that was made.
	follow func(ctx context.Context, key herald.AppKey) error
}

func (a admin) CreateApp(ctx context.Context, app api.NewApp) (api.AppSecrets, error) {
	if err := app.Topics.Validate("topics"); err != nil {
		return api.AppSecrets{}, err
	}
	row, secret, err := a.registry.CreateApp(audited(ctx, "createApp", ""), app.Name)
	if err == nil && (app.Topics.Subscribe != nil || app.Topics.Publish != nil) {
		// Nobody knows the app yet, so nobody meets it between the two.
		row, err = a.registry.UpdateApp(ctx, row.Key, func(row *record.App) { row.Settings.Topics = app.Topics })
	}
	if err == nil && a.follow != nil {
		err = a.follow(ctx, row.Key)
	}
	if err != nil {
		return api.AppSecrets{}, err
	}
	return api.AppSecrets{AppKey: row.Key, Name: row.Name, MasterSecret: secret, JWTSecret: a.registry.JWTSecret(row.Key)}, nil
}

// audited gives a context whose change is in the audit log. Both operations
// are one commit each, which takes the entry with it.
func audited(ctx context.Context, operation string, key herald.AppKey) context.Context {
	ctx, _ = record.WithAudit(ctx, record.Audit{App: key, Time: faults.Now().UTC().Truncate(time.Millisecond),
		Kind: record.AuditAdmin, Operation: operation, Origin: record.AuditLocal})
	return ctx
}

func (a admin) ListApps(context.Context) ([]api.AppSummary, error) {
	out := []api.AppSummary{}
	for _, key := range a.registry.Apps() {
		app, err := a.registry.App(key)
		if err != nil {
			return nil, err
		}
		row := app.Row()
		out = append(out, api.AppSummary{AppKey: key, Name: row.Name, CreatedAt: row.Created, Devices: app.Devices()})
	}
	return out, nil
}

func (a admin) RotateApp(ctx context.Context, key herald.AppKey, keep time.Duration) (api.AppSecrets, error) {
	row, secret, err := a.registry.RotateApp(audited(ctx, "rotateApp", key), key, keep)
	if err != nil {
		return api.AppSecrets{}, err
	}
	return api.AppSecrets{AppKey: key, Name: row.Name, MasterSecret: secret, JWTSecret: a.registry.JWTSecret(key)}, nil
}

func (a admin) PageToken(_ context.Context, key herald.AppKey, installation string) (string, error) {
	return a.registry.PageToken(key, installation)
}
