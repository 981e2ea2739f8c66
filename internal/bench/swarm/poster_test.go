package swarm

import (
	"fmt"
	"strings"
	"testing"
)

// TestDevices: each client belongs to one poster, and all get as many messages
// as others, give or take one.
func TestDevices(t *testing.T) {
	const posters, clients, each = 3, 8, 16
	got := map[int]int{}
	for p := range posters {
		for k := range each {
			to := device(p, posters, clients, k)
			if to%posters != p || to >= clients {
				t.Fatalf("poster %d sends to client %d", p, to)
			}
			got[to]++
		}
	}
	if len(got) != clients {
		t.Errorf("%d clients get messages: %v", len(got), got)
	}
}

func TestRequests(t *testing.T) {
	now := func() int64 { return 9 }
	mark := func(stream, seq uint32) string {
		return string(Mark{Kind: Unicast, Stream: stream, Seq: seq, Sent: 9}.Append(nil, 60))
	}
	tests := []struct {
		name       string
		post       Post
		ids        []string
		count      int
		head, body string
	}{
		{"to the floor", Post{Path: "/"}, nil, 1, "POST /1 HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", mark(1, 1)},
		{"a batch to the floor", Post{Path: "/batch", Batch: 2}, nil, 2,
			"POST /batch HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n", "1 " + mark(1, 1) + "\n1 " + mark(1, 2) + "\n"},
		{"to Herald", Post{Path: "/m", Secret: "Basic x", TTL: 5}, []string{"a", "b"}, 1,
			"POST /m HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: %d\r\nAuthorization: Basic x\r\n\r\n",
			`{"audience":{"registration_ids":["b"]},"ttl":5,"data":` + mark(1, 1) + `}`},
		{"a batch to Herald", Post{Path: "/b", Batch: 9}, []string{"a", "b"}, 1,
			"POST /b HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n",
			`{"audience":{"registration_ids":["b"]},"ttl":0,"data":` + mark(1, 1) + "}\n"},
	}
	for _, tt := range tests {
		tt.post.Address, tt.post.Connections, tt.post.Clients, tt.post.Size = "h", 2, 2, 60
		l := &letters{Post: tt.post, ids: tt.ids, counts: make([]uint32, 2), now: now}
		if got, want := string(l.request(nil, 1, 0, tt.count)), fmt.Sprintf(tt.head, len(tt.body))+tt.body; got != want {
			t.Errorf("%s: got\n%q\nwant\n%q", tt.name, got, want)
		}
	}
}

func TestAnswers(t *testing.T) {
	answer := func(status int, body string) string {
		return fmt.Sprintf("HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
	}
	ids := []string{"a"}
	good := `{"id":"1","stored":true}` + "\n"
	tests := []struct {
		name, in string
		letters  letters
		count    int
		want     string // an error
	}{
		{"accepted", answer(202, good), letters{ids: ids}, 1, ""},
		{"of the floor", answer(202, ""), letters{}, 1, ""},
		{"in chunks", chunkedHead + chunked(good, 3) + "0\r\n\r\n", letters{ids: ids}, 1, ""},
		{"refused", answer(429, "slow down"), letters{ids: ids}, 1, "answers 429"},
		{"a batch", answer(200, good+good), letters{ids: ids, Post: Post{Batch: 2}}, 2, ""},
		{"a batch of the floor", answer(200, "202\n202\n"), letters{Post: Post{Batch: 2}}, 2, ""},
		{"a batch as a list", answer(200, `[{"id":"1"},{"id":"2"}]`), letters{ids: ids, Post: Post{Batch: 2}}, 2, ""},
		{"a batch of which one is refused", answer(200, good+`{"error":{"code":"x"}}`+"\n"), letters{ids: ids, Post: Post{Batch: 2}}, 2, "is refused"},
		{"a batch with an answer too few", answer(200, good), letters{ids: ids, Post: Post{Batch: 2}}, 2, "has 1 answers"},
		{"without a length", "HTTP/1.1 202 X\r\n\r\n", letters{}, 1, "without a length"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n, err := tt.letters.answer([]byte(tt.in), tt.count)
			switch {
			case tt.want == "" && (err != nil || n != len(tt.in)):
				t.Fatalf("%d of %d bytes, %v", n, len(tt.in), err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			for i := range tt.in {
				if tt.want != "" {
					break
				}
				if n, err := tt.letters.answer([]byte(tt.in[:i]), tt.count); n != 0 || err != nil {
					t.Fatalf("cut at %d: %d, %v", i, n, err)
				}
			}
		})
	}
}

// TestPublications: who publishes over MQTT connects first, and goes on when
// all of a request are acknowledged.
func TestPublications(t *testing.T) {
	l := &letters{Post: Post{Topic: "t/", User: "u", Connections: 2, Clients: 4, Size: 60}, ids: []string{"", "i"}, tokens: []string{"", "p"}, counts: make([]uint32, 4), now: func() int64 { return 9 }}
	want := string(MQTTConnect(nil, "i", "u", "p", false))
	for i, to := range []uint32{1, 3} {
		want += string(MQTTPublish(nil, fmt.Sprint("t/", to), 1, uint16(i+1), Mark{Kind: Unicast, Stream: to, Seq: 1, Sent: 9}.Append(nil, 60)))
	}
	if got := string(l.request(nil, 1, 0, 2)); got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	if got := l.request(nil, 1, 2, 1); !strings.HasPrefix(string(got), "\x32") {
		t.Errorf("the second request is %q", got)
	}
	in := "\x20\x02\x00\x00\x40\x02\x00\x01\x40\x02\x00\x02"
	for i := range in {
		if n, err := l.answer([]byte(in[:i]), 2); n != 0 || err != nil {
			t.Fatalf("cut at %d: %d, %v", i, n, err)
		}
	}
	if n, err := l.answer([]byte(in), 2); n != len(in) || err != nil {
		t.Errorf("%d of %d bytes, %v", n, len(in), err)
	}
	if _, err := l.answer([]byte("\x20\x02\x00\x05"), 1); err == nil {
		t.Error("a refused connection is none")
	}
	if out, _, done, err := MQTTAnswer([]byte("\x50\x02\x00\x07"), nil); string(out) != "\x62\x02\x00\x07" || done || err != nil {
		t.Errorf("PUBREC is answered with %q, %t, %v", out, done, err)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 202 X\r\nContent-Length: 2\r\n\r\nab"), 1)
	f.Add([]byte(chunkedHead+"1\r\nx\r\n0\r\n\r\n"), 2)
	f.Fuzz(func(t *testing.T, b []byte, count int) {
		l := &letters{ids: []string{"a"}, Post: Post{Batch: 2}}
		if n, _ := l.answer(b, count); n < 0 || n > len(b) {
			t.Errorf("%d of %d bytes", n, len(b))
		}
	})
}
