package device

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/herald-push/herald"
)

const (
	minReconnect = time.Second
	maxReconnect = 30 * time.Second
	// maxServerWait bounds how long a server can keep a device away.
	maxServerWait = 5 * time.Minute
	// stable is how long a connection must have lasted for the waits to begin
	// anew. A server that accepts and drops is not worth more haste.
	stable = 10 * time.Second
	// handOver is how many messages are read ahead of the handler.
	handOver = 16
)

// The close codes of the session protocol that a device acts on.
const (
	closeBadToken  = 4001
	closeForbidden = 4003
	closeReplaced  = 4009
	closeProtocol  = 4013
	closeTooMany   = 4029
)

// incoming is a frame on its way to the handler: a message, the withdrawal of
// one, a publication or a change of presence.
type incoming struct {
	msg      Message
	withdraw bool
	topic    *Publication
	presence *int64 // how many are subscribed to topic
}

// listening is one call of Listen.
type listening struct {
	d     *Device
	h     Handler
	inbox chan incoming
	// busy holds a value while the handler works on a message.
	busy chan struct{}

	waits   int  // connections that failed in a row
	renewed bool // registered again since the last welcome
}

// Listen connects and hands what arrives to the handler, until ctx ends (then
// it answers nil) or the server says that coming back is no use: see the
// errors of this package. Before it returns it has sent the acknowledgements
// of what was handled, if the connection allows.
func (d *Device) Listen(ctx context.Context, h Handler) error {
	if !d.listening.CompareAndSwap(false, true) {
		return ErrListening
	}
	defer d.listening.Store(false)
	l := &listening{d: d, h: h, inbox: make(chan incoming, handOver), busy: make(chan struct{}, 1)}
	// The handler stops with the connection, also when that ends for good.
	hctx, stop := context.WithCancel(ctx)
	var handler sync.WaitGroup
	handler.Go(func() { l.handle(hctx) })
	err := l.connect(ctx)
	stop()
	close(l.inbox)
	handler.Wait()
	return err
}

// handle calls the handler, one message at a time.
func (l *listening) handle(ctx context.Context) {
	for in := range l.inbox {
		if ctx.Err() != nil {
			continue // not acknowledged, so it comes again
		}
		l.busy <- struct{}{}
		switch {
		case in.presence != nil:
			l.h.OnPresence(ctx, in.topic.Topic, *in.presence)
		case in.topic != nil:
			l.h.OnTopic(ctx, *in.topic)
		case in.withdraw:
			if l.h.OnWithdraw != nil {
				l.h.OnWithdraw(ctx, in.msg.ID)
			}
			// Until the server hears this it says so again at each connection.
			l.d.out.add(herald.StateWithdrawn, in.msg.ID)
		default:
			l.message(ctx, in.msg)
		}
		<-l.busy
	}
}

func (l *listening) message(ctx context.Context, m Message) {
	d := l.d
	d.mu.Lock()
	known, settled := d.seen.add(m.ID)
	d.mu.Unlock()
	if known {
		if settled {
			d.out.add("", m.ID) // the first acknowledgement was lost
		}
		return
	}
	if l.h.OnMessage != nil {
		if err := l.h.OnMessage(ctx, m); err != nil {
			d.mu.Lock()
			d.seen.forget(m.ID)
			d.mu.Unlock()
			return
		}
	}
	if !d.o.ManualAck {
		d.Ack(m.ID)
	}
}

// idle waits until the handler is between two messages, but not for long.
func (l *listening) idle() {
	t := time.NewTimer(2 * time.Second)
	defer t.Stop()
	select {
	case l.busy <- struct{}{}:
		<-l.busy
	case <-t.C:
	}
}

func (l *listening) state(s State) {
	if l.h.OnState != nil {
		l.h.OnState(s)
	}
}

// connect keeps a connection until ctx ends or it is no use.
func (l *listening) connect(ctx context.Context) error {
	for ctx.Err() == nil {
		l.state(State{Phase: Connecting})
		began := time.Now()
		asked, err := l.attempt(ctx)
		if ctx.Err() != nil {
			return nil
		}
		var final error
		switch code := websocket.CloseStatus(err); {
		case code == closeForbidden || herald.CodeOf(err) == herald.CodeForbidden:
			final = ErrForbidden
		case code == closeReplaced:
			final = ErrReplaced
		case code == closeProtocol:
			final = ErrProtocol
		case code == closeBadToken || herald.CodeOf(err) == herald.CodeUnauthorized:
			if l.renewed {
				final = ErrToken
				break
			}
			l.renewed = true
			l.d.dropToken()
			continue // registers again, and once only without waiting
		case code == closeTooMany:
			l.waits = max(l.waits, 4)
		}
		if final == nil && permanent(err) {
			final = err
		}
		if final != nil {
			if errors.Is(err, final) {
				return err
			}
			return fmt.Errorf("%w: %w", final, err)
		}
		if time.Since(began) >= stable {
			l.waits = 0
		}
		wait := l.wait(asked)
		l.state(State{Phase: Waiting, Err: err, Retry: wait})
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
	return nil
}

// permanent reports whether the server refused the registration in a way that
// will not change by itself.
func permanent(err error) bool {
	var e *herald.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case herald.CodeInvalidRequest, herald.CodeTooLarge, herald.CodeLimitReached, herald.CodeNotFound:
		return true
	}
	return false
}

// wait chooses how long to stay away: what the server asked, or a random time
// between 1 s and a bound that doubles up to 30 s, so that many devices do not
// return at the same moment.
func (l *listening) wait(asked time.Duration) time.Duration {
	if asked > 0 {
		return min(asked, maxServerWait)
	}
	l.waits++
	bound := min(maxReconnect, minReconnect<<min(l.waits, 10))
	return minReconnect + rand.N(bound-minReconnect) //nolint:gosec // a wait is no secret
}

// attempt registers if that is needed, and holds one connection until it ends.
// asked is how long the server wants the device to stay away; 0 if unsaid.
func (l *listening) attempt(ctx context.Context) (asked time.Duration, err error) {
	if l.d.identity().Token == "" {
		if err := l.d.register(ctx); err != nil {
			var e *herald.Error
			if errors.As(err, &e) {
				asked = e.RetryAfter
			}
			return asked, err
		}
	}
	s, asked, err := l.dial(ctx)
	if err != nil {
		return asked, err
	}
	return s.run(ctx)
}

// dropToken forgets the token, so that the next attempt registers.
func (d *Device) dropToken() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.id.Token = ""
}
