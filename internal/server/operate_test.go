package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/record"
)

func unmarshal(text string, into any) error { return json.Unmarshal([]byte(text), into) }

func testConfig(data string) config.Config {
	cfg := config.Default()
	cfg.Data, cfg.Server.HTTP, cfg.Server.Ops = data, "127.0.0.1:0", "127.0.0.1:0"
	return cfg
}

func open(t *testing.T, cfg config.Config) (*Server, error) {
	t.Helper()
	srv, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err == nil {
		t.Cleanup(func() {
			if err := srv.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return srv, err
}

// wantError checks the code of an error, and that it says what to do.
func wantError(t *testing.T, err error, code herald.Code, text string) {
	t.Helper()
	var e *herald.Error
	if !errors.As(err, &e) || e.Code != code || e.Remedy == "" || !strings.Contains(e.Error(), text) {
		t.Errorf("got %v, want %s with %q", err, code, text)
	}
}

func TestFolder(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	srv, err := open(t, testConfig(data))
	if err != nil {
		t.Fatal(err)
	}
	if !srv.Fresh() {
		t.Error("a new folder is not fresh")
	}
	info, err := os.Stat(data)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info, err)
	}
	for _, name := range []string{keyFile, runFile, lockFile} {
		if info, err := os.Stat(filepath.Join(data, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	_, err = open(t, testConfig(data))
	wantError(t, err, herald.CodeConflict, "another herald runs")
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := open(t, testConfig(data))
	if err != nil || again.Fresh() {
		t.Fatalf("opened again: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(data, keyFile)
	for name, c := range map[string]struct{ content, text string }{
		"no key": {"", "no " + keyFile}, "short key": {"AAAA\n", "damaged"}, "not base64": {"***\n", "damaged"},
	} {
		if err := os.Remove(key); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if c.content != "" {
			if err := os.WriteFile(key, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := open(t, testConfig(data))
		t.Run(name, func(t *testing.T) { wantError(t, err, herald.CodeInternal, c.text) })
	}
}

// Nothing listens beyond loopback while there is no app.
func TestLoopbackUntilAnAppExists(t *testing.T) {
	for name, change := range map[string]func(*config.Config){
		"http":           func(c *config.Config) { c.Server.HTTP = "0.0.0.0:0" },
		"http, all":      func(c *config.Config) { c.Server.HTTP = ":0" },
		"http, IPv6":     func(c *config.Config) { c.Server.HTTP = "[::]:0" },
		"http, by name":  func(c *config.Config) { c.Server.HTTP = "push.example.com:0" },
		"operations":     func(c *config.Config) { c.Server.Ops = "0.0.0.0:0" },
		"operations all": func(c *config.Config) { c.Server.Ops = ":0" },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t.TempDir())
			change(&cfg)
			_, err := open(t, cfg)
			wantError(t, err, herald.CodeForbidden, "beyond this machine")
		})
	}
	data := t.TempDir()
	admin, done, err := Administer(t.Context(), testConfig(data))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.CreateApp(t.Context(), api.NewApp{Name: "first"}); err != nil {
		t.Fatal(err)
	}
	if err := done(); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(data)
	srv, err := open(t, cfg) // an app exists; loopback still, since tests listen nowhere else
	if err != nil {
		t.Fatal(err)
	}
	srv.cfg.Server.HTTP = "0.0.0.0:0"
	if err := srv.mayListen(); err != nil {
		t.Errorf("with an app: %v", err)
	}
	empty := &Server{cfg: testConfig(""), registry: srv.registry}
	empty.cfg.Server.AllowOpen, empty.cfg.Server.HTTP = true, "0.0.0.0:0"
	if err := empty.mayListen(); err != nil {
		t.Errorf("with allow_open: %v", err)
	}
	for _, addr := range []string{"127.0.0.1:0", "127.9.9.9:0", "[::1]:0", "localhost:0"} {
		if err := onLoopback("server.http", addr); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
	wantError(t, onLoopback("server.http", "7700"), herald.CodeInvalidRequest, "not an address")
}

func TestTakenPorts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := testConfig(t.TempDir())
	cfg.Server.HTTP = l.Addr().String()
	_, err = open(t, cfg)
	wantError(t, err, herald.CodeConflict, "is taken")
	cfg.Server.NextPort = true
	srv, err := open(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	taken := l.Addr().(*net.TCPAddr).Port
	got := srv.http.Addr().(*net.TCPAddr).Port
	if got <= taken || got > taken+portTries || srv.URL() != fmt.Sprintf("http://127.0.0.1:%d", got) {
		t.Errorf("listens on %d (%s), %d was taken", got, srv.URL(), taken)
	}
	for addr, text := range map[string]string{"127.0.0.1": "not an address", "127.0.0.1:x": "not a port", "127.0.0.1:65536": "not a port"} {
		cfg := testConfig(t.TempDir())
		cfg.Server.HTTP = addr
		_, err := open(t, cfg)
		wantError(t, err, herald.CodeInvalidRequest, text)
	}
}

// The CLI administers a server that runs, over its operations port.
func TestAdministration(t *testing.T) {
	n := startNode(t, t.TempDir())
	admin, done, err := Administer(t.Context(), n.cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := done(); err != nil {
			t.Error(err)
		}
		admin.(remoteAdmin).http.CloseIdleConnections()
	}()
	made, err := admin.CreateApp(t.Context(), api.NewApp{Name: "second"})
	if err != nil || made.MasterSecret == "" {
		t.Fatalf("%+v, %v", made, err)
	}
	talking, err := admin.CreateApp(t.Context(), api.NewApp{Name: "talking", Topics: herald.TopicRules{Publish: []herald.TopicFilter{"demo/#"}}})
	if app, found := n.srv.registry.App(talking.AppKey); err != nil || found != nil || !slices.Equal(app.Row().Settings.Topics.Publish, []herald.TopicFilter{"demo/#"}) {
		t.Errorf("%+v, %v, %v", talking, err, found)
	}
	_, err = admin.CreateApp(t.Context(), api.NewApp{Name: "bad", Topics: herald.TopicRules{Publish: []herald.TopicFilter{"#/x"}}})
	wantError(t, err, herald.CodeInvalidRequest, "levels after #")
	list, err := admin.ListApps(t.Context())
	if err != nil || len(list) != 3 || list[1].AppKey != made.AppKey {
		t.Errorf("%+v, %v", list, err)
	}
	rotated, err := admin.RotateApp(t.Context(), made.AppKey, 0)
	if err != nil || rotated.MasterSecret == made.MasterSecret {
		t.Errorf("%+v, %v", rotated, err)
	}
	if again, err := admin.RotateApp(t.Context(), made.AppKey, time.Hour); err != nil || n.srv.registry.Master(made.AppKey, rotated.MasterSecret) != nil {
		t.Errorf("%v: a secret that is kept is refused", err)
	} else {
		rotated = again
	}
	_, err = admin.RotateApp(t.Context(), made.AppKey, -time.Hour)
	wantError(t, err, herald.CodeInvalidRequest, "time to keep")
	entries, err := n.srv.store.Audits(t.Context(), made.AppKey, record.AuditFilter{Limit: 10})
	if err != nil || len(entries) != 3 || entries[0].Operation != "rotateApp" || entries[2].Operation != "createApp" || entries[0].Kind != record.AuditAdmin || entries[0].Origin != record.AuditLocal {
		t.Errorf("the audit log is %+v, %v", entries, err)
	}
	// The app is served at once, by what was answered.
	n.app = rotated
	d := n.register(api.RegisterRequest{})
	m := n.send(to(d, "")).ID.String()
	n.connect(d.Token, "").expect("message", m)
	token, err := admin.PageToken(t.Context(), made.AppKey, "0123456789abcdef")
	if err != nil || !strings.HasPrefix(token, "hp1.") {
		t.Errorf("page token %q, %v", token, err)
	}
	_, err = admin.CreateApp(t.Context(), api.NewApp{Name: ""})
	wantError(t, err, herald.CodeInvalidRequest, "is empty")
	_, err = admin.RotateApp(t.Context(), "../../x", 0)
	wantError(t, err, herald.CodeNotFound, "no app")
	_, err = admin.RotateApp(t.Context(), herald.NewAppKey(), 0)
	wantError(t, err, herald.CodeNotFound, "no app")
	_, err = admin.PageToken(t.Context(), made.AppKey, "short")
	wantError(t, err, herald.CodeInvalidRequest, "installation")

	wrong := admin.(remoteAdmin)
	wrong.run.Token = "wrong"
	for name, err := range map[string]error{
		"list": func() error { _, err := wrong.ListApps(t.Context()); return err }(),
		"make": func() error { _, err := wrong.CreateApp(t.Context(), api.NewApp{Name: "x"}); return err }(),
		"turn": func() error { _, err := wrong.RotateApp(t.Context(), made.AppKey, 0); return err }(),
	} {
		t.Run(name, func(t *testing.T) { wantError(t, err, herald.CodeUnauthorized, "administration token") })
	}
	// The operations port has what the hub counts.
	resp, err := n.client.Get("http://" + n.srv.ops.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || !strings.Contains(string(text), "\nherald_publications_dropped_total 0\n") {
		t.Errorf("the metrics: %v\n%s", err, text)
	}
	// The public port knows nothing of administration, metrics and profiles.
	for _, path := range []string{"/admin/apps", "/metrics", "/debug/pprof/"} {
		if status := n.call("GET", path, n.srv.token, nil, nil); status != 404 {
			t.Errorf("%s on the public port is answered %d", path, status)
		}
	}
	wrong.run.Ops = "http://127.0.0.1:1"
	_, err = wrong.ListApps(t.Context())
	wantError(t, err, herald.CodeStorageUnavailable, "does not answer")
}

func get(t *testing.T, n *node, url string) (int, string) {
	t.Helper()
	resp, err := n.client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b := make([]byte, 4096)
	k, _ := resp.Body.Read(b)
	return resp.StatusCode, string(b[:k])
}

// /readyz makes a real write; while writes fail it is not 200, /livez is.
func TestReadiness(t *testing.T) {
	n := startNode(t, t.TempDir())
	if status, body := get(t, n, n.srv.URL()+"/readyz"); status != http.StatusOK {
		t.Fatalf("ready: %d %s", status, body)
	}
	n.srv.health.mu.Lock()
	n.srv.health.at, n.srv.health.probe = time.Time{}, func(context.Context) error { return errors.New("the disk is full") }
	n.srv.health.mu.Unlock()
	expectHealth(t, n, "not ready: the disk is full")
	for _, base := range []string{n.srv.URL(), "http://" + n.srv.ops.Addr().String()} {
		if status, body := get(t, n, base+"/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "the disk is full") {
			t.Errorf("%s while writes fail: %d %s", base, status, body)
		}
		if status, _ := get(t, n, base+"/livez"); status != http.StatusOK {
			t.Errorf("%s is not alive while writes fail: %d", base, status)
		}
	}
	n.srv.health.mu.Lock()
	n.srv.health.at, n.srv.health.probe = time.Time{}, n.srv.store.Probe
	n.srv.health.mu.Unlock()
	if status, _ := get(t, n, n.srv.URL()+"/readyz"); status != http.StatusOK {
		t.Errorf("when writes work again: %d", status)
	}
	expectHealth(t, n, "")
	n.srv.draining.Store(true)
	expectHealth(t, n, "draining")
	if status, body := get(t, n, n.srv.URL()+"/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "draining") {
		t.Errorf("while draining: %d %s", status, body)
	}
	var problem struct {
		Code herald.Code `json:"code"`
	}
	if status := n.call("POST", "/v1/messages", "", `{"audience":"all","data":1}`, &problem); status != 503 || problem.Code != herald.CodeDraining {
		t.Errorf("a write while draining: %d %+v", status, problem)
	}
	if status := n.call("GET", "/v1/messages", "", nil, nil); status != 200 {
		t.Errorf("a read while draining: %d", status)
	}
}

// expectHealth asks as herald health and the watchdog do; want is why the server
// is not ready.
func expectHealth(t *testing.T, n *node, want string) {
	t.Helper()
	if err := n.srv.Answers(t.Context()); err != nil {
		t.Errorf("it is not alive: %v", err)
	}
	err := Health(t.Context(), n.cfg.Data)
	var e *herald.Error
	if want == "" && err != nil || want != "" && (!errors.As(err, &e) || e.Code != herald.CodeStorageUnavailable || !strings.Contains(err.Error(), want)) {
		t.Errorf("its health is %v, want %q", err, want)
	}
}

func TestHealthWithoutAServer(t *testing.T) {
	data := t.TempDir()
	expect := func(want string) {
		t.Helper()
		err := Health(t.Context(), data)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	expect("no server runs on the data folder")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	f := &folder{path: data}
	if err := f.writeRun(runInfo{Ops: "http://" + l.Addr().String()}); err != nil {
		t.Fatal(err)
	}
	expect("does not answer") // it was killed, and has left the file
	if err := os.WriteFile(filepath.Join(data, runFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect("reading run.json")
}

// One probe a second, shared, and not spoilt by a caller who goes away.
func TestHealthIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probes, fails, seen := 0, false, []bool{}
		h := newHealth(func(ctx context.Context) error {
			probes++
			if fails {
				<-ctx.Done()
			}
			return ctx.Err()
		}, func(ok bool) { seen = append(seen, ok) })
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for range 3 {
			if err := h.check(gone); err != nil {
				t.Error(err)
			}
		}
		if probes != 1 {
			t.Errorf("%d probes", probes)
		}
		<-time.NewTimer(probeEvery).C // of the bubble
		fails = true
		began := time.Now()
		if err := h.check(t.Context()); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != probeTime {
			t.Errorf("a store that hangs: %v after %s", err, time.Since(began))
		}
		if err := h.check(t.Context()); err == nil || probes != 2 {
			t.Errorf("the failure is not shared: %v, %d probes", err, probes)
		}
		if fmt.Sprint(seen) != "[true false]" {
			t.Errorf("observed %v", seen)
		}
	})
}
