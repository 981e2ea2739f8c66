package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/doctor"
	"github.com/herald-push/herald/internal/seal"
	"github.com/herald-push/herald/internal/store"
)

// AdministerSecrets opens the administration of the keys of a data folder: over
// the operations port of the server that runs on it, or else on the store
// itself. The returned function closes it.
func AdministerSecrets(ctx context.Context, cfg config.Config) (api.SecretAdmin, func() error, error) {
	f, err := openFolder(cfg.Data)
	if errors.Is(err, errLocked) {
		run, err := readRun(ctx, cfg.Data)
		if err != nil {
			return nil, nil, herald.Errorf(herald.CodeConflict, "Wait a moment and repeat.", "a server on %s is starting or stopping", cfg.Data)
		}
		return remoteSecrets{run.admin(time.Minute)}, func() error { return nil }, nil
	}
	if err != nil {
		return nil, nil, err
	}
	db, err := openStore(ctx, cfg.Store, f.database(), store.Config{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, nil, errors.Join(err, f.close())
	}
	s, err := openedSecrets(ctx, cfg.Secrets, f, db)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close(), f.close())
	}
	return s, func() error { return errors.Join(db.Close(), f.close()) }, nil
}

// openedSecrets reads the keys for a record that no server has.
func openedSecrets(ctx context.Context, c config.Secrets, f *folder, db recordStore) (*secrets, error) {
	apps, err := db.Apps(ctx)
	if err != nil {
		return nil, err
	}
	var names []herald.AppKey
	for _, a := range apps {
		names = append(names, a.Key)
	}
	if err := f.fits(names); err != nil {
		return nil, err
	}
	return newSecrets(ctx, c, f, db)
}

// secretRoutes serves the administration of keys on the operations port.
func (s *Server) secretRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /admin/secrets", s.admin(func(r *http.Request) (any, error) { return s.secrets.SecretKeys(r.Context()) }))
	mux.HandleFunc("POST /admin/secrets/rotate", s.admin(func(r *http.Request) (any, error) {
		keys, err := s.secrets.RotateSecrets(r.Context())
		if err == nil {
			s.log.InfoContext(r.Context(), "a new key seals secrets", "key", s.secrets.ring.ID())
		}
		return keys, err
	}))
	mux.HandleFunc("POST /admin/secrets/reseal", s.admin(func(r *http.Request) (any, error) {
		var in secretPlace
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			return nil, herald.Invalid("", "Send a JSON object.", "the body is not JSON")
		}
		return s.secrets.ResealSecrets(r.Context(), in.After)
	}))
}

type secretPlace struct {
	After string `json:"after"`
}

// remoteSecrets administers the keys of a server that runs.
type remoteSecrets struct{ remoteAdmin }

func (a remoteSecrets) SecretKeys(ctx context.Context) (out []api.SecretKey, err error) {
	err = a.call(ctx, http.MethodGet, "/admin/secrets", nil, &out)
	return out, err
}

func (a remoteSecrets) RotateSecrets(ctx context.Context) (out []api.SecretKey, err error) {
	err = a.call(ctx, http.MethodPost, "/admin/secrets/rotate", nil, &out)
	return out, err
}

func (a remoteSecrets) ResealSecrets(ctx context.Context, after string) (out api.SecretStep, err error) {
	err = a.call(ctx, http.MethodPost, "/admin/secrets/reseal", secretPlace{after}, &out)
	return out, err
}

func (remoteSecrets) ForgetSecrets(_ context.Context, key string) (int, error) {
	return 0, herald.Errorf(herald.CodeConflict, "Nothing is to be forgotten: a server that runs has every key that its secrets need.", "the key %.40s is not missing", key)
}

// ExamineSecrets says which key seals what, and what is wrong with where keys
// come from. It changes nothing, and may run beside a server; what each key has
// sealed is only told by one that runs.
func ExamineSecrets(ctx context.Context, cfg config.Config) []doctor.Finding {
	const check = "secrets"
	failed := func(err error) []doctor.Finding {
		f := doctor.Finding{Check: check, State: doctor.Failure, Text: err.Error(), Remedy: "Check where the keys come from."}
		if e := (*herald.Error)(nil); errors.As(err, &e) {
			f.Remedy = e.Remedy
		}
		return []doctor.Finding{f}
	}
	f := &folder{path: cfg.Data}
	s, err := newSecrets(ctx, cfg.Secrets, f, nil)
	if err != nil {
		return failed(err)
	}
	var out []doctor.Finding
	for _, path := range []string{cfg.Secrets.KeyFile, s.own} {
		info, err := os.Stat(path)
		if path != "" && err == nil && info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
			out = append(out, doctor.Finding{Check: check, State: doctor.Warning, Text: path + " can be read by others than its owner", Remedy: fmt.Sprintf("Run \"chmod 600 %s\" as its owner, who has to be the user of the server.", path)})
		}
	}
	run, err := readRun(ctx, cfg.Data)
	if err == nil {
		if keys, err := (remoteSecrets{run.admin(5 * time.Second)}).SecretKeys(ctx); err == nil {
			return append(out, doctor.Finding{Check: check, State: doctor.OK, Text: describeKeys(keys, true)})
		}
	}
	keys := s.list(nil)
	if len(s.from) == 0 {
		keys = nil // the server key was not read
	}
	return append(out, doctor.Finding{Check: check, State: doctor.OK, Text: describeKeys(keys, false)})
}

// describeKeys says in a line which key seals what.
func describeKeys(keys []api.SecretKey, counted bool) string {
	if len(keys) == 0 {
		return "a key from " + keyFile + " seals"
	}
	var parts []string
	for _, k := range keys {
		if k.From == keyFile && !k.Seals && (!counted || k.Secrets == 0) {
			continue
		}
		does := "opens"
		if k.Seals {
			does = "seals"
		}
		text := fmt.Sprintf("key %s (%s) %s", k.ID, k.From, does)
		if counted {
			text = fmt.Sprintf("%s, and has sealed %d", text, k.Secrets)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

var (
	_ api.SecretAdmin = (*secrets)(nil)
	_ seal.Keeper     = recordStore(nil)
)
