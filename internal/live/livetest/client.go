package livetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
)

// Harness is what the suite needs to know of a transport and its client.
type Harness struct {
	// New makes the transport with its default configuration: a live.Endpoint
	// or a live.Server.
	New func() live.Transport
	// Dial opens a session over a connection that is there. It returns when
	// the response head has come, if there is one that opens the session. A
	// refusal is a *Refused.
	Dial func(ctx context.Context, d Dial) (Client, error)
	// TwoWay says that clients can send frames. Others acknowledge only by
	// cursor.
	TwoWay bool
	// Polls says that a session is one request, which is held until there is an
	// answer. Its client is an Asker. It gives back the cursor of an answer
	// when it asks again, which acknowledges that answer; it is told by a
	// status, not by a frame, why it gets none; and between two requests it is
	// not there.
	Polls bool
	// Packets says that clients speak packets of their own and not frames of the
	// session protocol: they acknowledge by number and never by cursor, and it is
	// they who ask whether the server is there.
	Packets bool
	// Begin is the beginning of a frame, at least 20 bytes of it, which a
	// two-way transport takes without a complaint.
	Begin []byte
	// Garbage is what must end the connection when it comes after the response
	// head, or over a transport without one after the welcome. It has at least
	// the kinds that the matrix names.
	Garbage []Garbage
}

// Garbage is what no client should send.
type Garbage struct {
	Name  string
	Bytes []byte
	Code  int // the close code that it is answered with; 0 for a cut
}

// Dial says how to connect.
type Dial struct {
	Conn   net.Conn
	Path   string // of a live.Endpoint
	Token  string // "" for none
	Cursor string
	Origin string
	Ack    live.AckMode

	Topics   []herald.Topic // in the query of a live.Endpoint: see AddTopics
	Presence bool

	// Heartbeat is how often a client that speaks packets says that it is there,
	// if the hub has another one than by default.
	Heartbeat time.Duration
}

// Client is one connected client. It reads only when Next is called, so that
// not calling it stalls the connection. One goroutine uses it.
type Client interface {
	// Next waits for the next frame from the server. A heartbeat is a frame of
	// type "ping" whatever the protocol makes of it. At the end it gives a
	// *Closed if the server said why, else another error.
	Next() (Frame, error)
	// Send sends a frame of the session protocol.
	Send(frame string) error
}

// Asker is the add-on of a Client that polls. Ask sends the next request if
// nothing is left of the last answer, and does not wait for the next one. Next
// does it too.
type Asker interface{ Ask() error }

// Frame is a frame from the server, with the members of all types.
type Frame struct {
	Type           string                `json:"type"`
	ID             herald.MessageID      `json:"id"`
	Cursor         string                `json:"cursor"`
	Time           string                `json:"time"`
	Expires        string                `json:"expires"`
	Priority       string                `json:"priority"`
	Notification   *herald.Notification  `json:"notification"`
	Data           json.RawMessage       `json:"data"`
	CollapseKey    string                `json:"collapse_key"`
	Session        string                `json:"session"`
	RegistrationID herald.RegistrationID `json:"registration_id"`
	Heartbeat      int                   `json:"heartbeat"`
	Timeout        int                   `json:"timeout"`
	Token          string                `json:"token"`
	Code           string                `json:"code"`
	Detail         string                `json:"detail"`
	Remedy         string                `json:"remedy"`
	Field          string                `json:"field"`
	AfterMS        int                   `json:"after_ms"`
	Base64         string                `json:"base64"`
	ContentType    string                `json:"content_type"`
	Properties     map[string]string     `json:"properties"`
	Retained       bool                  `json:"retained"`
	Topic          herald.Topic          `json:"topic"`
	Topics         []herald.Topic        `json:"topics"`
	From           herald.RegistrationID `json:"from"`
	Devices        int                   `json:"devices"`
	Ref            string                `json:"ref"`
}

// Closed is the end of a connection for which the server gave a reason.
type Closed struct{ Code int }

// Error gives the code.
func (c *Closed) Error() string { return fmt.Sprintf("livetest: closed with %d", c.Code) }

// Refused is a request that was answered with a problem document.
type Refused struct {
	Status     int
	RetryAfter int    // seconds; 0 for none
	Code       string // of the document
	Field      string // of the document
}

// Error gives the status.
func (r *Refused) Error() string {
	return fmt.Sprintf("livetest: refused with %d %s", r.Status, r.Code)
}

// ErrOneWay is what Send of a transport answers whose clients cannot send.
var ErrOneWay = errors.New("livetest: the transport is one-way")
