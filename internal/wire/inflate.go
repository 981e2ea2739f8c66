package wire

import (
	"compress/flate"
	"io"
	"slices"
	"sync"
)

const (
	// emptyBlock is what a sender leaves out at the end of a message and the
	// receiver puts there again: a block without data, but for the bits of its
	// header (RFC 7692 section 7.2).
	emptyBlock = "\x00\x00\xff\xff"
	// finalBlock is a final block without data. It lets the decompressor say
	// that the data ended where a block ends.
	finalBlock = "\x01\x00\x00\xff\xff"
	deflateEnd = emptyBlock + finalBlock
)

// inflaters holds decompressors, about 40 KB each. One is taken when a message
// is complete, so a connection holds none between messages.
var inflaters = sync.Pool{New: func() any {
	i := &inflater{}
	i.flate = flate.NewReader(&i.src)
	return i
}}

// inflate decompresses the data of a message (RFC 7692 section 7.2.2) that may
// have at most limit bytes. It stops at the first byte past that.
func inflate(data []byte, limit int) ([]byte, error) {
	i := inflaters.Get().(*inflater)
	defer func() {
		i.src = deflateSource{} // keeps no one's message
		inflaters.Put(i)
	}()
	return i.message(data, limit)
}

type inflater struct {
	src   deflateSource
	flate io.ReadCloser // which is a flate.Resetter
	over  [1]byte
}

// message decompresses streams until the data ends. A message usually is one
// stream that does not end; but a sender may set BFINAL, and what follows the
// final block, from the next whole byte on, is another stream (sections 7.2.1
// and 7.2.3.4).
func (i *inflater) message(data []byte, limit int) ([]byte, error) {
	i.src = deflateSource{data: data}
	out := make([]byte, 0, min(limit, max(512, 4*len(data))))
	for {
		_ = i.flate.(flate.Resetter).Reset(&i.src, nil) // never fails
		var err error
		if out, err = i.stream(out, limit); err != nil {
			return nil, err
		}
		switch left := i.src.left(); {
		case left == 0: // the final block that we added
			return out, nil
		case left == len(finalBlock): // a final block of the sender, whose end we added
			return out, nil
		case left == len(deflateEnd): // a final block of the sender
			return out, nil
		case left < len(deflateEnd):
			return nil, errNotDeflate()
		}
	}
}

// stream decompresses up to a final block.
func (i *inflater) stream(out []byte, limit int) ([]byte, error) {
	for {
		if len(out) == cap(out) && len(out) < limit {
			out = slices.Grow(out, min(len(out), limit-len(out)))
		}
		n := 0
		var err error
		if room := out[len(out):min(cap(out), limit)]; len(room) > 0 {
			n, err = i.flate.Read(room)
		} else if n, err = i.flate.Read(i.over[:]); n > 0 {
			return nil, errTooBig(limit)
		}
		out = out[:len(out)+n]
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, errNotDeflate()
		}
	}
}

// deflateSource gives the data of a message and then deflateEnd, without
// copying them together. It is an io.ByteReader, so that a decompressor takes
// no byte past a final block.
type deflateSource struct {
	data []byte
	at   int
}

func (s *deflateSource) left() int { return len(s.data) + len(deflateEnd) - s.at }

// ReadByte gives the next byte.
func (s *deflateSource) ReadByte() (byte, error) {
	var c byte
	switch past := s.at - len(s.data); {
	case past < 0:
		c = s.data[s.at]
	case past < len(deflateEnd):
		c = deflateEnd[past]
	default:
		return 0, io.EOF
	}
	s.at++
	return c, nil
}

// Read gives the next bytes.
func (s *deflateSource) Read(b []byte) (n int, err error) {
	if s.at < len(s.data) {
		n = copy(b, s.data[s.at:])
	} else if n = copy(b, deflateEnd[s.at-len(s.data):]); n == 0 && len(b) > 0 {
		return 0, io.EOF
	}
	s.at += n
	return n, nil
}

func errNotDeflate() error {
	return &Error{Code: CloseInvalidData, Text: "a compressed message cannot be decompressed"}
}
