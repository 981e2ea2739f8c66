package cli

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

func TestAliasImport(t *testing.T) {
	w := newWorld(t)
	folder := t.TempDir()
	const list = "registration_id,alias\n06dbnqfs00v8k3m1p2r4,anna\nx,y\n"
	if err := os.WriteFile(filepath.Join(folder, "people.csv"), []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	w.server(t, func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || r.URL.Path != "/v1/aliases" || r.Header.Get("Content-Type") != "text/csv; charset=utf-8" || string(body) != list {
			t.Errorf("asked %s %s %v %q", r.Method, r.URL, r.Header, body)
		}
		fmt.Fprint(rw, `{"bound":1,"unchanged":2,"unknown":3,"refused":5,"errors":[{"line":3,"detail":"\"x\" is not a registration ID"}]}`)
	})
	home, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(folder)
	got := transcript(t, w, []string{"alias", "import", "people.csv"}, []string{"alias", "import", "people.csv", "--json"})
	t.Chdir(home)
	golden(t, "alias", got)
}
