package wiretest

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTable(t *testing.T) {
	seen, groups := map[string]bool{}, map[int]int{}
	for _, c := range Cases() {
		if seen[c.String()] {
			t.Errorf("%s is there twice", c)
		}
		seen[c.String()] = true
		groups[c.Group]++
		if c.Refused == 0 && len(c.Bytes()) == 0 {
			t.Errorf("%s sends nothing", c)
		}
	}
	for _, g := range []int{1, 2, 3, 4, 5, 6, 7, 9, 10, 12, 13} {
		if groups[g] == 0 {
			t.Errorf("group %d is empty", g)
		}
	}
	t.Log("rows by group:", groups)
}

// TestPlayerNotices plays to servers of which all but the first do something
// that no server may.
func TestPlayerNotices(t *testing.T) {
	const welcome, pong = "\x81\x12" + `{"type":"welcome"}`, "\x81\x0F" + `{"type":"pong"}`
	sum := sha1.Sum([]byte(nonce + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	good := "HTTP/1.1 101 x\r\nSec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n"
	const bye = "\x88\x02\x03\xE8"
	for _, c := range []struct{ name, answer, want string }{
		{"good", good + welcome + pong + bye, ""},
		{"another status", "HTTP/1.1 200 x\r\nContent-Length: 0\r\n\r\n", "answered with 200"},
		{"another key", strings.Replace(good, ": ", ": x", 1) + welcome, "answered with 101"},
		{"an extension", strings.Replace(good, "\r\n\r\n", "\r\nSec-WebSocket-Extensions: x\r\n\r\n", 1) + welcome, `agreed to "x"`},
		{"no welcome", good, "EOF"},
		{"no answer", good + welcome + bye, "opcode 8"},
		{"another answer", good + welcome + "\x81\x0F" + `{"type":"ping"}` + bye, "ping"},
		{"an answer too many", good + welcome + pong + pong + bye, "opcode 1"},
		{"another code", good + welcome + pong + "\x88\x02\x03\xE9", "closed with 1001"},
		{"bytes after the close", good + welcome + pong + bye + "x", "1 bytes come after the close"},
		{"a masked frame", good + welcome + "\x81\x8F\x00\x00\x00\x00" + pong[2:] + bye, "head 818f"},
		{"a fragment", good + welcome + "\x01\x0F" + pong[2:] + bye, "head 010f"},
		{"a compressed frame", good + welcome + "\xC1\x0F" + pong[2:] + bye, "head c10f"},
		{"a length that is too long", good + welcome + "\x81\x7E\x00\x0F" + pong[2:] + bye, "head 817e"},
		{"a text that is not UTF-8", good + welcome + "\x81\x01\xFF" + bye, "not UTF-8"},
		{"a text that is not JSON", good + welcome + "\x81\x01x" + bye, "invalid character"},
		{"a reason that is not UTF-8", good + welcome + pong + "\x88\x03\x03\xE8\xFF", "closed with 1000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, server := net.Pipe()
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer server.Close()
				in := bufio.NewReader(server)
				if _, err := http.ReadRequest(in); err != nil {
					return
				}
				go func() { _, _ = io.Copy(io.Discard, in) }()
				_, _ = io.WriteString(server, c.answer)
			}()
			err := Player{Path: "/"}.Play(client, row(1, "a ping", text(hello), said("pong")))
			<-done
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Fatalf("%v, want %q", err, c.want)
			}
		})
	}
}
