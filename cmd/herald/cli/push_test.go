package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestPushSends(t *testing.T) {
	device := "01234567890123456789"
	tests := []struct {
		name string
		args []string
		want string // body
	}{
		{"text", []string{"Hello"}, `{"audience":"all","notification":{"title":"Hello"}}`},
		{"title and text", []string{"--title", "T", "B"}, `{"audience":"all","notification":{"title":"T","body":"B"}}`},
		{"text and body", []string{"T", "--body", "B"}, `{"audience":"all","notification":{"title":"T","body":"B"}}`},
		{"only data", []string{"--data-json", `{"a":1}`}, `{"audience":"all","data":{"a":1}}`},
		{"data by the short name", []string{"--data", `{"a":1}`}, `{"audience":"all","data":{"a":1}}`},
		{"to all", []string{"x", "--to-all"}, `{"audience":"all","notification":{"title":"x"}}`},
		{"audience", []string{"x", "--alias", "ann", "--alias", "bob", "--tag", "vip", "--device", device},
			`{"audience":{"registration_ids":["` + device + `"],"aliases":["ann","bob"],"tags":["vip"]},"notification":{"title":"x"}}`},
		{"topic", []string{"x", "--topic", "chat/7", "--tag", "vip"}, `{"audience":{"tags":["vip"],"topic":"chat/7"},"notification":{"title":"x"}}`},
		{"topics", []string{"x", "--topic", "a", "--topic", "b"}, `{"audience":{"or":[{"topic":"a"},{"topic":"b"}]},"notification":{"title":"x"}}`},
		{"everything else", []string{"x", "--ttl", "90s", "--priority", "high", "--collapse-key", "c", "--at", "10m"},
			`{"audience":"all","notification":{"title":"x"},"ttl":90,"priority":"high","collapse_key":"c","send_at":"2026-11-21T09:40:00Z"}`},
		{"template", []string{"--template", "t", "--value", "a=b=c", "--value", "d=", "--language", "zh", "--category", "news"},
			`{"audience":"all","template":{"id":"t","values":{"a":"b=c","d":""},"language":"zh"},"category":"news"}`},
		{"override", []string{"x", "--replaces", "245870126268416001"}, `{"audience":"all","notification":{"title":"x"},"replaces":"245870126268416001"}`},
		{"route", []string{"x", "--route", "urgent", "--debug"}, `{"audience":"all","notification":{"title":"x"},"route":"urgent","debug":true}`},
		{"spread over a time", []string{"x", "--spread", "10m", "--quiet-hours", "respect"}, `{"audience":"all","notification":{"title":"x"},"spread":{"over":600},"quiet_hours":"respect"}`},
		{"spread at a pace", []string{"x", "--spread", "100/s"}, `{"audience":"all","notification":{"title":"x"},"spread":{"per_second":100}}`},
		{"local time", []string{"x", "--local-time", "2026-12-24T18:00:00"}, `{"audience":"all","notification":{"title":"x"},"send_at_local":"2026-12-24T18:00:00"}`},
		{"now or never, at a time", []string{"x", "--ttl", "0", "--at", "2026-12-24T18:00:00+01:00"},
			`{"audience":"all","notification":{"title":"x"},"ttl":0,"send_at":"2026-12-24T18:00:00+01:00"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.server(t, func(rw http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if string(body) != tt.want {
					t.Errorf("got  %s\nwant %s", body, tt.want)
				}
				if user, secret, _ := r.BasicAuth(); user != string(testKey) || secret != testSecret {
					t.Error("the credentials are not those of the context")
				}
				fmt.Fprint(rw, `{"id":"42","target":2,"unknown":0,"stored":true}`)
			})
			if code := w.run(t, append([]string{"push"}, tt.args...)...); code != 0 {
				t.Errorf("exit %d: %s", code, w.err)
			}
			if got := w.out.String(); got != "message 42 for 2 devices, stored\n  who received it: herald message 42\n" {
				t.Errorf("printed %s", got)
			}
		})
	}
}

func TestPushUsage(t *testing.T) {
	for _, args := range [][]string{
		{}, {"a", "b"}, {"a", "--title", "b", "--body", "c"}, {"--data-json", "{"}, {"a", "--ttl", "-1s"}, {"a", "--ttl", "soon"}, {"a", "--replaces", "x"}, {"a", "--template", "t"}, {"--template", "t", "--value", "x"}, {"a", "--value", "x=y"}, {"a", "--language", "en"}, {"a", "--ttl", "9999h"},
		{"a", "--at", "tomorrow"}, {"a", "--spread", "x/s"}, {"a", "--spread", "0/s"}, {"a", "--spread", "10ms"}, {"a", "--local-time", "18:00"}, {"a", "--to-all", "--tag", "x"}, {"a", "--device", "short"}, {"a", "--alias", ""}, {"a", "--unknown"},
		{"a", "--topic", "chat/+"}, {"a", "--topic", ""}, {"a", "--to-all", "--topic", "x"},
	} {
		w := newWorld(t)
		code := w.run(t, append([]string{"push"}, args...)...)
		if lines := strings.Count(w.err.String(), "\n"); code != ExitUsage || lines != 2 || w.out.String() != "" {
			t.Errorf("%q: exit %d: %s%s", args, code, w.err, w.out)
		}
	}
}

func TestPushFails(t *testing.T) {
	tests := []struct {
		name string
		set  func(*world)
		code int
		want string
	}{
		{"no context", func(*world) {}, ExitConfiguration, "no server is known"},
		{"no secret", func(w *world) {
			w.Environ = append(w.Environ, "HERALD_URL=http://127.0.0.1:1", "HERALD_APP_KEY="+string(testKey))
		}, ExitConfiguration, "no secret is known"},
		{"no app key", func(w *world) { w.Environ = append(w.Environ, "HERALD_URL=http://127.0.0.1:1", "HERALD_SECRET=x") }, ExitConfiguration, "no valid app key"},
		{"bad URL", func(w *world) { w.Environ = append(w.Environ, "HERALD_URL=nowhere", "HERALD_SECRET=hk1.x") }, ExitConfiguration, "not the address of a server"},
		{"nobody listens", func(w *world) { w.Environ = append(w.Environ, "HERALD_URL=http://127.0.0.1:1", "HERALD_SECRET=hk1.x") }, ExitNotReachable, "Is the server running?"},
		{"refused", func(w *world) {
			w.server(t, func(rw http.ResponseWriter, _ *http.Request) {
				rw.WriteHeader(http.StatusForbidden)
				fmt.Fprint(rw, "{\"code\":\"forbidden\",\"detail\":\"no\\u001b[31m\\nscope\",\"remedy\":\"Use another key.\"}")
			})
		}, ExitRefused, "herald: no\uFFFD[31m scope\n  Use another key.\n"},
		{"defect", func(w *world) {
			w.server(t, func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusInternalServerError) })
		}, ExitFailure, "500"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			tt.set(w)
			code := w.run(t, "push", "x")
			if code != tt.code || !strings.Contains(w.err.String(), tt.want) || strings.Count(w.err.String(), "\n") > 2 {
				t.Errorf("exit %d: %s", code, w.err)
			}
			if strings.Contains(w.err.String(), testSecret) {
				t.Error("the error shows the secret")
			}
		})
	}
}

// TestSecretStaysAtItsServer: the secret of the context is not sent to another
// server or for another app.
func TestSecretStaysAtItsServer(t *testing.T) {
	for _, flags := range [][]string{{"--url", "http://127.0.0.1:1"}, {"--app-key", "000000000000000000000000"}} {
		w := newWorld(t)
		w.server(t, func(http.ResponseWriter, *http.Request) { t.Error("the server was called") })
		if code := w.run(t, append([]string{"push", "x"}, flags...)...); code != ExitConfiguration || !strings.Contains(w.err.String(), "no secret") {
			t.Errorf("%q: exit %d: %s", flags, code, w.err)
		}
	}
}

func TestPushOverrides(t *testing.T) {
	w := newWorld(t)
	var got string
	s := w.server(t, func(rw http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization") + " " + r.Header.Get("Idempotency-Key")
		fmt.Fprint(rw, `{"id":"1","target":0,"stored":false,"unknown":2}`)
	})
	w.Environ = append(w.Environ, "HERALD_SECRET=hk1.from.environment")
	if code := w.run(t, "push", "x", "--secret", "hk1.from.flag", "--url", s.URL+"/", "--idempotency-key", "mine"); code != 0 || got != "Bearer hk1.from.flag mine" {
		t.Errorf("exit %d, %s: %s", code, got, w.err)
	}
	golden(t, "push-volatile", w.out.String())
	if code := w.run(t, "push", "x"); code != 0 || !strings.HasPrefix(got, "Bearer hk1.from.environment ") {
		t.Errorf("exit %d, %s", code, got)
	}
}

// answers a push, and then counts that grow with each call.
func growing(done int) http.HandlerFunc {
	asked := 0
	return func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			fmt.Fprint(rw, `{"id":"42","target":2,"unknown":0,"stored":true}`)
			return
		}
		asked++
		received := min(asked, done)
		fmt.Fprintf(rw, `{"id":"42","state":"sending","counts":{"target":2,"sent":2,"received":%d,"displayed":0,"clicked":0,"states":{"sent":%d,"received":%d}}}`, received, 2-received, received)
	}
}

func TestPushWaits(t *testing.T) {
	w := newWorld(t)
	w.server(t, growing(2))
	if code := w.run(t, "push", "x", "--wait"); code != 0 {
		t.Errorf("exit %d: %s", code, w.err)
	}
	golden(t, "push-wait", w.out.String())
	w.out.b.Reset()
	if code := w.run(t, "push", "x", "--wait", "--json"); code != 0 {
		t.Errorf("exit %d: %s", code, w.err)
	}
	var got struct {
		ID     string
		State  string
		Counts struct{ Received int }
	}
	if err := json.Unmarshal([]byte(w.out.String()), &got); err != nil || got.ID != "42" || got.Counts.Received != 2 || got.State != "sending" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestPushScheduled(t *testing.T) {
	w := newWorld(t)
	w.server(t, func(rw http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(rw, `{"id":"42","target":null,"estimate":1,"unknown":0,"stored":true}`)
	})
	if code := w.run(t, "push", "x", "--at", "1h"); code != 0 || !strings.HasPrefix(w.out.String(), "message 42 scheduled, for about 1 device, stored\n") {
		t.Errorf("exit %d: %s", code, w.out)
	}
}

func TestMessage(t *testing.T) {
	view := `{"id":"42","state":"done","audience":"all","notification":{"title":"T","body":"two\nlines\u001b"},"data":{"a":1},"ttl":60,"priority":"normal","stored":true,
		"accepted_at":"2026-11-21T09:00:00Z","expires_at":"2026-11-21T09:01:00Z","counts":{"target":3,"sent":2,"received":1,"displayed":1,"clicked":0,"states":{"displayed":1,"unconfirmed":1,"expired":1}}}`
	trace := `{"message_id":"42","registration_id":"r","state":"received","summary":"Received 2 s after it was sent.","steps":[
		{"time":"2026-11-21T09:00:00Z","event":"accepted","text":"Accepted."},{"time":"2026-11-21T09:00:02Z","event":"received","via":"websocket","text":"The device has it."}]}`
	w := newWorld(t)
	w.server(t, func(rw http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.Path {
		case "GET /v1/messages/42", "DELETE /v1/messages/42":
			fmt.Fprint(rw, view)
		case "GET /v1/messages/42/devices/r":
			fmt.Fprint(rw, trace)
		default:
			rw.WriteHeader(http.StatusNotFound)
		}
	})
	for _, tt := range []struct {
		golden string
		args   []string
	}{{"message", []string{"message", "42"}}, {"trace", []string{"message", "42", "--trace", "r"}}, {"withdraw", []string{"withdraw", "42"}}} {
		w.out.b.Reset()
		if code := w.run(t, tt.args...); code != 0 {
			t.Errorf("%s: exit %d: %s", tt.golden, code, w.err)
		}
		golden(t, tt.golden, w.out.String())
		w.out.b.Reset()
		if code := w.run(t, append(tt.args, "--json")...); code != 0 || !json.Valid([]byte(w.out.String())) {
			t.Errorf("%s --json: exit %d: %s", tt.golden, code, w.out)
		}
	}
	if code := w.run(t, "message", "43"); code != ExitRefused {
		t.Errorf("unknown message: exit %d", code)
	}
	if code := w.run(t, "withdraw", "x"); code != ExitUsage {
		t.Errorf("no message ID: exit %d", code)
	}
}
