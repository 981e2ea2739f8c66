package faults_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// edit changes a data folder that no server has open.
func edit(t *testing.T, data, query string, args ...any) int64 {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(filepath.Join(data, "herald.db")))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	r, err := db.ExecContext(context.Background(), query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	n, err := r.RowsAffected()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// flip changes one bit of one value: its last byte becomes another.
func flip(t *testing.T, data, table, column, where string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(filepath.Join(data, "herald.db")))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx := context.Background()
	var b []byte
	if err := db.QueryRowContext(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE %s LIMIT 1", column, table, where)).Scan(&b); err != nil || len(b) == 0 {
		t.Fatalf("there is no %s in %s to flip a bit of: %v", column, table, err)
	}
	old := string(b)
	b[len(b)/2] ^= 1
	if _, err := db.ExecContext(ctx, fmt.Sprintf("UPDATE %s SET %s = ? WHERE %s AND %s = ?", table, column, where, column), b, []byte(old)); err != nil {
		t.Fatal(err)
	}
}

// TestFlippedBit changes one stored bit, which SQLite does not notice. The
// server has to notice it, to name the row, and never to serve it; what does
// not rest on it goes on.
func TestFlippedBit(t *testing.T) {
	t.Parallel()
	tests := []struct {
		table, column, where string
		// refuses says that the server does not start: everything rests on it.
		refuses bool
		// states says that the message itself is whole, and is delivered.
		states bool
	}{
		{"msg", "body", "id = %[1]s", false, false},
		{"msg", "target", "id = %[1]s", false, false},
		{"direct_chunk", "bits", "state = 'received'", false, true},
		{"set_chunk", "bits", "1", true, false},
		{"receipt_log", "batch", "1", true, false},
		{"set_log", "changes", "1", true, false},
	}
	for _, tt := range tests {
		t.Run(tt.table+"."+tt.column, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, plain(t))
			n.mustStart()
			w := newWorld(t, n, seed(t), size{devices: 2})
			away := w.list(0)[0]
			damaged := w.pushTo(t, away)
			whole := w.pushTo(t, away)
			w.acknowledgeAll(t, w.list(0)[1], w.pushTo(t, w.list(0)[1]))
			if strings.HasSuffix(tt.table, "_chunk") {
				if code := n.stop(); code != 0 { // which folds the logs
					t.Fatalf("exit code %d", code)
				}
			} else {
				n.kill()
			}
			where := tt.where
			if strings.Contains(where, "%") {
				where = fmt.Sprintf(where, damaged.ID)
			}
			flip(t, n.data, tt.table, tt.column, where)
			if wrong := inspect(n.data, false); len(wrong) == 0 {
				t.Fatal("the checksums hold: the bit was not flipped")
			}
			from := len(n.out.from(0))
			err := n.start()
			if said := strings.Contains(n.out.from(from), "is damaged"); !said && (err != nil || tt.refuses) {
				t.Errorf("nothing is said of the damage: %v", n.out.from(from))
			}
			if (err != nil) != tt.refuses {
				t.Fatalf("started: %v, want an error: %t", err, tt.refuses)
			}
			if err != nil {
				return
			}
			r := n.call(t.Context(), web, http.MethodGet, "/v1/messages/"+damaged.ID, w.apps[0].basic(), "", nil)
			if r.status != http.StatusServiceUnavailable || r.code != "storage_unavailable" {
				t.Errorf("the damaged message is answered with %d %s", r.status, r.code)
			}
			later := w.pushTo(t, away)
			w.begin()
			w.calm.Store(true)
			for _, p := range []*push{whole, later} {
				until(t, "the device has what is whole", func() bool { return w.got(away, p) })
			}
			if !tt.states && w.got(away, damaged) {
				t.Error("what is damaged was delivered")
			}
			if out := n.out.from(from); !strings.Contains(out, "is damaged") {
				t.Errorf("nothing is said of the damage:\n%s", out)
			}
		})
	}
}

// pushTo pushes to one device and wants it accepted.
func (w *world) pushTo(t *testing.T, d *device) *push {
	t.Helper()
	n := w.nonces.Add(1)
	p := &push{
		App: d.app, Kind: "ids", Names: []string{d.id}, TTL: 24 * time.Hour,
		Key: fmt.Sprintf("key-%d", n), Nonce: fmt.Sprintf("n%d-%d", w.seed, n),
	}
	w.mustSend(t, p)
	return p
}

func (w *world) mustSend(t *testing.T, p *push) {
	t.Helper()
	w.send(web, p)
	if !p.accepted() {
		t.Fatalf("a push was answered with %d %s", p.Status, p.Code)
	}
}

// got reports whether a device has received a push.
func (w *world) got(d *device, p *push) bool {
	w.j.mu.Lock()
	defer w.j.mu.Unlock()
	for _, f := range w.j.frames {
		if f.Device == d.index && f.Nonce == p.Nonce && f.Type == "message" {
			return true
		}
	}
	return false
}

// acknowledgeAll reports pushes as received, and wants that counted.
func (w *world) acknowledgeAll(t *testing.T, d *device, list ...*push) {
	t.Helper()
	for _, p := range list {
		body := map[string]any{"receipts": []map[string]string{{"id": p.ID, "event": "received"}}}
		if r := w.n.call(t.Context(), web, http.MethodPost, "/v1/receipts", "Bearer "+d.token, "", body); r.status/100 != 2 {
			t.Fatalf("a receipt was answered with %d %s", r.status, r.code)
		}
	}
}
