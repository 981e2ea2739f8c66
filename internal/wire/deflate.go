package wire

import (
	"compress/flate"
	"runtime"
	"strconv"
	"sync"
)

const deflateName = "permessage-deflate"

// AcceptDeflate picks the first offer of permessage-deflate that can be met,
// and gives the answer to it (RFC 7692 section 5.1); "" if there is none.
// Neither side keeps a context from one message to the next, whether the
// client asked for that or not (section 7.1.1 lets a server decide it).
func AcceptDeflate(offers []Extension) string {
	for _, o := range offers {
		if o.Name != deflateName {
			continue
		}
		if window, ok := acceptParams(o.Params); ok {
			return deflateName + "; server_no_context_takeover; client_no_context_takeover" + window
		}
	}
	return ""
}

// acceptParams reports whether an offer can be met, and what of it has to be
// said again in the answer. Parameters that are unknown, bear a wrong value or
// come twice decline the offer (RFC 7692 section 7).
func acceptParams(params []Param) (window string, ok bool) {
	seen := map[string]bool{}
	for _, p := range params {
		if seen[p.Name] {
			return "", false
		}
		seen[p.Name] = true
		switch p.Name {
		case "server_no_context_takeover", "client_no_context_takeover":
			if p.HasValue {
				return "", false
			}
		case "server_max_window_bits":
			// Our window is 32 KiB, so only the largest can be kept to; who
			// asks for it has to be told so (section 7.1.2.1).
			if p.Value != "15" {
				return "", false
			}
			window = "; server_max_window_bits=15"
		case "client_max_window_bits":
			// A hint, which may be ignored (section 7.1.2.2): we can read any.
			if p.HasValue && !validWindow(p.Value) {
				return "", false
			}
		default:
			return "", false
		}
	}
	return window, true
}

// validWindow reports whether a value is a decimal from 8 to 15 without zeros
// before it.
func validWindow(value string) bool {
	n, err := strconv.Atoi(value)
	return err == nil && n >= 8 && n <= 15 && strconv.Itoa(n) == value
}

// MinDeflate is from how many bytes on a message is compressed. Shorter ones
// gain a few dozen bytes at best, which a packet does not notice.
const MinDeflate = 256

// deflateLevel is the fastest: for a message of 1 KiB it takes about half the
// time of the usual level, for a twentieth more bytes.
const deflateLevel = flate.BestSpeed

// keptBuffer is the most that an idle writer keeps for its output.
const keptBuffer = 64 << 10

// Deflater compresses messages, each for itself. Its methods may be called
// from any goroutine.
//
// A flate.Writer of this level takes 1.2 MB. No more of them are in use than
// processors, since they do nothing but compute; who comes then waits for a
// few microseconds. Idle ones are left to the garbage collector.
type Deflater struct {
	turns chan struct{}
	idle  sync.Pool // of *deflateWriter
}

// NewDeflater makes a deflater. It starts nothing.
func NewDeflater() *Deflater {
	return &Deflater{turns: make(chan struct{}, runtime.GOMAXPROCS(0))}
}

// AppendFrame writes a whole message as one frame of a server to a client with
// which permessage-deflate was agreed. What is short, or does not get smaller,
// is written as it is, without the bit RSV1 (RFC 7692 section 6).
func (d *Deflater) AppendFrame(b []byte, op Opcode, payload []byte) []byte {
	if len(payload) < MinDeflate {
		return AppendFrame(b, op, payload)
	}
	d.turns <- struct{}{}
	defer func() { <-d.turns }()
	w, ok := d.idle.Get().(*deflateWriter)
	if !ok {
		w = newDeflateWriter()
	}
	defer d.idle.Put(w)
	small := w.deflate(payload)
	if len(small) >= len(payload) {
		return AppendFrame(b, op, payload)
	}
	return append(appendHeader(b, finBit|rsv1Bit|byte(op), 0, len(small)), small...)
}

// deflateWriter is a flate.Writer with its output.
type deflateWriter struct {
	flate *flate.Writer
	out   []byte
}

func newDeflateWriter() *deflateWriter {
	w := &deflateWriter{}
	w.flate, _ = flate.NewWriter(w, deflateLevel) // fails for a wrong level only
	return w
}

// Write takes what the flate.Writer gives.
func (w *deflateWriter) Write(b []byte) (int, error) {
	w.out = append(w.out, b...)
	return len(b), nil
}

// deflate compresses a message (RFC 7692 section 7.2.1). The result is valid
// until the next call.
func (w *deflateWriter) deflate(payload []byte) []byte {
	if w.out = w.out[:0]; cap(w.out) > keptBuffer {
		w.out = nil
	}
	w.flate.Reset(w)
	// Writing to memory does not fail.
	_, _ = w.flate.Write(payload)
	_ = w.flate.Flush() // ends with an empty block, whose last 4 bytes are left out
	return w.out[:len(w.out)-len(emptyBlock)]
}
