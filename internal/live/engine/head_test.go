package engine

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

var testPaths = paths{"GET": {"/v1/live/ws", "/v1/live/sse"}, "POST": {"/v1/messages", "/v1/messages:batch"}}

const get = "GET /v1/live/ws HTTP/1.1\r\n"
const post = "POST /v1/messages HTTP/1.1\r\nHost: a\r\n"

// heads is what clients and attackers send. A request is served on a loop only
// if it is whole and beyond doubt.
var heads = []struct {
	name string
	in   string
	want verdict
	head int // 0: the whole of it
	body int
}{
	{"nothing", "", more, 0, 0},
	{"the beginning of a method", "PO", more, 0, 0},
	{"the beginning of a path", "GET /v1/li", more, 0, 0},
	{"another path", "GET /docs", leaveIt, 0, 0},
	{"a longer path", "GET /v1/live/wss", leaveIt, 0, 0},
	{"another method", "PUT /v1/messages", leaveIt, 0, 0},
	{"a method in lower case", "get /v1/live/ws", leaveIt, 0, 0},
	{"TLS", "\x16\x03\x01", leaveIt, 0, 0},
	{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", leaveIt, 0, 0},
	{"PROXY", "PROXY TCP4 1.2.3.4", leaveIt, 0, 0},
	{"get", get + "Host: a\r\n\r\n", serve, 0, 0},
	{"get with a query", "GET /v1/live/ws?access_token=x%20y HTTP/1.1\r\nHost: a:7700\r\n\r\n", serve, 0, 0},
	{"get without its end", get + "Host: a\r\n", more, 0, 0},
	{"get and more", get + "Host: a\r\n\r\nxyz", serve, len(get) + 11, 0},
	{"post", post + "Content-Length: 2\r\n\r\n{}", serve, len(post) + 21, 2},
	{"post of nothing", post + "Content-Length: 0\r\n\r\n", serve, 0, 0},
	{"post without its body", post + "Content-Length: 2\r\n\r\n{", more, len(post) + 21, 2},
	{"post without a length", post + "\r\n", leaveIt, 0, 0},
	{"a method beside the path", "POST /v1/messages:batch HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n1", serve, 64, 1},
	{"a field twice", get + "Host: a\r\nX-Forwarded-For: 1\r\nx-forwarded-for:\t2 \r\nEmpty:\r\n\r\n", serve, 0, 0},
	{"pragma", get + "Host: a\r\nPragma: no-cache\r\n\r\n", serve, 0, 0},
	{"pragma and cache-control", get + "Host: a\r\nPragma: no-cache\r\nCache-Control: max-age=0\r\n\r\n", serve, 0, 0},
	{"a trailer", get + "Host: a\r\nTrailer: X\r\n\r\n", serve, 0, 0},
	{"a bad escape", "GET /v1/live/ws?%zz HTTP/1.1\r\nHost: a\r\n\r\n", serve, 0, 0},
	{"a fragment", "GET /v1/live/ws?a#b HTTP/1.1\r\nHost: a\r\n\r\n", serve, 0, 0},
	{"upgrade", get + "Host: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n", serve, 0, 0},
	{"upgrade to HTTP/2", get + "Host: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", leaveIt, 0, 0},
	{"upgrade of a post", post + "Upgrade: websocket\r\nContent-Length: 0\r\n\r\n", leaveIt, 0, 0},
	{"close", get + "Host: a\r\nConnection: close\r\n\r\n", leaveIt, 0, 0},
	{"expect", post + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n", leaveIt, 0, 0},
	{"no host", get + "\r\n", leaveIt, 0, 0},
	{"two hosts", get + "Host: a\r\nHost: a\r\n\r\n", leaveIt, 0, 0},
	{"an empty host", get + "Host:\r\n\r\n", leaveIt, 0, 0},
	{"a host with a user", get + "Host: u@a\r\n\r\n", leaveIt, 0, 0},
	{"HTTP/1.0", "GET /v1/live/ws HTTP/1.0\r\nHost: a\r\n\r\n", leaveIt, 0, 0},
	{"two lengths", post + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", leaveIt, 0, 0},
	{"a length with a sign", post + "Content-Length: +2\r\n\r\n{}", leaveIt, 0, 0},
	{"a list of lengths", post + "Content-Length: 2,2\r\n\r\n{}", leaveIt, 0, 0},
	{"a length of a get", get + "Host: a\r\nContent-Length: 2\r\n\r\n{}", leaveIt, 0, 0},
	{"a large length", post + "Content-Length: 1048577\r\n\r\n", leaveIt, 0, 0},
	{"a huge length", post + "Content-Length: 99999999999999999999\r\n\r\n", leaveIt, 0, 0},
	{"chunked", post + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", leaveIt, 0, 0},
	{"a length and chunked", post + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}", leaveIt, 0, 0},
	{"identity", post + "Content-Length: 2\r\nTransfer-Encoding: identity\r\n\r\n{}", leaveIt, 0, 0},
	{"a line feed alone", "GET /v1/live/ws HTTP/1.1\nHost: a\n\n", leaveIt, 0, 0},
	{"a line feed alone, later", get + "Host: a\n\r\n", leaveIt, 0, 0},
	{"a carriage return within", get + "Host: a\r\nX: 1\r2\r\n\r\n", leaveIt, 0, 0},
	{"a folded line", get + "Host: a\r\nX: 1\r\n 2\r\n\r\n", leaveIt, 0, 0},
	{"a space before the colon", get + "Host : a\r\n\r\n", leaveIt, 0, 0},
	{"no colon", get + "Host: a\r\nX\r\n\r\n", leaveIt, 0, 0},
	{"no name", get + "Host: a\r\n: x\r\n\r\n", leaveIt, 0, 0},
	{"a zero byte", get + "Host: a\r\nX: \x00\r\n\r\n", leaveIt, 0, 0},
	{"two spaces", "GET /v1/live/ws  HTTP/1.1\r\nHost: a\r\n\r\n", leaveIt, 0, 0},
	{"a byte that is not ASCII", "GET /v1/live/ws?\xff HTTP/1.1\r\nHost: a\r\n\r\n", leaveIt, 0, 0},
	{"a long head", get + "Host: a\r\nX: " + strings.Repeat("x", maxHead) + "\r\n\r\n", leaveIt, 0, 0},
	{"a long head without its end", get + "X: " + strings.Repeat("x", maxHead), leaveIt, 0, 0},
}

func TestInspect(t *testing.T) {
	for _, c := range heads {
		t.Run(c.name, func(t *testing.T) {
			v, head, body := testPaths.inspect([]byte(c.in))
			if c.want == serve && c.head == 0 {
				c.head = len(c.in)
			}
			if v != c.want || c.want != leaveIt && (head != c.head || body != c.body) {
				t.Errorf("verdict %d, head %d, body %d; want %d, %d, %d", v, head, body, c.want, c.head, c.body)
			}
			// Cut anywhere, it is never served: a beginning is not a request.
			for n := range len(c.in) {
				if v, head, body := testPaths.inspect([]byte(c.in[:n])); v == serve && head+body > n {
					t.Fatalf("the first %d bytes are served", n)
				} else if v == leaveIt && c.want != leaveIt {
					t.Fatalf("the first %d bytes are left, and the whole is not", n)
				}
			}
		})
	}
}

// oracle is a server of net/http to which bytes can be given.
type oracle struct {
	conns chan net.Conn
	done  chan struct{}
}

func (o *oracle) Accept() (net.Conn, error) {
	select {
	case c := <-o.conns:
		return c, nil
	case <-o.done:
		return nil, net.ErrClosed
	}
}
func (o *oracle) Close() error   { return nil }
func (o *oracle) Addr() net.Addr { return &net.UnixAddr{} }

// answerOf is what net/http makes of the first request in bytes.
func (o *oracle) answerOf(t *testing.T, in []byte) string {
	client, server := net.Pipe()
	defer client.Close()
	o.conns <- server
	go func() { _, _ = client.Write(in) }()
	_ = client.SetReadDeadline(time.Now().Add(30 * time.Second))
	resp, err := http.ReadResponse(bufio.NewReader(client), nil)
	if err != nil {
		t.Fatalf("net/http does not answer: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, body)
}

// mirror answers with what a handler sees of a request.
func mirror(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s|%s|%q|%s|%v|%v|%q|%v", r.Method, r.Host, r.RequestURI, r.URL.RawQuery, r.ContentLength, r.TransferEncoding, body, err)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		fmt.Fprintf(w, "|%q %q", name, r.Header[name])
	}
	fmt.Fprintf(w, "|%s|%d.%d|%v", r.Proto, r.ProtoMajor, r.ProtoMinor, r.Close)
}

// FuzzInspect holds that whatever is served on a loop is a request to net/http
// too, and the same one.
func FuzzInspect(f *testing.F) {
	for _, c := range heads {
		f.Add([]byte(c.in))
	}
	o := &oracle{conns: make(chan net.Conn), done: make(chan struct{})}
	srv := &http.Server{Handler: http.HandlerFunc(mirror)}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = srv.Serve(o) }()
	f.Cleanup(func() { close(o.done); _ = srv.Close(); <-ended })
	f.Fuzz(func(t *testing.T, in []byte) {
		v, head, body := testPaths.inspect(in)
		if v != serve {
			return
		}
		r := new(request).parse(in[:head], in[head:head+body])
		if r == nil {
			return // left to net/http
		}
		w := &answer{header: http.Header{}}
		mirror(w, r)
		if want := o.answerOf(t, in[:head+body]); want != "200 "+string(w.body) {
			t.Errorf("here %s, net/http %s", w.body, want)
		}
	})
}
