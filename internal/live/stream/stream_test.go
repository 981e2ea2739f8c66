package stream_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/url"
	"testing"

	"go.uber.org/goleak"

	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/live/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLive(t *testing.T) { livetest.Run(t, harness()) }

func TestBehindNginx(t *testing.T) { livetest.RunBehindNginx(t, harness()) }

func harness() livetest.Harness {
	return livetest.Harness{
		New:  func() live.Transport { return stream.New(stream.Config{}) },
		Dial: dial,
		Garbage: []livetest.Garbage{
			{Name: "bytes after the request", Bytes: []byte("\x00")},
			{Name: "a second request", Bytes: []byte("GET / HTTP/1.1\r\n\r\n")},
			{Name: "a frame", Bytes: []byte(`{"type":"ping"}` + "\n")},
		},
	}
}

// client reads lines.
type client struct{ lines *bufio.Scanner }

func dial(_ context.Context, d livetest.Dial) (livetest.Client, error) {
	query := url.Values{}
	if d.Cursor != "" {
		query.Set("cursor", d.Cursor)
	}
	resp, err := livetest.Get(d, "application/x-ndjson", query, nil)
	if err != nil {
		return nil, err
	}
	s := bufio.NewScanner(resp.Body)
	s.Buffer(nil, 1<<20)
	return &client{s}, nil
}

func (c *client) Send(string) error { return livetest.ErrOneWay }

func (c *client) Next() (livetest.Frame, error) {
	if !c.lines.Scan() {
		return livetest.Frame{}, errors.Join(c.lines.Err(), io.ErrUnexpectedEOF)
	}
	return livetest.ParseLine(c.lines.Bytes())
}

func TestTheLastLineSaysWhy(t *testing.T) {
	got := string(stream.New(stream.Config{}).Goodbye(live.Reason{Code: live.CloseSlow, Text: "the queue stayed full"}))
	if want := `{"type":"close","code":4010,"detail":"the queue stayed full"}` + "\n"; got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func TestPath(t *testing.T) {
	if got := stream.New(stream.Config{}).Path(); got != "/v1/live/stream" {
		t.Fatal(got)
	}
	if got := stream.New(stream.Config{Path: "/other"}).Path(); got != "/other" {
		t.Fatal(got)
	}
}
