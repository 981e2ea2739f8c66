package cli

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSavedCommands(t *testing.T) {
	w := newWorld(t)
	folder := t.TempDir()
	list := filepath.Join(folder, "people.csv")
	if err := os.WriteFile(list, []byte("alias\nanna\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const (
		file    = `{"id":"06dbnqfs00v8k3m1p2r4","name":"people.csv","of":"aliases","lines":3,"devices":2,"unknown":1,"duplicates":0,"created_at":"2026-11-21T09:30:00Z","expires_at":"2026-12-21T09:30:00Z"}`
		segment = `{"name":"vips","audience":{"tags":["vip"]},"created_at":"2026-11-21T09:30:00Z","updated_at":"2026-11-21T09:30:00Z"`
	)
	var asked []string
	empty := false
	w.server(t, func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
		answers := map[string]string{
			"GET /v1/segments":             `{"segments":[` + segment + `}],"next_cursor":"vips"}`,
			"PUT /v1/segments/vips":        segment + `}`,
			"GET /v1/segments/vips":        segment + `,"estimate":{"devices":1200,"online":7,"unknown":0}}`,
			"POST /v1/files":               file,
			"GET /v1/files":                `{"files":[` + file + `]}`,
			"POST /v1/messages":            `{"id":"7","target":2,"stored":true}`,
			"POST /v1/tags/november":       `{"added":2,"removed":1,"unknown":["00000000000000000000"]}`,
			"GET /v1/tags":                 `{"tags":[{"tag":"vip","devices":12}]}`,
			"GET /v1/files/" + id(file):    file,
			"DELETE /v1/segments/vips":     "",
			"DELETE /v1/files/":            "",
			"DELETE /v1/files/" + id(file): "",
		}
		answer, ok := answers[r.Method+" "+r.URL.Path]
		switch {
		case !ok:
			t.Errorf("asked %s", asked[len(asked)-1])
		case empty:
			answer = `{"segments":[],"files":[],"tags":[]}`
		case r.URL.Query().Get("cursor") != "":
			answer = `{"segments":[]}`
		case answer == "":
			rw.WriteHeader(http.StatusNoContent)
		}
		fmt.Fprint(rw, answer)
	})
	home, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(folder)
	got := transcript(t, w,
		[]string{"segment", "set", "vips", `{"tags": ["vip"]}`}, []string{"segment", "list"}, []string{"segment", "show", "vips"}, []string{"segment", "rm", "vips"},
		[]string{"file", "upload", "people.csv"}, []string{"file", "upload", "people.csv", "--of", "aliases", "--name", "n", "--json"},
		[]string{"file", "list"}, []string{"file", "show", id(file)}, []string{"file", "rm", id(file)},
		[]string{"tag", "add", "november", "00000000000000000000", "--file", id(file)}, []string{"tag", "remove", "november", "--file", "people.csv"}, []string{"tag", "list"},
		[]string{"push", "Hello", "--segment", "vips", "--file", "people.csv"})
	empty = true
	got += transcript(t, w, []string{"segment", "list"}, []string{"file", "list"}, []string{"tag", "list", "--prefix", "x"})
	t.Chdir(home)
	golden(t, "saved", got)
	want := []string{
		`PUT /v1/segments/vips {"audience":{"tags":["vip"]}}`, "GET /v1/segments?limit=1000", "GET /v1/segments?cursor=vips&limit=1000",
		"GET /v1/segments/vips", "DELETE /v1/segments/vips",
		"POST /v1/files?name=people.csv alias\nanna", "POST /v1/files?name=n&of=aliases alias\nanna",
		"GET /v1/files?limit=1000", "GET /v1/files/" + id(file), "DELETE /v1/files/" + id(file),
		`POST /v1/tags/november {"add":["00000000000000000000"],"add_files":["06dbnqfs00v8k3m1p2r4"]}`,
		"POST /v1/files?name=people.csv alias\nanna", `POST /v1/tags/november {"remove_files":["06dbnqfs00v8k3m1p2r4"]}`, "GET /v1/tags?limit=1000",
		"POST /v1/files?name=people.csv alias\nanna", `POST /v1/messages {"audience":{"segments":["vips"],"files":["06dbnqfs00v8k3m1p2r4"]},"notification":{"title":"Hello"}}`,
		"GET /v1/segments?limit=1000", "GET /v1/files?limit=1000", "GET /v1/tags?limit=1000&prefix=x",
	}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %q", asked)
	}

	asked = nil
	for _, args := range [][]string{
		{"segment", "set", "vips", "tags"}, {"segment", "set", "vips", `{}`}, {"segment", "set", "vips", `{"topic":"a"}`}, {"segment", "set", "vips"},
		{"file", "upload", "missing.csv"}, {"push", "Hello", "--file", "missing.csv"}, {"tag", "add", "november"}, {"tag", "add"},
		{"push", "Hello", "--segment", ""}, {"push", "Hello", "--to-all", "--segment", "vips"},
	} {
		if code := w.run(t, args...); code != ExitUsage {
			t.Errorf("%q: exit %d: %s", args, code, w.err)
		}
	}
	if len(asked) > 0 {
		t.Errorf("asked %q", asked)
	}
}

// id is the ID in an example.
func id(text string) string {
	_, after, _ := strings.Cut(text, `"id":"`)
	before, _, _ := strings.Cut(after, `"`)
	return before
}
