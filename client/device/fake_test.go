package device

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/herald-push/herald"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testKey = herald.AppKey("abcdefghijklmnopqrstuvwx")
	testID  = herald.RegistrationID("01234567890123456789")
)

// pipes is a network inside a test's bubble: connections are net.Pipe, so that
// the fake clock moves when both sides wait.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.done:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// fake is a server that speaks the session protocol as a test tells it.
type fake struct {
	t *testing.T
	// session speaks with one connection; the nth is n = 1.
	session func(n int, c *peer)
	// refuse answers the upgrade with this status, if it is not 0.
	refuse func(n int) int

	mu            sync.Mutex
	registrations []map[string]any
	register      func(n int, w http.ResponseWriter) bool // true: has answered
	connections   int
	tokens        []string
	times         []time.Time
}

// pass lets time pass, which is fake time inside a bubble.
func pass(d time.Duration) { <-time.NewTimer(d).C }

// peer is the server's end of one connection.
type peer struct {
	t    *testing.T
	conn *websocket.Conn
}

func (p *peer) send(format string, args ...any) {
	// A write to a client that has left is no mistake of the test.
	_ = p.conn.Write(context.Background(), websocket.MessageText, fmt.Appendf(nil, format, args...))
}

func (p *peer) welcome() {
	p.send(`{"type":"welcome","session":"s","registration_id":%q,"heartbeat":50,"timeout":75,"cursor":"1.0.x"}`, testID)
}

func (p *peer) message(id int) {
	p.send(`{"type":"message","id":"%d","cursor":"1.%d.x","time":"2026-11-21T09:30:00.000Z","priority":"normal","notification":{"title":"T%d"},"data":{"n":%d}}`, id, id, id, id)
}

// next reads a frame; nil when the client has left.
func (p *peer) next() *clientFrame {
	_, b, err := p.conn.Read(context.Background())
	if err != nil {
		return nil
	}
	var f clientFrame
	if err := json.Unmarshal(b, &f); err != nil {
		p.t.Errorf("the client sent %s", b)
	}
	return &f
}

// rest reads until the client leaves, and gives what came.
func (p *peer) rest() []clientFrame {
	var out []clientFrame
	for f := p.next(); f != nil; f = p.next() {
		out = append(out, *f)
	}
	return out
}

func (p *peer) close(code int) { _ = p.conn.Close(websocket.StatusCode(code), "because") }

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	if r.URL.Path == "/v1/devices" {
		defer f.mu.Unlock()
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			f.t.Error(err)
		}
		f.registrations = append(f.registrations, body)
		if f.register == nil || !f.register(len(f.registrations), w) {
			fmt.Fprintf(w, `{"registration_id":%q,"token":"hd1.t%d","created":true}`, testID, len(f.registrations))
		}
		return
	}
	f.connections++
	n := f.connections
	f.tokens = append(f.tokens, r.Header.Get("Authorization"))
	f.times = append(f.times, time.Now())
	f.mu.Unlock()
	if f.refuse != nil {
		if status := f.refuse(n); status != 0 {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(status)
			return
		}
	}
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"herald.v1"}})
	if err != nil {
		f.t.Error(err)
		return
	}
	defer c.CloseNow()
	if c.Subprotocol() != "herald.v1" {
		f.t.Error("the client does not offer herald.v1")
	}
	f.session(n, &peer{f.t, c})
}

// bubble runs a test in fake time with a fake server, and gives the options of
// a device of it.
func bubble(t *testing.T, f *fake, test func(t *testing.T, o Options)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f.t = t
		p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		s := &http.Server{Handler: f}
		go s.Serve(p)
		tr := &http.Transport{DialContext: p.dial}
		test(t, Options{URL: "http://herald.test", AppKey: testKey, HTTPClient: &http.Client{Transport: tr}})
		tr.CloseIdleConnections()
		s.Close()
		synctest.Wait()
	})
}

// listenOnce registers and listens until stop is called or Listen ends.
func listenOnce(t *testing.T, o Options, h func(stop func()) Handler) (*Device, error) {
	t.Helper()
	d, err := Register(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	err = d.Listen(ctx, h(stop))
	synctest.Wait() // the server has noticed, and what it wrote down can be read
	return d, err
}
