package seal_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/seal"
)

func keyOf(c byte) []byte { return bytes.Repeat([]byte{c}, seal.KeyLen) }

func ring(t testing.TB, keys ...[]byte) *seal.Ring {
	t.Helper()
	r, err := seal.New(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRotation(t *testing.T) {
	old, both, fresh := ring(t, keyOf(1)), ring(t, keyOf(2), keyOf(1)), ring(t, keyOf(2))
	secret := []byte("whsec_0123456789")
	sealed := old.Seal("webhook a 1", secret)
	if bytes.Contains(sealed, secret) || bytes.Equal(sealed, old.Seal("webhook a 1", secret)) {
		t.Error("the secret can be seen, or two sealed ones compared")
	}
	got, stale, err := old.Open("webhook a 1", sealed)
	if err != nil || stale || !bytes.Equal(got, secret) {
		t.Errorf("%q, %v, %v", got, stale, err)
	}
	got, stale, err = both.Open("webhook a 1", sealed)
	if err != nil || !stale || !bytes.Equal(got, secret) {
		t.Errorf("after a rotation: %q, %v, %v", got, stale, err)
	}
	again := both.Seal("webhook a 1", got)
	if got, stale, err = fresh.Open("webhook a 1", again); err != nil || stale || !bytes.Equal(got, secret) {
		t.Errorf("sealed again: %q, %v, %v", got, stale, err)
	}
	if _, _, err = fresh.Open("webhook a 1", sealed); herald.CodeOf(err) != herald.CodeInternal || !strings.Contains(err.Error(), old.ID()) {
		t.Errorf("without its key: %v", err)
	}
	if old.ID() == fresh.ID() || both.ID() != fresh.ID() {
		t.Errorf("the keys are called %s, %s, %s", old.ID(), both.ID(), fresh.ID())
	}
	if got, _, err := old.Open("", old.Seal("", nil)); err != nil || got == nil || len(got) != 0 {
		t.Errorf("an empty secret: %q, %v", got, err)
	}
}

// TestDamage: no bit can be changed, no byte left out, and nothing moved.
func TestDamage(t *testing.T) {
	r := ring(t, keyOf(1))
	sealed := r.Seal("webhook a 1", []byte("secret"))
	refused := func(what, place string, b []byte) {
		t.Helper()
		if got, _, err := r.Open(place, b); err == nil || got != nil || strings.Contains(err.Error(), "secret\"") {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
	for i := range sealed {
		b := bytes.Clone(sealed)
		b[i] ^= 1
		refused("a changed bit", "webhook a 1", b)
		refused("a part", "webhook a 1", sealed[:i])
	}
	refused("more", "webhook a 1", append(bytes.Clone(sealed), 0))
	refused("moved", "webhook a 2", sealed)
}

func TestNew(t *testing.T) {
	for name, keys := range map[string][][]byte{"none": nil, "short": {keyOf(1)[1:]}, "long": {keyOf(1), append(keyOf(2), 1)}} {
		if _, err := seal.New(keys...); herald.CodeOf(err) != herald.CodeInvalidRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	a, err := seal.FromServerKey(keyOf(1))
	if err != nil || a.ID() == ring(t, keyOf(1)).ID() {
		t.Errorf("the server key itself seals: %v", err)
	}
	b, err := seal.FromServerKey(keyOf(1))
	if err != nil || a.ID() != b.ID() {
		t.Errorf("%s, %s, %v", a.ID(), b.ID(), err)
	}
}

func TestLoad(t *testing.T) {
	one := base64.StdEncoding.EncodeToString(keyOf(1))
	text := "# keys\n\n " + one + " \r\n" + hex.EncodeToString(keyOf(2)) + "\n"
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HERALD_SEAL_TEST", "print")
	for name, s := range map[string]seal.Source{"text": {Text: text}, "file": {File: file}, "command": {Command: []string{self, file}}} {
		r, err := s.Load(t.Context())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if r.ID() != ring(t, keyOf(1)).ID() {
			t.Errorf("%s: another key is first", name)
		}
		if _, stale, err := r.Open("x", ring(t, keyOf(2)).Seal("x", nil)); err != nil || !stale {
			t.Errorf("%s: the second key does not open: %v", name, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, s := range map[string]seal.Source{
		"nothing": {}, "two": {Text: one, File: file}, "no file": {File: file + "x"}, "a folder": {File: filepath.Dir(file)},
		"no program": {Command: []string{file + "x"}}, "a program that fails": {Command: []string{self, file + "x"}},
		"a program that says too much": {Command: []string{self, "much"}}, "half a key": {Text: one[:20]},
	} {
		_, err := s.Load(t.Context())
		if herald.CodeOf(err) != herald.CodeInvalidRequest || strings.Contains(err.Error(), one[:20]) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (seal.Source{Command: []string{self, file}}).Load(ended); err == nil {
		t.Error("a command is run after the end")
	}
}

// TestMain is also the command that prints keys.
func TestMain(m *testing.M) {
	if os.Getenv("HERALD_SEAL_TEST") == "" {
		os.Exit(m.Run())
	}
	if os.Args[1] == "much" {
		_, _ = os.Stdout.Write(make([]byte, 1<<20))
		os.Exit(0)
	}
	b, err := os.ReadFile(os.Args[1])
	if err != nil {
		os.Exit(1)
	}
	_, _ = os.Stdout.Write(b)
}

func FuzzOpen(f *testing.F) {
	r := ring(f, keyOf(1))
	good := r.Seal("p", []byte("secret"))
	f.Add(good)
	f.Add([]byte{})
	f.Add(good[:37])
	f.Fuzz(func(t *testing.T, b []byte) {
		got, _, err := r.Open("p", b)
		if (err == nil) != bytes.Equal(b, good) || err == nil && string(got) != "secret" {
			t.Fatalf("%q, %v", got, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(base64.StdEncoding.EncodeToString(keyOf(1))))
	f.Add([]byte("#\n\n" + hex.EncodeToString(keyOf(2))))
	f.Add([]byte("x\ny"))
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, err := seal.Parse(b)
		if err != nil {
			if keys != nil || herald.CodeOf(err) != herald.CodeInvalidRequest {
				t.Fatalf("%v, %v", keys, err)
			}
			return
		}
		if _, err := seal.New(keys...); err != nil {
			t.Fatal(err)
		}
	})
}
