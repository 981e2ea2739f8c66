package floor

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // RFC 6455 section 1.3 prescribes it
	"encoding/base64"
	"errors"
	"strconv"
)

// request is what a bare server looks at in an HTTP request.
type request struct {
	post   bool
	number int // at the end of the path; -1 without one
	key    []byte
	body   []byte
}

var errRequest = errors.New("floor: a request is malformed")

// read reads a request from the beginning of b; n is 0 while it is not all
// there. It understands what the clients of the bench send, and no more.
func read(b []byte) (r request, n int, err error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return r, 0, nil
	}
	first := bytes.IndexByte(b, '\r')
	path := b[:first]
	r.post = bytes.HasPrefix(path, []byte("POST "))
	if path = bytes.TrimSuffix(path, []byte(" HTTP/1.1")); len(path) == first {
		return r, 0, errRequest
	}
	r.number = -1
	if n, err := strconv.Atoi(string(path[bytes.LastIndexByte(path, '/')+1:])); err == nil {
		r.number = n
	}
	if r.key = header(b[first:end+2], "\r\nSec-WebSocket-Key: "); !r.post {
		return r, end + 4, nil
	}
	size, err := strconv.Atoi(string(header(b[first:end+2], "\r\nContent-Length: ")))
	if err != nil || size < 0 {
		return r, 0, errRequest
	}
	if n = end + 4 + size; n > len(b) || n < size {
		return r, 0, nil
	}
	r.body = b[end+4 : n]
	return r, n, nil
}

// header gives the value of a field whose name is written as in name.
func header(b []byte, name string) []byte {
	at := bytes.Index(b, []byte(name))
	if at < 0 {
		return nil
	}
	b = b[at+len(name):]
	return b[:max(bytes.IndexByte(b, '\r'), 0)]
}

const magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" // RFC 6455 section 1.3

// upgraded writes the answer to a handshake.
func upgraded(b, key []byte) []byte {
	var in [64]byte
	sum := sha1.Sum(append(append(in[:0], key...), magic...)) //nolint:gosec // RFC 6455 section 1.3 prescribes it
	b = append(b, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	return append(base64.StdEncoding.AppendEncode(b, sum[:]), "\r\n\r\n"...)
}
