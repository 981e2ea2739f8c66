package live_test

import (
	"encoding/json"
	"errors"
	"reflect"
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

func TestTopicJSON(t *testing.T) {
	at := time.Date(2026, 11, 21, 9, 30, 0, 0, time.FixedZone("", 3600))
	for _, c := range []struct {
		name, want string
		p          live.Publication
	}{
		{"of a device", `{"type":"topic","topic":"chat/<7>","time":"2026-11-21T08:30:00.000Z","from":"r","data":{"a":"<\u2028"}}`,
			live.Publication{Topic: "chat/<7>", From: "r", Time: at, Data: json.RawMessage("{\n \"a\": \"<\\u2028\"}")}},
		{"of an app server", `{"type":"topic","topic":"a","time":"2026-11-21T08:30:00.000Z","data":null}`, live.Publication{Topic: "a", Time: at}},
		{"not JSON", ``, live.Publication{Topic: "a", Time: at, Data: json.RawMessage("{")}},
	} {
		if got := string(live.TopicJSON(c.p)); got != c.want {
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
		`{"type":"error","code":"forbidden","detail":"no","remedy":"Ask.","ref":"<7>"}`:                       {Kind: live.Problem, Err: herald.Errorf(herald.CodeForbidden, "Ask.", "no"), Ref: "<7>"},
		`{"type":"subscribed","topics":["a","b"],"ref":"7"}`:                                                  {Kind: live.Subscribed, Topics: []herald.Topic{"a", "b"}, Ref: "7"},
		`{"type":"unsubscribed","topics":["a"]}`:                                                              {Kind: live.Unsubscribed, Topics: []herald.Topic{"a"}},
		`{"type":"published","ref":"7"}`:                                                                      {Kind: live.Published, Ref: "7"},
		`{"type":"presence","topic":"a","devices":0}`:                                                         {Kind: live.Presence, Topics: []herald.Topic{"a"}},
		`{"type":"reconnect","after_ms":1500}`:                                                                {Kind: live.Reconnect, After: 1500 * time.Millisecond},
	} {
		if got := string(live.ControlJSON(c)); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}

func TestParseClientFrame(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     live.ClientFrame
		field    string // at fault; "!" if that is not a frame, "" if it is one
	}{
		{"hello", ` {"type":"hello","token":"t","cursor":"c","ack":"upto"} `, live.ClientFrame{Type: "hello", Token: "t", Cursor: "c", Ack: live.AckUpto}, ""},
		{"ack", `{"ids":["1","2"],"type":"ack"}`, live.ClientFrame{Type: "ack", IDs: []herald.MessageID{1, 2}}, ""},
		{"escaped name", `{"\u0074ype":"ping"}`, live.ClientFrame{Type: "ping"}, ""},
		{"hello without token", `{"type":"hello"}`, live.ClientFrame{}, "token"},
		{"unknown ack", `{"type":"hello","token":"t","ack":"all"}`, live.ClientFrame{}, "ack"},
		{"null", `{"type":"hello","token":null}`, live.ClientFrame{}, "token"},
		{"type in another case", `{"Type":"ping"}`, live.ClientFrame{}, "type"},
		{"member of another type", `{"type":"ack","ids":["1"],"token":"t"}`, live.ClientFrame{}, "token"},
		{"a long name", `{"type":"ping","` + strings.Repeat("é", 100) + `":1}`, live.ClientFrame{}, strings.Repeat("é", 32) + "…"},
		{"twice", `{"type":"ping","type":"pong"}`, live.ClientFrame{}, "type"},
		{"huge ID", `{"type":"ack","ids":["9223372036854775808"]}`, live.ClientFrame{}, "ids"},
		{"not a list", `{"type":"ack","ids":"1"}`, live.ClientFrame{}, "ids"},
		{"null list", `{"type":"ack","ids":null}`, live.ClientFrame{}, "ids"},
		{"subscribe", `{"type":"subscribe","topics":["chat/7","a\u00e9"],"presence":true,"ref":"` + strings.Repeat("r", 64) + `"}`,
			live.ClientFrame{Type: "subscribe", Topics: []herald.Topic{"chat/7", "aé"}, Presence: true, Ref: strings.Repeat("r", 64)}, ""},
		{"subscribe without presence", `{"type":"subscribe","topics":["a"],"presence":false}`, live.ClientFrame{Type: "subscribe", Topics: []herald.Topic{"a"}}, ""},
		{"unsubscribe", `{"type":"unsubscribe","topics":["a"],"ref":"1"}`, live.ClientFrame{Type: "unsubscribe", Topics: []herald.Topic{"a"}, Ref: "1"}, ""},
		{"publish", `{"type":"publish","topic":"a","data": {"n": [1, 2]} ,"ref":"1"}`, live.ClientFrame{Type: "publish", Topic: "a", Data: json.RawMessage(`{"n": [1, 2]}`), Ref: "1"}, ""},
		{"publish null", `{"type":"publish","topic":"a","data":null}`, live.ClientFrame{Type: "publish", Topic: "a", Data: json.RawMessage("null")}, ""},
		{"subscribe to nothing", `{"type":"subscribe"}`, live.ClientFrame{}, "topics"},
		{"subscribe to none", `{"type":"subscribe","topics":[]}`, live.ClientFrame{}, "topics"},
		{"subscribe to null", `{"type":"subscribe","topics":null}`, live.ClientFrame{}, "topics"},
		{"subscribe to a null", `{"type":"subscribe","topics":["a",null]}`, live.ClientFrame{}, "topics"},
		{"subscribe to a number", `{"type":"subscribe","topics":[1]}`, live.ClientFrame{}, "topics"},
		{"subscribe to a string", `{"type":"subscribe","topics":"a"}`, live.ClientFrame{}, "topics"},
		{"subscribe to 101", `{"type":"subscribe","topics":["a"` + strings.Repeat(`,"a"`, herald.MaxTopics) + `]}`, live.ClientFrame{}, "topics"},
		{"presence that is a number", `{"type":"subscribe","topics":["a"],"presence":1}`, live.ClientFrame{}, "presence"},
		{"presence that is null", `{"type":"subscribe","topics":["a"],"presence":null}`, live.ClientFrame{}, "presence"},
		{"unsubscribe with presence", `{"type":"unsubscribe","topics":["a"],"presence":true}`, live.ClientFrame{}, "presence"},
		{"unsubscribe from nothing", `{"type":"unsubscribe"}`, live.ClientFrame{}, "topics"},
		{"publish to nothing", `{"type":"publish","data":1}`, live.ClientFrame{}, "topic"},
		{"publish to a number", `{"type":"publish","topic":1,"data":1}`, live.ClientFrame{}, "topic"},
		{"publish nothing", `{"type":"publish","topic":"a"}`, live.ClientFrame{}, "data"},
		{"publish to two", `{"type":"publish","topics":["a"],"data":1}`, live.ClientFrame{}, "topics"},
		{"ref that is a number", `{"type":"publish","topic":"a","data":1,"ref":1}`, live.ClientFrame{}, "ref"},
		{"ref that is empty", `{"type":"publish","topic":"a","data":1,"ref":""}`, live.ClientFrame{}, "ref"},
		{"ref that is too long", `{"type":"publish","topic":"a","data":1,"ref":"` + strings.Repeat("r", 65) + `"}`, live.ClientFrame{}, "ref"},
		{"ref of a ping", `{"type":"ping","ref":"1"}`, live.ClientFrame{}, "ref"},
		{"empty", ``, live.ClientFrame{}, "!"},
		{"array", `["ping"]`, live.ClientFrame{}, "!"},
		{"open", `{"type":"ping"`, live.ClientFrame{}, "!"},
		{"two", `{"type":"ping"}{"type":"ping"}`, live.ClientFrame{}, "!"},
		{"deep", `{"type":` + strings.Repeat("[", 12000), live.ClientFrame{}, "!"},
		{"bad UTF-8", "{\"type\":\"\xff\"}", live.ClientFrame{}, "!"},
		{"too large", `{"type":"ping"` + strings.Repeat(" ", herald.MaxFrameBytes) + `}`, live.ClientFrame{}, "!"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := live.ParseClientFrame([]byte(c.in))
			switch e := (*herald.Error)(nil); {
			case err == nil:
				if !reflect.DeepEqual(f, c.want) || c.field != "" {
					t.Errorf("got %+v, want %+v and an error about %q", f, c.want, c.field)
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

// TestRefOfWrongFrames: what is refused is named, if it has a name.
func TestRefOfWrongFrames(t *testing.T) {
	for in, want := range map[string]string{
		`{"type":"publish","ref":"7"}`:                         "7",
		`{"type":"shout","ref":"7"}`:                           "7",
		`{"type":7,"ref":"7"}`:                                 "7",
		`{"type":"subscribe","topic":"a","ref":"7"}`:           "7",
		`{"type":"subscribe","topics":["a"],"ref":[]}`:         "",
		`{"type":"subscribe","topics":[],"ref":"7","ref":"8"}`: "",
	} {
		f, err := live.ParseClientFrame([]byte(in))
		if err == nil || f.Ref != want {
			t.Errorf("%s: ref is %q with %v, want %q", in, f.Ref, err, want)
		}
	}
}

// checkTopics holds what was taken to what the rest of the package relies on.
func checkTopics(t *testing.T, b []byte, f live.ClientFrame) {
	t.Helper()
	subscribes := f.Type == "subscribe" || f.Type == "unsubscribe"
	if subscribes != (len(f.Topics) > 0) || len(f.Topics) > herald.MaxTopics || len(f.Ref) > 64 {
		t.Fatalf("%q is taken as %+v", b, f)
	}
	if publishes := f.Type == "publish"; publishes != (f.Topic != "") || publishes != json.Valid(f.Data) {
		t.Fatalf("%q is taken as %+v", b, f)
	}
	if f.Type == "publish" {
		if out := live.TopicJSON(live.Publication{Topic: f.Topic, Data: f.Data}); !json.Valid(out) || strings.Contains(string(out), "\n") {
			t.Fatalf("%q is passed on as %q", b, out)
		}
	}
}

func FuzzParseClientFrame(f *testing.F) {
	f.Add([]byte(`{"type":"hello","token":"t","cursor":"c","ack":"each"}`))
	f.Add([]byte(`{"type":"ack","ids":["1","9223372036854775807"]}`))
	f.Add([]byte(`{"type":"ack","upto":"1.2.x"}`))
	f.Add([]byte(`{"type":"event","event":"clicked","ids":["7"]}`))
	f.Add([]byte(`{"type":"ping","ids":null}`))
	f.Add([]byte(`{"type":"subscribe","topics":["chat/7"],"presence":true,"ref":"1"}`))
	f.Add([]byte(`{"type":"unsubscribe","topics":["chat/7","\u0000"]}`))
	f.Add([]byte(`{"type":"publish","topic":"chat/7","data":{"a":[null,"\ud800"]},"ref":"1"}`))
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
			checkTopics(t, b, frame)
		case errors.As(err, &e):
			if e.Field == "" || e.Remedy == "" || !json.Valid(b) {
				t.Fatalf("%q is refused with %+v", b, e)
			}
		case !errors.Is(err, live.ErrNotFrame):
			t.Fatalf("%q gives %v", b, err)
		}
	})
}
