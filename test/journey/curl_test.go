package journey_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// curl reads an event stream with curl -N. It has no reconnection of its own:
// this loop starts it again with the last event ID, as a shell script would.
type curl struct {
	path   string
	url    string
	token  string
	last   string // the last event ID; only the loop touches it while it runs
	events *tape
	stop   context.CancelFunc
	done   chan struct{}
}

func newCurl(t *testing.T) client { return &curl{path: need(t, "curl"), events: newTape()} }

func (c *curl) connect(t *testing.T, s *server) {
	t.Helper()
	c.url, c.token = s.url+"/v1/live/sse", s.register(t).Token
	c.back(t)
}

func (c *curl) back(t *testing.T) {
	t.Helper()
	from := c.events.length()
	ctx, stop := context.WithCancel(context.Background())
	c.stop, c.done = stop, make(chan struct{})
	go c.loop(ctx, c.done)
	welcomed(t, c.events, from)
}

func (c *curl) away(*testing.T) {
	if c.stop == nil {
		return
	}
	c.stop()
	<-c.done
	c.stop = nil
}

func (c *curl) leave(t *testing.T) { c.away(t) }
func (c *curl) resumes() bool      { return true }
func (c *curl) tape() *tape        { return c.events }

func (c *curl) loop(ctx context.Context, done chan<- struct{}) {
	defer close(done)
	for ctx.Err() == nil {
		args := []string{"-sN", "--max-time", "600", "-H", "Authorization: Bearer " + c.token}
		if c.last != "" {
			args = append(args, "-H", "Last-Event-ID: "+c.last)
		}
		cmd := exec.CommandContext(ctx, c.path, append(args, c.url)...)
		stdout, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			c.events.add(event{Event: "failure", Detail: err.Error()})
			return
		}
		c.read(stdout)
		err = cmd.Wait()
		c.events.add(event{Event: "closed", Reason: errorText(err)})
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond): // between two attempts
		}
	}
}

// read takes the events of a stream apart (HTML Living Standard, section 9.2.6).
func (c *curl) read(stream io.Reader) {
	name, data := "", ""
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			name = value
		case "data":
			data += value
		case "id":
			c.last = value
		case "":
			if lines.Text() == "" && data != "" {
				c.dispatch(name, data)
				name, data = "", ""
			}
		}
	}
}

func (c *curl) dispatch(name, data string) {
	e := event{Event: "frame"}
	if err := json.Unmarshal([]byte(data), &e.Frame); err != nil {
		e = event{Event: "failure", Detail: err.Error() + ": " + data}
	}
	// The event is named like its frame; only messages go without a name.
	if want := strings.TrimPrefix(e.Frame.Type, "message"); e.Event == "frame" && name != want {
		e = event{Event: "failure", Detail: "the event of " + e.Frame.Type + " is named " + name}
	}
	c.events.add(e)
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
