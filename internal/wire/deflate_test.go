package wire

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
)

// The data of the examples in RFC 7692 section 7.2.3. Each but the last two is
// the text Hello.
const (
	oneBlock     = "\xf2\x48\xcd\xc9\xc9\x07\x00"                         // 7.2.3.1
	secondHello  = "\xf2\x00\x11\x00\x00"                                 // 7.2.3.2, which refers to the first
	storedBlock  = "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"         // 7.2.3.3
	finalHello   = "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"                     // 7.2.3.4
	twoBlocks    = "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00" // 7.2.3.5
	emptyMessage = "\x00"                                                 // 7.2.3.6
)

// deflatedFrame writes a client's frame with RSV1.
func deflatedFrame(fin bool, op Opcode, data string) []byte {
	b := frame(fin, op, data)
	b[0] |= rsv1Bit
	return b
}

// deflateText compresses with another level than ours.
func deflateText(text string) string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression)
	_, _ = io.WriteString(w, text)
	_ = w.Flush()
	return strings.TrimSuffix(b.String(), emptyBlock)
}

const deflateLimit = 16 << 10

func deflateCases() []struct {
	name, want string
	in         []byte
} {
	long := strings.Repeat("*", deflateLimit)
	random := make([]byte, deflateLimit)
	for i, r := 0, rand.New(rand.NewPCG(1, 2)); i < len(random); i++ {
		random[i] = byte(r.Uint32())
	}
	return []struct {
		name, want string
		in         []byte
	}{
		{"one block", "1:Hello(5);", deflatedFrame(true, Text, oneBlock)},
		{"fragments", "1:Hello(5);", frames(deflatedFrame(false, Text, oneBlock[:3]), frame(true, Continuation, oneBlock[3:]))},
		{"many fragments, some empty", "1:Hello(5);", frames(deflatedFrame(false, Text, ""), frame(false, Continuation, oneBlock[:6]), frame(false, Continuation, ""), frame(true, Continuation, oneBlock[6:]))},
		{"a block without compression", "1:Hello(5);", deflatedFrame(true, Text, storedBlock)},
		{"a final block", "1:Hello(5);", deflatedFrame(true, Text, finalHello)},
		{"a final block without a byte after it", "1:Hello(5);", deflatedFrame(true, Text, finalHello[:7])},
		{"two blocks", "1:Hello(5);", deflatedFrame(true, Text, twoBlocks)},
		{"blocks after a final block", "1:HelloHello(10);", deflatedFrame(true, Text, finalHello[:7]+oneBlock)},
		{"three streams", "1:HelloHelloHello(15);", deflatedFrame(true, Text, finalHello[:7]+finalHello[:7]+finalHello)},
		{"a final block that is empty, without its end", "1:Hello(5);", deflatedFrame(true, Text, storedBlock[:10]+"\x01")},
		{"an empty message", "1:(0);", deflatedFrame(true, Text, emptyMessage)},
		{"binary", "2:Hello(5);", deflatedFrame(true, Binary, oneBlock)},
		{"one as it is among compressed ones", "1:Hello(5);1:plain(5);1:Hello(5);", frames(deflatedFrame(true, Text, oneBlock), frame(true, Text, "plain"), deflatedFrame(true, Text, oneBlock))},
		{"fragments as they are", "1:Hello(5);", frames(frame(false, Text, "Hel"), frame(true, Continuation, "lo"))},
		{"a ping between fragments", "9:p(1);1:Hello(5);", frames(deflatedFrame(false, Text, oneBlock[:3]), frame(true, Ping, "p"), frame(true, Continuation, oneBlock[3:]))},

		{"no context", "1:Hello(5);!1007", frames(deflatedFrame(true, Text, oneBlock), deflatedFrame(true, Text, secondHello))},
		{"no context from before a final block", "!1007", deflatedFrame(true, Text, finalHello[:7]+secondHello)},
		{"no data", "!1007", deflatedFrame(true, Text, "")},
		{"a reserved kind of block", "!1007", deflatedFrame(true, Text, "\x06\x00")},
		{"a block that is cut", "!1007", deflatedFrame(true, Text, storedBlock[:7])},
		{"a length that contradicts itself", "!1007", deflatedFrame(true, Text, "\x00\x05\x00\xfa\xfe\x48\x65\x6c\x6c\x6f\x00")},
		{"good data after bad", "!1007", frames(deflatedFrame(true, Text, "\x06\x00"), deflatedFrame(true, Text, oneBlock))},

		{"RSV1 on a ping", "!1002", deflatedFrame(true, Ping, "")},
		{"RSV1 on a close", "!1002", deflatedFrame(true, Close, "")},
		{"RSV1 on a continuation", "!1002", frames(deflatedFrame(false, Text, oneBlock[:3]), deflatedFrame(true, Continuation, oneBlock[3:]))},
		{"RSV1 on the continuation of what is not compressed", "!1002", frames(frame(false, Text, "x"), deflatedFrame(true, Continuation, oneBlock))},
		{"RSV2", "!1002", []byte{0xA1}},
		{"RSV1 and RSV3", "!1002", []byte{0xD1}},

		{"UTF-8", "1:κόσμε 𝄞(15);", deflatedFrame(true, Text, deflateText("κόσμε 𝄞"))},
		{"not UTF-8", "!1007", deflatedFrame(true, Text, deflateText("a\xff"))},
		{"UTF-8 that ends within a character", "!1007", deflatedFrame(true, Text, deflateText("a\xce"))},
		{"not UTF-8 before it is decompressed", "1:Hello(5);", frames(deflatedFrame(false, Text, "\xf2"), frame(true, Continuation, oneBlock[1:]))},

		{"the limit", "1:" + long[:40] + "(16384);", deflatedFrame(true, Text, deflateText(long))},
		{"one past the limit", "!1009", deflatedFrame(true, Text, deflateText(long+"*"))},
		{"one past the limit after a final block", "!1009", deflatedFrame(true, Text, "\x4b\x04\x00"+deflateText(long))},
		{"a bomb", "!1009", deflatedFrame(true, Text, deflateText(strings.Repeat(long, 1000)))},
		{"what cannot be compressed", fmt.Sprintf("2:%.40s(16384);", random), deflatedFrame(true, Binary, deflateText(string(random)))},
		{"too much before it is decompressed", "!1009", deflatedFrame(true, Binary, strings.Repeat("\x00", deflateLimit*9/8+65))[:8]},
		{"too much in fragments", "!1009", frames(deflatedFrame(false, Binary, long), frame(true, Continuation, long))},
		{"too much that is not compressed", "!1009", frame(true, Binary, long+"*")[:8]},
	}
}

func TestDeflatedParser(t *testing.T) {
	for _, c := range deflateCases() {
		t.Run(c.name, func(t *testing.T) {
			for _, size := range []int{1 << 20, 1, 2, 3, 7, 4096} {
				if got := readBy(&Parser{Limit: deflateLimit, Deflate: true}, size, c.in); got != c.want {
					t.Errorf("in pieces of %d: %.80q, want %.80q", size, got, c.want)
				}
			}
			if c.in[0]&rsv1Bit != 0 {
				if got := read(deflateLimit, 100, c.in); got != "!1002" {
					t.Errorf("without an agreement: %.80q", got)
				}
			}
		})
	}
}

func TestDeflatedParserWithoutLimit(t *testing.T) {
	text := strings.Repeat("Hello", 100_000)
	want := fmt.Sprintf("1:%.40s(500000);", text)
	if got := readBy(&Parser{Deflate: true}, 1000, deflatedFrame(true, Text, deflateText(text))); got != want {
		t.Fatalf("got %.80q", got)
	}
}

func TestDeflatedParserHoldsNothingBetweenMessages(t *testing.T) {
	p := Parser{Deflate: true}
	in := frames(deflatedFrame(false, Text, oneBlock[:3]), frame(true, Continuation, oneBlock[3:]))
	for i := range in {
		if _, _, _, err := p.Next(in[i : i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if p.coming != nil {
		t.Fatal("a buffer is still held")
	}
}

// TestInflateStopsAtTheLimit: what a bomb costs is bounded by the limit and
// the window of the decompressor, not by what it would become.
func TestInflateStopsAtTheLimit(t *testing.T) {
	bomb := []byte(deflateText(strings.Repeat("\x00", 1000*deflateLimit)))
	i := inflaters.New().(*inflater)
	out, err := i.message(bomb, deflateLimit)
	if e := (*Error)(nil); !errors.As(err, &e) || e.Code != CloseTooBig || out != nil {
		t.Fatalf("%d bytes, %v", len(out), err)
	}
	if i.src.at > len(bomb)/10 {
		t.Fatalf("%d of %d bytes were read", i.src.at, len(bomb))
	}
}

// TestInflaterIsReused: an inflater that met an error, or another message, is
// as good as a new one, and gives nothing away of what it had before.
func TestInflaterIsReused(t *testing.T) {
	i := inflaters.New().(*inflater)
	for _, before := range []string{oneBlock, "\x06\x00", storedBlock[:7], deflateText(strings.Repeat("secret", 10_000))} {
		_, _ = i.message([]byte(before), 1000)
		if out, err := i.message([]byte(twoBlocks), 5); err != nil || string(out) != "Hello" {
			t.Errorf("after %.20q: %q, %v", before, out, err)
		}
		_, _ = i.message([]byte(before), 1000)
		if out, err := i.message([]byte(secondHello), 1000); err == nil {
			t.Errorf("after %.20q: a message that refers to it gives %q", before, out)
		}
	}
}

func TestDeflater(t *testing.T) {
	d := NewDeflater()
	random := make([]byte, 4<<10)
	for i, r := 0, rand.New(rand.NewPCG(3, 4)); i < len(random); i++ {
		random[i] = byte(r.Uint32())
	}
	for _, c := range []struct {
		name       string
		payload    []byte
		compressed bool
	}{
		{"empty", nil, false},
		{"short", bytes.Repeat([]byte("x"), MinDeflate-1), false},
		{"long enough", bytes.Repeat([]byte("x"), MinDeflate), true},
		{"text", []byte(strings.Repeat(`{"type":"message","data":{"n":1}}`, 100)), true},
		{"larger than a buffer that is kept", bytes.Repeat(random, 1000), true},
		{"what cannot be compressed", random, false},
		{"larger than a window", bytes.Repeat([]byte("Hello"), 100_000), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := d.AppendFrame([]byte("before"), Text, c.payload)
			f, err := ws.ReadFrame(bytes.NewReader(b[6:]))
			if err != nil || string(b[:6]) != "before" || f.Header.OpCode != ws.OpText || !f.Header.Fin || f.Header.Rsv1() != c.compressed || f.Header.Rsv2() || f.Header.Rsv3() {
				t.Fatalf("%+v, %v", f.Header, err)
			}
			if c.compressed {
				if len(f.Payload) >= len(c.payload) {
					t.Errorf("%d bytes became %d", len(c.payload), len(f.Payload))
				}
				if f, err = wsflate.DecompressFrame(f); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(f.Payload, c.payload) {
				t.Fatalf("reads %d bytes, want %d", len(f.Payload), len(c.payload))
			}
			// No context: the same again is the same frame.
			if again := d.AppendFrame([]byte("before"), Text, c.payload); !bytes.Equal(again, b) {
				t.Fatal("the second frame differs")
			}
		})
	}
}

func TestDeflaterFromManyGoroutines(t *testing.T) {
	d := NewDeflater()
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			payload := bytes.Repeat([]byte{'a' + byte(i)}, 1000)
			for range 20 {
				f, err := ws.ReadFrame(bytes.NewReader(d.AppendFrame(nil, Text, payload)))
				if err == nil {
					f, err = wsflate.DecompressFrame(f)
				}
				if err != nil || !bytes.Equal(f.Payload, payload) {
					t.Errorf("%v", err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func FuzzDeflatedParser(f *testing.F) {
	for _, c := range deflateCases() {
		if len(c.in) < 1000 {
			f.Add(c.in, uint8(3))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, size uint8) {
		const limit = 1 << 12
		whole := readBy(&Parser{Limit: limit, Deflate: true}, len(in)+1, in)
		if cut := readBy(&Parser{Limit: limit, Deflate: true}, int(size)+1, in); cut != whole {
			t.Fatalf("whole %q, in pieces of %d %q", whole, int(size)+1, cut)
		}
	})
}

// FuzzInflate compares with compress/flate as it reads one stream.
func FuzzInflate(f *testing.F) {
	for _, data := range []string{oneBlock, secondHello, storedBlock, finalHello, finalHello[:7] + oneBlock, twoBlocks, emptyMessage, "\x01", "\x03\x00", deflateText(strings.Repeat("ab", 5000))} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		const limit = 1 << 12
		got, err := inflate(data, limit)
		if err != nil && got != nil || len(got) > limit {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		rest := strings.NewReader(string(data) + deflateEnd)
		first, oracleErr := io.ReadAll(io.LimitReader(flate.NewReader(rest), limit+1))
		switch {
		case len(first) > limit:
			if e := (*Error)(nil); !errors.As(err, &e) || e.Code != CloseTooBig {
				t.Fatalf("%d bytes where %d are allowed: %v", len(first), limit, err)
			}
		case oracleErr != nil:
			if err == nil {
				t.Fatalf("%v is read as %q", oracleErr, got)
			}
		case rest.Len() == 0:
			if err != nil || !bytes.Equal(got, first) {
				t.Fatalf("%q, %v, want %q", got, err, first)
			}
		default: // a final block, and what follows it
			if err == nil && !bytes.HasPrefix(got, first) {
				t.Fatalf("%q does not begin with %q", got, first)
			}
		}
	})
}

// FuzzDeflate lets another implementation read what is written.
func FuzzDeflate(f *testing.F) {
	f.Add([]byte("Hello"), uint8(100))
	f.Add([]byte{}, uint8(0))
	f.Add([]byte{0, 1, 2, 3, 4, 255, 7, 9, 11, 18}, uint8(255))
	d := NewDeflater()
	f.Fuzz(func(t *testing.T, part []byte, times uint8) {
		payload := bytes.Repeat(part, int(times))
		b := d.AppendFrame(nil, Binary, payload)
		if plain := AppendFrame(nil, Binary, payload); len(b) > len(plain) {
			t.Fatalf("%d bytes instead of %d", len(b), len(plain))
		}
		frame, err := ws.ReadFrame(bytes.NewReader(b))
		if err == nil && frame.Header.Rsv1() {
			frame, err = wsflate.DecompressFrame(frame)
		}
		if err != nil || !bytes.Equal(frame.Payload, payload) {
			t.Fatalf("%q, %v", frame.Payload, err)
		}
	})
}
