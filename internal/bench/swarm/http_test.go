package swarm

import (
	"testing"
)

func TestHead(t *testing.T) {
	const text = "HTTP/1.1 202 Accepted\r\nX: y\r\ncontent-length:  12 \r\n\r\n"
	for i := range text {
		if _, n, err := readHead([]byte(text[:i])); n != 0 || err != nil {
			t.Fatalf("cut at %d: %d, %v", i, n, err)
		}
	}
	if h, n, err := readHead([]byte(text + "body")); h != (head{202, false, 12}) || n != len(text) || err != nil {
		t.Errorf("got %+v, %d, %v", h, n, err)
	}
	for text, want := range map[string]head{
		"HTTP/1.1 200 OK\r\n\r\n":                                     {200, false, -1},
		"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n":          {200, true, -1},
		"HTTP/1.1 204 No Content\r\n\r\n":                             {204, false, 0},
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nframe": {101, false, 0},
	} {
		if h, n, err := readHead([]byte(text)); h != want || n == 0 || err != nil {
			t.Errorf("%q: got %+v, %d, %v", text, h, n, err)
		}
	}
	for _, text := range []string{"HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/1.1 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n"} {
		if _, _, err := readHead([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestChunks(t *testing.T) {
	const text, want = "5\r\nHello\r\nA;x=y\r\n, everybod\r\n1\r\ny\r\n0\r\nTrailer: x\r\n\r\n", "Hello, everybody"
	for i := range text {
		var d dechunker
		one, used, err := d.decode([]byte(text[:i]))
		two, more, err2 := d.decode([]byte(text[i:] + "next"))
		if got := string(one) + string(two); got != want || used != i || more != len(text)-i || err != nil || err2 != nil || d.state != chunkDone {
			t.Fatalf("cut at %d: %q, %d and %d, %v, %v", i, got, used, more, err, err2)
		}
	}
	for _, text := range []string{"g\r\n", "5\r\nHellox", "1000000000\r\n"} {
		if _, _, err := new(dechunker).decode([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
