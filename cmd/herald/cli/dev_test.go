package cli

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"rsc.io/qr"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/config"
)

func TestBanner(t *testing.T) {
	first := banner{version: "1.2.3", context: filepath.Join("herald-data", contextFile), fresh: true, made: true, showSecret: true,
		url: "http://127.0.0.1:7700", tcp: "127.0.0.1:7701", app: cliContext{AppKey: testKey, MasterSecret: testSecret}, page: "http://127.0.0.1:7700/demo/#hp1.token"}
	again := first
	again.fresh, again.made, again.showSecret, again.wanted, again.url = false, false, false, "7700", "http://127.0.0.1:7701"
	elsewhere := first
	elsewhere.folder, elsewhere.tcp = "/tmp/my data", ""
	lan := first
	lan.lanPage = "http://192.168.1.5:7700/demo/#hp1.token"
	for name, b := range map[string]banner{"dev-first": first, "dev-again": again, "dev-elsewhere": elsewhere, "dev-lan": lan} {
		t.Run(name, func(t *testing.T) {
			if name == "dev-elsewhere" && runtime.GOOS == "windows" {
				t.Skip("unavailable: the golden file has the quotes of a Unix shell")
			}
			w := newWorld(t)
			(&command{World: w.World}).banner(b)
			golden(t, name, w.out.String())
		})
	}
	w := newWorld(t)
	w.Color = true
	(&command{World: w.World}).banner(lan)
	golden(t, "dev-color", w.out.String())
}

// start runs dev with a node until it has printed where it listens.
func start(t *testing.T, w *world, n *fakeNode, args ...string) int {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	world := w.World
	world.Open = func(context.Context, config.Config, *slog.Logger) (Node, error) { return n, nil }
	world.Out = writer(func(p []byte) (int, error) {
		if strings.Contains(string(p), "listening on ") {
			defer stop()
		}
		return w.out.Write(p)
	})
	return Main(ctx, append([]string{"dev"}, args...), world)
}

type writer func([]byte) (int, error)

func (f writer) Write(p []byte) (int, error) { return f(p) }

func TestDevTwice(t *testing.T) {
	w := newWorld(t)
	n := &fakeNode{url: "http://127.0.0.1:7700", fresh: true}
	if code := start(t, w, n); code != 0 {
		t.Fatalf("exit %d: %s", code, w.err)
	}
	first := w.out.String()
	x, err := readContext(w.folder)
	if err != nil || x.AppKey != testKey || x.MasterSecret != testSecret || x.URL != n.url || len(x.PageInstallation) < 16 {
		t.Errorf("context %+v, %v", x, err)
	}
	if info, err := os.Stat(filepath.Join(w.folder, contextFile)); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	// The room of the page is of use at once.
	if len(n.admin.made) != 1 || !n.admin.made[0].Topics.Allow(herald.TopicPublish, "demo/room", "", "") || !n.admin.made[0].Topics.Allow(herald.TopicSubscribe, "any", "", "") ||
		n.admin.made[0].Topics.Allow(herald.TopicPublish, "other", "", "") {
		t.Errorf("made %+v", n.admin.made)
	}
	link := "http://127.0.0.1:7700/demo/#hp1." + string(testKey) + "." + x.PageInstallation
	if !strings.Contains(first, testSecret) || !strings.Contains(first, link+"\n") || !strings.HasSuffix(first, "listening on http://127.0.0.1:7700\n") {
		t.Errorf("first start prints\n%s", first)
	}
	if strings.Contains(link, testSecret) {
		t.Error("the link holds the secret")
	}
	w.out.b.Reset()
	n.fresh = false
	start(t, w, n)
	again := w.out.String()
	if strings.Contains(again, testSecret) || !strings.Contains(again, "existing data") || !strings.Contains(again, link+"\n") || len(n.admin.apps) != 1 {
		t.Errorf("second start prints\n%s", again)
	}
	w.out.b.Reset()
	start(t, w, n, "--show-secret")
	if !strings.Contains(w.out.String(), testSecret) {
		t.Errorf("--show-secret prints\n%s", w.out)
	}
}

func TestDevIsServeWithGeneratedConfiguration(t *testing.T) {
	w := newWorld(t)
	got := make(chan config.Config, 1)
	w.Open = func(_ context.Context, cfg config.Config, _ *slog.Logger) (Node, error) {
		got <- cfg
		return nil, errors.New("enough")
	}
	want := config.Default()
	want.Data = w.folder
	want.Server.NextPort, want.Server.Demo = true, true
	want.Log = config.Log{Level: "warn", Format: "text"}
	want.Egress = config.Egress{Allow: []string{"loopback"}, Ports: []string{"any"}, HTTP: true}
	w.run(t, "dev")
	if c := <-got; !cmp.Equal(c, want) {
		t.Errorf("got %+v", c)
	}
	want.Server.HTTP, want.Server.AllowOpen = "0.0.0.0:7700", true
	w.run(t, "dev", "--lan")
	if c := <-got; !cmp.Equal(c, want) {
		t.Errorf("--lan: got %+v", c)
	}
	w.run(t, "dev", "--http", "127.0.0.1:9", "--set", "live.timeout=2m")
	if c := <-got; c.Server.HTTP != "127.0.0.1:9" || c.Live.Timeout.Minutes() != 2 || !c.Server.Demo {
		t.Errorf("flags: got %+v", c)
	}
}

func TestDevSaysThatAPortIsTaken(t *testing.T) {
	w := newWorld(t)
	start(t, w, &fakeNode{url: "http://127.0.0.1:7703"})
	if !strings.Contains(w.out.String(), "Port 7700 is taken; using 7703 instead.") {
		t.Errorf("got\n%s", w.out)
	}
}

func TestDevFails(t *testing.T) {
	open := herald.Errorf(herald.CodeForbidden, "Make an app first.", "no app exists")
	tests := []struct {
		name string
		set  func(*world, *fakeNode)
		code int
		want string
	}{
		{"open refuses", func(w *world, _ *fakeNode) {
			w.Open = func(context.Context, config.Config, *slog.Logger) (Node, error) { return nil, open }
		}, ExitConfiguration, "herald: no app exists\n  Make an app first.\n"},
		{"app cannot be made", func(_ *world, n *fakeNode) { n.admin.err = errors.New("disk full") }, ExitFailure, "herald: disk full\n"},
		{"run fails", func(w *world, n *fakeNode) {
			n.runErr = errors.New("it broke")
			w.Ready = func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }
		}, ExitFailure, "herald: it broke\n"},
		{"no network", func(w *world, _ *fakeNode) { w.LAN = func() (string, error) { return "", fs.ErrNotExist } }, ExitFailure, "herald: file does not exist\n"},
		{"damaged context", func(w *world, _ *fakeNode) {
			_ = os.MkdirAll(w.folder, 0o700)
			_ = os.WriteFile(filepath.Join(w.folder, contextFile), []byte("{"), 0o600)
		}, ExitConfiguration, "is damaged"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			n := &fakeNode{url: "http://127.0.0.1:7700"}
			w.Open = func(context.Context, config.Config, *slog.Logger) (Node, error) { return n, nil }
			tt.set(w, n)
			if code := w.run(t, "dev", "--lan"); code != tt.code || !strings.Contains(w.err.String(), tt.want) {
				t.Errorf("exit %d: %s", code, w.err)
			}
			if w.out.String() != "" {
				t.Errorf("printed %s", w.out)
			}
		})
	}
}

// TestQRShowsTheCode reads the drawn blocks back.
func TestQRShowsTheCode(t *testing.T) {
	const text = "http://192.168.1.5:7700/demo/#hp1.some.token"
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(qrText(text, false), "\n"), "\n")
	light := func(x, y int) bool {
		r := []rune(lines[(y+quiet)/2])[2+x+quiet]
		return r == '█' || (y+quiet)%2 == 0 && r == '▀' || (y+quiet)%2 == 1 && r == '▄'
	}
	for y := -quiet; y < code.Size+quiet; y++ {
		for x := -quiet; x < code.Size+quiet; x++ {
			if light(x, y) == code.Black(x, y) {
				t.Fatalf("module %d, %d is wrong", x, y)
			}
		}
	}
}

func TestLocalURL(t *testing.T) {
	for in, want := range map[string]string{
		"http://0.0.0.0:7700": "http://127.0.0.1:7700", "http://[::]:7700": "http://127.0.0.1:7700", "http://:7700": "http://127.0.0.1:7700",
		"http://192.168.1.5:1/": "http://192.168.1.5:1", "http://127.0.0.1:2": "http://127.0.0.1:2",
	} {
		if got := localURL(in); got != want {
			t.Errorf("%s: got %s", in, got)
		}
	}
}

func TestServe(t *testing.T) {
	w := newWorld(t)
	n := &fakeNode{url: "http://127.0.0.1:7700", runErr: errors.New("it broke")}
	var got config.Config
	w.Open = func(_ context.Context, cfg config.Config, log *slog.Logger) (Node, error) {
		got = cfg
		log.Info("opened")
		return n, nil
	}
	w.Ready = func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }
	file := filepath.Join(t.TempDir(), "herald.yaml")
	if err := os.WriteFile(file, []byte("node: 3\nserver:\n  ops: 127.0.0.1:1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code := w.run(t, "serve", "--config", file, "--ops", "127.0.0.1:2")
	if code != ExitFailure || got.Node != 3 || got.Server.Ops != "127.0.0.1:2" || got.Server.Demo {
		t.Errorf("exit %d, %+v", code, got)
	}
	if !strings.HasPrefix(w.err.String(), `{"time":`) || !strings.HasSuffix(w.err.String(), "herald: it broke\n") {
		t.Errorf("logged %s", w.err)
	}
	// With a public URL, which leads through a proxy, the server is not asked.
	n.runErr = nil
	n.url = "https://push.example.com"
	ctx, stop := context.WithCancel(t.Context())
	w.Err = writer(func(p []byte) (int, error) {
		if strings.Contains(string(p), `"msg":"listening"`) {
			defer stop()
		}
		return w.err.Write(p)
	})
	if code := Main(ctx, []string{"serve", "--set", "server.public_url=https://push.example.com"}, w.World); code != 0 {
		t.Errorf("exit %d: %s", code, w.err)
	}
	n.url = "http://127.0.0.1:7700"
	w.Err = w.err
	w.err.b.Reset()
	ctx, stop = context.WithCancel(t.Context())
	w.Ready = func(context.Context, string) error { defer stop(); return nil }
	if code := Main(ctx, []string{"serve"}, w.World); code != 0 || !strings.Contains(w.err.String(), `"msg":"opened"`) {
		t.Errorf("exit %d: %s", code, w.err)
	}
}
