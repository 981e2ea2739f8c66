package server

import (
	"bytes"
	"context"
	"encoding/base64"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/config"
)

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// TestNoSecretIsKept has every kind of credential made, used, misused and
// replaced, and looks for each in the files of the database and in the log at
// its most talkative.
func TestNoSecretIsKept(t *testing.T) {
	cfg := config.Default()
	cfg.Data, cfg.Server.HTTP, cfg.Server.Ops = t.TempDir(), "127.0.0.1:0", "127.0.0.1:0"
	cfg.Limits.AddressRate, cfg.Limits.DeviceRate, cfg.Limits.KeyRate = 0, 0, 0
	var log lockedBuffer
	srv, err := Open(t.Context(), cfg, slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	n := &node{t: t, cfg: cfg, srv: srv, stop: stop, done: make(chan error, 1), client: &http.Client{}}
	go func() { n.done <- srv.Run(ctx) }()
	t.Cleanup(n.end)

	secrets := map[string]string{"server key": string(srv.folder.key), "server key as text": base64.StdEncoding.EncodeToString(srv.folder.key)}
	last := func(token string) string { return token[strings.LastIndexByte(token, '.')+1:] }
	if n.app, err = srv.Admin().CreateApp(ctx, api.NewApp{Name: "canary-app"}); err != nil {
		t.Fatal(err)
	}
	secrets["master secret"], secrets["JWT secret"] = n.app.MasterSecret, n.app.JWTSecret
	secrets["Basic"] = base64.StdEncoding.EncodeToString([]byte(string(n.app.AppKey) + ":" + n.app.MasterSecret))
	if n.app, err = srv.Admin().RotateApp(ctx, n.app.AppKey, time.Hour); err != nil {
		t.Fatal(err)
	}
	secrets["new master secret"] = n.app.MasterSecret

	const installation = "installation-of-the-canary-0123456789"
	secrets["installation"] = installation
	d := n.register(api.RegisterRequest{Installation: installation})
	secrets["device token"] = last(d.Token)
	page, err := srv.Admin().PageToken(ctx, n.app.AppKey, "page-"+installation)
	if err != nil {
		t.Fatal(err)
	}
	secrets["page token"] = last(page)
	n.call("POST", "/v1/devices", page, `{}`, nil)

	var key, turned api.KeyAnswer
	n.call("POST", "/v1/keys", "", api.KeyRequest{Name: "canary-key", Scopes: []string{"messages:send", "devices:write"}}, &key)
	n.call("POST", "/v1/keys/"+key.ID+"/rotate", "", api.KeyRotation{}, &turned)
	secrets["key"], secrets["rotated key"] = last(key.Key), last(turned.Key)
	none := []string{"192.0.2.1"}
	for _, token := range []string{key.Key, turned.Key, d.Token, page, key.Key + "x", d.Token + "x", page + "x"} {
		n.call("POST", "/v1/messages", token, `{"audience":"all","data":1}`, nil)
		n.call("GET", "/v1/messages?access_token="+token, token, nil, nil)
		n.call("DELETE", "/v1/keys/"+token, "", nil, nil)
	}
	n.call("PATCH", "/v1/keys/"+key.ID, "", api.KeyUpdate{Networks: &none}, nil)
	n.call("POST", "/v1/messages", turned.Key, `{"audience":"all","data":1}`, nil)
	n.end()

	files, err := filepath.Glob(filepath.Join(cfg.Data, "herald.db*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	var kept []byte
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, b...)
	}
	// What is no secret is found where it belongs: it is looked in the right
	// places, and all of this was done.
	for _, word := range []string{"canary-app", "canary-key", key.ID, string(d.RegistrationID), "rotateKey", "rotateApp"} {
		if !bytes.Contains(kept, []byte(word)) {
			t.Errorf("the database has no %q", word)
		}
	}
	if !bytes.Contains(log.b.Bytes(), []byte(`"operation":"rotateKey"`)) {
		t.Error("the log does not tell of the calls")
	}
	for name, secret := range secrets {
		if len(secret) < 16 {
			t.Errorf("the %s is only %d bytes", name, len(secret))
		}
		if bytes.Contains(kept, []byte(secret)) {
			t.Errorf("the %s is in the database", name)
		}
		if bytes.Contains(log.b.Bytes(), []byte(secret)) {
			t.Errorf("the %s is in the log", name)
		}
	}
}
