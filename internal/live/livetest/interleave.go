package livetest

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// rounds is how many times a reader connects in interleaves, and perRound how
// many messages are accepted in about the time of one of its connections.
const (
	readers  = 4
	rounds   = 8
	perRound = 60
)

// interleaves checks, with real concurrency, that replay and live join with no
// gap, no duplicate and no message out of order: clients come and go while
// messages are accepted, and are handed over some time after that.
func interleaves(e *env) {
	var members []Member
	for range readers {
		members = append(members, e.world.Join(herald.PlatformWeb))
	}
	log := make(chan record.Handover, 1<<16)
	var ids []herald.MessageID // in log order; read after accepting has ended
	total := rounds * perRound
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(log)
		for i := range total {
			h := e.world.Accept(Send{Content: Text(fmt.Sprint("message ", i)), To: members})
			ids = append(ids, h.Msg.ID)
			log <- h
			pause()
		}
	})
	wg.Go(func() { // dispatch: in order, and behind
		for h := range log {
			if _, err := e.hub.Deliver(e.Context(), h); err != nil {
				e.Error(err)
			}
			pause()
		}
	})
	got := make([][][]herald.MessageID, readers)
	for r := range readers {
		wg.Go(func() { got[r] = e.comeAndGo(members[r], total) })
	}
	wg.Wait()
	for r, connections := range got {
		next := 0 // what has not been read
		for n, seen := range connections {
			if len(seen) == 0 {
				continue
			}
			// What was not acknowledged comes again: all, from the first message
			// on, unless the client polls and so acknowledges some of what it has
			// read. Either way it is a piece of the log without a gap.
			from := max(0, slices.Index(ids, seen[0]))
			if from > next || from > 0 && !e.harness.Polls {
				e.Fatalf("reader %d, connection %d: begins at message %d, want %d", r, n, from, next)
			}
			for i, id := range seen {
				if id != ids[from+i] {
					e.Fatalf("reader %d, connection %d: message %d is %s, want %s", r, n, from+i, id, ids[from+i])
				}
			}
			next = max(next, from+len(seen))
		}
		if next != total {
			e.Fatalf("reader %d has %d messages, want %d", r, next, total)
		}
	}
}

// pause lets others run, sometimes for a moment.
func pause() {
	switch rand.IntN(8) {
	case 0:
		time.Sleep(time.Duration(rand.IntN(400)) * time.Microsecond)
	case 1, 2, 3:
		runtime.Gosched()
	}
}

// comeAndGo connects again and again, reads up to some message, and stays the
// last time.
func (e *env) comeAndGo(m Member, total int) [][]herald.MessageID {
	var out [][]herald.MessageID
	for n := range rounds {
		want := total
		if n < rounds-1 {
			want = rand.IntN(perRound * (n + 1))
		}
		seen, err := e.readSome(m, want)
		if err != nil {
			e.Error(err)
			return append(out, seen)
		}
		out = append(out, seen)
	}
	return out
}

// readSome reads on a new connection until it has come to the message of a
// number, which is in its title.
func (e *env) readSome(m Member, want int) ([]herald.MessageID, error) {
	conn, err := e.net.dial()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	c, err := e.harness.Dial(e.Context(), Dial{Conn: conn, Path: e.path(), Token: m.Token, Heartbeat: e.heartbeat})
	if err != nil {
		return nil, err
	}
	var seen []herald.MessageID
	for n := 0; n < want; {
		f, err := c.Next()
		if err != nil {
			return seen, fmt.Errorf("at message %d of %d: %w", n, want, err)
		}
		if f.Type == "message" {
			seen = append(seen, f.ID)
			if _, err := fmt.Sscanf(f.Notification.Title, "message %d", &n); err != nil {
				return seen, err
			}
			n++
		}
		if len(seen) > rounds*perRound {
			return seen, fmt.Errorf("more than all of the messages, and not the last one: %d of %d", n, want)
		}
		if rand.IntN(64) == 0 {
			time.Sleep(time.Millisecond) // slow enough to fill a small queue
		}
	}
	return seen, nil
}
