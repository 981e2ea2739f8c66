package cli

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/config"
)

// fakeSecrets is a server with 250 secrets that are sealed in steps of 100.
type fakeSecrets struct {
	keys   []api.SecretKey
	places []string // that steps were asked behind
	err    error
}

func (f *fakeSecrets) SecretKeys(context.Context) ([]api.SecretKey, error) { return f.keys, f.err }

func (f *fakeSecrets) RotateSecrets(context.Context) ([]api.SecretKey, error) {
	f.keys[0].Seals = false
	f.keys = append([]api.SecretKey{{ID: "00112233445566ff", From: "secrets.key", Seals: true}}, f.keys...)
	return f.keys, f.err
}

func (f *fakeSecrets) ResealSecrets(_ context.Context, after string) (api.SecretStep, error) {
	f.places = append(f.places, after)
	steps := map[string]api.SecretStep{"": {Sealed: 100, Next: "1/a"}, "1/a": {Sealed: 100, Next: "2/b"}, "2/b": {Sealed: 50}}
	return steps[after], f.err
}

func (f *fakeSecrets) ForgetSecrets(_ context.Context, key string) (int, error) {
	if key != f.keys[len(f.keys)-1].ID {
		return 0, herald.Errorf(herald.CodeConflict, "Nothing is to be forgotten.", "the key is there")
	}
	return 3, f.err
}

func TestSecretsCommands(t *testing.T) {
	w := newWorld(t)
	f := &fakeSecrets{keys: []api.SecretKey{{ID: "8899aabbccddeeff", From: "server.key", Seals: true, Secrets: 250}, {ID: "ffeeddccbbaa9988", Secrets: 3}}}
	closed := 0
	w.Secrets = func(context.Context, config.Config) (api.SecretAdmin, func() error, error) {
		return f, func() error { closed++; return nil }, nil
	}
	var all strings.Builder
	run := func(args ...string) {
		t.Helper()
		w.out.b.Reset()
		if code := w.run(t, args...); code != ExitOK {
			t.Errorf("%q: exit %d: %s", args, code, w.err)
		}
		all.WriteString("$ herald " + strings.Join(args, " ") + "\n" + w.out.String())
	}
	run("secrets", "list")
	run("secrets", "rotate")
	run("secrets", "reseal", "--json")
	run("secrets", "forget", "ffeeddccbbaa9988")
	run("secrets", "forget", "ffeeddccbbaa9988", "--json")
	golden(t, "secrets", all.String())
	if closed != 5 || strings.Join(f.places, " ") != " 1/a 2/b  1/a 2/b" {
		t.Errorf("closed %d times; steps behind %q", closed, f.places)
	}
	if code := w.run(t, "secrets", "forget", "8899aabbccddeeff"); code != ExitRefused {
		t.Errorf("a key that is there: exit %d", code)
	}
	f.err = errors.New("away")
	for _, args := range [][]string{{"secrets", "list"}, {"secrets", "rotate"}, {"secrets", "reseal"}, {"secrets", "forget", "ffeeddccbbaa9988"}} {
		if code := w.run(t, args...); code != ExitFailure {
			t.Errorf("%q without the record: exit %d", args, code)
		}
	}
	w.Secrets = func(context.Context, config.Config) (api.SecretAdmin, func() error, error) {
		return nil, nil, herald.Invalid("secrets.key_file", "Check the path.", "cannot be read")
	}
	if code := w.run(t, "secrets", "list"); code != ExitConfiguration {
		t.Errorf("without its file: exit %d", code)
	}
	for _, args := range [][]string{{"secrets"}, {"secrets", "forget"}, {"secrets", "list", "x"}} {
		if code := w.run(t, args...); code != ExitUsage {
			t.Errorf("%q: exit %d", args, code)
		}
	}
}
