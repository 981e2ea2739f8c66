package smpp

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald/internal/sim"
	"github.com/herald-push/herald/internal/wire/smpp"
)

// Server is a service centre that serves on a port.
type Server struct {
	Address     string            // host:port
	Certificate *x509.Certificate // nil without TLS

	listener net.Listener
	ctx      context.Context
	cancel   context.CancelFunc
	wg       sync.WaitGroup // everything that runs
}

// Serve serves at an address such as 127.0.0.1:0, if secure is true with TLS and a
// certificate that it makes and signs itself. The desk counts submits: a fault's
// Status is the status of the response.
func Serve(ctx context.Context, address string, d *sim.Desk, s *Service, secure bool) (*Server, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	v := &Server{Address: l.Addr().String()}
	if secure {
		host, _, _ := net.SplitHostPort(v.Address)
		pair, err := sim.SelfSigned(host)
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		v.Certificate = pair.Leaf
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	}
	v.listener = l
	v.ctx, v.cancel = context.WithCancel(context.WithoutCancel(ctx))
	v.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // it was closed
			}
			d.Connected()
			v.wg.Go(func() { v.session(conn, d, s) })
		}
	})
	return v, nil
}

// Close ends it and its connections.
func (v *Server) Close() error {
	v.cancel()
	err := v.listener.Close()
	v.wg.Wait()
	return err
}

// link is a connection.
type link struct {
	conn  net.Conn
	bound atomic.Uint32 // the command that opened it; 0 before

	wmu sync.Mutex // one unit is written at a time

	mu   sync.Mutex // guards what follows
	seq  uint32
	owed map[uint32]smpp.Receipt // those that were sent and not answered
}

func (l *link) receives() bool {
	c := smpp.Command(l.bound.Load())
	return c == smpp.BindTransceiver || c == smpp.BindReceiver
}

func (l *link) sends() bool {
	c := smpp.Command(l.bound.Load())
	return c == smpp.BindTransceiver || c == smpp.BindTransmitter
}

// write gives octets to the client; one who does not read is cut off.
func (l *link) write(b []byte) {
	l.wmu.Lock()
	defer l.wmu.Unlock()
	_ = l.conn.SetWriteDeadline(time.Now().Add(time.Minute))
	if _, err := l.conn.Write(b); err != nil {
		_ = l.conn.Close()
	}
}

func (l *link) send(p *smpp.PDU) {
	if b, err := p.Append(nil); err == nil {
		l.write(b)
	}
}

func (l *link) ask(p smpp.PDU) {
	l.mu.Lock()
	l.seq++
	p.Sequence = l.seq
	l.mu.Unlock()
	l.send(&p)
}

// owe makes the unit of a receipt as most service centres do, as a text and in
// parameters, and keeps that it has to be answered.
func (l *link) owe(r smpp.Receipt) *smpp.PDU {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	p := &smpp.PDU{Command: smpp.DeliverSM, Sequence: l.seq, Message: &smpp.Message{Class: smpp.ClassReceipt, Text: []byte(r.Text())}}
	p.TLVs = []smpp.TLV{{Tag: smpp.TagReceiptedID, Value: append([]byte(r.ID), 0)}}
	l.owed[l.seq] = r
	return p
}

func (l *link) unanswered() (out []smpp.Receipt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.owed {
		out = append(out, r)
	}
	return out
}

// session serves a connection until one side ends it.
func (v *Server) session(conn net.Conn, d *sim.Desk, s *Service) {
	ctx, cancel := context.WithCancel(v.ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	defer conn.Close()
	l := &link{conn: conn, owed: map[uint32]smpp.Receipt{}}
	defer s.ended(l)
	r := bufio.NewReader(conn)
	for {
		p, err := smpp.Read(r)
		var bad *smpp.Malformed
		switch {
		case s.isSilent() && (err == nil || errors.As(err, &bad)):
		case errors.As(err, &bad):
			l.send(&smpp.PDU{Command: smpp.GenericNack, Status: bad.Status, Sequence: bad.Sequence})
		case err != nil:
			return
		case p.Command == smpp.SubmitSM:
			f := d.Next() // in the order of what comes
			v.wg.Go(func() { v.submit(ctx, d, s, l, p, f) })
		case !l.handle(s, p):
			return
		}
	}
}

// handle answers what is no submit; it is false when the session ends.
func (l *link) handle(s *Service, p *smpp.PDU) bool {
	answer := p.Respond(smpp.OK)
	switch {
	case p.Bind != nil && l.bound.Load() != 0:
		answer.Status = smpp.AlreadyBound
	case p.Bind != nil:
		if answer.Status = s.admit(p.Bind); answer.Status != smpp.OK {
			l.send(answer)
			return false
		}
		answer.Name = "herald-sim"
		l.bound.Store(uint32(p.Command))
		l.send(answer)
		s.opened(l)
		return true
	case p.Command == smpp.EnquireLink:
	case p.Command == smpp.Unbind:
		l.send(answer)
		return false
	case p.Command == smpp.DeliverSM.Response():
		l.mu.Lock()
		_, owed := l.owed[p.Sequence]
		delete(l.owed, p.Sequence)
		l.mu.Unlock()
		if owed {
			s.answered()
		}
		return true
	case p.Command == smpp.Unbind.Response():
		return false
	case p.Command.IsResponse():
		return true
	default:
		answer = &smpp.PDU{Command: smpp.GenericNack, Status: smpp.BadCommand, Sequence: p.Sequence}
	}
	l.send(answer)
	return true
}

// submit answers a submit_sm, or fails as the desk says.
func (v *Server) submit(ctx context.Context, d *sim.Desk, s *Service, l *link, p *smpp.PDU, f sim.Fault) {
	s.begin()
	answer, r := v.judge(ctx, s, l, p, f)
	// What is counted is counted before the client knows.
	call := sim.Call{Method: p.Command.String(), Path: p.Message.Dest.Address, Body: p.Message.Text, Proto: "SMPP/3.4"}
	if answer != nil {
		call.Status = int(answer.Status)
	}
	d.Note(call)
	s.end()
	if answer == nil {
		_ = l.conn.Close()
		return
	}
	l.send(answer)
	switch {
	case r.ID == "":
	case s.cfg.After > 0:
		v.wg.Go(func() {
			select {
			case <-time.After(s.cfg.After):
				s.deliver(r, l)
			case <-v.ctx.Done():
			}
		})
	default:
		s.deliver(r, l)
	}
}

// judge gives the answer to a submit_sm, and the receipt that is to follow if it
// has an ID. Without an answer the connection is to end.
func (v *Server) judge(ctx context.Context, s *Service, l *link, p *smpp.PDU, f sim.Fault) (answer *smpp.PDU, r smpp.Receipt) {
	if f.Reached != nil {
		f.Reached()
	}
	if f.Delay > 0 {
		select {
		case <-time.After(f.Delay):
		case <-ctx.Done():
			return nil, r
		}
	}
	answer = p.Respond(smpp.Status(f.Status))
	switch {
	case f.Reset:
		return nil, r
	case f.Status != 0:
	case !l.sends():
		answer.Status = smpp.BadBindState
	default:
		answer.Name, r, answer.Status = s.take(p.Message)
	}
	return answer, r
}
