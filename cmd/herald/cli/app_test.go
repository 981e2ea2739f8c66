package cli

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/doctor"
)

// administered makes a world with apps in memory.
func administered(t *testing.T) (*world, *fakeAdmin, *int) {
	w := newWorld(t)
	a := &fakeAdmin{}
	closed := 0
	w.Administer = func(_ context.Context, cfg config.Config) (api.Admin, func() error, error) {
		if cfg.Data != w.folder {
			t.Errorf("administers %s", cfg.Data)
		}
		return a, func() error { closed++; return nil }, nil
	}
	return w, a, &closed
}

func TestApp(t *testing.T) {
	w, a, closed := administered(t)
	var all strings.Builder
	for _, args := range [][]string{{"app", "list"}, {"app", "create", "shop", "--context"}, {"app", "list"}, {"app", "rotate", string(testKey)}} {
		w.out.b.Reset()
		if code := w.run(t, args...); code != 0 {
			t.Errorf("%q: exit %d: %s", args, code, w.err)
		}
		all.WriteString("$ herald " + strings.Join(args, " ") + "\n" + w.out.String())
	}
	golden(t, "app", all.String())
	if code := w.run(t, "app", "rotate", string(testKey), "--keep", "24h"); code != ExitOK || a.kept != 24*time.Hour {
		t.Errorf("exit %d, keeps for %v: %s", code, a.kept, w.err)
	}
	// A rotation reaches the context of the same app.
	if x, err := readContext(w.folder); err != nil || x.MasterSecret != "NEWNEWNEWNEWNEWNEWNEWNEW" || x.URL != "http://127.0.0.1:7700" {
		t.Errorf("%+v, %v", x, err)
	}
	if *closed != 5 {
		t.Errorf("closed %d times", *closed)
	}
}

func TestAppJSON(t *testing.T) {
	w, _, _ := administered(t)
	for _, args := range [][]string{{"app", "list"}, {"app", "create", "shop", "--context"}, {"app", "list"}, {"app", "rotate", string(testKey)}} {
		w.out.b.Reset()
		if code := w.run(t, append(args, "--json")...); code != 0 || !json.Valid([]byte(w.out.String())) {
			t.Errorf("%q: exit %d: %s", args, code, w.out)
		}
	}
}

func TestAppFails(t *testing.T) {
	w, a, _ := administered(t)
	for want, args := range map[int][]string{
		ExitRefused: {"app", "rotate", "000000000000000000000000"},
		ExitUsage:   {"app", "rotate", "x"},
	} {
		if code := w.run(t, args...); code != want {
			t.Errorf("%q: exit %d: %s", args, code, w.err)
		}
	}
	for _, args := range [][]string{{"app"}, {"app", "create"}, {"app", "list", "x"}, {"app", "delete"}} {
		if code := w.run(t, args...); code != ExitUsage {
			t.Errorf("%q: exit %d: %s", args, code, w.err)
		}
	}
	a.err = errors.New("disk full")
	if code := w.run(t, "app", "create", "x"); code != ExitFailure {
		t.Errorf("exit %d", code)
	}
	if code := w.run(t, "app", "list"); code != ExitFailure {
		t.Errorf("exit %d", code)
	}
	w.Administer = func(context.Context, config.Config) (api.Admin, func() error, error) {
		return nil, nil, herald.Errorf(herald.CodeConflict, "Wait.", "starting")
	}
	if code := w.run(t, "app", "list"); code != ExitRefused {
		t.Errorf("exit %d", code)
	}
}

func TestConfig(t *testing.T) {
	w := newWorld(t)
	if code := w.run(t, "config", "defaults"); code != 0 || w.out.String() != config.Defaults() {
		t.Errorf("exit %d: %s", code, w.out)
	}
	good := filepath.Join(t.TempDir(), "good.yaml")
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := errors.Join(os.WriteFile(good, []byte(w.out.String()), 0o600), os.WriteFile(bad, []byte("server:\n  htpp: x\nnode: x\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	w.out.b.Reset()
	if code := w.run(t, "config", "check", good, "--set", "server.allow_open=true"); code != 0 ||
		w.out.String() != "warning: server.allow_open is on: the server listens beyond loopback even before an app exists.\n"+good+" is valid\n" {
		t.Errorf("exit %d: %s", code, w.out)
	}
	if code := w.run(t, "config", "check", bad); code != ExitConfiguration ||
		w.err.String() != "herald: node: \"x\" is not a whole number, in file "+bad+"\n  Write for example: 0\nherald: server.htpp: unknown key in file "+bad+"\n  Did you mean server.http?\n" {
		t.Errorf("exit %d: %s", code, w.err)
	}
	for _, args := range [][]string{{"config", "check", good, "--config", good}, {"config", "check", "--set", "x"}, {"config"}} {
		if code := w.run(t, args...); code != ExitUsage {
			t.Errorf("%q: exit %d", args, code)
		}
	}
	for _, command := range []string{"serve", "dev", "doctor"} {
		if code := w.run(t, command, "--set", "node=5000"); code != ExitConfiguration {
			t.Errorf("%s: exit %d", command, code)
		}
	}
}

func TestExamine(t *testing.T) {
	w := newWorld(t)
	c := &command{World: w.World}
	findings := []doctor.Finding{{Check: "clock", State: doctor.OK, Text: "right"}, {Check: "memory", State: doctor.Warning, Text: "short", Remedy: "Add some."}}
	if err := c.examine(findings, false); err != nil {
		t.Error(err)
	}
	findings = append(findings, doctor.Finding{Check: "data folder", State: doctor.Failure, Text: "gone", Remedy: "Make one."})
	if err := c.examine(findings, false); err == nil {
		t.Error("a failure is no error")
	}
	golden(t, "doctor", w.out.String())
	w.out.b.Reset()
	if err := c.examine(findings, true); err == nil || !json.Valid([]byte(w.out.String())) {
		t.Errorf("%v: %s", err, w.out)
	}
}

func TestRootAndVersion(t *testing.T) {
	w := newWorld(t)
	if code := w.run(t); code != 0 || !strings.Contains(w.out.String(), "herald [command]") {
		t.Errorf("exit %d: %s", code, w.out)
	}
	w.out.b.Reset()
	if code := w.run(t, "version", "--json"); code != 0 || !strings.Contains(w.out.String(), `"sqlite":"3.`) || !json.Valid([]byte(w.out.String())) {
		t.Errorf("exit %d: %s", code, w.out)
	}
	w.out.b.Reset()
	if code := w.run(t, "version"); code != 0 || !strings.HasPrefix(w.out.String(), "herald ") {
		t.Errorf("exit %d: %s", code, w.out)
	}
	if code := w.run(t, "pussh"); code != ExitUsage || w.err.String() != "herald: unknown command \"pussh\" for \"herald\". Did you mean this? push\n  Run \"herald --help\" for the usage.\n" {
		t.Errorf("exit %d: %s", code, w.err)
	}
	w.out.b.Reset()
	if code := w.run(t, "completion", "bash"); code != 0 || !strings.Contains(w.out.String(), "__start_herald") {
		t.Errorf("completion: exit %d", code)
	}
}
