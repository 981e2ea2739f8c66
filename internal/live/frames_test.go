package live_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/record"
)

func TestReleaseJSON(t *testing.T) {
	badge := 0
	due := time.Date(2026, 11, 21, 9, 30, 0, 0, time.FixedZone("", 3600))
	m := &record.Message{Message: herald.Message{ID: 245870126268416001, Due: due, TTL: 24 * time.Hour, CollapseKey: "k"}}
	for _, c := range []struct {
		name, want string
		r          live.Release
	}{
		{"message", `{"type":"message","id":"245870126268416001","cursor":"1.42.Yp","time":"2026-11-21T08:30:00.000Z","expires":"2026-11-22T08:30:00.000Z","priority":"normal","notification":{"title":"<Hello> & good\nday","badge":0},"data":{"order":7},"collapse_key":"k"}`,
			live.Release{Kind: record.ReleaseMessage, Msg: m, Cursor: "1.42.Yp", Content: herald.Content{
				Notification: &herald.Notification{Title: "<Hello> & good\nday", Badge: &badge}, Data: json.RawMessage("{\n\"order\": 7}")}}},
		{"data only, TTL 0", `{"type":"message","id":"5","time":"2026-11-21T08:30:00.000Z","expires":"2026-11-21T08:30:00.000Z","priority":"high","data":null}`,
			live.Release{Kind: record.ReleaseMessage, Content: herald.Content{Data: json.RawMessage("null")},
				Msg: &record.Message{Message: herald.Message{ID: 5, Due: due, Priority: herald.PriorityHigh}}}},
		{"withdraw", `{"type":"withdraw","id":"245870126268416001","cursor":"1.43.x"}`,
			live.Release{Kind: record.ReleaseWithdraw, Msg: m, Cursor: "1.43.x"}},
	} {
		if got := string(live.ReleaseJSON(c.r)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestControlJSON(t *testing.T) {
	for want, c := range map[string]live.Control{
		`{"type":"welcome","session":"s1","registration_id":"r","heartbeat":50,"timeout":75}`:             {Kind: live.Welcome, Session: "s1", Device: "r", Heartbeat: 50 * time.Second, Timeout: 75 * time.Second},
		`{"type":"welcome","session":"s1","registration_id":"r","heartbeat":50,"timeout":75,"token":"t"}`: {Kind: live.Welcome, Session: "s1", Device: "r", Heartbeat: 50 * time.Second, Timeout: 75 * time.Second, Token: "t"},
		`{"type":"ping"}`: {Kind: live.Ping},
		`{"type":"pong"}`: {Kind: live.Pong},
		`{"type":"error","code":"invalid_request","detail":"is missing","remedy":"Send it.","field":"token"}`: {Kind: live.Problem, Err: herald.Invalid("token", "Send it.", "is missing")},
		`{"type":"reconnect","after_ms":1500}`: {Kind: live.Reconnect, After: 1500 * time.Millisecond},
	} {
		if got := string(live.ControlJSON(c)); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}

func TestParseClientFrame(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     string // the frame as JSON; "" for an error
		field    string // at fault; "!" if that is not a frame
	}{
		{"hello", ` {"type":"hello","token":"t","cursor":"c","ack":"upto"} `, `{"Type":"hello","Token":"t","Cursor":"c","Ack":"upto","IDs":null,"Upto":"","Event":""}`, ""},
		{"ack", `{"ids":["1","2"],"type":"ack"}`, `{"Type":"ack","Token":"","Cursor":"","Ack":"","IDs":["1","2"],"Upto":"","Event":""}`, ""},
		{"escaped name", `{"\u0074ype":"ping"}`, `{"Type":"ping","Token":"","Cursor":"","Ack":"","IDs":null,"Upto":"","Event":""}`, ""},
		{"hello without token", `{"type":"hello"}`, "", "token"},
		{"unknown ack", `{"type":"hello","token":"t","ack":"all"}`, "", "ack"},
		{"null", `{"type":"hello","token":null}`, "", "token"},
		{"type in another case", `{"Type":"ping"}`, "", "type"},
		{"member of another type", `{"type":"ack","ids":["1"],"token":"t"}`, "", "token"},
		{"a long name", `{"type":"ping","` + strings.Repeat("é", 100) + `":1}`, "", strings.Repeat("é", 32) + "…"},
		{"twice", `{"type":"ping","type":"pong"}`, "", "type"},
		{"huge ID", `{"type":"ack","ids":["9223372036854775808"]}`, "", "ids"},
		{"not a list", `{"type":"ack","ids":"1"}`, "", "ids"},
		{"null list", `{"type":"ack","ids":null}`, "", "ids"},
		{"empty", ``, "", "!"},
		{"array", `["ping"]`, "", "!"},
		{"open", `{"type":"ping"`, "", "!"},
		{"two", `{"type":"ping"}{"type":"ping"}`, "", "!"},
		{"deep", `{"type":` + strings.Repeat("[", 12000), "", "!"},
		{"bad UTF-8", "{\"type\":\"\xff\"}", "", "!"},
		{"too large", `{"type":"ping"` + strings.Repeat(" ", herald.MaxFrameBytes) + `}`, "", "!"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := live.ParseClientFrame([]byte(c.in))
			switch e := (*herald.Error)(nil); {
			case err == nil:
				if got, _ := json.Marshal(f); string(got) != c.want {
					t.Errorf("got %s, want %s", got, c.want)
				}
			case errors.Is(err, live.ErrNotFrame):
				if c.field != "!" {
					t.Errorf("not a frame")
				}
			case !errors.As(err, &e) || e.Field != c.field || e.Remedy == "" || e.Code != herald.CodeInvalidRequest:
				t.Errorf("got %v, want an error about %s", err, c.field)
			}
		})
	}
}

func FuzzParseClientFrame(f *testing.F) {
	f.Add([]byte(`{"type":"hello","token":"t","cursor":"c","ack":"each"}`))
	f.Add([]byte(`{"type":"ack","ids":["1","9223372036854775807"]}`))
	f.Add([]byte(`{"type":"ack","upto":"1.2.x"}`))
	f.Add([]byte(`{"type":"event","event":"clicked","ids":["7"]}`))
	f.Add([]byte(`{"type":"ping","ids":null}`))
	f.Add([]byte(`[{}]`))
	f.Add([]byte(`{"":"","":""}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := live.ParseClientFrame(b)
		var e *herald.Error
		switch {
		case err == nil:
			// What is taken is JSON for everybody, with the type that we read.
			var theirs struct{ Type string }
			if uerr := json.Unmarshal(b, &theirs); uerr != nil || len(frame.IDs) > herald.MaxIDsPerCall {
				t.Fatalf("%q is taken: %v", b, uerr)
			}
			if frame.Type == "hello" && frame.Token == "" || frame.Type == "event" && frame.IDs == nil {
				t.Fatalf("%q is taken as %+v", b, frame)
			}
		case errors.As(err, &e):
			if e.Field == "" || e.Remedy == "" || !json.Valid(b) {
				t.Fatalf("%q is refused with %+v", b, e)
			}
		case !errors.Is(err, live.ErrNotFrame):
			t.Fatalf("%q gives %v", b, err)
		}
	})
}
