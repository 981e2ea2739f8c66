package sse_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/live/sse"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLive(t *testing.T) { livetest.Run(t, harness()) }

func TestBehindNginx(t *testing.T) { livetest.RunBehindNginx(t, harness()) }

func harness() livetest.Harness {
	return livetest.Harness{
		New:  func() live.Transport { return sse.New(sse.Config{}) },
		Dial: dial,
		Garbage: []livetest.Garbage{
			{Name: "bytes after the request", Bytes: []byte("\x00")},
			{Name: "a second request", Bytes: []byte("GET / HTTP/1.1\r\n\r\n")},
		},
	}
}

// client reads events as the HTML Living Standard section 9.2.6 says.
type client struct {
	lines  *bufio.Scanner
	retry  int
	lastID string
}

func dial(_ context.Context, d livetest.Dial) (livetest.Client, error) {
	query, header := url.Values{}, http.Header{}
	if d.Cursor != "" {
		query.Set("cursor", "the older one")
		header.Set("Last-Event-ID", strings.ReplaceAll(d.Cursor, "\x00", "?"))
	}
	resp, err := livetest.Get(d, contentType, query, header)
	if err != nil {
		return nil, err
	}
	return newClient(resp), nil
}

const contentType = "text/event-stream"

func newClient(resp *http.Response) *client {
	s := bufio.NewScanner(resp.Body)
	s.Buffer(nil, 1<<20)
	return &client{lines: s}
}

func (c *client) Send(string) error { return livetest.ErrOneWay }

func (c *client) Next() (livetest.Frame, error) {
	var f livetest.Frame
	name, id, data := "message", "", ""
	for c.lines.Scan() {
		field, value, _ := strings.Cut(c.lines.Text(), ": ")
		switch {
		case c.lines.Text() == "" && data != "":
			d := json.NewDecoder(strings.NewReader(data))
			d.DisallowUnknownFields()
			if err := d.Decode(&f); err != nil {
				return f, err
			}
			if f.Type != name || id != f.Cursor && f.Type != "welcome" || id != "" && f.Type == "welcome" {
				return f, fmt.Errorf("event %s with id %q has the frame %s", name, id, data)
			}
			if id != "" {
				c.lastID = id
			}
			return f, nil
		case c.lines.Text() == ": ping":
			c.lines.Scan() // the empty line
			return livetest.Frame{Type: "ping"}, nil
		case field == "" && strings.HasPrefix(value, "closed "):
			code, err := strconv.Atoi(strings.TrimPrefix(value, "closed "))
			return f, errors.Join(err, &livetest.Closed{Code: code})
		case field == "event":
			name = value
		case field == "id":
			id = value
		case field == "data":
			data = value
		case field == "retry":
			c.retry, _ = strconv.Atoi(value)
		}
	}
	return f, errors.Join(c.lines.Err(), io.ErrUnexpectedEOF)
}

// TestOverHTTP2 drives the same handler over a stream that stays in net/http.
func TestOverHTTP2(t *testing.T) {
	world := livetest.NewWorld()
	hub := live.NewHub(live.Options{Directory: world, Backlog: world, Receipts: world})
	mux := http.NewServeMux()
	transport := sse.New(sse.Config{})
	live.Mount(mux, hub, transport)
	srv := httptest.NewUnstartedServer(mux)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	var wg sync.WaitGroup
	wg.Go(func() { _ = hub.Run(context.Background()) })
	defer func() {
		hub.Close()
		srv.CloseClientConnections()
		srv.Close()
		wg.Wait()
	}()
	m := world.Join(herald.PlatformWeb)
	waits := world.Accept(livetest.Send{Content: livetest.Text("waits"), To: []livetest.Member{m}})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+transport.Path()+"?access_token="+m.Token, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "https://app.example")
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 2 || resp.Header.Get("Access-Control-Allow-Origin") != "https://app.example" {
		t.Fatalf("HTTP/%d, headers %v", resp.ProtoMajor, resp.Header)
	}
	if err := livetest.CheckStream(resp, contentType); err != nil {
		t.Fatal(err)
	}
	c := newClient(resp)
	expect := func(kind string) livetest.Frame {
		t.Helper()
		f, err := c.Next()
		if err != nil || f.Type != kind {
			t.Fatalf("got %+v, %v, want %s", f, err, kind)
		}
		return f
	}
	expect("welcome")
	if c.retry < 1000 || c.retry > 5000 {
		t.Fatalf("retry is %d ms", c.retry)
	}
	if f := expect("message"); f.ID != waits.Msg.ID {
		t.Fatalf("got message %s", f.ID)
	}
	for range 100 { // some live, some by replay, all in order
		h := world.Accept(livetest.Send{Content: livetest.Text("now"), To: []livetest.Member{m}})
		if _, err := hub.Deliver(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		if f := expect("message"); f.ID != h.Msg.ID || c.lastID != f.Cursor {
			t.Fatalf("got message %s, want %s", f.ID, h.Msg.ID)
		}
	}
	hub.Disconnect(livetest.App, m.Ord, live.Reason{Code: live.CloseReplaced})
	if _, err := c.Next(); !errors.As(err, new(*livetest.Closed)) || c.retry != 30000 {
		t.Fatalf("ended with %v, retry %d", err, c.retry)
	}
}
