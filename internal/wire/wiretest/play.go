package wiretest

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"unicode/utf8"
)

// Player plays cases to a server.
type Player struct {
	// Path and Token are where and as whom to connect.
	Path, Token string
	// Cut writes all that is sent in pieces of so many bytes; 0 leaves the
	// pieces of the case.
	Cut int
}

// Play plays a case over a connection, which it closes. The connection has to
// have a deadline, or what never comes is waited for.
func (p Player) Play(conn net.Conn, c Case) error {
	sent := make(chan struct{})
	in := bufio.NewReader(conn)
	err := p.open(conn, in, c)
	if err == nil && c.Refused == 0 {
		go func() { // beside reading, because a server that refuses does not read
			defer close(sent)
			p.send(conn, c)
		}()
		err = answers(in, c)
		_ = conn.Close()
		<-sent
	}
	_ = conn.Close()
	if err != nil {
		return fmt.Errorf("wiretest: %s: %w", c, err)
	}
	return nil
}

// send writes what is to be sent, as far as the server takes it.
func (p Player) send(conn io.Writer, c Case) {
	pieces := c.Send
	if !c.ends() {
		pieces = append(pieces[:len(pieces):len(pieces)], closeOf(normal, ""))
	}
	if p.Cut > 0 {
		pieces = chop(all(pieces...), p.Cut)
	}
	for _, b := range pieces {
		if _, err := conn.Write(b); err != nil {
			return
		}
	}
}

const nonce = "dGhlIHNhbXBsZSBub25jZQ==" // that of RFC 6455 section 1.3

// open does the opening handshake and takes the welcome.
func (p Player) open(conn net.Conn, in *bufio.Reader, c Case) error {
	head := "GET " + p.Path + " HTTP/1.1\r\nHost: herald.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + nonce + "\r\nAuthorization: Bearer " + p.Token + "\r\n"
	if c.Offer != "" {
		head += "Sec-WebSocket-Extensions: " + c.Offer + "\r\n"
	}
	if _, err := io.WriteString(conn, head+"\r\n"); err != nil {
		return err
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if c.Refused != 0 {
		if resp.StatusCode != c.Refused {
			return fmt.Errorf("the handshake is answered with %d, want %d", resp.StatusCode, c.Refused)
		}
		return nil
	}
	sum := sha1.Sum([]byte(nonce + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	accept := base64.StdEncoding.EncodeToString(sum[:])
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-WebSocket-Accept") != accept {
		return fmt.Errorf("the handshake is answered with %d and %v", resp.StatusCode, resp.Header)
	}
	if got := resp.Header.Get("Sec-WebSocket-Extensions"); got != c.Agree {
		return fmt.Errorf("agreed to %q, want %q", got, c.Agree)
	}
	return expect(in, c, said("welcome"))
}

// answers reads them, and that nothing comes after the close.
func answers(in *bufio.Reader, c Case) error {
	want := c.Want
	if !c.ends() {
		want = append(want[:len(want):len(want)], closed(normal))
	}
	for i, a := range want {
		if err := expect(in, c, a); err != nil {
			return fmt.Errorf("answer %d of %d, want %s: %w", i+1, len(want), a, err)
		}
	}
	// The end may come as a reset where the server has not read all that was
	// sent to it before it gave up.
	if n, err := io.Copy(io.Discard, in); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.Join(fmt.Errorf("%d bytes come after the close", n), err)
	}
	return nil
}

// expect reads a frame, which has to be as RFC 6455 wants those of a server,
// and has to be the answer.
func expect(in *bufio.Reader, c Case, want Answer) error {
	op, squeezed, payload, err := receive(in, c.Agree != "")
	if err != nil {
		return err
	}
	if op != want.op {
		return fmt.Errorf("got a frame of opcode %d, %.120q", op, payload)
	}
	switch op {
	case opPong:
		if string(payload) != want.payload {
			return fmt.Errorf("got a pong with %.80q", payload)
		}
	case opClose:
		return checkClose(payload, want.code)
	case opText:
		if squeezed {
			if payload, err = inflate(payload); err != nil {
				return err
			}
		}
		if !utf8.Valid(payload) {
			return fmt.Errorf("%.80q is not UTF-8", payload)
		}
		if want.kind != "welcome" {
			return want.matches(payload, squeezed)
		}
	}
	return nil
}

func checkClose(payload []byte, code int) error {
	got := noStatus
	if len(payload) >= 2 {
		got = int(binary.BigEndian.Uint16(payload))
		payload = payload[2:]
	}
	if got != code || !utf8.Valid(payload) {
		return fmt.Errorf("closed with %d %q", got, payload)
	}
	return nil
}

// receive reads a frame. A server's are never masked, and ours sends no
// fragments.
func receive(in *bufio.Reader, deflate bool) (op byte, squeezed bool, payload []byte, err error) {
	head := make([]byte, 2, 10)
	if _, err = io.ReadFull(in, head); err != nil {
		return 0, false, nil, err
	}
	op, squeezed = head[0]&0x0F, head[0]&rsv1 != 0
	n, shortest := uint64(head[1]&0x7F), uint64(0)
	if extra := map[uint64]int{126: 2, 127: 8}[n]; extra > 0 {
		long := make([]byte, 8)
		if _, err = io.ReadFull(in, long[8-extra:]); err != nil {
			return 0, false, nil, err
		}
		n, shortest = binary.BigEndian.Uint64(long), map[int]uint64{2: 126, 8: 1 << 16}[extra]
	}
	switch {
	case head[0]&fin == 0, head[0]&0x30 != 0, head[1]&0x80 != 0, n < shortest, n > 1<<20,
		op >= opClose && n > 125, squeezed && (!deflate || op != opText):
		return 0, false, nil, fmt.Errorf("the server sends a frame with the head %x and %d bytes", head, n)
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(in, payload)
	return op, squeezed, payload, err
}
