package api

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/strict"
)

var plainSeeds = []string{
	`{"audience":{"registration_ids":["06dbnqfs00v8k3m1p2r4"]},"notification":{"title":"Hello","body":"Wörld"},"data":{"order":7},"ttl":0}`,
	` { "audience" : "all" , "data" : [ 1 , -2.5e3, true,null, "x" ] } `, `{"audience":{"aliases":["a","b"],"tags":[]},"ttl":-5,"priority":"high","require_target":true}`,
	`{"audience":{"aliases":["a"]},"idempotency_key":"k","collapse_key":"c","ordering_key":"o","data":{"a":{"b":[{}]}}}`,
	`{"audience":"everybody","data":1}`, `{"audience":"all","audience":"all","data":1}`, `{"audience":{"aliases":["a"],"aliases":["b"]}}`, `{"data":{"a":1,"a":2}}`,
	`{"data":null}`, `{"data":"\ud800"}`, `{"data":01}`, `{"data":-}`, `{"data":1.}`, `{"data":1e}`, `{"ttl":00}`, `{"ttl":-0}`, `{"ttl":1e3}`, `{"ttl":"1"}`, `{"ttl":12345678901234567890}`,
	`{"notification":{"title":"a","title":"b"}}`, `{"notification":{"badge":1}}`, `{"notification":{}}`, `{"notification":null}`, `{"require_target":truer}`, `{"require_target":false}`,
	`{"audience":{"registration_ids":[1]}}`, `{"audience":{"registration_ids":["a",]}}`, `{,}`, `{"a"}`, `{}x`, `[]`, `{"data":"\"\\"}`, "{\"data\":\"\x01\"}", "{\"data\":\"\xff\"}", `{"audience":{}}`, `{"audience":[]}`, `{"data":truefalse}`,
	`{"data":[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]}`, `{"ttl":999999999999999999}`, `{"audience":{"topic":"a"}}`, ``, ` `, `{"data":{"":1," ":2}}`,
}

// FuzzPlain holds the plain way of reading a message against the strict one: what
// the first takes the second takes, with the same values.
func FuzzPlain(f *testing.F) {
	for _, s := range plainSeeds {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, batched bool) {
		var got, want BatchMessage
		if !plainMessage(body, &got, batched) {
			return
		}
		var err error
		if batched {
			err = strict.Decode(body, &want)
		} else {
			err = strict.Decode(body, &want.SendRequest)
		}
		if err != nil {
			t.Fatalf("%q was taken, and strictly it is %v", body, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("%q: %s", body, d)
		}
	})
}

// TestPlainTakes checks that the plain way is gone at all.
func TestPlainTakes(t *testing.T) {
	taken := 0
	for _, s := range plainSeeds {
		var m BatchMessage
		if plainMessage([]byte(s), &m, true) {
			taken++
		}
	}
	if taken != 10 {
		t.Errorf("%d of %d messages are plain", taken, len(plainSeeds))
	}
	var m BatchMessage
	if plainMessage([]byte(plainSeeds[3]), &m, false) {
		t.Error("a message that is sent alone has a member idempotency_key")
	}
	if err := decode([]byte(`{"audience":"all","data":1,"ttl":1,"x":2}`), &m, true); err == nil {
		t.Error("what is not plain was not read strictly")
	}
	if err := decode([]byte(`{"audience":"all","send_at":"2026-11-21T09:30:00Z","ttl":7}`), &m, true); err != nil || m.Data != nil || m.SendAt == nil || *m.TTL != 7 {
		t.Errorf("got %+v, %v", m, err)
	}
}

// FuzzContent holds the plain way of writing a content against encoding/json.
func FuzzContent(f *testing.F) {
	for _, s := range []string{"", "plain", "é", "a<b", "\u2028", "\xff", "\"", "\\", "\x01", "â"} {
		for _, data := range []string{"", `1`, `{"a":[1,"x y"]}`, `{ "a":1}`, `{"a":"<"}`, `"\u2028"`, "\" \"", `{`, `"\""`, `"\\ "`} {
			f.Add(s, "b", data, true)
		}
	}
	f.Fuzz(func(t *testing.T, title, body, data string, notification bool) {
		c := herald.Content{Data: json.RawMessage(data)}
		if notification {
			c.Notification = &herald.Notification{Title: title, Body: body, Image: title, Sound: body}
		}
		got, ok := plainContent(&c)
		if !ok {
			return
		}
		want, err := json.Marshal(c)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("got %s, want %s (%v)", got, want, err)
		}
	})
}
