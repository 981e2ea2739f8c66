package poll_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/live/poll"
)

func TestLive(t *testing.T) { livetest.Run(t, harness()) }

func TestBehindNginx(t *testing.T) { livetest.RunBehindNginx(t, harness()) }

func harness() livetest.Harness {
	return livetest.Harness{
		New:   func() live.Transport { return poll.New(poll.Config{}) },
		Dial:  dial,
		Polls: true,
		Garbage: []livetest.Garbage{
			{Name: "bytes after the request", Bytes: []byte("\x00")},
			{Name: "a frame", Bytes: []byte(`{"type":"ping"}` + "\r\n\r\n")},
			{Name: "an endless head", Bytes: bytes.Repeat([]byte("x"), 64<<10)},
		},
	}
}

// wait is how long the client has its requests held: an empty answer is its
// heartbeat.
const wait = herald.Heartbeat

// client polls over one connection. It asks when nothing is left of the last
// answer, and gives back the cursor of that.
type client struct {
	livetest.Dial
	in     *bufio.Reader
	asked  bool // and the answer has not been read
	frames []livetest.Frame
	since  string
}

func dial(_ context.Context, d livetest.Dial) (livetest.Client, error) {
	c := &client{Dial: d, in: bufio.NewReaderSize(d.Conn, 512)}
	return c, c.Ask()
}

// Ask sends the request beside reading, because a server that ends the
// connection does not read.
func (c *client) Ask() error {
	if c.asked || len(c.frames) > 0 {
		return nil
	}
	c.asked = true
	query := url.Values{"wait": {strconv.Itoa(int(wait / time.Second))}}
	if c.Cursor != "" {
		query.Set("cursor", c.Cursor)
	}
	if c.since != "" {
		query.Set("since", c.since)
	}
	c.AddTopics(query)
	head := fmt.Sprintf("GET %s?%s HTTP/1.1\r\nHost: herald.test\r\n", c.Path, query.Encode())
	if c.Token != "" {
		head += "Authorization: Bearer " + c.Token + "\r\n"
	}
	if c.Origin != "" {
		head += "Origin: " + c.Origin + "\r\n"
	}
	go func() { _, _ = io.WriteString(c.Conn, head+"\r\n") }()
	return nil
}

func (c *client) Send(string) error { return livetest.ErrOneWay }

func (c *client) Next() (livetest.Frame, error) {
	for len(c.frames) == 0 {
		if err := c.Ask(); err != nil {
			return livetest.Frame{}, err
		}
		a, err := readAnswer(c.in)
		c.asked = false
		// What waits cannot be read now: ask again when the server says.
		if r := (*livetest.Refused)(nil); errors.As(err, &r) && r.Code == string(herald.CodeStorageUnavailable) && r.RetryAfter > 0 {
			time.Sleep(time.Duration(r.RetryAfter) * time.Second)
			continue
		}
		if err != nil {
			return livetest.Frame{}, err
		}
		if len(a.Frames) == 0 {
			return livetest.Frame{Type: "ping"}, nil
		}
		c.frames, c.Cursor, c.since = a.Frames, a.Cursor, a.Since
	}
	f := c.frames[0]
	c.frames = c.frames[1:]
	return f, nil
}

// answer is the body of a response.
type answer struct {
	Frames []livetest.Frame `json:"frames"`
	Cursor string           `json:"cursor"`
	Since  string           `json:"since"`
}

func (a answer) ids() []herald.MessageID {
	var out []herald.MessageID
	for _, f := range a.Frames {
		out = append(out, f.ID)
	}
	return out
}

// readAnswer reads a response, after which the connection serves the next
// request. One that is no answer is a *livetest.Refused.
func readAnswer(r *bufio.Reader) (a answer, err error) {
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return a, err
	}
	if resp.StatusCode != http.StatusOK {
		return a, livetest.ReadRefusal(resp)
	}
	return a, a.read(resp)
}

func (a *answer) read(resp *http.Response) error {
	for name, want := range map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store"} {
		if got := resp.Header.Get(name); got != want {
			return fmt.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if resp.Close || resp.ContentLength < 0 {
		return fmt.Errorf("close %v, length %d: the connection cannot go on", resp.Close, resp.ContentLength)
	}
	d := json.NewDecoder(resp.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(a); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("more than one object in an answer: %w", err)
	}
	if a.Frames == nil {
		return errors.New("the list of frames is null")
	}
	for _, f := range a.Frames {
		if position(f.Cursor) > position(a.Cursor) {
			return fmt.Errorf("the cursor is %q, and that of a frame is %q", a.Cursor, f.Cursor)
		}
	}
	return nil
}

// position reads a cursor of a livetest.World, as no client can.
func position(cursor string) (pos int) {
	_, _ = fmt.Sscanf(cursor, "1.%d.", &pos)
	return pos
}
