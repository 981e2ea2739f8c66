package seal_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
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
	r, err := seal.New([]byte("server key"), keys...)
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
	for name, keys := range map[string][][]byte{"short": {keyOf(1)[1:]}, "long": {keyOf(1), append(keyOf(2), 1)}} {
		if _, err := seal.New(keyOf(9), keys...); herald.CodeOf(err) != herald.CodeInvalidRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	none, err := seal.New(keyOf(1))
	if err != nil || none.ID() == ring(t, keyOf(1)).ID() || len(none.IDs()) != 2 || none.IDs()[1] != seal.Former {
		t.Errorf("the server key itself seals, or there are other keys: %v, %v", none.IDs(), err)
	}
	// What was sealed while no key was given is opened when there is one.
	one, err := seal.New(keyOf(1), keyOf(2), keyOf(2))
	if err != nil || len(one.IDs()) != 3 || one.IDs()[1] != none.ID() {
		t.Errorf("%v, %v", one.IDs(), err)
	}
	if got, stale, err := one.Open("p", none.Seal("p", []byte("s"))); err != nil || !stale || string(got) != "s" {
		t.Errorf("sealed with the server key: %q, %v, %v", got, stale, err)
	}
}

// TestUse: keys are replaced in a ring that is in use; what was sealed with
// those before stays open until a new ring is made.
func TestUse(t *testing.T) {
	r := ring(t, keyOf(1))
	sealed := r.Seal("p", []byte("s"))
	if err := r.Use(keyOf(2)[1:]); err == nil || r.ID() != ring(t, keyOf(1)).ID() {
		t.Errorf("half a key: %v", err)
	}
	if err := r.Use(keyOf(2)); err != nil || r.ID() != ring(t, keyOf(2)).ID() {
		t.Fatalf("%s, %v", r.ID(), err)
	}
	if got, stale, err := r.Open("p", sealed); err != nil || !stale || string(got) != "s" {
		t.Errorf("after the replacement: %q, %v, %v", got, stale, err)
	}
	if id, known := r.KeyOf(sealed); id != ring(t, keyOf(1)).ID() || !known {
		t.Errorf("sealed with %s, %v", id, known)
	}
	if id, known := ring(t, keyOf(2)).KeyOf(sealed); id != ring(t, keyOf(1)).ID() || known {
		t.Errorf("in a new ring: %s, %v", id, known)
	}
}

// TestFormer: the form in which releases before this package sealed.
func TestFormer(t *testing.T) {
	const sealedThen = "01681da42cbfd9ba04d02bee5fd8aa2c250e7e97364842eed4d4aed6016755fc06d2bd0cdff0901631"
	sealed, err := hex.DecodeString(sealedThen)
	if err != nil {
		t.Fatal(err)
	}
	r := ring(t, keyOf(1))
	if id, known := r.KeyOf(sealed); id != seal.Former || !known {
		t.Errorf("sealed with %q, %v", id, known)
	}
	if got, stale, err := r.Open("webhook aaaa wh_1", sealed); err != nil || !stale || string(got) != "whsec_canary" {
		t.Errorf("%q, %v, %v", got, stale, err)
	}
	if got, _, err := r.Open("webhook aaaa wh_2", sealed); err == nil {
		t.Errorf("in another place: %q", got)
	}
	other, err := seal.New([]byte("another server key"))
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := other.Open("webhook aaaa wh_1", sealed); err == nil {
		t.Errorf("with another server key: %q", got)
	}
}

// shelf keeps secrets by place, as a store does.
type shelf struct {
	places []string
	kept   map[string][]byte
	fail   error
}

func (s *shelf) Secrets(_ context.Context, after string, limit int, change func(string, []byte) []byte) (next string, changed int, err error) {
	for _, p := range s.places {
		if p <= after || s.kept[p] == nil {
			continue
		}
		if limit--; limit < 0 {
			return next, changed, nil
		}
		next = p
		got := change(p, s.kept[p])
		if !bytes.Equal(got, s.kept[p]) {
			s.kept[p] = got
			changed++
		}
	}
	return "", changed, s.fail
}

func TestReseal(t *testing.T) {
	old, fresh := ring(t, keyOf(1)), ring(t, keyOf(2), keyOf(1))
	s := &shelf{kept: map[string][]byte{}}
	for i := range seal.StepRows + 50 {
		p := fmt.Sprintf("webhook a %03d", i)
		s.places = append(s.places, p)
		s.kept[p] = old.Seal(p, []byte(p))
	}
	s.kept[s.places[0]] = []byte("not sealed")
	s.kept[s.places[1]] = old.Seal("elsewhere", nil)
	all := func(r *seal.Ring) (steps, changed int) {
		for after := ""; ; steps++ {
			next, n, err := r.Reseal(t.Context(), s, after)
			if err != nil {
				t.Fatal(err)
			}
			changed += n
			if next == "" {
				return steps + 1, changed
			}
			after = next
		}
	}
	if steps, n := all(fresh); steps != 2 || n != seal.StepRows+48 {
		t.Errorf("%d steps, %d sealed anew", steps, n)
	}
	if _, n := all(fresh); n != 0 {
		t.Errorf("%d sealed anew that were", n)
	}
	for _, p := range s.places[2:] {
		if got, stale, err := fresh.Open(p, s.kept[p]); err != nil || stale || string(got) != p {
			t.Fatalf("%s: %q, %v, %v", p, got, stale, err)
		}
	}
	counts, err := fresh.Count(t.Context(), s)
	if err != nil || counts[fresh.ID()] != seal.StepRows+48 || counts[old.ID()] != 1 || counts[""] != 1 || fresh.Missing(counts) != nil {
		t.Errorf("%v, %v, %v", counts, err, fresh.Missing(counts))
	}
	var e *herald.Error
	if err := old.Missing(counts); !errors.As(err, &e) || e.Code != herald.CodeInvalidRequest || !strings.Contains(e.Message, fresh.ID()) || !strings.Contains(e.Remedy, "forget "+fresh.ID()) {
		t.Errorf("a key that is missing: %v", err)
	}
	if _, n, err := old.Forget(t.Context(), s, old.ID(), ""); err != nil || n != 0 {
		t.Errorf("%d were forgotten whose key is there: %v", n, err)
	}
	if _, n, err := old.Forget(t.Context(), s, fresh.ID(), s.places[99]); err != nil || n != 50 {
		t.Errorf("%d were forgotten: %v", n, err)
	}
	s.fail = errors.New("away")
	if _, err := old.Count(t.Context(), s); !errors.Is(err, s.fail) {
		t.Errorf("without the record: %v", err)
	}
}

func TestKeys(t *testing.T) {
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
	for name, s := range map[string]seal.Source{"text": {Text: text}, "in one line": {Text: one + ", " + hex.EncodeToString(keyOf(2))}, "file": {File: file}, "command": {Command: []string{self, file}}} {
		keys, err := s.Keys(t.Context())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		r := ring(t, keys...)
		if r.ID() != ring(t, keyOf(1)).ID() {
			t.Errorf("%s: another key is first", name)
		}
		if _, stale, err := r.Open("x", ring(t, keyOf(2)).Seal("x", nil)); err != nil || !stale {
			t.Errorf("%s: the second key does not open: %v", name, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if !(seal.Source{}).None() || (seal.Source{Text: one}).None() {
		t.Error("which source is named is not known")
	}
	if secret, line := seal.Generate(); len(secret) != seal.KeyLen {
		t.Errorf("a new key has %d bytes", len(secret))
	} else if keys, err := seal.Parse([]byte(line)); err != nil || !bytes.Equal(keys[0], secret) {
		t.Errorf("a new key is read back as %v, %v", keys, err)
	}
	for name, s := range map[string]seal.Source{
		"nothing": {}, "two": {Text: one, File: file}, "no file": {File: file + "x"}, "a folder": {File: filepath.Dir(file)},
		"no program": {Command: []string{file + "x"}}, "a program that fails": {Command: []string{self, file + "x"}},
		"a program that says too much": {Command: []string{self, "much"}}, "half a key": {Text: one[:20]},
	} {
		_, err := s.Keys(t.Context())
		if herald.CodeOf(err) != herald.CodeInvalidRequest || strings.Contains(err.Error(), one[:20]) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (seal.Source{Command: []string{self, file}}).Keys(ended); err == nil {
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
		if _, err := seal.New(nil, keys...); err != nil {
			t.Fatal(err)
		}
	})
}
