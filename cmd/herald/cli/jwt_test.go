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

func TestJWTCommands(t *testing.T) {
	w := newWorld(t)
	const key = `"id":"q2w8e0r4","kid":"2026","issuer":"https://id.example.com","algorithm":"HS256","created_at":"2026-11-21T09:30:00Z"`
	var asked []string
	empty := false
	w.server(t, func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
		switch {
		case r.Method == http.MethodDelete:
			rw.WriteHeader(http.StatusNoContent)
		case empty:
			fmt.Fprint(rw, `{"keys":[]}`)
		case r.Method == http.MethodGet:
			fmt.Fprint(rw, `{"keys":[{`+key+`},{`+key+`,"expires_at":"2027-11-21T09:30:00Z"}]}`)
		case strings.Contains(string(body), "PUBLIC"):
			fmt.Fprint(rw, `{`+key+`}`)
		default:
			fmt.Fprint(rw, `{`+key+`,"secret":"the secret that was made"}`)
		}
	})
	file := func(text string) string {
		name := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	var all strings.Builder
	run := func(shown string, args ...string) {
		t.Helper()
		w.out.b.Reset()
		if code := w.run(t, append([]string{"app", "jwt"}, args...)...); code != ExitOK {
			t.Errorf("%q: exit %d: %s", args, code, w.err)
		}
		all.WriteString("$ herald app jwt " + shown + "\n" + w.out.String())
	}
	run("list", "list")
	run("add 2026 backend HS256 --json", "add", "2026", "backend", "HS256", "--json")
	run("add 2026 backend HS256", "add", "2026", "backend", "HS256")
	run("add 2026 backend EdDSA --public-key id.pem", "add", "2026", "backend", "EdDSA", "--public-key", file("-----BEGIN PUBLIC KEY-----"))
	run("remove q2w8e0r4", "remove", "q2w8e0r4")
	empty = true
	run("list", "list")
	golden(t, "jwt", all.String())
	want := []string{
		`GET /v1/jwt_keys`,
		`POST /v1/jwt_keys {"kid":"2026","issuer":"backend","algorithm":"HS256"}`,
		`POST /v1/jwt_keys {"kid":"2026","issuer":"backend","algorithm":"HS256"}`,
		`POST /v1/jwt_keys {"kid":"2026","issuer":"backend","algorithm":"EdDSA","public_key":"-----BEGIN PUBLIC KEY-----"}`,
		`DELETE /v1/jwt_keys/q2w8e0r4`,
		`GET /v1/jwt_keys`,
	}
	if fmt.Sprint(asked) != fmt.Sprint(want) {
		t.Errorf("asked for\n%s\nwant\n%s", strings.Join(asked, "\n"), strings.Join(want, "\n"))
	}
	for _, args := range [][]string{
		{"add", "a", "b", "HS256", "--secret-file", file(strings.Repeat("x", 9000))},
		{"add", "a", "b", "HS256", "--secret-file", filepath.Join(t.TempDir(), "none")},
		{"add", "a", "b", "HS256", "--expires", "-1h"},
	} {
		if code := w.run(t, append([]string{"app", "jwt"}, args...)...); code != ExitUsage {
			t.Errorf("%q: exit %d", args, code)
		}
	}
}
