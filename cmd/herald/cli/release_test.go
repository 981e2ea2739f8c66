package cli

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestReleaseCommands(t *testing.T) {
	for _, tt := range []struct{ command, answer, want string }{
		{"pause", `"paused":true,"release":{"devices":10,"released":4,"steps":2}`, "released to 4 of 10 devices, paused"},
		{"resume", `"release":{"devices":10,"released":4,"steps":2,"next_at":"2026-11-21T09:30:01Z"}`, "released to 4 of 10 devices, next 2026-11-21 09:30:01"},
		{"stop", `"release":{"devices":10,"released":4,"steps":2,"stopped":true}`, "released to 4 of 10 devices, stopped"},
	} {
		t.Run(tt.command, func(t *testing.T) {
			w := newWorld(t)
			w.server(t, func(rw http.ResponseWriter, r *http.Request) {
				if want := "POST /v1/messages/42:" + tt.command; r.Method+" "+r.URL.Path != want {
					t.Errorf("asked %s %s, want %s", r.Method, r.URL.Path, want)
				}
				fmt.Fprintf(rw, `{"id":"42","state":"sending","counts":{"target":10,"states":{"pending":10}},%s}`, tt.answer)
			})
			if code := w.run(t, tt.command, "42"); code != 0 || !strings.Contains(w.out.String(), tt.want) {
				t.Errorf("exit %d: %s%s", code, w.err, w.out)
			}
			w.out.b.Reset()
			if code := w.run(t, tt.command, "42", "--json"); code != 0 || !strings.Contains(w.out.String(), `"released":4`) {
				t.Errorf("exit %d: %s%s", code, w.err, w.out)
			}
			if code := w.run(t, tt.command, "x"); code != ExitUsage {
				t.Errorf("exit %d: %s", code, w.err)
			}
		})
	}
}
