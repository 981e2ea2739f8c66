package swarm

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-push/herald/internal/wire"
)

// payload is the n-th broadcast.
func payload(n uint32) string { return string(Mark{Kind: Broadcast, Seq: n, Sent: 5}.Append(nil, 80)) }

// message is a frame of the session protocol with the n-th broadcast.
func message(n uint32) string {
	return fmt.Sprintf(`{"type":"message","id":"10%d","time":"…","data":%s}`, n, payload(n))
}

const (
	welcome   = `{"type":"welcome","session":"s"}`
	upgraded  = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
	streaming = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
)

func frame(op wire.Opcode, text string) string {
	return string(wire.AppendFrame(nil, op, []byte(text)))
}

// masked is the frame of a client.
func masked(op wire.Opcode, text string) string {
	return string(wire.AppendMasked(nil, true, op, [4]byte{}, []byte(text)))
}

// chunked cuts a body into chunks of n bytes.
func chunked(body string, n int) string {
	var b strings.Builder
	for len(body) > 0 {
		k := min(n, len(body))
		fmt.Fprintf(&b, "%X;x=y\r\n%s\r\n", k, body[:k])
		body = body[k:]
	}
	return b.String()
}

func polled(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

const chunkedHead = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"

// transcripts are what servers send, with what is to come of it.
func transcripts() []struct {
	name  string
	rules rules
	in    string
	want  Tally
	out   string
} {
	events := "retry: 1000\nevent: welcome\ndata: " + welcome + "\n\n: ping\n\nid: 1.2.x\ndata: " + message(1) + "\n\ndata: " + message(2) + "\n\n"
	herald := func(proto string) rules { return rules{Target: Target{Proto: proto, Welcome: true}} }
	acking := func(proto string) rules {
		r := herald(proto)
		r.ack = true
		return r
	}
	lines := welcome + "\n{\"type\":\"ping\"}\n" + message(1) + "\r\n" + message(2) + "\n"
	longer := payload(3)[:0] + string(Mark{Kind: Broadcast, Seq: 3}.Append(nil, 300))
	connack, suback := "\x20\x02\x00\x00", "\x90\x03\x00\x01\x01"
	return []struct {
		name  string
		rules rules
		in    string
		want  Tally
		out   string
	}{
		{"WebSocket", acking(WebSocket), upgraded + frame(wire.Text, welcome) + frame(wire.Ping, "p") + frame(wire.Text, message(1)) + frame(wire.Pong, ""),
			Tally{Up: 1, Broadcasts: 1, Pings: 1, Acks: 1}, masked(wire.Pong, "p") + masked(wire.Text, `{"type":"ack","ids":["101"]}`)},
		{"bare WebSocket", rules{Target: Target{Proto: WebSocket}}, upgraded + frame(wire.Text, payload(1)) + frame(wire.Text, payload(2)) + frame(wire.Text, longer),
			Tally{Up: 1, Broadcasts: 3}, ""},
		{"SSE", herald(SSE), streaming + events, Tally{Up: 1, Broadcasts: 2, Pings: 1}, ""},
		{"SSE in chunks", herald(SSE), chunkedHead + chunked(events, 17), Tally{Up: 1, Broadcasts: 2, Pings: 1}, ""},
		{"lines of HTTP", herald(Stream), streaming + lines, Tally{Up: 1, Broadcasts: 2, Pings: 1}, ""},
		{"lines of HTTP in chunks", herald(Stream), chunkedHead + chunked(lines, 1000), Tally{Up: 1, Broadcasts: 2, Pings: 1}, ""},
		{"TCP", acking(TCP), lines, Tally{Up: 1, Broadcasts: 2, Pings: 1, Acks: 2}, "{\"type\":\"pong\"}\n"},
		{"polls", herald(Poll), polled(`{"frames":[`+message(1)+`,`+message(2)+`],"cursor":"1.2.x"}`) + polled(`{"frames":[],"cursor":""}`) +
			polled(`{"frames":[`+message(3)+`],"cursor":"1.3.x"}`), Tally{Broadcasts: 3},
			"GET /p?wait=60&cursor=1.2.x HTTP/1.1\r\nHost: h\r\n\r\nGET /p?wait=60 HTTP/1.1\r\nHost: h\r\n\r\nGET /p?wait=60&cursor=1.3.x HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"MQTT", rules{Target: Target{Proto: MQTT, Topic: "t"}}, connack + suback + string(MQTTPublish(nil, "t", 0, 0, []byte(payload(1)))) +
			string(MQTTPublish(nil, "t", 1, 0x102, []byte(payload(2)))) + string(MQTTPublish(nil, "t", 0, 0, []byte(longer))),
			Tally{Up: 1, Broadcasts: 3, Acks: 1}, "\x40\x02\x01\x02"},
		{"MQTT with QoS 2", rules{Target: Target{Proto: MQTT, Topic: "t"}}, connack + suback + string(MQTTPublish(nil, "t", 2, 3, []byte(payload(1)))) +
			"\x62\x02\x00\x03", Tally{Up: 1, Broadcasts: 1, Acks: 1}, "\x50\x02\x00\x03\x70\x02\x00\x03"},
		{"pushes over MQTT", rules{Target: Target{Proto: MQTT}}, connack + string(MQTTPublish(nil, "herald/push", 1, 9, []byte(message(1)))),
			Tally{Up: 1, Broadcasts: 1}, ""},
	}
}

// play feeds a client with pieces, and gives what came of it. Acknowledgements
// of what comes apart are apart; they are left out of the output then.
func play(r rules, pieces ...string) (Tally, string, error) {
	r.Address = "h"
	if r.Proto == Poll {
		r.Path = "/p?wait=60"
	}
	t := &tally{now: func() int64 { return 7 }}
	c := &client{stage: inHead}
	if r.Proto == TCP || r.Proto == MQTT {
		c.stage = inBody
	}
	var out []byte
	for _, p := range pieces {
		t.out = t.out[:0]
		if err := c.feed(&r, t, []byte(p)); err != nil {
			return t.Tally, string(out), err
		}
		out = append(out, t.out...)
	}
	if len(c.rest) > 0 {
		return t.Tally, string(out), fmt.Errorf("%q is left", c.rest)
	}
	return t.Tally, string(out), nil
}

func TestTranscripts(t *testing.T) {
	for _, tt := range transcripts() {
		t.Run(tt.name, func(t *testing.T) {
			check := func(how string, pieces ...string) {
				t.Helper()
				got, out, err := play(tt.rules, pieces...)
				if tt.rules.Proto == TCP {
					out = strings.Join(strings.SplitAfter(out, "\n")[:1], "")
				}
				if d := cmp.Diff(tt.want, got); err != nil || d != "" || out != tt.out {
					t.Fatalf("%s: %v, sent %q, want %q\n%s", how, err, out, tt.out, d)
				}
			}
			check("whole", tt.in)
			check("by bytes", strings.Split(tt.in, "")...)
			for i := range tt.in {
				check(fmt.Sprintf("cut at %d", i), tt.in[:i], tt.in[i:])
			}
		})
	}
}

// TestAcknowledgements come in one frame for what came together.
func TestAcknowledgements(t *testing.T) {
	r := rules{Target: Target{Proto: TCP, Welcome: true}, ack: true}
	in := strings.Builder{}
	for i := range uint32(maxAcks + 1) {
		in.WriteString(message(i+1) + "\n")
	}
	got, out, err := play(r, in.String())
	if n := strings.Count(out, "\n"); err != nil || n != 2 || got.Acks != maxAcks+1 || !strings.HasSuffix(out, "{\"type\":\"ack\",\"ids\":[\"10501\"]}\n") {
		t.Errorf("%d frames, %+v, %v: …%s", n, got, err, out[max(len(out)-100, 0):])
	}
}

func TestWhatIsWrong(t *testing.T) {
	ws := func(frames ...string) string { return upgraded + strings.Join(frames, "") }
	damaged := bytes.Replace([]byte(payload(1)), []byte("abc"), []byte("abd"), 1)
	other := string(Mark{Kind: Unicast, Stream: 3, Seq: 1}.Append(nil, 80))
	second := string(Mark{Kind: Unicast, Seq: 2}.Append(nil, 80))
	tests := []struct{ name, proto, in, want string }{
		{"a message is missing", WebSocket, ws(frame(1, payload(1)), frame(1, payload(3))), "broadcast 3 came, want 2"},
		{"a message comes twice", WebSocket, ws(frame(1, payload(1)), frame(1, payload(1))), "broadcast 1 came, want 2"},
		{"the first unicast is missing", WebSocket, ws(frame(1, second)), "unicast 2 came, want 1"},
		{"a message is another client's", WebSocket, ws(frame(1, other)), "unicast 1 is that of client 3"},
		{"a payload is damaged", WebSocket, ws(frame(1, string(damaged))), "damaged"},
		{"a stranger's message", WebSocket, ws(frame(1, "hello")), "none of ours"},
		{"a close frame", WebSocket, ws(frame(wire.Close, "\x0f\xaaslow")), "has closed"},
		{"a masked frame", WebSocket, ws(masked(1, "x")), "not masked"},
		{"a fragment", WebSocket, ws("\x01\x00"), "whole"},
		{"a huge frame", WebSocket, ws("\x81\x7f\x00\x00\x00\x01\x00\x00\x00\x00"), "a frame of"},
		{"a refusal", WebSocket, "HTTP/1.1 401 Unauthorized\r\n\r\n", "401 Unauthorized"},
		{"no HTTP", WebSocket, "SSH-2.0\r\n\r\n", "no HTTP response"},
		{"a head without an end", WebSocket, strings.Repeat("x", maxHead+1), "does not end"},
		{"an event of two lines", SSE, streaming + "data: a\ndata: b\n\n", "more than one line"},
		{"an event without an end", SSE, streaming + strings.Repeat("x", maxFrame+1), "does not end"},
		{"a line without an end", TCP, strings.Repeat("x", maxFrame+1), "does not end"},
		{"a chunk without a size", Stream, chunkedHead + "x\r\n", "malformed"},
		{"a poll without a length", Poll, "HTTP/1.1 200 OK\r\n\r\n", "no Content-Length"},
		{"a refused connection", MQTT, "\x20\x02\x00\x05", "refused"},
		{"a refused subscription", MQTT, "\x90\x03\x00\x01\x80", "refused"},
		{"another packet", MQTT, "\xf0\x00", "unexpected"},
		{"a packet that is cut", MQTT, "\x30\x02\x00\x05", "cut"},
		{"a packet without an end", MQTT, "\x30\xff\xff\xff\xff\xff", "does not end"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := play(rules{Target: Target{Proto: tt.proto}}, tt.in)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	for _, text := range []string{`{"type":"error","code":"x"}`, `{"type":"close","code":4001}`, `{"type":"reconnect"}`} {
		if _, _, err := play(rules{Target: Target{Proto: TCP, Welcome: true}}, text+"\n"); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
	lossy := rules{Target: Target{Proto: WebSocket}, lossy: true}
	if got, _, err := play(lossy, ws(frame(1, payload(1)), frame(1, payload(3)))); err != nil || got.Broadcasts != 2 {
		t.Errorf("a slow client may miss some: %+v, %v", got, err)
	}
	if _, _, err := play(lossy, ws(frame(1, payload(3)), frame(1, payload(3)))); err == nil {
		t.Error("a slow client gets a message twice")
	}
}

func TestFirstWords(t *testing.T) {
	for _, tt := range []struct {
		rules rules
		want  string
	}{
		{rules{Target: Target{Proto: TCP}, tokens: []string{"a", "b"}}, "{\"type\":\"hello\",\"token\":\"b\"}\n"},
		{rules{Target: Target{Proto: SSE, Path: "/e", Address: "h:1"}, tokens: []string{"a", "b"}},
			"GET /e HTTP/1.1\r\nHost: h:1\r\nAccept: text/event-stream\r\nAuthorization: Bearer b\r\n\r\n"},
		{rules{Target: Target{Proto: WebSocket, Path: "/", Numbered: true, Address: "h"}},
			"GET /1 HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"},
		{rules{Target: Target{Proto: MQTT}}, "\x10\x13\x00\x04MQTT\x04\x02\x00\x00\x00\x07bench-1"},
		{rules{Target: Target{Proto: MQTT, Topic: "bench/", Numbered: true, QoS: 1, User: "u", Kept: true}, tokens: []string{"", "p"}, ids: []string{"", "i"}},
			"\x10\x13\x00\x04MQTT\x04\xc0\x00\x00\x00\x01i\x00\x01u\x00\x01p\x82\x0c\x00\x01\x00\x07bench/1\x01"},
	} {
		if got := string(tt.rules.open(nil, 1)); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.rules.Proto, got, tt.want)
		}
	}
}

// FuzzFeed cuts what servers send, and what they never send, at any place: the
// pieces must say what the whole says.
func FuzzFeed(f *testing.F) {
	for i, tt := range transcripts() {
		f.Add(uint8(i), len(tt.in)/2, []byte(tt.in))
	}
	f.Fuzz(func(t *testing.T, which uint8, cut int, in []byte) {
		list := transcripts()
		r := list[int(which)%len(list)].rules
		r.ack = false // what comes together is acknowledged together
		cut = max(min(cut, len(in)), 0)
		one, out, err := play(r, string(in))
		two, out2, err2 := play(r, string(in[:cut]), string(in[cut:]))
		if (err == nil) != (err2 == nil) || err == nil && (one != two || out != out2) {
			t.Errorf("whole: %+v %q %v\ncut at %d: %+v %q %v", one, out, err, cut, two, out2, err2)
		}
	})
}
