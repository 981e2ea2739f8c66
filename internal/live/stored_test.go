package live

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// asBefore is ReleaseJSON of a message whose body is read and written again.
func asBefore(t testing.TB, m *record.Message) []byte {
	var c herald.Content
	if err := json.Unmarshal(m.Body, &c); err != nil {
		t.Fatal(err)
	}
	return ReleaseJSON(Release{Kind: record.ReleaseMessage, Msg: m, Cursor: "1.42.Yp", Content: c})
}

func TestFrameMembers(t *testing.T) {
	for _, c := range []struct {
		name, body string
		as         bool // stands in a frame as it is
	}{
		{"notification and data", `{"notification":{"title":"a","badge":0,"actions":[{"id":"x","title":"y"}]},"data":{"n":[1,{"m":2}],"s":"a, b }"}}`, true},
		{"notification", `{"notification":{"title":"say \"yes\", {now}\\"}}`, true},
		{"no member", `{"notification":{}}`, true},
		{"data", `{"data":null}`, true},
		{"what is not ASCII", `{"data":"grüße 中文"}`, true},
		{"nothing", `{}`, false},
		{"escapes that a frame has not", `{"data":"\u003cb\u003e"}`, false},
		{"overrides", `{"notification":{"title":"a","platforms":{"ios":{"title":"b"}}}}`, false},
		{"white space", `{"data":[1, 2]}`, false},
		{"line break", "{\"data\":\n1}", false},
		{"another order", `{"data":1,"notification":{"title":"a"}}`, false},
		{"another member", `{"data":1,"type":"close"}`, false},
		{"another member of three", `{"notification":{},"data":1,"type":"close"}`, false},
		{"another member instead", `{"notification":{},"type":"close"}`, false},
		{"no object", `"notification"`, false},
		{"a notification that is none", `{"notification":1}`, false},
		{"not JSON", `{"data":{}`, false},
		{"more than JSON", `{"data":1}}`, false},
		{"empty", ``, false},
	} {
		got := frameMembers([]byte(c.body))
		if got != nil != c.as {
			t.Errorf("%s: got %q", c.name, got)
		}
		if got == nil {
			continue
		}
		m := &record.Message{Body: []byte(c.body), Message: herald.Message{ID: 5, Due: time.UnixMilli(1e12), TTL: time.Hour, CollapseKey: "a\"<\u2028ü"}}
		have := ReleaseJSON(Release{Kind: record.ReleaseMessage, Msg: m, Cursor: "1.42.Yp", members: got})
		if want := asBefore(t, m); !bytes.Equal(have, want) {
			t.Errorf("%s:\n got %s\nwant %s", c.name, have, want)
		}
	}
}

// TestPlainBody holds that a body which was made here, and is not looked at, makes
// the frame that it makes when it is read and written again.
func TestPlainBody(t *testing.T) {
	for _, c := range []struct {
		body  string
		plain bool
	}{
		{`{"notification":{"title":"a","body":"b"},"data":{"n":[1,{"m":2}]}}`, true},
		{`{"data":{"platforms":"\u0041 \u003c"}}`, true}, // as its sender wrote it
		{`{"notification":{"click":"herald://x"}}`, true},
		{`{}`, true}, // nobody sends it
		{`{"notification":{"title":"\u003c"}}`, false},
	} {
		m := &record.Message{Body: []byte(c.body), Plain: c.plain, Message: herald.Message{ID: 5, Due: time.UnixMilli(1e12), TTL: time.Hour}}
		e := &encoder{kind: record.ReleaseMessage, msg: m}
		r := Release{Kind: record.ReleaseMessage, Msg: m, Cursor: "1.42.Yp"}
		if !e.asStored(&r) {
			all, err := e.decode()
			if err != nil {
				t.Fatal(err)
			}
			r.Content, _ = all.For(herald.PlatformWeb)
		}
		if have, want := ReleaseJSON(r), asBefore(t, m); !bytes.Equal(have, want) {
			t.Errorf("%s:\n got %s\nwant %s", c.body, have, want)
		}
	}
}

// FuzzFrameMembers holds what is taken as it is stored against what reading and
// writing make of it.
func FuzzFrameMembers(f *testing.F) {
	f.Add("title", "body", `{"a":[1,"b",{}]}`, "key", "high", "1.2.x")
	f.Add("<b>", "a\n\"\\", "null", "", "", "")
	f.Add("", "\u2028\xff", `"\u00e9"`, "\x00é", "odd\"", "\t")
	f.Fuzz(func(t *testing.T, title, text, data, key, priority, cursor string) {
		c := herald.Content{Data: json.RawMessage(data)}
		if title+text != "" {
			c.Notification = &herald.Notification{Title: title, Body: text}
		}
		if data == "" {
			c.Data = nil
		}
		body, err := json.Marshal(c)
		if err != nil {
			return // there is no such message
		}
		m := &record.Message{Body: body, Message: herald.Message{ID: 7, Due: time.UnixMilli(1e12), TTL: time.Hour, CollapseKey: key, Priority: herald.Priority(priority)}}
		members := frameMembers(body)
		if members == nil {
			return
		}
		r := Release{Kind: record.ReleaseMessage, Msg: m, Cursor: cursor, members: members}
		got := ReleaseJSON(r)
		r.members = nil
		if err := json.Unmarshal(body, &r.Content); err != nil {
			t.Fatal(err)
		}
		if want := ReleaseJSON(r); !bytes.Equal(got, want) {
			t.Fatalf("body %s\n got %s\nwant %s", body, got, want)
		}
	})
}

// TestFrameOfPlatform checks that a device gets the frame of its platform without a
// look into the message, in whatever order they come.
func TestFrameOfPlatform(t *testing.T) {
	k := frameKey{msg: 1, pos: 1}
	ios := k
	ios.platform = herald.PlatformIOS
	common, own := Frame("for all"), Frame("for iOS")
	for _, order := range []string{"common first", "own first"} {
		c := newFrameCache(1 << 20)
		if order == "own first" {
			c.put(ios, keptFrame{frame: own})
			if got := c.get(k, herald.PlatformWeb); got != nil {
				t.Fatalf("%s: web got %q", order, got)
			}
		}
		c.put(k, keptFrame{common, []herald.Platform{herald.PlatformIOS}})
		if order == "common first" {
			if got := c.get(k, herald.PlatformIOS); got != nil {
				t.Fatalf("%s: iOS got %q", order, got)
			}
			c.put(ios, keptFrame{frame: own})
		}
		if got := c.get(k, herald.PlatformWeb); string(got) != "for all" {
			t.Fatalf("%s: web got %q", order, got)
		}
		if got := c.get(k, herald.PlatformIOS); string(got) != "for iOS" {
			t.Fatalf("%s: iOS got %q", order, got)
		}
		if got := c.put(k, keptFrame{frame: Frame("later")}); string(got) != "for all" {
			t.Fatalf("%s: the later frame won: %q", order, got)
		}
	}
}
