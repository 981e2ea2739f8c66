package cli

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTemplateCommands(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "hello.json")
	const spec = `{"language":"en","contents":{"en":{"title":"Hello {{name}}"}}}`
	if err := os.WriteFile(file, []byte(spec), 0o600); err != nil {
		t.Fatal(err)
	}
	const text = `{"name":"hello","version":2,"language":"en","contents":{"en":{"title":"Hello {{name}}"}},"variables":["name"],"created_at":"2026-11-21T09:30:00Z","updated_at":"2026-11-21T09:30:00Z"}`
	empty := false
	w.server(t, func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch at := strings.TrimSpace(r.Method + " " + r.URL.RequestURI() + " " + string(body)); at {
		case "PUT /v1/templates/hello " + spec, "GET /v1/templates/hello":
			fmt.Fprint(rw, text)
		case "GET /v1/templates?limit=1000":
			if empty {
				fmt.Fprint(rw, `{"templates":[]}`)
				return
			}
			fmt.Fprint(rw, `{"templates":[`+text+`]}`)
		case `POST /v1/templates/hello/render {"values":{"name":"Ann"},"language":"en"}`:
			fmt.Fprint(rw, `{"notification":{"title":"Hello Ann"},"version":2}`)
		case "DELETE /v1/templates/hello":
			rw.WriteHeader(http.StatusNoContent)
		default:
			t.Errorf("asked %s", at)
		}
	})
	var all strings.Builder
	for _, args := range [][]string{
		{"set", "hello", "FILE"}, {"set", "hello", "-"}, {"list"}, {"show", "hello"}, {"render", "hello", "--value", "name=Ann", "--language", "en"}, {"rm", "hello"}, {"list", "--json"}, {"list"},
	} {
		empty = len(args) == 1 && strings.Contains(all.String(), "deleted")
		w.In = strings.NewReader(spec)
		shown := "$ herald template " + strings.Join(args, " ") + "\n"
		if len(args) == 3 && args[2] == "FILE" {
			args[2] = file
		}
		w.out.b.Reset()
		if code := w.run(t, append([]string{"template"}, args...)...); code != 0 {
			t.Errorf("%q: exit %d: %s", args, code, w.err)
		}
		all.WriteString(shown + w.out.String())
	}
	golden(t, "template", all.String())
	w.In = strings.NewReader("{")
	for _, args := range [][]string{{}, {"set", "x"}, {"set", "x", filepath.Join(t.TempDir(), "none")}, {"set", "x", "-"}, {"render", "x", "--value", "=a"}, {"show"}} {
		if code := w.run(t, append([]string{"template"}, args...)...); code != ExitUsage {
			t.Errorf("%q: exit %d: %s", args, code, w.err)
		}
	}
}
