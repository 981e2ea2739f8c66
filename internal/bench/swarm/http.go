package swarm

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// maxHead bounds the head of an HTTP response.
const maxHead = 16 << 10

// head is what a client has to know of the head of an HTTP response.
type head struct {
	status  int
	chunked bool
	length  int // -1: until the connection ends
}

// readHead reads a head from the beginning of b; n is 0 while it is not whole.
func readHead(b []byte) (h head, n int, err error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		if len(b) > maxHead {
			err = errors.New("the head of a response does not end")
		}
		return h, 0, err
	}
	first, lines, _ := bytes.Cut(b[:end], []byte("\r\n"))
	parts := bytes.SplitN(first, []byte(" "), 3)
	if len(parts) < 2 || !bytes.HasPrefix(first, []byte("HTTP/1.1 ")) {
		return h, 0, fmt.Errorf("no HTTP response: %.40q", first)
	}
	if h.status, err = strconv.Atoi(string(parts[1])); err != nil {
		return h, 0, fmt.Errorf("no HTTP status: %.40q", first)
	}
	h.length = -1
	for line := range bytes.SplitSeq(lines, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if h.length, err = strconv.Atoi(string(value)); err != nil || h.length < 0 || h.length > 1<<30 {
				return h, 0, fmt.Errorf("no Content-Length: %.40q", value)
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			h.chunked = bytes.EqualFold(value, []byte("chunked"))
		}
	}
	if h.status == 101 || h.status == 204 || h.status == 304 {
		h.length = 0
	}
	return h, end + 4, nil
}

// dechunker takes a body out of chunks (RFC 9112 section 7.1), cut anywhere.
type dechunker struct {
	state chunkState
	left  uint32
}

type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkExtension
	chunkData
	chunkEnd // CR and LF after the data
	chunkTrailer
	chunkTrailerLine
	chunkDone
)

var errChunk = errors.New("a chunk is malformed")

// decode moves the data in b to its front; used is how much of b it took, less
// than all only when the body has ended.
func (d *dechunker) decode(b []byte) (data []byte, used int, err error) {
	data = b[:0]
	for i := 0; i < len(b); i++ {
		if d.state == chunkDone {
			return data, i, nil
		}
		if d.state == chunkData {
			n := min(int(d.left), len(b)-i)
			data = append(data, b[i:i+n]...)
			if d.left -= uint32(n); d.left == 0 {
				d.state = chunkEnd
			}
			i += n - 1
			continue
		}
		if err := d.step(b[i]); err != nil {
			return data, i, err
		}
	}
	return data, len(b), nil
}

// step takes one byte that is not data.
func (d *dechunker) step(c byte) error {
	switch d.state {
	case chunkSize, chunkExtension:
		return d.size(c)
	case chunkEnd:
		if c == '\n' {
			d.state, d.left = chunkSize, 0
		} else if c != '\r' {
			return errChunk
		}
	case chunkTrailer:
		switch c {
		case '\r':
		case '\n':
			d.state = chunkDone
		default:
			d.state = chunkTrailerLine
		}
	case chunkTrailerLine:
		if c == '\n' {
			d.state = chunkTrailer
		}
	}
	return nil
}

// size takes a byte of the line with the size of a chunk.
func (d *dechunker) size(c byte) error {
	if c == '\n' {
		if d.state = chunkData; d.left == 0 {
			d.state = chunkTrailer
		}
		return nil
	}
	if d.state == chunkExtension || c == ';' || c == '\r' || c == ' ' {
		d.state = chunkExtension
		return nil
	}
	f := fields{b: []byte{c | 0x20}}
	v := f.next(1)
	if f.bad || d.left >= 1<<24 {
		return errChunk
	}
	d.left = d.left<<4 | uint32(v)
	return nil
}
