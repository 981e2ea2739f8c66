package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRows writes rows into a database that the server could have made, and
// says what is wrong with one that is not there.
func TestRows(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data")
	if _, err := Seed(t.Context(), Seeding{Folder: folder, Population: Population{Seed: 1, Devices: 3, Tags: 1, Now: time.Now()}}); err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(folder, "herald.db")
	var in, out bytes.Buffer
	for from := range 2 {
		fmt.Fprintf(&in, `{"database":%q,"from":%d,"count":%d,"devices":3,"payload":256}`+"\n", database, from*(rowsGroup+1), rowsGroup+1)
	}
	if err := runRows(&in, &out); err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(&out); d.More(); {
		var a rowsAnswer
		if err := d.Decode(&a); err != nil || a.Error != "" || a.Took <= 0 {
			t.Fatalf("%+v, %v", a, err)
		}
	}
	w := &rowWriter{}
	if err := w.open(t.Context(), database); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"msg", "entry", "release_log"} {
		n := 0
		if err := w.db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil || n != 2*(rowsGroup+1) {
			t.Errorf("%s has %d rows, %v", table, n, err)
		}
	}
	if err := w.close(); err != nil {
		t.Error(err)
	}
	for _, line := range []string{"no JSON", fmt.Sprintf(`{"database":%q,"count":1}`, filepath.Join(folder, "none"))} {
		out.Reset()
		if err := runRows(strings.NewReader(line+"\n"), &out); err != nil || !strings.Contains(out.String(), `"error"`) {
			t.Errorf("%s: %v, %s", line, err, out.String())
		}
	}
}
