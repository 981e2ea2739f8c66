package api_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

// rows reads every column of every table of the record, as text.
func (w *world) rows() map[string]string {
	w.t.Helper()
	db, err := sql.Open("sqlite", "file:"+w.path+"?mode=ro")
	w.must(err)
	defer db.Close()
	names := func(q string) (out []string) {
		rows, err := db.QueryContext(w.t.Context(), q)
		w.must(err)
		defer rows.Close()
		for rows.Next() {
			var name string
			w.must(rows.Scan(&name))
			out = append(out, name)
		}
		w.must(rows.Err())
		return out
	}
	out := map[string]string{}
	for _, table := range names("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'") {
		for _, column := range names("SELECT name FROM pragma_table_info('" + table + "')") {
			out[table+"."+column] = strings.Join(names(fmt.Sprintf("SELECT COALESCE(CAST(%s AS TEXT), '') FROM %s", column, table)), "\n")
		}
	}
	return out
}

// bytes is the file of the record and what is beside it, after a checkpoint.
func (w *world) bytes() []byte {
	w.t.Helper()
	db, err := sql.Open("sqlite", "file:"+w.path)
	w.must(err)
	defer db.Close()
	_, err = db.ExecContext(w.t.Context(), "PRAGMA busy_timeout = 5000; PRAGMA wal_checkpoint(TRUNCATE)")
	w.must(err)
	var all []byte
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(w.path + suffix)
		if err != nil && !os.IsNotExist(err) {
			w.t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}

// where says which columns hold a text.
func where(rows map[string]string, text string) (out []string) {
	for column, values := range rows {
		if strings.Contains(values, text) {
			out = append(out, column)
		}
	}
	return out
}

func TestErase(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	const installation = "installation-of-anna"
	anna := w.device(w.a, api.RegisterRequest{Installation: installation, Alias: "anna", Attributes: map[string]string{"city": "Timbuktu"},
		Addresses: []api.DeviceAddress{{Vendor: herald.VendorAPNs, Token: "token-on-her-phone"}}, Profile: api.Profile{Platform: "ios"}})
	bob := w.device(w.a, api.RegisterRequest{Alias: "bob"})
	second := w.device(w.a, api.RegisterRequest{Alias: "bob"})
	for i, d := range []api.Principal{anna, bob, second} {
		w.online(d, i < 2)
	}

	send := func(body, key string) herald.MessageID {
		t.Helper()
		a, err := w.sendKey(w.masterA, body, key)
		w.must(err)
		w.settle()
		return a.ID
	}
	alone := []herald.MessageID{
		send(`{"audience":{"registration_ids":["`+string(anna.Device)+`"]},"notification":{"title":"for anna alone"},"collapse_key":"cart-of-anna","ordering_key":"order-of-anna"}`, "key-of-anna"),
		send(`{"audience":{"aliases":["anna"]},"data":"for anna alone, too"}`, ""),
		send(fmt.Sprintf(`{"audience":{"aliases":["anna"]},"data":"for anna alone, later","send_at":%q}`, w.now.Add(time.Hour).Format(time.RFC3339)), "later-of-anna"),
		// Large enough that its body lies on pages of its own.
		send(`{"audience":{"aliases":["anna"]},"data":"for anna alone: `+long(20_000)+`"}`, ""),
	}
	both := send(`{"audience":{"aliases":["anna","bob"]},"data":"for both"}`, "")
	deep := send(`{"audience":{"tags_not":["x"],"or":[{"registration_ids":["`+string(anna.Device)+`"]},{"not":{"aliases":["anna"]}}]},"data":"for all"}`, "")
	others := send(`{"audience":{"aliases":["bob"]},"data":"for bob alone"}`, "key-of-bob")
	w.report(alone[0], herald.StateDisplayed, anna)
	w.report(both, herald.StateReceived, anna, bob)
	w.report(deep, herald.StateReceived, anna)
	w.must(w.ledger.Fold(ctx, true))
	w.report(both, herald.StateDisplayed, anna, bob) // not folded yet
	trace := func(id herald.MessageID, p api.Principal) string {
		tr, err := w.s.Messages.Trace(ctx, w.masterA, id, p.Device)
		w.must(err)
		return asJSON(t, tr)
	}
	counts := func(id herald.MessageID) herald.Counts {
		v, err := w.s.Messages.Get(ctx, w.masterA, id)
		w.must(err)
		return *v.Counts
	}
	before, bobs := counts(both), trace(both, bob)

	hash := []byte(strings.Trim(w.rows()["device.installation"], "\n")) // the only one
	secrets := []string{string(anna.Device), "anna", "Timbuktu", "for anna alone", "cart-of-anna", "order-of-anna", "key-of-anna", "later-of-anna"}
	for _, s := range secrets {
		if len(where(w.rows(), s)) == 0 {
			t.Errorf("%q is nowhere in the record even before", s)
		}
	}
	if len(hash) < 16 || !bytes.Contains(w.bytes(), hash) {
		t.Error("the hash of the installation is nowhere even before")
	}

	_, err := w.s.Devices.PutAddresses(ctx, w.masterA, "anna", api.RecipientAddressesRequest{Phone: "+8613800138000", Email: "her@mail.example"})
	w.must(err)
	secrets = append(secrets, "token-on-her-phone", "+8613800138000", "her@mail.example")
	w.must(w.s.Devices.Erase(ctx, w.masterA, anna.Device))
	rows, file := w.rows(), w.bytes()
	for _, s := range secrets {
		if at := where(rows, s); len(at) > 0 {
			t.Errorf("%q is still in %v", s, at)
		}
		if bytes.Contains(file, []byte(s)) {
			t.Errorf("%q is in no row, and still in the file", s)
		}
	}
	for _, id := range alone {
		if !w.hub.heard("forget " + id.String()) {
			t.Errorf("frames of message %s are kept", id)
		}
	}
	if bytes.Contains(file, hash) {
		t.Error("the hash of the installation is still in the file")
	}

	// Counts stay true, and the others lose nothing.
	after := counts(both)
	if after.Target != before.Target || after.Received != before.Received || after.Displayed != before.Displayed {
		t.Errorf("counts %+v, before %+v", after, before)
	}
	if got := trace(both, bob); got != bobs {
		t.Errorf("the trace of another device is now\n%s, before\n%s", got, bobs)
	}
	for _, s := range []string{"for both", "for all", "for bob alone", "key-of-bob", string(bob.Device)} {
		if len(where(rows, s)) == 0 {
			t.Errorf("%q is gone, too", s)
		}
	}
	for _, id := range alone {
		v, err := w.s.Messages.Get(ctx, w.masterA, id)
		if err != nil || v.Notification != nil || v.Data != nil {
			t.Errorf("message %s is shown as %s, %v", id, asJSON(t, v), err)
		}
	}
	r, err := w.s.Messages.Report(ctx, w.masterA, both, "")
	w.must(err)
	if r.Funnel.Received != 2 || r.Timeline.Unknown != (api.Steps{Sent: 1, Received: 1, Displayed: 1}) {
		t.Errorf("report %s: when it came to the erased device is to be unknown", asJSON(t, r))
	}
	if err := w.s.Devices.Erase(ctx, w.masterA, anna.Device); code(err) != herald.CodeNotFound {
		t.Errorf("once more: %v", err)
	}

	// One of two phones: the person stays until the last one is erased.
	w.must(w.s.Devices.Erase(ctx, w.masterA, bob.Device))
	rows = w.rows()
	if len(where(rows, "for bob alone")) == 0 || len(where(rows, "bob")) == 0 || len(where(rows, string(bob.Device))) != 0 {
		t.Errorf("of one of two phones: %v, %v", where(rows, "bob"), where(rows, string(bob.Device)))
	}
	w.must(w.s.Devices.Erase(ctx, w.masterA, second.Device))
	rows = w.rows()
	if at := append(where(rows, "for bob alone"), where(rows, "bob")...); len(at) > 0 {
		t.Errorf("of the last phone: %v", at)
	}
	if c := counts(others); c.Target != 2 {
		t.Errorf("counts %+v", c)
	}
}

func TestEraseIsForBackends(t *testing.T) {
	w := newWorld(t)
	d := w.device(w.a, api.RegisterRequest{})
	if err := w.s.Devices.Erase(t.Context(), d, d.Device); code(err) != herald.CodeForbidden {
		t.Errorf("a device: %v", err)
	}
	if err := w.s.Devices.Erase(t.Context(), w.masterB, d.Device); code(err) != herald.CodeNotFound {
		t.Errorf("another app: %v", err)
	}
	if _, err := w.s.Devices.Get(t.Context(), w.masterA, d.Device); err != nil {
		t.Errorf("the device is gone: %v", err)
	}
}
