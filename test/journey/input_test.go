package journey_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// codes are all that a problem may bear.
var codes = []string{
	"invalid_request", "unauthorized", "forbidden", "not_found", "conflict", "idempotency_conflict", "too_large",
	"rate_limited", "limit_reached", "storage_unavailable", "draining", "internal",
}

func TestBadInputIsAnsweredAndLosesNothing(t *testing.T) {
	s := startServer(t)
	device := s.register(t)
	conn := dial(t, s, device.Token)
	good := s.push(t, "before", 1)

	basic, own := s.basic(), "Bearer "+device.Token
	tests := []struct {
		name, method, path, auth string
		body                     any
		status                   []int
		code                     string // "" for any
	}{
		{"no credentials", "POST", "/v1/messages", "", `{"audience":"all","notification":{"title":"x"}}`, []int{401}, "unauthorized"},
		{"wrong secret", "POST", "/v1/messages", "Basic eDp5", `{"audience":"all","notification":{"title":"x"}}`, []int{401}, "unauthorized"},
		{"wrong bearer", "POST", "/v1/messages", "Bearer wrong", `{"audience":"all","notification":{"title":"x"}}`, []int{401}, "unauthorized"},
		{"another scheme", "POST", "/v1/messages", "Digest x", `{"audience":"all","notification":{"title":"x"}}`, []int{401}, "unauthorized"},
		{"a device sends", "POST", "/v1/messages", own, `{"audience":"all","notification":{"title":"x"}}`, []int{403}, "forbidden"},
		{"no body", "POST", "/v1/messages", basic, ``, []int{400, 422}, "invalid_request"},
		{"not JSON", "POST", "/v1/messages", basic, `{"audience":`, []int{400, 422}, "invalid_request"},
		{"two values", "POST", "/v1/messages", basic, `{"audience":"all","data":1}{}`, []int{400, 422}, "invalid_request"},
		{"not an object", "POST", "/v1/messages", basic, `["all"]`, []int{400, 422}, "invalid_request"},
		{"null", "POST", "/v1/messages", basic, `null`, []int{400, 422}, "invalid_request"},
		{"unknown member", "POST", "/v1/messages", basic, `{"audience":"all","notification":{"title":"x"},"tll":5}`, []int{400, 422}, "invalid_request"},
		{"unknown member within", "POST", "/v1/messages", basic, `{"audience":"all","notification":{"titel":"x"}}`, []int{400, 422}, "invalid_request"},
		{"unknown member of the audience", "POST", "/v1/messages", basic, `{"audience":{"tag":["x"]},"notification":{"title":"x"}}`, []int{400, 422}, "invalid_request"},
		{"a segment that is not there", "POST", "/v1/messages", basic, `{"audience":{"segments":["x"]},"notification":{"title":"x"}}`, []int{400, 422}, "invalid_request"},
		{"wrong type", "POST", "/v1/messages", basic, `{"audience":"all","notification":{"title":7}}`, []int{400, 422}, "invalid_request"},
		{"wrong audience", "POST", "/v1/messages", basic, `{"audience":"some","notification":{"title":"x"}}`, []int{400, 422}, "invalid_request"},
		{"empty audience", "POST", "/v1/messages", basic, `{"audience":{},"notification":{"title":"x"}}`, []int{400, 422}, "invalid_request"},
		{"nothing to say", "POST", "/v1/messages", basic, `{"audience":"all"}`, []int{400, 422}, "invalid_request"},
		{"TTL below 0", "POST", "/v1/messages", basic, `{"audience":"all","notification":{"title":"x"},"ttl":-1}`, []int{400, 422}, "invalid_request"},
		{"TTL too long", "POST", "/v1/messages", basic, `{"audience":"all","notification":{"title":"x"},"ttl":2592001}`, []int{400, 422}, "invalid_request"},
		{"TTL with a fraction", "POST", "/v1/messages", basic, `{"audience":"all","notification":{"title":"x"},"ttl":1.5}`, []int{400, 422}, "invalid_request"},
		{"unknown priority", "POST", "/v1/messages", basic, `{"audience":"all","notification":{"title":"x"},"priority":"urgent"}`, []int{400, 422}, "invalid_request"},
		{"bad UTF-8", "POST", "/v1/messages", basic, "{\"audience\":\"all\",\"notification\":{\"title\":\"\xff\xfe\"}}", []int{400, 422}, "invalid_request"},
		{"nobody, but required", "POST", "/v1/messages", basic, `{"audience":{"tags":["nobody"]},"notification":{"title":"x"},"require_target":true}`, []int{422}, ""},
		{"message too large", "POST", "/v1/messages", basic, `{"audience":"all","notification":{"body":"` + strings.Repeat("x", 33<<10) + `"}}`, []int{413, 422}, "too_large"},
		{"request too large", "POST", "/v1/messages", basic, `{"audience":"all","data":"` + strings.Repeat("x", 1<<20) + `"}`, []int{413}, "too_large"},
		{"nested too deep", "POST", "/v1/messages", basic, `{"audience":` + strings.Repeat(`{"not":`, 5000) + `"all"` + strings.Repeat(`}`, 5000) + `,"data":1}`, []int{400, 422}, "invalid_request"},
		{"not a message ID", "GET", "/v1/messages/abc", basic, nil, []int{400, 404, 422}, ""},
		{"no such message", "GET", "/v1/messages/123456789", basic, nil, []int{404}, "not_found"},
		{"withdrawing no message", "DELETE", "/v1/messages/123456789", basic, nil, []int{404}, "not_found"},
		{"no such device", "GET", "/v1/devices/" + strings.Repeat("0", 20), basic, nil, []int{404}, "not_found"},
		{"limit not a number", "GET", "/v1/messages?limit=many", basic, nil, []int{400, 422}, "invalid_request"},
		{"damaged cursor", "GET", "/v1/messages?cursor=%00%ff", basic, nil, []int{400, 422}, "invalid_request"},
		{"wrong method", "PUT", "/v1/messages", basic, `{}`, []int{405}, ""},
		{"no such path", "GET", "/v1/nothing", basic, nil, []int{404}, "not_found"},
		{"registering at no app", "POST", "/v1/devices", "", `{"platform":"web"}`, []int{400, 401, 422}, ""},
		{"registering at a wrong app", "POST", "/v1/devices", "", `{"app_key":"` + strings.Repeat("0", 24) + `"}`, []int{400, 401, 404, 422}, ""},
		{"unknown platform", "POST", "/v1/devices", "", `{"app_key":"` + s.context.AppKey + `","platform":"toaster"}`, []int{400, 422}, "invalid_request"},
		{"claiming an alias", "POST", "/v1/devices", "", `{"app_key":"` + s.context.AppKey + `","alias":"boss"}`, []int{403}, "forbidden"},
		{"receipt of an unknown event", "POST", "/v1/receipts", own, `{"receipts":[{"id":"` + good.ID + `","event":"eaten"}]}`, []int{400, 422}, "invalid_request"},
		{"receipt of another's device", "POST", "/v1/receipts", own, `{"receipts":[{"id":"` + good.ID + `","event":"received","registration_id":"` + strings.Repeat("0", 20) + `"}]}`, []int{400, 403, 422}, ""},
		{"SSE with a wrong token", "GET", "/v1/live/sse?access_token=wrong", "", nil, []int{401}, "unauthorized"},
		{"SSE without a token", "GET", "/v1/live/sse", "", nil, []int{401}, "unauthorized"},
		{"SSE by POST", "POST", "/v1/live/sse", own, `{}`, []int{405}, ""},
		{"WebSocket without the upgrade", "GET", "/v1/live/ws", own, nil, []int{400, 426}, "invalid_request"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := s.call(t, tt.method, tt.path, tt.auth, tt.body)
			if !slices.Contains(tt.status, r.status) {
				t.Fatalf("status %d, want one of %v: %s", r.status, tt.status, r.body)
			}
			if kind := r.header.Get("Content-Type"); !strings.HasPrefix(kind, "application/problem+json") {
				t.Fatalf("content type %q: %s", kind, r.body)
			}
			p := expect[problem](t, r, r.status)
			if tt.code != "" && p.Code != tt.code || !slices.Contains(codes, p.Code) {
				t.Errorf("code %q, want %q", p.Code, tt.code)
			}
			if p.Remedy == "" || p.Detail == "" || p.Status != r.status {
				t.Errorf("the problem lacks something: %s", r.body)
			}
			if tt.status[0] == http.StatusMethodNotAllowed && r.header.Get("Allow") == "" {
				t.Error("no Allow header (RFC 9110 section 15.5.6)")
			}
		})
	}

	// Nothing of all this was sent, and nothing else was lost.
	last := s.push(t, "after", 1)
	var got []string
	for !slices.Contains(got, last.ID) {
		if f := readFrame(t, conn); f.Type == "message" {
			got = append(got, f.ID)
		}
	}
	if want := []string{good.ID, last.ID}; !slices.Equal(got, want) {
		t.Errorf("received %v, want %v", got, want)
	}
}

func TestBadFrames(t *testing.T) {
	s := startServer(t)
	device := s.register(t)
	tests := []struct {
		name  string
		token string
		kind  websocket.MessageType
		data  string
		code  websocket.StatusCode // 0: answered by an error frame, the session goes on
	}{
		{"wrong token", "wrong", 0, "", 4001},
		{"binary", device.Token, websocket.MessageBinary, "{}", 1003},
		{"not UTF-8", device.Token, websocket.MessageText, "{\"type\":\"\xff\"}", 1007},
		{"too large", device.Token, websocket.MessageText, strings.Repeat(" ", 16<<10) + "{}", 1009},
		{"not JSON", device.Token, websocket.MessageText, "hello", 4013},
		{"not authenticated", "", websocket.MessageText, `{"type":"ping"}`, 4013},
		{"hello with a wrong token", "", websocket.MessageText, `{"type":"hello","token":"wrong"}`, 4001},
		{"unknown member", device.Token, websocket.MessageText, `{"type":"ack","id":["1"]}`, 0},
		{"unknown type", device.Token, websocket.MessageText, `{"type":"publish"}`, 0},
		{"unknown event", device.Token, websocket.MessageText, `{"type":"event","event":"eaten","ids":["1"]}`, 0},
		{"an ID that is a number", device.Token, websocket.MessageText, `{"type":"ack","ids":[1]}`, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conn := dial(t, s, tt.token)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if tt.token == device.Token {
				if f := readFrame(t, conn); f.Type != "welcome" {
					t.Fatalf("the first frame is %q", f.Type)
				}
			}
			if tt.data != "" {
				if err := conn.Write(ctx, tt.kind, []byte(tt.data)); err != nil {
					t.Fatal(err)
				}
			}
			if tt.code == 0 {
				f := readFrame(t, conn)
				if f.Type != "error" || f.Code != "invalid_request" || f.Remedy == "" {
					t.Errorf("answered %+v", f)
				}
				if err := conn.Write(ctx, websocket.MessageText, []byte(`{"type":"ping"}`)); err != nil {
					t.Fatal(err)
				}
				if f := readFrame(t, conn); f.Type != "pong" {
					t.Errorf("ping was answered %q: the session does not go on", f.Type)
				}
				return
			}
			_, _, err := conn.Read(ctx)
			if got := websocket.CloseStatus(err); got != tt.code {
				t.Errorf("closed with %d, want %d (%v)", got, tt.code, err)
			}
		})
	}
}
