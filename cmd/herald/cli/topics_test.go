package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// transcript runs commands and gives what a terminal shows of them.
func transcript(t *testing.T, w *world, commands ...[]string) string {
	t.Helper()
	var all strings.Builder
	for _, args := range commands {
		w.out.b.Reset()
		if code := w.run(t, args...); code != 0 {
			t.Errorf("%q: exit %d: %s", args, code, w.err)
		}
		all.WriteString("$ herald " + strings.Join(args, " ") + "\n" + w.out.String())
	}
	return all.String()
}

func TestTopicCommands(t *testing.T) {
	w := newWorld(t)
	var asked []string
	w.server(t, func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
		switch {
		case r.URL.Path == "/v1/publish":
			fmt.Fprint(rw, `{"topic":"chat/7","devices":1}`)
		case r.URL.Query().Get("prefix") == "none":
			fmt.Fprint(rw, `{"topics":[]}`)
		case r.URL.Query().Has("topic"):
			fmt.Fprint(rw, `{"topics":[{"topic":"b","devices":0,"sessions":0},{"topic":"a","devices":12,"sessions":13}]}`)
		case r.URL.Query().Get("cursor") == "":
			fmt.Fprint(rw, `{"topics":[{"topic":"chat/7","devices":3,"sessions":4}],"next_cursor":"chat/7"}`)
		default:
			fmt.Fprint(rw, `{"topics":[{"topic":"x\u001b[31m\ny","devices":1,"sessions":1}]}`)
		}
	})
	golden(t, "topics", transcript(t, w,
		[]string{"publish", "chat/7", `{"text": "Hello"}`}, []string{"publish", "chat/7", `1`, "--json"},
		[]string{"topics"}, []string{"topics", "--prefix", "none"}, []string{"topics", "b", "a"}, []string{"topics", "--prefix", "none", "--json"}))
	want := []string{
		`POST /v1/publish {"topic":"chat/7","data":{"text":"Hello"}}`, `POST /v1/publish {"topic":"chat/7","data":1}`,
		"GET /v1/topics?limit=1000", "GET /v1/topics?cursor=chat%2F7&limit=1000", "GET /v1/topics?limit=1000&prefix=none",
		"GET /v1/topics?topic=b&topic=a", "GET /v1/topics?limit=1000&prefix=none",
	}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %q", asked)
	}
}

func TestAppSettings(t *testing.T) {
	w := newWorld(t)
	var asked []string
	w.server(t, func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
		topics := `{"subscribe":["#"],"publish":[]}`
		if r.Method == http.MethodPatch {
			topics = `{"subscribe":[],"publish":["chat/+","device/{registration_id}/#"]}`
		}
		fmt.Fprintf(rw, `{"app_key":%q,"name":"shop","created_at":"2026-11-21T09:00:00Z","device_aliases":true,"device_tags":false,"origins":[],"topics":%s,"devices":2,"online":1}`, testKey, topics)
	})
	golden(t, "app-settings", transcript(t, w,
		[]string{"app", "show"}, []string{"app", "show", "--json"},
		[]string{"app", "set", "--topic-publish", "chat/+", "--topic-publish", "device/{registration_id}/#", "--topic-subscribe", ""}))
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--topic-publish", "#"}, `{"topics":{"publish":["#"]}}`},
		{[]string{"--quiet-hours", "22:00-08:00", "--time-zone", "Europe/Paris"}, `{"quiet_hours":{"from":"22:00","to":"08:00"},"time_zone":"Europe/Paris"}`},
		{[]string{"--quiet-hours", ""}, `{"quiet_hours":{"from":"","to":""}}`},
		{[]string{"--topic-subscribe", ""}, `{"topics":{"subscribe":[]}}`},
		{[]string{"--name", "x", "--device-aliases", "--device-tags=false"}, `{"name":"x","device_aliases":true,"device_tags":false}`},
		{[]string{"--origin", "https://a.example", "--origin", "https://b.example"}, `{"origins":["https://a.example","https://b.example"]}`},
		{[]string{"--origin", ""}, `{"origins":[]}`},
	} {
		if code := w.run(t, append([]string{"app", "set", "--json"}, tt.args...)...); code != 0 {
			t.Errorf("%q: exit %d: %s", tt.args, code, w.err)
		}
		if got := asked[len(asked)-1]; got != "PATCH /v1/app "+tt.want {
			t.Errorf("%q: asked %s", tt.args, got)
		}
	}
}

func TestTopicUsage(t *testing.T) {
	for _, args := range [][]string{
		{"publish"}, {"publish", "a"}, {"publish", "a", "1", "2"}, {"publish", "a/+", "1"}, {"publish", "", "1"}, {"publish", "a", "Hello"},
		{"topics", "a", "--prefix", "b"}, {"topics", "#"},
		{"app", "set"}, {"app", "set", "x"}, {"app", "show", "x"}, {"app", "set", "--topic-publish", "a/#/b"}, {"app", "set", "--topic-subscribe", "a", "--topic-subscribe", ""},
		{"listen", "--topic", "$a"}, {"listen", "--topic", "a/#/b"}, {"publish", "a", "1", "--expires-in", "1500ms"}, {"retained", "a/+"}, {"retained", "a", "--prefix", "b"}, {"retained", "--delete"}, {"listen", "--presence"},
	} {
		w := newWorld(t)
		w.server(t, func(http.ResponseWriter, *http.Request) { t.Errorf("%q: the server was called", args) })
		code := w.run(t, args...)
		if lines := strings.Count(w.err.String(), "\n"); code != ExitUsage || lines != 2 || w.out.String() != "" {
			t.Errorf("%q: exit %d: %s%s", args, code, w.err, w.out)
		}
	}
}

func TestTopicCommandsFail(t *testing.T) {
	for _, args := range [][]string{{"publish", "a", "1"}, {"topics"}, {"topics", "a"}, {"app", "show"}, {"app", "set", "--name", "x"}} {
		w := newWorld(t)
		if code := w.run(t, args...); code != ExitConfiguration {
			t.Errorf("%q without a context: exit %d", args, code)
		}
		w.server(t, func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusForbidden) })
		if code := w.run(t, args...); code != ExitRefused || w.out.String() != "" {
			t.Errorf("%q: exit %d: %s", args, code, w.out)
		}
	}
}

func TestListenToTopics(t *testing.T) {
	frames := []string{
		`{"type":"subscribed","topics":["chat/7"],"ref":"1"}`,
		`{"type":"presence","topic":"chat/7","devices":2}`,
		`{"type":"topic","topic":"chat/7","time":"2026-11-21T09:29:59.000Z","from":"01234567890123456780","data":{"text":"Hello\u001b[31m"}}`,
		`{"type":"topic","topic":"chat/7","time":"2026-11-21T09:30:00.000Z","data":null}`,
		`{"type":"topic","topic":"chat/7","time":"2026-11-21T09:30:01.000Z","data":"one too many"}`,
	}
	for name, flags := range map[string][]string{"listen-topic": nil, "listen-topic-json": {"--json"}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			said := make(chan string, 10)
			var installations []string
			w.server(t, live(t, said, &installations, frames...))
			if code := w.run(t, append([]string{"listen", "--topic", "chat/7", "--presence", "--once", "2"}, flags...)...); code != 0 {
				t.Fatalf("exit %d: %s", code, w.err)
			}
			golden(t, name, w.out.String())
			if got := <-said; got != `{"type":"subscribe","topics":["chat/7"],"presence":true,"ref":"1"}` {
				t.Errorf("said %s", got)
			}
			if len(flags) > 0 {
				for line := range strings.Lines(w.out.String()) {
					if !json.Valid([]byte(line)) {
						t.Errorf("not JSON: %s", line)
					}
				}
			}
		})
	}
}

func TestRetainedCommands(t *testing.T) {
	w := newWorld(t)
	var asked []string
	w.server(t, func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
		const one = `{"topic":"lamp/1","published_at":"2026-11-21T09:00:00Z","qos":0,"data":"on"}`
		switch {
		case r.Method == http.MethodDelete:
			rw.WriteHeader(http.StatusNoContent)
		case r.URL.Path == "/v1/publish":
			fmt.Fprint(rw, `{"topic":"lamp/1","devices":1}`)
		case r.URL.Path != "/v1/retained":
			fmt.Fprint(rw, one)
		case r.URL.Query().Get("prefix") == "none":
			fmt.Fprint(rw, `{"retained":[]}`)
		case r.URL.Query().Get("cursor") == "":
			fmt.Fprint(rw, `{"retained":[`+one+`],"next_cursor":"lamp/1"}`)
		default:
			fmt.Fprint(rw, `{"retained":[{"topic":"x\u001b[31m\ny","published_at":"2026-11-21T09:00:00Z","qos":1,"base64":"/wA="}]}`)
		}
	})
	golden(t, "retained", transcript(t, w,
		[]string{"publish", "--retain", "--text", "--qos", "1", "--expires-in", "1h", "--content-type", "x/y", "lamp/1", "on"},
		[]string{"retained"}, []string{"retained", "--prefix", "none"}, []string{"retained", "lamp/1", "--json"}, []string{"retained", "--delete", "lamp/1"}))
	want := []string{
		`POST /v1/publish {"topic":"lamp/1","text":"on","content_type":"x/y","retain":true,"qos":1,"expires_in":3600}`,
		"GET /v1/retained?limit=1000", "GET /v1/retained?cursor=lamp%2F1&limit=1000", "GET /v1/retained?limit=1000&prefix=none",
		"GET /v1/retained/lamp%2F1", "DELETE /v1/retained/lamp%2F1",
	}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %q", asked)
	}
}
