package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// What a server says of attempts: all that can be of one.
const (
	exchange = `{"at":"2026-11-21T09:30:00Z","took":12000000,"method":"POST","url":"https://api.push.apple.com/3/device/ab12…","header":{"apns-topic":"com.example","authorization":"***"},"body":"{\"aps\":\n{}}",` +
		`"status":410,"answer_header":{"apns-id":"7"},"answer":"{\"reason\":\"Unregistered\u001b\"}\n"}`
	gone = `{"step":1,"vendor":"apns","registration_id":"r1","outcome":"failed","code":"unregistered/Unregistered","text":"the address leads to no device any more","remedy":"Nothing has to be done.","tries":2,` +
		`"at":"2026-11-21T09:30:00Z","trace":[` + exchange + `]}`
	others = `{"step":1,"vendor":"apns","registration_id":"r2","outcome":"failed","code":"unregistered/Unregistered","text":"the address leads to no device any more","remedy":"Nothing has to be done.","at":"2026-11-21T09:30:00Z","trace":[` + exchange + `]},` +
		`{"step":2,"vendor":"twilio","alias":"ann","outcome":"accepted","reference":"SM1","parts":2,"shortened":true,"at":"2026-11-21T09:30:00Z","state":"received","trace":[{"method":"POST","url":"https://x","took":1000000,"status":201}]},` +
		`{"step":2,"vendor":"twilio","alias":"bob","outcome":"accepted","at":"2026-11-21T09:30:00Z","problem":{"kind":"unregistered","code":"30003","text":"unreachable","remedy":"Ask.","at":"2026-11-21T09:30:00Z"},"trace":{"of":"a newer server"}},` +
		`{"step":3,"vendor":"dingtalk","outcome":"unknown","code":"unavailable","text":"no answer came","at":"2026-11-21T09:30:00Z","trace":[{"method":"POST","url":"https://y","took":1000000,"error":"cut"},{"method":"POST","url":"https://y","took":1000000,"status":200,"error":"cut"},{"method":"SMTP","url":"z","took":0,"body":"> RSET\r\n< 250 Ok\r\n"}]},` +
		`{"step":3,"vendor":"webhook","outcome":"skipped","code":"expired","at":"2026-11-21T09:30:00Z"},` +
		`{"step":4,"vendor":"smtp","alias":"ann","outcome":"accepted","at":"2026-11-21T09:30:00Z"}`
	outcome = `{"step":1,"channel":"vendor","vendor":"apns","owner":"device","outcome":"failed","code":"unregistered/Unregistered","count":2,"last_at":"2026-11-21T09:30:00Z"}`
	whole   = `{"message_id":"42","outcomes":[` + outcome + `,{"step":4,"channel":"email","vendor":"smtp","owner":"recipient","outcome":"accepted","count":1,"last_at":"2026-11-21T09:30:00Z"}],"attempts":[` + gone + `,` + others + `],` +
		`"pending":[{"step":4},{"step":5,"due_at":"2026-11-21T09:35:00Z"}]}`
	nothing = `{"message_id":"42","outcomes":[],"attempts":[],"pending":[]}`
)

func TestAttempts(t *testing.T) {
	w := newWorld(t)
	answer := whole
	w.server(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/messages/42/attempts" {
			t.Errorf("asked for %s", r.URL)
		}
		fmt.Fprint(rw, answer)
	})
	got := transcript(t, w, []string{"attempts", "42"}, []string{"attempts", "42", "--trace"})
	answer = `{"outcomes":[` + outcome + `],"attempts":[],"pending":[]}`
	got += transcript(t, w, []string{"attempts", "42", "--trace"})
	answer = `{"outcomes":[{"step":2,"channel":"sms","vendor":"twilio","owner":"device","outcome":"skipped","code":"no_credential","count":1,"last_at":"2026-11-21T09:30:00Z"}],"attempts":[],"pending":[]}`
	got += transcript(t, w, []string{"attempts", "42", "--trace"})
	answer = nothing
	got += transcript(t, w, []string{"attempts", "42"}, []string{"attempts", "42", "--trace"})
	golden(t, "attempts", got)
	answer = whole
	w.out.b.Reset()
	if code := w.run(t, "attempts", "42", "--json"); code != ExitOK || !json.Valid([]byte(w.out.String())) || !strings.Contains(w.out.String(), `"due_at":"2026-11-21T09:35:00Z"`) {
		t.Errorf("exit %d: %s", code, w.out)
	}
	if code := w.run(t, "attempts", "x"); code != ExitUsage {
		t.Errorf("no message ID: exit %d", code)
	}
}

func TestPushTraces(t *testing.T) {
	w := newWorld(t)
	// What is due has no outcome yet, then it has; what is due later is not waited for.
	answers := []string{
		`{"outcomes":[],"attempts":[],"pending":[{"step":1,"due_at":"2026-11-21T09:29:59Z"},{"step":2,"due_at":"2026-11-21T09:35:00Z"}]}`,
		`{"outcomes":[],"attempts":[],"pending":[{"step":1},{"step":2,"due_at":"2026-11-21T09:35:00Z"}]}`,
		`{"outcomes":[` + outcome + `],"attempts":[` + gone + `],"pending":[{"step":2,"due_at":"2026-11-21T09:35:00Z"}]}`,
	}
	asked, sent := 0, `{"id":"42","target":1,"unknown":0,"stored":true}`
	w.server(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			if body, _ := io.ReadAll(r.Body); string(body) != `{"audience":"all","notification":{"title":"x"},"debug":true}` {
				t.Errorf("sent %s", body)
			}
			fmt.Fprint(rw, sent)
			return
		}
		fmt.Fprint(rw, answers[min(asked, len(answers)-1)])
		asked++
	})
	got := transcript(t, w, []string{"push", "x", "--trace"})
	if asked != 3 {
		t.Errorf("asked %d times, want 3", asked)
	}
	sent, answers = `{"id":"42","target":null,"unknown":0,"stored":true}`, []string{nothing}
	got += transcript(t, w, []string{"push", "x", "--trace"})
	sent = `{"id":"42","target":1,"unknown":0,"stored":true}`
	got += transcript(t, w, []string{"push", "x", "--trace"}, []string{"push", "x", "--trace", "--json"})
	golden(t, "push-trace", got)
}

// TestPushTraceBroken has a person break off, and a server that fails.
func TestPushTraceBroken(t *testing.T) {
	w := newWorld(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	asked := 0
	w.server(t, func(rw http.ResponseWriter, r *http.Request) {
		switch asked++; {
		case r.Method == http.MethodPost:
			fmt.Fprint(rw, `{"id":"42","target":1,"unknown":0,"stored":true}`)
		case asked > 3: // the answer before this was read
			stop()
			fallthrough
		default:
			fmt.Fprint(rw, `{"outcomes":[],"attempts":[`+gone+`],"pending":[{"step":1}]}`)
		}
	})
	code := Main(ctx, []string{"push", "x", "--trace"}, w.World)
	if out := w.out.String(); code != ExitFailure || !strings.Contains(out, "= failed (unregistered/Unregistered)") || !strings.Contains(out, "later: herald attempts 42 --trace\n") {
		t.Errorf("exit %d: %s%s", code, out, w.err)
	}
	w = newWorld(t)
	w.server(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			fmt.Fprint(rw, `{"id":"42","target":1,"unknown":0,"stored":true}`)
			return
		}
		rw.WriteHeader(http.StatusForbidden)
		fmt.Fprint(rw, `{"code":"forbidden","detail":"no scope","remedy":"Use another key."}`)
	})
	if code := w.run(t, "push", "x", "--trace"); code != ExitRefused || !strings.Contains(w.err.String(), "no scope") {
		t.Errorf("exit %d: %s", code, w.err)
	}
	for _, args := range [][]string{{"--batch", "-", "--trace"}, {"x", "--trace", "--wait"}} {
		w := newWorld(t)
		w.server(t, func(http.ResponseWriter, *http.Request) { t.Error("the server was called") })
		if code := w.run(t, append([]string{"push"}, args...)...); code != ExitUsage || strings.Count(w.err.String(), "\n") != 2 {
			t.Errorf("%q: exit %d: %s", args, code, w.err)
		}
	}
}

func TestDeadCommands(t *testing.T) {
	w := newWorld(t)
	var asked []string
	list := `{"dead_letters":[]}`
	w.server(t, func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
		if r.Method == http.MethodGet {
			fmt.Fprint(rw, list)
			return
		}
		fmt.Fprint(rw, `{"count":3}`)
	})
	got := transcript(t, w, []string{"dead", "list"})
	list = `{"dead_letters":[{"message_id":"42",` + outcome[1:] + `,{"message_id":"41","step":0,"vendor":"smtp","owner":"recipient","outcome":"unknown","count":1,"last_at":"2026-11-21T09:30:00Z"}]}`
	got += transcript(t, w, []string{"dead", "list", "--limit", "7"}, []string{"dead", "list", "--json"},
		[]string{"dead", "retry", "--vendor", "apns", "--code", "rejected/BadTopic"}, []string{"dead", "retry", "--message", "42", "--step", "0"}, []string{"dead", "discard", "--message", "42", "--json"})
	golden(t, "dead", got+strings.Join(asked, "\n")+"\n")
	for _, args := range [][]string{
		{"retry"}, {"discard", "--step", "1"}, {"retry", "--message", ""}, {"retry", "--message", "x"}, {"retry", "--vendor", "apns", "--step", "-1"}, {"retry", "--vendor", "apns", "--step", "8"}, {"list", "--limit", "0"}, {"discard", "apns"},
	} {
		if code := w.run(t, append([]string{"dead"}, args...)...); code != ExitUsage {
			t.Errorf("%q: exit %d", args, code)
		}
	}
}
