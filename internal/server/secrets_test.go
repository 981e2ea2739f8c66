package server

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/doctor"
	"github.com/herald-push/herald/internal/seal"
)

// keyText gives a key as people write it, and its ID.
func keyText(t *testing.T, c byte) (text, id string) {
	t.Helper()
	k := []byte(strings.Repeat(string(rune(c)), seal.KeyLen))
	id, err := seal.IDOf(k)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(k), id
}

// sealing opens the administration of the keys, as the CLI does.
func (n *node) sealing() (api.SecretAdmin, func()) {
	n.t.Helper()
	a, done, err := AdministerSecrets(n.t.Context(), n.cfg)
	if err != nil {
		n.t.Fatal(err)
	}
	return a, func() {
		if err := done(); err != nil {
			n.t.Error(err)
		}
	}
}

// keys says which key seals how much, in short.
func (n *node) keys() string {
	n.t.Helper()
	a, done := n.sealing()
	defer done()
	list, err := a.SecretKeys(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	return brief(list)
}

func brief(list []api.SecretKey) string {
	var out []string
	for _, k := range list {
		s := k.ID
		if k.From == keyFile || k.From == secretsFile {
			s = k.From
		}
		if k.From == "" {
			s += " missing"
		}
		if k.Seals {
			s += " seals"
		}
		out = append(out, s+" "+string(rune('0'+k.Secrets)))
	}
	return strings.Join(out, ", ")
}

// TestSecretKeys takes a server from the server key to keys of its own, through
// a rotation while it runs and one while it does not, to a key that is lost.
func TestSecretKeys(t *testing.T) {
	n := startNode(t, t.TempDir())
	n.cfg.Egress = config.Egress{Allow: []string{"loopback"}, Ports: []string{"any"}, HTTP: true}
	n.end()
	n.start()
	var hook api.WebhookAnswer
	r := newReceiver(t, func() string { return hook.Secret })
	if status := n.call("POST", "/v1/webhooks", "", api.WebhookRequest{URL: r.url}, &hook); status != 201 {
		t.Fatalf("making a webhook was answered %d", status)
	}
	told := 0
	signs := func(when string) {
		t.Helper()
		n.register(api.RegisterRequest{})
		told++
		n.until("the receiver is told "+when, func() bool { return len(r.types()) == told })
	}
	want := func(when, keys string) {
		t.Helper()
		n.until(keys+" "+when, func() bool { return n.keys() == keys })
	}
	signs("with the server key")
	want("without keys", keyFile+" seals 1")

	// The command makes a key in the data folder while the server runs.
	a, done := n.sealing()
	list, err := a.RotateSecrets(t.Context())
	if err != nil || brief(list) != secretsFile+" seals 0, "+keyFile+" 1" {
		t.Fatalf("rotated: %s, %v", brief(list), err)
	}
	if step, err := a.ResealSecrets(t.Context(), ""); err != nil || step.Sealed != 1 || step.Next != "" {
		t.Errorf("sealed anew: %+v, %v", step, err)
	}
	if _, err := a.ForgetSecrets(t.Context(), "x"); herald.CodeOf(err) != herald.CodeConflict {
		t.Errorf("forgotten beside a server: %v", err)
	}
	done()
	signs("with a key in the data folder")
	n.end()
	if info, err := os.Stat(filepath.Join(n.cfg.Data, secretsFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	n.noSecret(hook.Secret)
	want("of a server that is stopped", secretsFile+" seals 1, "+keyFile+" 0")

	// A key that is configured seals at the next start what others have sealed.
	text, id := keyText(t, 'a')
	n.cfg.Secrets = config.Secrets{Keys: text}
	n.start()
	want("of the environment", id+" seals 1, "+secretsFile+" 0, "+keyFile+" 0")
	signs("with a key from the environment")
	a, done = n.sealing()
	if _, err := a.RotateSecrets(t.Context()); herald.CodeOf(err) != herald.CodeConflict || !strings.Contains(err.Error(), "secrets.keys") {
		t.Errorf("rotated in the environment: %v", err)
	}
	done()
	n.end()

	// Without it nothing starts, and nothing is lost.
	file := filepath.Join(t.TempDir(), "keys")
	other, otherID := keyText(t, 'b')
	n.cfg.Secrets = config.Secrets{KeyFile: file}
	for name, content := range map[string]string{"another key": other, "no key": "\n", "half a key": text[:20]} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(t.Context(), n.cfg, slog.New(slog.DiscardHandler))
		wantError(t, err, herald.CodeInvalidRequest, "")
		if name == "another key" && !strings.Contains(err.Error(), id) {
			t.Errorf("it does not name the key that is missing: %v", err)
		}
	}
	if err := os.WriteFile(file, []byte(other+"\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	n.start()
	want("of a file", otherID+" seals 1, "+id+" 0, "+secretsFile+" 0, "+keyFile+" 0")
	signs("with a key from a file")
	// Whoever takes a key away that is needed is refused, and all goes on.
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	a, done = n.sealing()
	if _, err := a.ResealSecrets(t.Context(), ""); herald.CodeOf(err) != herald.CodeInvalidRequest || !strings.Contains(err.Error(), otherID) {
		t.Errorf("without the key that is needed: %v", err)
	}
	done()
	signs("with the key that was taken away")
	n.end()

	// A key that is lost for good is forgotten on purpose.
	want("of a key that is lost", id+" seals 0, "+secretsFile+" 0, "+keyFile+" 0, "+otherID+" missing 1")
	a, done = n.sealing()
	if _, err := a.ForgetSecrets(t.Context(), id); herald.CodeOf(err) != herald.CodeConflict {
		t.Errorf("a key that is there: %v", err)
	}
	if dropped, err := a.ForgetSecrets(t.Context(), otherID); err != nil || dropped != 1 {
		t.Errorf("%d forgotten, %v", dropped, err)
	}
	done()
	n.start()
	if status := n.call("POST", "/v1/webhooks/"+hook.ID+"/rotate", "", map[string]any{}, &hook); status != 200 {
		t.Errorf("a new secret was answered %d", status)
	}
	signs("with a new secret")
	want("in the end", id+" seals 1, "+secretsFile+" 0, "+keyFile+" 0")
}

// TestFormerSecrets has a record of a release that sealed with the server key
// in another form.
func TestFormerSecrets(t *testing.T) {
	const formerly = "01681da42cbfd9ba04d02bee5fd8aa2c250e7e97364842eed4d4aed6016755fc06d2bd0cdff0901631"
	sealed, err := hex.DecodeString(formerly)
	if err != nil {
		t.Fatal(err)
	}
	f := &folder{path: t.TempDir(), key: []byte("server key")}
	k := &oneSecret{place: "webhook aaaa wh_1", sealed: sealed}
	s, err := newSecrets(t.Context(), config.Secrets{}, f, k)
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.SecretKeys(t.Context())
	if err != nil || brief(list) != keyFile+" seals 0, "+keyFile+" 1" || list[1].ID != seal.Former {
		t.Errorf("%s, %v", brief(list), err)
	}
	if step, err := s.ResealSecrets(t.Context(), ""); err != nil || step.Sealed != 1 {
		t.Errorf("%+v, %v", step, err)
	}
	if got, stale, err := s.ring.Open(k.place, k.sealed); err != nil || stale || string(got) != "whsec_canary" {
		t.Errorf("%q, %v, %v", got, stale, err)
	}
}

// oneSecret is a record of one secret.
type oneSecret struct {
	place  string
	sealed []byte
}

func (o *oneSecret) Secrets(_ context.Context, _ string, _ int, change func(string, []byte) []byte) (string, int, error) {
	got := change(o.place, o.sealed)
	if string(got) == string(o.sealed) {
		return "", 0, nil
	}
	o.sealed = got
	return "", 1, nil
}

// TestRotateFile: the file that a link leads to is replaced and the link stays;
// what cannot be written is said, and the keys stay in use.
func TestRotateFile(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "keys"), filepath.Join(dir, "link")
	text, id := keyText(t, 'a')
	if err := os.WriteFile(file, []byte("# of 2026\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	s, err := newSecrets(t.Context(), config.Secrets{KeyFile: link}, &folder{path: dir, key: []byte("server key")}, &oneSecret{})
	if err != nil {
		t.Fatal(err)
	}
	if list, err := s.RotateSecrets(t.Context()); err != nil || len(list) != 3+1 || !list[0].Seals || list[1].ID != id {
		t.Errorf("%+v, %v", list, err)
	}
	if to, err := os.Readlink(link); err != nil || to != file {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	if b, err := os.ReadFile(file); err != nil || !strings.HasSuffix(string(b), "\n# of 2026\n"+text) {
		t.Errorf("the file: %v", err)
	}
	first := s.ring.ID()
	if err := os.Mkdir(file+".new", 0o700); err != nil { // nothing can be written there
		t.Fatal(err)
	}
	if _, err := s.RotateSecrets(t.Context()); herald.CodeOf(err) != herald.CodeConflict || s.ring.ID() != first {
		t.Errorf("without a file that can be written: %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RotateSecrets(t.Context()); err == nil || s.ring.ID() != first {
		t.Errorf("without a file: %v", err)
	}
}

func TestExamineSecrets(t *testing.T) {
	cfg := config.Default()
	cfg.Data = t.TempDir()
	text, id := keyText(t, 'a')
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	one := func(state doctor.State, text string) {
		t.Helper()
		list := ExamineSecrets(t.Context(), cfg)
		if len(list) != 1 || list[0].State != state || !strings.Contains(list[0].Text, text) || (list[0].Remedy == "") != (state == doctor.OK) {
			t.Errorf("%q: %+v", text, list)
		}
	}
	one(doctor.OK, keyFile)
	cfg.Secrets.KeyFile = file
	one(doctor.OK, "key "+id+" (secrets.key_file) seals")
	cfg.Secrets = config.Secrets{KeyCommand: []string{filepath.Join(cfg.Data, "none")}}
	one(doctor.Failure, "secrets.key_command")
	cfg.Secrets = config.Secrets{KeyFile: file}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if list := ExamineSecrets(t.Context(), cfg); len(list) != 2 || list[0].State != doctor.Warning || list[0].Remedy == "" {
		t.Errorf("a file for all: %+v", list)
	}
	cfg.Secrets = config.Secrets{}
	n := startNode(t, t.TempDir())
	cfg.Data = n.cfg.Data
	one(doctor.OK, "("+keyFile+") seals, and has sealed 0")
}

// TestSecretKeysInBackup: the keys of the data folder go with a backup, and are
// not put in the place of others.
func TestSecretKeysInBackup(t *testing.T) {
	n := startNode(t, t.TempDir())
	var hook api.WebhookAnswer
	if status := n.call("POST", "/v1/webhooks", "", api.WebhookRequest{URL: "https://example.com/hook"}, &hook); status != 201 {
		t.Fatalf("making a webhook was answered %d", status)
	}
	a, done := n.sealing()
	_, err := a.RotateSecrets(t.Context())
	must(t, err)
	_, err = a.ResealSecrets(t.Context(), "")
	must(t, err)
	done()
	file := filepath.Join(t.TempDir(), "backup.tar")
	_, _, err = Backup(t.Context(), n.cfg, BackupOptions{Path: file})
	must(t, err)
	keys, err := os.ReadFile(filepath.Join(n.cfg.Data, secretsFile))
	must(t, err)
	n.end()
	other, _ := keyText(t, 'b')
	for name, c := range map[string]struct {
		there, want string
		refused     bool
	}{
		"none there":     {"", string(keys), false},
		"the same there": {string(keys), string(keys), false},
		"more there":     {other + "\n" + string(keys), other + "\n" + string(keys), false},
		"another there":  {other, other, true},
	} {
		t.Run(name, func(t *testing.T) {
			to := n.cfg
			to.Data = t.TempDir()
			path := filepath.Join(to.Data, secretsFile)
			if c.there != "" {
				must(t, os.WriteFile(path, []byte(c.there), 0o600))
			}
			_, err := Restore(t.Context(), to, RestoreOptions{Path: file})
			if (err != nil) != c.refused || c.refused && herald.CodeOf(err) != herald.CodeConflict {
				t.Fatalf("restored: %v", err)
			}
			if b, err := os.ReadFile(path); err != nil || string(b) != c.want {
				t.Errorf("the file then: %v", err)
			}
			if c.refused {
				return
			}
			srv, err := open(t, to)
			must(t, err)
			list, err := srv.secrets.SecretKeys(t.Context())
			must(t, err)
			sealed := 0
			for _, k := range list {
				if k.From != "" {
					sealed += k.Secrets
				}
			}
			if sealed != 1 {
				t.Errorf("%+v", list)
			}
			must(t, srv.Close())
		})
	}
}
