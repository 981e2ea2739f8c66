package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/store"
)

// Administer opens the administration of a data folder: over the operations
// port of the server that runs on it, or else on the store itself. The
// returned function closes it.
func Administer(ctx context.Context, cfg config.Config) (api.Admin, func() error, error) {
	f, err := openFolder(cfg.Data)
	if errors.Is(err, errLocked) {
		run, err := readRun(ctx, cfg.Data)
		if err != nil {
			return nil, nil, herald.Errorf(herald.CodeConflict, "Wait a moment and repeat.", "a server on %s is starting or stopping", cfg.Data)
		}
		return run.admin(30 * time.Second), func() error { return nil }, nil
	}
	if err != nil {
		return nil, nil, err
	}
	var reg *registry.Registry
	db, err := openStore(ctx, cfg.Store, f.database(), store.Config{Log: slog.New(slog.DiscardHandler), OnSets: func(app herald.AppKey, e record.SetLogEntry) {
		if reg != nil {
			reg.OnSets(app, e)
		}
	}})
	if err != nil {
		return nil, nil, errors.Join(err, f.close())
	}
	reg = registry.New(registry.Config{Store: db, ServerKey: f.key})
	err = reg.Load(ctx)
	if err == nil {
		err = f.fits(reg.Apps())
	}
	if err != nil {
		return nil, nil, errors.Join(err, db.Close(), f.close())
	}
	return admin{registry: reg}, func() error { return errors.Join(db.Close(), f.close()) }, nil
}

// remoteAdmin administers a server that runs, over its operations port.
type remoteAdmin struct {
	run  runInfo
	http *http.Client
}

func (r runInfo) admin(timeout time.Duration) remoteAdmin {
	return remoteAdmin{r, &http.Client{Timeout: timeout}}
}

func (a remoteAdmin) CreateApp(ctx context.Context, app api.NewApp) (out api.AppSecrets, err error) {
	err = a.call(ctx, http.MethodPost, "/admin/apps", app, &out)
	return out, err
}

func (a remoteAdmin) ListApps(ctx context.Context) (out []api.AppSummary, err error) {
	err = a.call(ctx, http.MethodGet, "/admin/apps", nil, &out)
	return out, err
}

func (a remoteAdmin) RotateApp(ctx context.Context, key herald.AppKey, keep time.Duration) (out api.AppSecrets, err error) {
	if !key.Valid() {
		return out, herald.Errorf(herald.CodeNotFound, "herald app list shows the apps of a server.", "there is no app with the key %.24q", string(key))
	}
	err = a.call(ctx, http.MethodPost, "/admin/apps/"+string(key)+"/rotate", adminRotation{Keep: keep}, &out)
	return out, err
}

func (a remoteAdmin) PageToken(ctx context.Context, key herald.AppKey, installation string) (string, error) {
	if !key.Valid() {
		return "", herald.Errorf(herald.CodeNotFound, "herald app list shows the apps of a server.", "there is no app with the key %.24q", string(key))
	}
	var out adminToken
	err := a.call(ctx, http.MethodPost, "/admin/apps/"+string(key)+"/page-tokens", adminRequest{Installation: installation}, &out)
	return out.Token, err
}

func (a remoteAdmin) call(ctx context.Context, method, path string, in, out any) error {
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return fmt.Errorf("server: administration: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, a.run.Ops+path, &body)
	if err != nil {
		return fmt.Errorf("server: administration: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+a.run.Token)
	resp, err := a.http.Do(req)
	if err != nil {
		return herald.Errorf(herald.CodeStorageUnavailable, "Check that the server still runs.", "the server's operations port does not answer: %v", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		var e adminError
		if err := json.NewDecoder(resp.Body).Decode(&e); err != nil {
			return fmt.Errorf("server: administration answered %s", resp.Status)
		}
		return herald.Errorf(e.Code, e.Remedy, "%s", e.Message)
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

func asAdminError(err error) adminError {
	var e *herald.Error
	if errors.As(err, &e) {
		return adminError{e.Code, e.Error(), e.Remedy}
	}
	return adminError{herald.CodeInternal, err.Error(), "Look at the server's log."}
}
