package server

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/doctor"
	"github.com/herald-push/herald/internal/store/storetest/servers"
)

// TestDatabaseServer runs a server on PostgreSQL: it answers honestly while the
// database is away, goes on when it is back, and refuses a data folder that is
// not its own.
func TestDatabaseServer(t *testing.T) {
	pg := servers.Need(t, servers.Postgres)
	t.Cleanup(func() {
		if err := pg.Remove(); err != nil {
			t.Error(err)
		}
	})
	p := servers.NewProxy(t, pg)
	file := filepath.Join(t.TempDir(), "dsn")
	dsn := fmt.Sprintf("host=127.0.0.1 port=%d user=herald password=hunter2 dbname=postgres sslmode=disable\n", p.Port())
	if err := os.WriteFile(file, []byte(dsn), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Data, cfg.Server.HTTP, cfg.Server.Ops, cfg.Server.TCP = t.TempDir(), "127.0.0.1:0", "127.0.0.1:0", ""
	cfg.Limits.AddressRate, cfg.Limits.DeviceRate, cfg.Limits.KeyRate = 0, 0, 0
	cfg.Store = config.Store{Driver: config.StorePostgres, DSNFile: file}
	n := &node{t: t, cfg: cfg, done: make(chan error, 1), client: &http.Client{}}
	n.start()
	t.Cleanup(n.end)
	if !n.srv.Fresh() {
		t.Error("a new folder is not fresh")
	}
	n.send(`{"audience":"all","notification":{"title":"one"}}`)

	p.Cut()
	resp := n.post(`{"audience":"all","notification":{"title":"two"}}`)
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" || resp.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("without the database: %s, %v", resp.Status, resp.Header)
	}
	var body string
	n.until("readyz says that it is not", func() bool {
		var status int
		status, body = get(t, n, n.srv.URL()+"/readyz")
		return status == http.StatusServiceUnavailable
	})
	if strings.Contains(body, "hunter2") || strings.Contains(body, "user=") {
		t.Errorf("readyz tells how to reach the database: %s", body)
	}
	if status, _ := get(t, n, n.srv.URL()+"/livez"); status != http.StatusOK {
		t.Errorf("not alive without the database: %d", status)
	}
	p.Mend()
	n.until("readyz says that it is", func() bool {
		status, _ := get(t, n, n.srv.URL()+"/readyz")
		return status == http.StatusOK
	})
	n.send(`{"audience":"all","notification":{"title":"three"}}`)
	n.finishes(p)
	n.end()

	for range 2 { // the second time there is no key of the first
		cfg.Data = t.TempDir()
		_, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
		if herald.CodeOf(err) != herald.CodeInternal || !strings.Contains(err.Error(), keyFile) {
			t.Errorf("with the data folder of another: %v", err)
		}
		if _, err := os.Stat(filepath.Join(cfg.Data, keyFile)); err == nil {
			t.Error("the new key stays, and would be taken for the right one")
		}
	}
	n.start() // the folder that belongs to it
	if n.srv.Fresh() {
		t.Error("the folder is fresh")
	}
	n.end()
}

// finishes has a device removed without what follows from it, which is done when
// the database is back.
func (n *node) finishes(p *servers.Proxy) {
	n.t.Helper()
	var d struct {
		ID herald.RegistrationID `json:"registration_id"`
	}
	if status := n.call("POST", "/v1/devices", "", map[string]any{}, &d); status/100 != 2 {
		n.t.Fatalf("registering answered %d", status)
	}
	id := n.send(`{"audience":{"registration_ids":["` + string(d.ID) + `"]},"notification":{"title":"four"}}`).ID
	if _, err := n.srv.registry.Remove(n.t.Context(), n.app.AppKey, d.ID); err != nil {
		n.t.Fatal(err)
	}
	p.Cut()
	n.srv.unfinished.note(n.app.AppKey)
	<-time.After(firstRest + firstRest/2) // long enough for it to have been tried in vain
	p.Mend()
	var body string
	n.until("what waits for the device has ended", func() bool {
		var m struct{ Counts herald.Counts }
		n.call("GET", "/v1/messages/"+id.String(), "", nil, &m)
		body = fmt.Sprint(m.Counts)
		return m.Counts.States[herald.StateDeviceGone] == 1
	}, &body)
}

// post sends a message and gives the answer.
func (n *node) post(body string) *http.Response {
	n.t.Helper()
	req, err := http.NewRequestWithContext(n.t.Context(), http.MethodPost, n.srv.URL()+"/v1/messages", strings.NewReader(body))
	if err != nil {
		n.t.Fatal(err)
	}
	req.SetBasicAuth(string(n.app.AppKey), n.app.MasterSecret)
	resp, err := n.client.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		n.t.Error(err)
	}
	return resp
}

func TestExamineStore(t *testing.T) {
	if list := ExamineStore(t.Context(), config.Default().Store); list != nil {
		t.Errorf("of the embedded store: %+v", list)
	}
	for name, c := range map[string]config.Store{
		"nobody there": {Driver: config.StorePostgres, DSN: "postgres://herald:hunter2@127.0.0.1:1/herald"},
		"no DSN":       {Driver: config.StoreMySQL, DSN: "hunter2"},
		"no file":      {Driver: config.StoreMySQL, DSNFile: filepath.Join(t.TempDir(), "none")},
	} {
		list := ExamineStore(t.Context(), c)
		if len(list) != 1 || list[0].Check != "database" || list[0].State != doctor.Failure || list[0].Remedy == "" || strings.Contains(list[0].Text, "hunter2") {
			t.Errorf("%s: %+v", name, list)
		}
	}
}
