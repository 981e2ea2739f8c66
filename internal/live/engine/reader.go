package engine

import "runtime"

// reader is the role of the one who waits for the sockets of a loop, and is the
// only one that reads them and ends their connections. It goes from goroutine to
// goroutine: what is its own is used by the one that has it.
type reader struct {
	loop   *loop
	buf    []byte
	events []Event
	calls  []errand // that are served on the loop
	served int      // of these
	spare  *served  // by the calls; nil if there was none, or it is another goroutine's
	dirty  []*conn
	frames [][]byte
}

// errand is a request whose answer does not have to wait for anything, as far as
// the one before it tells. To serve it here saves waking one goroutine for it
// and others for what it writes, which takes longer than most such calls.
type errand struct {
	web  *web
	b    []byte
	head int // bytes of b
}

// read is done by the goroutine that has the role, until the loop ends or the
// role has gone to another.
func (r *reader) read() {
	l := r.loop
	for r.round() {
		n := l.poller.Wait(r.events)
		if n == 0 {
			l.ended.Done()
			return
		}
		for i, e := range r.events[:n] {
			if i%turn == turn-1 {
				runtime.Gosched()
			}
			// The connection may have ended in this round, and its descriptor
			// may be another's by now; that one finds that nothing is there.
			c := l.get(e.FD)
			if c == nil {
				continue
			}
			if e.Write {
				c.unblock()
			}
			if e.Read && (!e.Write || l.get(e.FD) == c) { // it may have left
				c.readable(r.buf)
			}
		}
	}
}

// take has a call served at the end of the round.
func (r *reader) take(c errand) {
	if len(r.calls) == 0 {
		r.loop.engine.rounds.Add(1)
	}
	r.calls = append(r.calls, c)
}

// round serves the calls that have come together, and then writes what they have
// left to be written. It reports false if the role has gone to another.
func (r *reader) round() bool {
	if len(r.calls) == 0 {
		return true
	}
	for r.served < len(r.calls) {
		c := r.calls[r.served]
		r.calls[r.served] = errand{}
		r.served++
		if !c.web.serve(c.b, c.head, r) {
			return false
		}
	}
	r.calls, r.served = r.calls[:0], 0
	r.loop.engine.rounds.Add(-1)
	r.sweep()
	return true
}

// served is what a request takes until it is answered. Calls that are served on a
// loop use it one after the other.
type served struct {
	request
	a answer
}

// room gives it, as new but for the room that it has.
func (r *reader) room() (*request, *answer) {
	s := r.spare
	if s == nil {
		s = &served{}
		r.spare = s
	} else {
		s.reset()
		header := s.a.header
		clear(header)
		s.a = answer{header: header}
	}
	return &s.request, &s.a
}

// sweep writes to the connections for which something waits on any loop: one
// that was put on a list before the round ended has not woken its writer.
func (r *reader) sweep() {
	for _, l := range r.loop.engine.loops {
		r.dirty = l.few(r.dirty[:0])
		for i, c := range r.dirty {
			r.frames = c.flush(r.frames)
			r.dirty[i] = nil
		}
	}
}
