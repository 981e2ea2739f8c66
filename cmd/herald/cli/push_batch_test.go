package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPushBatch(t *testing.T) {
	w := newWorld(t)
	var sizes []int
	w.server(t, func(rw http.ResponseWriter, r *http.Request) {
		var list []map[string]int
		if err := json.NewDecoder(r.Body).Decode(&list); err != nil || r.URL.Path != "/v1/messages:batch" {
			t.Errorf("%s: %v", r.URL, err)
		}
		sizes = append(sizes, len(list))
		out := make([]string, len(list))
		for i, m := range list {
			if out[i] = fmt.Sprintf(`{"id":"%d","stored":true}`, m["n"]+1); m["n"] == 1500 {
				out[i] = fmt.Sprintf(`{"index":%d,"code":"invalid_request","detail":"is bad"}`, i)
			}
		}
		fmt.Fprint(rw, "["+strings.Join(out, ",")+"]")
	})
	var in strings.Builder
	for i := range 2100 {
		fmt.Fprintf(&in, " {\"n\":%d}\r\n\n", i)
	}
	file := filepath.Join(t.TempDir(), "messages.ndjson")
	if err := os.WriteFile(file, []byte(in.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if code := w.run(t, "push", "--batch", file); code != ExitRefused || !strings.Contains(w.err.String(), "1 of 2100 messages were refused") {
		t.Errorf("exit %d: %s", code, w.err)
	}
	lines := strings.Split(strings.TrimSpace(w.out.String()), "\n")
	if len(lines) != 2100 || lines[0] != `{"id":"1","stored":true}` || lines[1500] != `{"index":1500,"code":"invalid_request","detail":"is bad"}` || fmt.Sprint(sizes) != "[1000 1000 100]" {
		t.Errorf("%d lines, batches of %v, line 1500 is %s", len(lines), sizes, lines[min(1500, len(lines)-1)])
	}

	w.out, w.err = &safe{}, &safe{}
	w.Out, w.Err, w.In = w.out, w.err, strings.NewReader(`{"n":7}`)
	if code := w.run(t, "push", "--batch", "-"); code != 0 || w.out.String() != `{"id":"8","stored":true}`+"\n" {
		t.Errorf("exit %d: %s%s", code, w.out, w.err)
	}
}

func TestPushBatchFails(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		in   string
		code int
		want string
	}{
		"no file":      {[]string{"--batch", "/nowhere/at/all"}, "", ExitUsage, "/nowhere/at/all"},
		"not JSON":     {[]string{"--batch", "-"}, "{}\n{", ExitUsage, "line 2 is not JSON"},
		"a long line":  {[]string{"--batch", "-"}, "{}\n" + strings.Repeat("x", maxBatchLine+1), ExitUsage, "line 2 is longer"},
		"a text":       {[]string{"--batch", "-", "Hello"}, "", ExitUsage, "contradict"},
		"another flag": {[]string{"--batch", "-", "--alias", "ann"}, "", ExitUsage, "alias"},
		"refused":      {[]string{"--batch", "-"}, "{}", ExitRefused, "not now"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.In = strings.NewReader(c.in)
			w.server(t, func(rw http.ResponseWriter, _ *http.Request) {
				rw.WriteHeader(http.StatusForbidden)
				fmt.Fprint(rw, `{"code":"forbidden","detail":"not now"}`)
			})
			if code := w.run(t, append([]string{"push"}, c.args...)...); code != c.code || !strings.Contains(w.err.String(), c.want) {
				t.Errorf("exit %d: %s", code, w.err)
			}
		})
	}
}
