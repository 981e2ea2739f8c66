package wire

import (
	"strings"
	"testing"
)

// bits are written from the lowest of a byte on, as deflate has them
// (RFC 1951 section 3.1.1).
type bits struct {
	b []byte
	n int
}

func (w *bits) put(value uint, width int) {
	for i := range width {
		if w.n%8 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[w.n/8] |= byte(value>>i&1) << (w.n % 8)
		w.n++
	}
}

// tables writes blocks that have code tables of their own and no data: of all
// that fits a message, this takes longest to read.
func tables(size int) string {
	w := &bits{}
	for len(w.b) < size {
		w.put(0b100, 3)         // not final, dynamic codes
		w.put(0, 5)             // 257 literals and lengths
		w.put(0, 5)             // 1 distance
		w.put(14, 4)            // 18 of the code lengths' own
		w.put(1<<(2*3), 17*3)   // of these, "many zeros" has one bit
		w.put(1, 3)             // and so has 1
		w.put(1|(138-11)<<1, 8) // 138 zeros
		w.put(1|(118-11)<<1, 8) // 118 zeros
		w.put(0, 3)             // the end of a block: one bit; the distance: one bit; then the end
	}
	return string(w.b)
}

// BenchmarkInflate reads what clients send, and the worst that they can.
func BenchmarkInflate(b *testing.B) {
	for _, c := range []struct{ name, data string }{
		{"an acknowledgement", deflateText(`{"type":"ack","ids":["245870126268416001"]}`)},
		{"16 KiB of text", deflateText(strings.Repeat("Hello, everybody out there. ", 580))},
		{"a bomb", deflateText(strings.Repeat("\x00", 1000*deflateLimit))},
		{"streams without data", strings.Repeat("\x03\x00", deflateLimit/2)},
		{"blocks without data", tables(deflateLimit)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(c.data)))
			for b.Loop() {
				_, _ = inflate([]byte(c.data), deflateLimit)
			}
		})
	}
}
