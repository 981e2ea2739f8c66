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

func TestCredentialCommands(t *testing.T) {
	w := newWorld(t)
	const (
		fields  = `"id":"crd_1","vendor":"apns","environment":"sandbox","name":"","values":{"topic":"t"},"created_at":"2026-11-21T09:30:00Z","updated_at":"2026-11-21T09:30:00Z"`
		good    = `{` + fields + `,"state":"good","verified_at":"2026-11-21T09:30:00Z"}`
		fresh   = `{` + fields + `,"state":"unverified","verified_at":null}`
		refused = `{` + fields + `,"state":"problem","verified_at":null,"problem":{"kind":"unauthorized","code":"403","text":"the key\nhas ended","remedy":"Make a new one.","at":"2026-11-21T09:30:00Z"}}`
		plain   = `{` + fields + `,"state":"problem","verified_at":null,"problem":{"kind":"unavailable","text":"out of reach","at":"2026-11-21T09:30:00Z"}}`
	)
	var asked []string
	list, answer := `{"credentials":[]}`, fresh
	w.server(t, func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
		switch {
		case r.Method == http.MethodDelete:
			rw.WriteHeader(http.StatusNoContent)
		case r.URL.Path == "/v1/vendors":
			fmt.Fprint(rw, `{"vendors":[{"name":"apns","environments":["production","sandbox"],"fields":[{"name":"topic","secret":false,"needed":true,"help":"The bundle ID."},{"name":"key","secret":true,"needed":false}]},`+
				`{"name":"fcm","environments":[],"fields":[{"name":"service_account","secret":true,"needed":true,"help":"A file."},{"name":"url","secret":false,"needed":false}]}]}`)
		case r.Method == http.MethodGet:
			fmt.Fprint(rw, list)
		default:
			fmt.Fprint(rw, answer)
		}
	})
	file := func(text string) string {
		name := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	got := transcript(t, w, []string{"credential", "list"}, []string{"credential", "vendors"},
		[]string{"credential", "add", "apns", "--set", "topic=a=b", "--set", "key=@@x"}, []string{"credential", "add", "apns", "--set", "topic=t", "--verify"},
		[]string{"credential", "update", "crd_1", "--set", "topic="}, []string{"credential", "remove", "crd_1"}, []string{"credential", "verify", "crd_1", "--json"})
	answer = good
	got += transcript(t, w, []string{"credential", "add", "apns", "--set", "topic=t", "--environment", "sandbox", "--name", "n", "--verify"},
		[]string{"credential", "update", "crd_1", "--set", "topic=t", "--verify"}, []string{"credential", "verify", "crd_1"})
	list = `{"credentials":[` + good + `,` + refused + `,` + plain + `]}`
	got += transcript(t, w, []string{"credential", "list"})

	// What a vendor refuses is an error, and said with its remedy.
	answer = refused
	for _, args := range [][]string{{"add", "apns", "--set", "topic=t", "--verify"}, {"update", "crd_1", "--set", "topic=t", "--verify"}, {"verify", "crd_1"}} {
		w.out.b.Reset()
		w.err.b.Reset()
		if code := w.run(t, append([]string{"credential"}, args...)...); code != ExitRefused {
			t.Errorf("%q: exit %d", args, code)
		}
		got += "$ herald credential " + strings.Join(args, " ") + "\n" + w.out.String() + w.err.String()
	}
	golden(t, "credential", got)

	answer = fresh
	asked = nil
	if code := w.run(t, "credential", "add", "fcm", "--set", "service_account=@"+file("{}\r\n"), "--set", "url=@"+file("\xff\x00")); code != ExitOK {
		t.Errorf("exit %d: %s", code, w.err)
	}
	if want := `POST /v1/credentials {"vendor":"fcm","values":{"service_account":"{}","url":"/wA="}}`; len(asked) != 1 || asked[0] != want {
		t.Errorf("asked %q, want %q", asked, want)
	}
	for _, args := range [][]string{
		{"add", "apns"}, {"add", "apns", "--set", "topic"}, {"add", "apns", "--set", "=x"}, {"add", "apns", "--set", "a=1", "--set", "a=2"},
		{"update", "crd_1"}, {"add", "apns", "--set", "key=@" + filepath.Join(t.TempDir(), "none")}, {"add", "apns", "--set", "key=@" + file(strings.Repeat("x", 65<<10))},
	} {
		if code := w.run(t, append([]string{"credential"}, args...)...); code != ExitUsage {
			t.Errorf("%q: exit %d", args, code)
		}
	}
}
