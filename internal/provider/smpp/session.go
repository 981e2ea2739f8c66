package smpp

import (
	"bufio"
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald/internal/wire/smpp"
)

// The times of a session.
const (
	enquireEvery  = 30 * time.Second // how often the other side is asked whether it is there
	responseAfter = time.Minute      // a response that is not there by then will not come
	writeWithin   = 10 * time.Second
	byeWithin     = 2 * time.Second
)

// maxReceipts is how many receipts wait to be told; then nothing more is read.
const maxReceipts = 256

var (
	errEnded    = errors.New("smpp: the service centre has ended the session")
	errSilent   = errors.New("smpp: the service centre does not answer any more")
	errResponse = errors.New("smpp: a response cannot be understood")
	errClosed   = errors.New("smpp: the session was closed")
)

// session is a connection to a service centre. Requests are answered in any order.
type session struct {
	conn       net.Conn
	window     chan struct{} // holds one for each submit without a response
	told       func(*smpp.PDU)
	deliveries chan *smpp.PDU // requests of the service centre that take time
	used       atomic.Bool    // something was submitted
	done       chan struct{}  // closed when it ends
	wg         sync.WaitGroup
	writing    sync.Mutex // one unit is written at a time

	mu       sync.Mutex // guards what follows
	seq      uint32
	pending  map[uint32]*question
	retiring bool  // the service centre wants no more submits
	why      error // it has ended
}

// question is a request without a response.
type question struct {
	answer chan *smpp.PDU // holds one
	asked  time.Time
	submit bool
	got    func(*smpp.PDU) // called before anything that came later is looked at
}

// newSession speaks over a connection. told is given what the service centre
// delivers, one after the other, and it is answered when told has returned.
func newSession(conn net.Conn, window int, told func(*smpp.PDU)) *session {
	s := &session{
		conn: conn, window: make(chan struct{}, window), told: told, deliveries: make(chan *smpp.PDU, maxReceipts),
		done: make(chan struct{}), pending: map[uint32]*question{},
	}
	s.wg.Go(s.read)
	s.wg.Go(s.tell)
	s.wg.Go(s.keepAlive)
	return s
}

// usable reports whether something can be submitted.
func (s *session) usable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why == nil && !s.retiring
}

// retire has nothing more be submitted. Responses may still come, until the session
// is ended by the other side or the next time that it is asked.
func (s *session) retire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retiring = true
}

// end ends the session with a reason; the first one counts.
func (s *session) end(why error) {
	s.mu.Lock()
	first := s.why == nil
	if first {
		s.why = why
	}
	s.mu.Unlock()
	if first {
		close(s.done)
		_ = s.conn.Close() // with TLS it writes, which may take a while
	}
}

func (s *session) reason() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why
}

// bye ends the session as the protocol wants it: with an unbind (section 4.2).
func (s *session) bye() {
	ctx, cancel := context.WithTimeout(context.Background(), byeWithin)
	defer cancel()
	_, _, _ = s.ask(ctx, &smpp.PDU{Command: smpp.Unbind}, nil)
	s.end(errClosed)
}

// ask sends a request and waits for its response. asked tells, with an error,
// that the service centre may have read it. got is called with the response
// before anything that comes after it is looked at; it may be nil.
func (s *session) ask(ctx context.Context, p *smpp.PDU, got func(*smpp.PDU)) (answer *smpp.PDU, asked bool, err error) {
	submit := p.Command == smpp.SubmitSM
	if submit {
		select {
		case s.window <- struct{}{}:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		case <-s.done:
			return nil, false, s.reason()
		}
		s.used.Store(true)
	}
	q := &question{answer: make(chan *smpp.PDU, 1), asked: time.Now(), submit: submit, got: got}
	if err := s.enter(p, q); err != nil {
		if submit {
			<-s.window
		}
		return nil, false, err
	}
	if asked, err := s.write(p); err != nil {
		return nil, asked, err
	}
	select {
	case answer := <-q.answer:
		return answer, true, nil
	case <-ctx.Done():
		return nil, true, ctx.Err()
	case <-s.done:
	}
	select {
	case answer := <-q.answer: // it came before the end
		return answer, true, nil
	default:
		return nil, true, s.reason()
	}
}

// enter gives a request its number, and has its response awaited.
func (s *session) enter(p *smpp.PDU, q *question) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why != nil {
		return s.why
	}
	if s.retiring && q.submit {
		return errEnded
	}
	// Numbers go from 1 to 0x7fffffff (section 3.2). One that is still awaited
	// after two thousand million others does not exist.
	s.seq = s.seq%0x7fffffff + 1
	p.Sequence = s.seq
	s.pending[s.seq] = q
	return nil
}

// write sends a unit. After an error the session has ended, and asked tells
// whether a part of the unit went out.
func (s *session) write(p *smpp.PDU) (asked bool, err error) {
	b, err := p.Append(nil)
	if err != nil {
		s.forget(p.Sequence)
		return false, err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	select {
	case <-s.done:
		return false, s.reason()
	default:
	}
	_ = s.conn.SetWriteDeadline(time.Now().Add(writeWithin))
	n, err := s.conn.Write(b)
	if err != nil {
		s.end(err)
	}
	return n > 0, err
}

// forget takes a request out of those that are awaited, and frees its place.
func (s *session) forget(seq uint32) *question {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.pending[seq]
	if q == nil {
		return nil
	}
	delete(s.pending, seq)
	if q.submit {
		<-s.window
	}
	return q
}

// read looks at what comes until the session ends.
func (s *session) read() {
	r := bufio.NewReader(s.conn)
	for {
		p, err := smpp.Read(r)
		var bad *smpp.Malformed
		switch {
		case errors.As(err, &bad):
			err = s.malformed(bad)
		case err == nil && p.Command.IsResponse():
			s.response(p)
		case err == nil:
			s.request(p)
		}
		if err != nil {
			s.end(err)
			return
		}
	}
}

// malformed answers a request that cannot be understood. A response that cannot be
// leaves open what has become of its request; who sends such ones is not trusted
// with more.
func (s *session) malformed(bad *smpp.Malformed) error {
	if bad.Command.IsResponse() {
		if q := s.forget(bad.Sequence); q != nil {
			return errResponse
		}
		return nil
	}
	_, err := s.write(&smpp.PDU{Command: smpp.GenericNack, Status: bad.Status, Sequence: bad.Sequence})
	return err
}

func (s *session) response(p *smpp.PDU) {
	q := s.forget(p.Sequence)
	if q == nil {
		return // nobody has asked
	}
	if q.got != nil {
		q.got(p)
	}
	q.answer <- p
}

func (s *session) request(p *smpp.PDU) {
	switch p.Command {
	case smpp.DeliverSM:
		select {
		case s.deliveries <- p:
		case <-s.done:
		}
	case smpp.EnquireLink:
		_, _ = s.write(p.Respond(smpp.OK))
	case smpp.Unbind:
		// What was submitted before may still be answered; then the other side
		// closes the connection.
		s.retire()
		_, _ = s.write(p.Respond(smpp.OK))
	default: // a request that only a client may make
		_, _ = s.write(p.Respond(smpp.BadBindState))
	}
}

// tell hands on what is delivered.
func (s *session) tell() {
	for {
		select {
		case p := <-s.deliveries:
			s.told(p)
			_, _ = s.write(p.Respond(smpp.OK))
		case <-s.done:
			return
		}
	}
}

// keepAlive ends the session when the other side is silent, or owes a response
// for too long: the place of the request would never be free again.
func (s *session) keepAlive() {
	ticker := time.NewTicker(enquireEvery)
	defer ticker.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-ticker.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), enquireEvery)
		_, _, err := s.ask(ctx, &smpp.PDU{Command: smpp.EnquireLink}, nil)
		cancel()
		switch {
		case err != nil || s.overdue(time.Now()):
			s.end(errSilent)
		case !s.usable():
			s.end(errEnded)
		}
	}
}

func (s *session) overdue(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.pending {
		if now.Sub(q.asked) >= responseAfter {
			return true
		}
	}
	return false
}
