package device

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client/internal/problem"
)

const (
	ackDelay     = 100 * time.Millisecond
	writeTimeout = 10 * time.Second
	// maxServerFrame bounds a frame of the server: a message of 32 KiB with
	// its envelope, and room for later versions.
	maxServerFrame = 1 << 20
)

var (
	errSilent    = errors.New("device: the server was silent for longer than it announced")
	errNoWelcome = errors.New("device: the server did not open the session in time")
	errLeaving   = errors.New("device: the server asked to reconnect")
)

// brokenError says in a sentence how a connection ended; the error of the
// library stays in its chain.
type brokenError struct{ err error }

func (b brokenError) Unwrap() error { return b.err }

func (b brokenError) Error() string {
	var frame websocket.CloseError
	switch {
	case errors.As(b.err, &frame) && frame.Reason != "":
		return fmt.Sprintf("device: the server closed the connection: %s (%d)", frame.Reason, int(frame.Code))
	case errors.As(b.err, &frame):
		return fmt.Sprintf("device: the server closed the connection (%d)", int(frame.Code))
	case errors.Is(b.err, io.EOF):
		return "device: the connection ended without a word"
	}
	return "device: the connection broke: " + b.err.Error()
}

// session is one connection. Its reader is a goroutine of its own; everything
// is written by run.
type session struct {
	l    *listening
	conn *websocket.Conn

	began   time.Time
	heard   atomic.Int64 // when the server was last heard, since began
	blocked atomic.Bool  // the reader waits for the handler, so silence means nothing

	frames chan serverFrame // all that are not messages
	ended  chan error       // the reader's last word
	gone   chan struct{}    // closed when the reader has ended

	heartbeat, timeout time.Duration
	open               bool // welcome has come

	say  chan []byte // publications
	subs subscriptions
}

// dial opens the WebSocket.
func (l *listening) dial(ctx context.Context) (*session, time.Duration, error) {
	s := &session{l: l, began: time.Now(), frames: make(chan serverFrame), ended: make(chan error, 1), gone: make(chan struct{}),
		say: make(chan []byte, maxSaid), heartbeat: herald.Heartbeat, timeout: herald.HeartbeatTimeout}
	compression := websocket.CompressionDisabled
	if l.d.o.Compression {
		compression = websocket.CompressionNoContextTakeover
	}
	dctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	conn, resp, err := websocket.Dial(dctx, l.d.base+"/v1/live/ws", &websocket.DialOptions{ //nolint:bodyclose // the library closes it, and keeps 1 KiB of it in memory
		HTTPClient:     l.d.o.HTTPClient,
		HTTPHeader:     http.Header{"Authorization": {"Bearer " + l.d.identity().Token}},
		Subprotocols:   []string{"herald.v1"},
		OnPingReceived: func(context.Context, []byte) bool { s.hear(); return true },

		CompressionMode: compression,
	})
	if err != nil {
		if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
			text, _ := io.ReadAll(resp.Body)
			e := problem.Read(resp, text, time.Now())
			if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
				return nil, 0, e
			}
			// Anything else may be a proxy or a server that is restarting.
			return nil, e.RetryAfter, fmt.Errorf("device: the connection was refused: %s", e.Message)
		}
		return nil, 0, fmt.Errorf("device: %s: %w: %w", l.d.base, ErrUnreachable, err)
	}
	conn.SetReadLimit(maxServerFrame)
	s.conn = conn
	return s, 0, nil
}

func (s *session) hear() { s.heard.Store(int64(time.Since(s.began))) }

// run holds the connection until it ends or ctx does.
func (s *session) run(ctx context.Context) (asked time.Duration, err error) {
	// The socket outlives ctx for as long as the last acknowledgements need.
	sctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.hear()
	go s.read(sctx)
	defer func() {
		s.l.d.speaks(nil)
		cancel()
		_ = s.conn.CloseNow()
		<-s.gone
	}()
	watch := time.NewTimer(requestTimeout) // first for welcome, then for silence
	defer watch.Stop()
	flush, leave := time.NewTimer(0), time.NewTimer(0)
	flush.Stop()
	leave.Stop()
	defer flush.Stop()
	defer leave.Stop()
	flushing := false // a flush is due, and is not put off by what comes meanwhile
	for {
		err = nil
		select {
		case <-ctx.Done():
			s.finish(sctx, cancel)
			return 0, ctx.Err()
		case err = <-s.ended:
			return remaining(asked, s.began), err
		case f := <-s.frames:
			switch f.Type {
			case "welcome":
				if err = s.welcome(f, watch); err == nil {
					err = s.subscribe(sctx)
				}
			case "ping":
				err = s.write(sctx, clientFrame{Type: "pong"})
			case "reconnect":
				// Stay until the server closes, at the latest until the time
				// that it named; then come back at once.
				after := min(max(time.Duration(f.AfterMS)*time.Millisecond, time.Millisecond), maxServerWait)
				asked = time.Since(s.began) + after
				leave.Reset(after)
				err = s.flush(sctx)
			case "subscribed", "error":
				err = s.answered(sctx, f)
			}
		case frame := <-s.say:
			err = s.writeBytes(sctx, frame)
		case <-s.l.d.resubscribe:
			if s.open {
				err = s.subscribe(sctx)
			}
		case <-s.l.d.out.wake:
			if s.open && s.l.d.out.len() >= ackBatch {
				err = s.flush(sctx)
			} else if s.open && !flushing {
				flushing = true
				flush.Reset(ackDelay)
			}
		case <-flush.C:
			flushing = false
			err = s.flush(sctx)
		case <-leave.C:
			s.finish(sctx, cancel)
			return time.Millisecond, errLeaving
		case <-watch.C:
			err = s.watch(sctx, watch)
		}
		if err != nil {
			return remaining(asked, s.began), err
		}
	}
}

// remaining is what is left of a wait that the server asked for, counted from
// when it asked; 0 if it asked for none.
func remaining(until time.Duration, began time.Time) time.Duration {
	if until == 0 {
		return 0
	}
	return max(until-time.Since(began), time.Millisecond)
}

// welcome opens the session and keeps a fresh token.
func (s *session) welcome(f serverFrame, watch *time.Timer) error {
	d := s.l.d
	s.open, s.l.renewed = true, false
	if f.Heartbeat > 0 && f.Timeout > f.Heartbeat && f.Timeout <= 86400 {
		s.heartbeat, s.timeout = time.Duration(f.Heartbeat)*time.Second, time.Duration(f.Timeout)*time.Second
	}
	watch.Reset(s.heartbeat)
	id := d.identity()
	if f.RegistrationID.Valid() {
		id.RegistrationID = f.RegistrationID
	}
	if f.Token != "" {
		id.Token = f.Token
	}
	if id != d.identity() {
		if err := d.keep(id.RegistrationID, id.Token); err != nil {
			return err
		}
	}
	d.speaks(s.say)
	s.l.state(State{Phase: Connected})
	if d.out.len() > 0 {
		d.out.signal()
	}
	return nil
}

// watch looks whether the server is still there: after a heartbeat of silence
// it asks, after the timeout it gives the connection up.
func (s *session) watch(ctx context.Context, t *time.Timer) error {
	if !s.open {
		return errNoWelcome
	}
	if s.blocked.Load() {
		t.Reset(s.heartbeat)
		return nil
	}
	silence := time.Since(s.began) - time.Duration(s.heard.Load())
	switch {
	case silence >= s.timeout:
		return errSilent
	case silence >= s.heartbeat:
		t.Reset(s.timeout - silence)
		return s.write(ctx, clientFrame{Type: "ping"})
	default:
		t.Reset(s.heartbeat - silence)
		return nil
	}
}

// finish sends what is still to be said and closes in order.
func (s *session) finish(ctx context.Context, cancel context.CancelFunc) {
	s.l.idle()
	if s.open && (s.sayRest(ctx) != nil || s.flush(ctx) != nil) {
		return
	}
	// Close waits for the peer's close frame. A peer that does not send it
	// soon is not waited for: what mattered has been written.
	hurry := time.AfterFunc(time.Second, cancel)
	defer hurry.Stop()
	_ = s.conn.Close(websocket.StatusNormalClosure, "")
}

func (s *session) flush(ctx context.Context) error {
	list := s.l.d.out.take()
	for _, f := range batches(list) {
		if err := s.write(ctx, f); err != nil {
			// Some may have arrived; saying it again changes nothing.
			s.l.d.out.giveBack(list)
			return err
		}
	}
	return nil
}

func (s *session) write(ctx context.Context, f clientFrame) error {
	b, err := encode(f)
	if err != nil {
		return err
	}
	return s.writeBytes(ctx, b)
}

func (s *session) writeBytes(ctx context.Context, b []byte) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return s.conn.Write(ctx, websocket.MessageText, b)
}

// read reads frames until the connection ends.
func (s *session) read(ctx context.Context) {
	defer close(s.gone)
	s.ended <- s.readAll(ctx)
}

func (s *session) readAll(ctx context.Context) error {
	for {
		_, b, err := s.conn.Read(ctx)
		if err != nil {
			return brokenError{err}
		}
		s.hear()
		f, err := parseFrame(b)
		if err != nil {
			// A frame of a later version; what it said comes again or was not
			// meant for this one.
			f = serverFrame{Type: "error", Code: herald.CodeInternal, Detail: err.Error(), Remedy: "Use the newest version of this SDK."}
		}
		switch f.Type {
		case "message", "withdraw":
			if !s.handOver(ctx, incoming{msg: f.message(), withdraw: f.Type == "withdraw"}) {
				return ctx.Err()
			}
		case "topic", "presence":
			if in, wanted := s.l.topical(f); wanted && !s.handOver(ctx, in) {
				return ctx.Err()
			}
		case "welcome", "ping", "reconnect", "subscribed", "error":
			if !s.pass(ctx, f) {
				return ctx.Err()
			}
		}
	}
}

// pass gives a frame to run.
func (s *session) pass(ctx context.Context, f serverFrame) bool {
	select {
	case s.frames <- f:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *session) problem(e *herald.Error) {
	if s.l.h.OnProblem != nil {
		s.l.h.OnProblem(e)
	}
}

// handOver gives a message to the handler's queue, and waits for room.
func (s *session) handOver(ctx context.Context, in incoming) bool {
	select {
	case s.l.inbox <- in:
		return true
	default:
	}
	s.blocked.Store(true)
	defer func() { s.hear(); s.blocked.Store(false) }()
	select {
	case s.l.inbox <- in:
		return true
	case <-ctx.Done():
		return false
	}
}
