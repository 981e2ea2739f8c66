package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/seal"
)

// secrets is the keys that seal what the record has to give back, and where
// they come from: docs/design/026-secrets.md.
type secrets struct {
	ring   *seal.Ring
	keeper seal.Keeper
	cfg    config.Secrets
	server []byte // the server key
	own    string // path of the file in the data folder, if it is there

	mu   sync.Mutex        // guards from, and lets one at a time change keys
	from map[string]string // where each key came from, by its ID
}

// newSecrets reads the keys. It does not ask whether they are all that the
// record needs.
func newSecrets(ctx context.Context, c config.Secrets, f *folder, keeper seal.Keeper) (*secrets, error) {
	s := &secrets{keeper: keeper, cfg: c, server: f.key, own: f.secrets(), from: map[string]string{}}
	keys, err := s.read(ctx)
	if err == nil {
		s.ring, err = seal.New(s.server, keys...)
	}
	return s, err
}

func (s *secrets) source() seal.Source {
	return seal.Source{Text: s.cfg.Keys, File: s.cfg.KeyFile, Command: s.cfg.KeyCommand}
}

// read gives the keys of the configuration, and behind them those in the data
// folder, which sealed before others were configured.
func (s *secrets) read(ctx context.Context) (keys [][]byte, err error) {
	take := func(from string, source seal.Source) error {
		list, err := source.Keys(ctx)
		var e *herald.Error
		if errors.As(err, &e) {
			named := *e
			named.Field = from
			return &named
		}
		for _, k := range list {
			id, err := seal.IDOf(k)
			if err != nil {
				return err
			}
			if _, there := s.from[id]; !there {
				s.from[id] = from
			}
		}
		keys = append(keys, list...)
		return err
	}
	if source := s.source(); !source.None() {
		if err := take(s.cfg.Key(), source); err != nil {
			return nil, err
		}
	}
	switch _, err := os.Stat(s.own); {
	case errors.Is(err, fs.ErrNotExist):
		return keys, nil
	case err != nil:
		return nil, fmt.Errorf("server: looking for keys: %w", err)
	}
	return keys, take(secretsFile, seal.Source{File: s.own})
}

// check refuses keys of which one is missing that the record needs.
func (s *secrets) check(ctx context.Context, ring *seal.Ring) error {
	counts, err := ring.Count(ctx, s.keeper)
	if err != nil {
		return err
	}
	return ring.Missing(counts)
}

// use takes the keys as they are now, unless one is missing.
func (s *secrets) use(ctx context.Context) error {
	keys, err := s.read(ctx)
	if err != nil {
		return err
	}
	trial, err := seal.New(s.server, keys...)
	if err == nil {
		err = s.check(ctx, trial)
	}
	if err != nil {
		return err
	}
	return s.ring.Use(keys...)
}

// SecretKeys lists the keys, the one that seals first, and then those that are
// missing.
func (s *secrets) SecretKeys(ctx context.Context) ([]api.SecretKey, error) {
	counts, err := s.ring.Count(ctx, s.keeper)
	if err != nil {
		return nil, err
	}
	return s.list(counts), nil
}

func (s *secrets) list(counts map[string]int) []api.SecretKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []api.SecretKey{}
	ids := s.ring.IDs()
	for i, id := range ids {
		from := s.from[id]
		if from == "" {
			from = keyFile
		}
		if id == seal.Former && counts[id] == 0 {
			continue
		}
		out = append(out, api.SecretKey{ID: id, From: from, Seals: i == 0, Secrets: counts[id]})
	}
	n := len(out)
	for id, count := range counts {
		if !slices.Contains(ids, id) {
			out = append(out, api.SecretKey{ID: id, Secrets: count})
		}
	}
	slices.SortFunc(out[n:], func(a, b api.SecretKey) int { return b.Secrets - a.Secrets })
	return out
}

// RotateSecrets puts a new key before the others, into the file that the
// configuration names or that of the data folder.
func (s *secrets) RotateSecrets(ctx context.Context) ([]api.SecretKey, error) {
	if err := s.rotate(ctx); err != nil {
		return nil, err
	}
	return s.SecretKeys(ctx)
}

func (s *secrets) rotate(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	source := s.source()
	if !source.None() && source.File == "" {
		return herald.Errorf(herald.CodeConflict, "Put a new key before the others there, let the server read it (keys in the environment: restart it), and run \"herald secrets reseal\".",
			"the keys come from %s, where Herald cannot write", s.cfg.Key())
	}
	path := s.own
	if source.File != "" {
		path = source.File
	}
	if to, err := filepath.EvalSymlinks(path); err == nil {
		path = to // the file itself is replaced, and the link stays
	}
	text, err := os.ReadFile(path)
	if err != nil && (!errors.Is(err, fs.ErrNotExist) || source.File != "") {
		return fmt.Errorf("server: reading keys: %w", err)
	}
	_, line := seal.Generate()
	fresh := line + string(text)
	if _, err := seal.Parse([]byte(fresh)); err != nil {
		return err
	}
	if err := writeKeys(path, fresh); err != nil {
		return &herald.Error{Code: herald.CodeConflict, Message: "the file with the keys cannot be written", Err: err,
			Remedy: "Put a new key (\"openssl rand -base64 32\") before the others in it yourself, and run \"herald secrets reseal\"."}
	}
	return s.use(ctx)
}

// ResealSecrets makes a step of sealing anew; the first one reads the keys again.
func (s *secrets) ResealSecrets(ctx context.Context, after string) (api.SecretStep, error) {
	if after == "" {
		s.mu.Lock()
		err := s.use(ctx)
		s.mu.Unlock()
		if err != nil {
			return api.SecretStep{}, err
		}
	}
	next, n, err := s.ring.Reseal(ctx, s.keeper, after)
	return api.SecretStep{Sealed: n, Next: next}, err
}

// ForgetSecrets drops what a key has sealed that is not there any more.
func (s *secrets) ForgetSecrets(ctx context.Context, key string) (dropped int, err error) {
	if slices.Contains(s.ring.IDs(), key) {
		return 0, herald.Errorf(herald.CodeConflict, "Nothing is to be forgotten: what it sealed can be read.", "the key %.40s is there", key)
	}
	for after := ""; ; {
		next, n, err := s.ring.Forget(ctx, s.keeper, key, after)
		dropped += n
		if err != nil || next == "" {
			return dropped, err
		}
		after = next
	}
}

// openSecrets reads the keys, and refuses to start without one that is needed.
func (s *Server) openSecrets(ctx context.Context) (err error) {
	if s.secrets, err = newSecrets(ctx, s.cfg.Secrets, s.folder, s.store); err == nil {
		err = s.secrets.check(ctx, s.secrets.ring)
	}
	return err
}

// sealAnew seals what other keys than the first have sealed, step by step,
// after a start. What it leaves, the next start does.
func (s *Server) sealAnew(ctx context.Context) {
	total := 0
	for after := ""; ; {
		next, n, err := s.secrets.ring.Reseal(ctx, s.store, after)
		total += n
		if err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "secrets are not sealed anew; \"herald secrets reseal\" tries again", "error", err)
		}
		if err != nil || next == "" {
			break
		}
		after = next
	}
	if total > 0 {
		s.log.LogAttrs(ctx, slog.LevelInfo, "secrets were sealed anew", slog.Int("secrets", total), slog.String("key", s.secrets.ring.ID()))
	}
}
