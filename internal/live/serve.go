package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/edge"
)

// maxRefusals is how many connections are told at once why they are refused;
// further ones are cut without a word, because telling costs a goroutine.
const maxRefusals = 64

// Serve accepts the connections of a transport with a port of its own until
// ctx ends or the listener fails, and closes the listener. The hub drives what
// was accepted, and waits for it; Serve does not. The error is nil when ctx has
// ended.
func Serve(ctx context.Context, l net.Listener, hub *Hub, t Server) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer func() {
		stop()
		_ = l.Close()
	}()
	var refusals sync.WaitGroup
	defer refusals.Wait()
	places := make(chan struct{}, maxRefusals)
	for {
		socket, err := accept(ctx, l)
		if ctx.Err() != nil {
			if err == nil {
				_ = socket.Close()
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("live: serving %s on %s: %w", t.Name(), l.Addr(), err)
		}
		link := &socketLink{Early{Conn: socket}}
		p, refused := hub.Admit()
		if refused == nil {
			go func() { // the hub waits for it: see Admit and Leave
				defer p.Leave()
				p.serve(ctx, t, link)
			}()
			continue
		}
		select {
		case places <- struct{}{}:
			refusals.Go(func() {
				defer func() { <-places }()
				refuse(link, t.Refusal(RefusalOf(refused)))
			})
		default:
			link.close()
		}
	}
}

// serve drives a connection that was accepted. What waits for bytes of the
// client comes after Admit, and has an end: the PROXY header before its address
// is known, and the handshake of TLS.
func (p *Place) serve(ctx context.Context, t Server, link *socketLink) {
	if err := p.Arrive(edge.Address(link.RemoteAddr())); err != nil {
		refuse(link, t.Refusal(RefusalOf(err)))
		return
	}
	if s, ok := link.Conn.(interface{ HandshakeContext(context.Context) error }); ok {
		ctx, cancel := context.WithTimeout(ctx, p.hub.opts.HelloTimeout)
		err := s.HandshakeContext(ctx)
		cancel()
		if err != nil {
			link.close()
			return
		}
	}
	c := newConn(p.hub, t.NewHandler(p.hub), link)
	c.place = p
	c.serve(nil)
}

// accept waits longer and longer while the process has no file descriptor left
// or the like, as net/http does.
func accept(ctx context.Context, l net.Listener) (net.Conn, error) {
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		c, err := l.Accept()
		if err == nil || !errors.As(err, new(net.Error)) || errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
			return c, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(wait):
		}
	}
}

// RefusalOf gives the close code of an error of [Hub.Admit] or [Place.Arrive].
func RefusalOf(err error) Reason {
	code, text := CloseTooMany, ""
	if herald.CodeOf(err) == herald.CodeDraining {
		code = CloseDraining
	}
	if e := (*herald.Error)(nil); errors.As(err, &e) {
		text = e.Message
	}
	return Reason{code, text}
}

// refuse says why, and reads what the client has sent meanwhile, because a
// socket that is closed with bytes unread takes the last word with it.
func refuse(l *socketLink, word Frame) {
	defer l.close()
	until := time.Now().Add(lingerFor)
	// Both deadlines: the first write may have to read, for the handshake of TLS.
	if len(word) == 0 || l.SetDeadline(until) != nil || l.write([]Frame{word}) != nil || !l.finish(until) {
		return
	}
	_, _ = io.CopyN(io.Discard, l, herald.MaxFrameBytes)
}
