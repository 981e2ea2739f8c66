package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/herald-push/herald/internal/wire/wiretest"
)

var key = [4]byte{0x12, 0x34, 0x56, 0x78}

// frame writes a client's frame.
func frame(fin bool, op Opcode, payload string) []byte {
	return AppendMasked(nil, fin, op, key, []byte(payload))
}

func frames(list ...[]byte) []byte { return bytes.Join(list, nil) }

// closing is the payload of a close frame.
func closing(code int, text string) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(code))) + text
}

// read feeds bytes in pieces of a size and writes down what comes of them.
func read(limit, size int, in []byte) string {
	return readBy(&Parser{Limit: limit}, size, in)
}

func readBy(p *Parser, size int, in []byte) string {
	var out strings.Builder
	for in = bytes.Clone(in); len(in) > 0; {
		n := min(size, len(in))
		piece := in[:n]
		in = in[n:]
		for {
			m, rest, ok, err := p.Next(piece)
			if e := (*Error)(nil); errors.As(err, &e) {
				fmt.Fprintf(&out, "!%d", e.Code)
				return out.String()
			}
			if !ok {
				break
			}
			switch m.Op {
			case Close:
				fmt.Fprintf(&out, "close %d %s;", m.Code, m.Reason)
			default:
				fmt.Fprintf(&out, "%x:%.40s(%d);", byte(m.Op), m.Payload, len(m.Payload))
			}
			piece = rest
		}
	}
	return out.String()
}

// cases are ordered like the case groups of the Autobahn test suite.
func cases() []struct {
	name, want string
	in         []byte
} {
	const limit16 = 1 << 16
	long := strings.Repeat("*", limit16)
	return []struct {
		name, want string
		in         []byte
	}{
		{"empty text", "1:(0);", frame(true, Text, "")},
		{"text of 125", "1:" + long[:40] + "(125);", frame(true, Text, long[:125])},
		{"text of 126", "1:" + long[:40] + "(126);", frame(true, Text, long[:126])},
		{"text of 65535", "1:" + long[:40] + "(65535);", frame(true, Text, long[:65535])},
		{"text of 65536", "1:" + long[:40] + "(65536);", frame(true, Text, long)},
		{"binary", "2:\xff\xfe(2);", frame(true, Binary, "\xff\xfe")},

		{"ping", "9:hello(5);", frame(true, Ping, "hello")},
		{"ping of 125", "9:" + long[:40] + "(125);", frame(true, Ping, long[:125])},
		{"ping of 126", "!1002", frame(true, Ping, long[:126])},
		{"pong unasked", "a:(0);1:x(1);", frames(frame(true, Pong, ""), frame(true, Text, "x"))},

		{"reserved bit 1", "!1002", []byte{0xC1, 0x80, 0, 0, 0, 0}},
		{"reserved bit 2", "!1002", []byte{0xA1, 0x80, 0, 0, 0, 0}},
		{"reserved bit 3 on a ping", "!1002", []byte{0x99, 0x80, 0, 0, 0, 0}},
		{"reserved bit after a good message", "1:x(1);!1002", frames(frame(true, Text, "x"), []byte{0xC1})},

		{"reserved opcode 3", "!1002", []byte{0x83}},
		{"reserved opcode 7", "!1002", []byte{0x87}},
		{"reserved opcode 11", "!1002", []byte{0x8B}},
		{"reserved opcode 15", "!1002", []byte{0x8F}},

		{"fragments", "1:fragment(8);", frames(frame(false, Text, "frag"), frame(true, Continuation, "ment"))},
		{"many fragments", "1:abc(3);", frames(frame(false, Text, ""), frame(false, Continuation, "a"), frame(false, Continuation, ""), frame(false, Continuation, "bc"), frame(true, Continuation, ""))},
		{"a ping between fragments", "9:p(1);1:ab(2);", frames(frame(false, Text, "a"), frame(true, Ping, "p"), frame(true, Continuation, "b"))},
		{"a fragmented ping", "!1002", frame(false, Ping, "p")},
		{"a continuation of nothing", "!1002", frame(true, Continuation, "x")},
		{"a continuation after a whole message", "1:x(1);!1002", frames(frame(true, Text, "x"), frame(false, Continuation, "y"))},
		{"a message within a message", "!1002", frames(frame(false, Text, "a"), frame(true, Text, "b"))},
		{"binary within text", "!1002", frames(frame(false, Text, "a"), frame(true, Binary, "b"))},

		{"UTF-8", "1:κόσμε 𝄞(15);", frame(true, Text, "κόσμε 𝄞")},
		{"UTF-8 cut within a character", "1:κ(2);", frames(frame(false, Text, "\xce"), frame(true, Continuation, "\xba"))},
		{"UTF-8 that ends within a character", "!1007", frame(true, Text, "a\xce")},
		{"UTF-8 that ends so after fragments", "!1007", frames(frame(false, Text, "\xf0\x9d"), frame(true, Continuation, "\x84"))},
		{"bad UTF-8 is refused before the message ends", "!1007", frame(false, Text, "\xed\xa0\x80")},
		{"bad UTF-8 is refused before the frame ends", "!1007", frame(true, Text, "\xff"+long)[:20]},
		{"overlong of two", "!1007", frame(true, Text, "\xc0\xaf")},
		{"overlong of three", "!1007", frame(true, Text, "\xe0\x80\xaf")},
		{"overlong of four", "!1007", frame(true, Text, "\xf0\x80\x80\xaf")},
		{"past U+10FFFF", "!1007", frame(true, Text, "\xf4\x90\x80\x80")},
		{"five bytes", "!1007", frame(true, Text, "\xf8\x88\x80\x80\x80")},
		{"lone continuation", "!1007", frame(true, Text, "\x80")},
		{"UTF-8 in binary does not matter", "2:\xff(1);", frame(true, Binary, "\xff")},

		{"close", "close 1000 bye;", frame(true, Close, closing(1000, "bye"))},
		{"close without a code", "close 1005 ;", frame(true, Close, "")},
		{"close with one byte", "!1002", frame(true, Close, "x")},
		{"close with a long text", "close 1000 " + long[:123] + ";", frame(true, Close, closing(1000, long[:123]))},
		{"close with bad UTF-8", "!1007", frame(true, Close, closing(1000, "\xce\xba\xff"))},
		{"what follows a close", "close 1000 ;", frames(frame(true, Close, closing(1000, "")), frame(true, Text, "x"))},
		{"close between fragments", "close 1001 ;", frames(frame(false, Text, "a"), frame(true, Close, closing(1001, "")))},

		{"limit", "2:" + long[:40] + "(70000);", frame(true, Binary, long+long[:70000-limit16])},
		{"over the limit", "!1009", frame(true, Binary, long+long[:70001-limit16])[:14]},
		{"over the limit in fragments", "!1009", frames(frame(false, Binary, long), frame(true, Continuation, long[:70001-limit16]))},

		{"no mask", "!1002", []byte{0x81, 0x01, 'x'}},
		{"length 125 in 16 bits", "!1002", []byte{0x81, 0xFE, 0, 125, 0, 0, 0, 0}},
		{"length 65535 in 64 bits", "!1002", []byte{0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0}},
		{"length past 2^63", "!1002", []byte{0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
		{"length of 2^63-1", "!1009", []byte{0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0}},
	}
}

func TestParser(t *testing.T) {
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			for _, size := range []int{1 << 20, 1, 2, 3, 7, 4096} {
				if got := read(70000, size, c.in); got != c.want {
					t.Errorf("in pieces of %d: %.80q, want %.80q", size, got, c.want)
				}
			}
		})
	}
}

func TestCloseCodes(t *testing.T) {
	for code, valid := range map[int]bool{
		0: false, 999: false, 1000: true, 1001: true, 1002: true, 1003: true, 1004: false, 1005: false, 1006: false,
		1007: true, 1011: true, 1014: true, 1015: false, 1016: false, 1100: false, 2999: false, 3000: true, 3999: true,
		4000: true, 4999: true, 5000: false, 65535: false,
	} {
		want := "!1002"
		if valid {
			want = fmt.Sprintf("close %d ;", code)
		}
		if got := read(0, 1000, frame(true, Close, closing(code, ""))); got != want {
			t.Errorf("%d: %s, want %s", code, got, want)
		}
	}
}

// TestEveryCloseCode compares with the table's own list.
func TestEveryCloseCode(t *testing.T) {
	for code := range 1 << 16 {
		if got, want := validCloseCode(code), wiretest.GoodCode(code); got != want {
			t.Errorf("%d: %v, want %v", code, got, want)
		}
	}
}

func TestParserHoldsNothingBetweenMessages(t *testing.T) {
	var p Parser
	in := frames(frame(false, Text, "a"), frame(true, Ping, "b"), frame(true, Continuation, "c"))
	for i := range in {
		if _, _, _, err := p.Next(in[i : i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if p.coming != nil {
		t.Fatal("a buffer is still held")
	}
}

func TestParserKeepsItsError(t *testing.T) {
	var p Parser
	_, _, _, first := p.Next([]byte{0x83})
	_, _, ok, again := p.Next(frame(true, Text, "x"))
	if first == nil || !errors.Is(again, first) || ok {
		t.Fatalf("first %v, then %v", first, again)
	}
	if !strings.Contains(first.Error(), "opcode 3") {
		t.Fatal(first)
	}
}

// TestAppend lets another implementation read what is written here.
func TestAppend(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 65535, 65536} {
		payload := bytes.Repeat([]byte("x"), n)
		f, err := ws.ReadFrame(bytes.NewReader(AppendFrame([]byte("before"), Text, payload)[6:]))
		if err != nil || f.Header.OpCode != ws.OpText || !f.Header.Fin || f.Header.Masked || !bytes.Equal(f.Payload, payload) {
			t.Errorf("%d bytes: %+v, %v", n, f.Header, err)
		}
	}
	for _, c := range []struct {
		code     int
		text     string
		wantCode ws.StatusCode
		wantText string
	}{
		{4008, "heartbeat", 4008, "heartbeat"},
		{0, "", 0, ""}, // no code at all
		{CloseNoStatus, "x", 0, ""},
		{1000, strings.Repeat("ü", 100), 1000, strings.Repeat("ü", 61)},
		{1000, "\xff", 1000, ""},
	} {
		f, err := ws.ReadFrame(bytes.NewReader(AppendClose(nil, c.code, c.text)))
		if err != nil || f.Header.OpCode != ws.OpClose {
			t.Fatalf("%+v, %v", f, err)
		}
		if code, text := ws.ParseCloseFrameData(f.Payload); code != c.wantCode || text != c.wantText {
			t.Errorf("close %d %q is read as %d %q", c.code, c.text, code, text)
		}
	}
}

func FuzzParser(f *testing.F) {
	for _, c := range cases() {
		if len(c.in) < 1000 {
			f.Add(c.in, uint8(3))
		}
	}
	for _, c := range wiretest.Cases() {
		if in := c.Bytes(); len(in) < 1000 && c.Offer == "" {
			f.Add(in, uint8(0))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, size uint8) {
		const limit = 1 << 12
		whole := read(limit, len(in)+1, in)
		if cut := read(limit, int(size)+1, in); cut != whole {
			t.Fatalf("whole %q, in pieces of %d %q", whole, int(size)+1, cut)
		}
		ours, theirs := firstMessage(in, limit), oracle(in, limit)
		if theirs != "" && ours != theirs {
			t.Fatalf("ours %q, gobwas %q", ours, theirs)
		}
	})
}

// firstMessage gives the first data message, if it comes before any close.
func firstMessage(in []byte, limit int) string {
	p := Parser{Limit: limit}
	for in = bytes.Clone(in); ; {
		m, rest, ok, err := p.Next(in)
		switch {
		case err != nil || !ok || m.Op == Close:
			return "none"
		case m.Op == Text || m.Op == Binary:
			return fmt.Sprintf("%d %q", m.Op, m.Payload)
		}
		in = rest
	}
}

// oracle gives the first data message as gobwas/ws reads it; "" where it is
// known to be more lenient than RFC 6455, so that it proves nothing.
func oracle(in []byte, limit int) string {
	for r := bytes.NewReader(in); ; { // lengths that are not in their shortest form, and close frames
		start := r.Len()
		h, err := ws.ReadHeader(r)
		if err != nil {
			break
		}
		if h.OpCode == ws.OpClose || h.Length > int64(limit) || start-r.Len() != ws.HeaderSize(h) {
			return ""
		}
		if _, err := r.Seek(h.Length, io.SeekCurrent); err != nil {
			break
		}
	}
	rd := wsutil.Reader{Source: bytes.NewReader(in), State: ws.StateServerSide, CheckUTF8: true,
		OnIntermediate: func(h ws.Header, r io.Reader) error { return nil }}
	for {
		h, err := rd.NextFrame()
		if err != nil {
			return "none"
		}
		if h.OpCode.IsControl() {
			if rd.Discard() != nil {
				return "none"
			}
			continue
		}
		b, err := io.ReadAll(&rd)
		if err != nil {
			return "none"
		}
		if len(b) > limit {
			return ""
		}
		return fmt.Sprintf("%d %q", h.OpCode, b)
	}
}

func FuzzUTF8(f *testing.F) {
	f.Add([]byte("κόσμε 𝄞"), 3)
	f.Add([]byte("\xed\xa0\x80"), 1)
	f.Add([]byte("\xf4\x8f\xbf\xbf"), 2)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		if cut < 0 || cut > len(b) {
			return
		}
		var u utf8Check
		got := u.write(b[:cut]) && u.write(b[cut:]) && u.complete()
		if want := validText(string(b)); got != want {
			t.Fatalf("%q: %v, want %v", b, got, want)
		}
	})
}
