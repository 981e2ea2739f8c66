package live

import (
	"runtime"
	"time"
)

// Who catches up takes a rest after so many messages, about a millisecond of a
// processor; to read a page of any counts as some. What goes out live needs processors
// that have nothing to do: while each always finds something to run, Go looks at
// the sockets every ten milliseconds only, and a thread that was waiting for the
// disk gets no processor for as long as the system lets another keep it.
const (
	restAfter   = 320 // messages
	readingCost = 8   // messages
	restFor     = 2 * time.Millisecond
)

// catchUps are the turns in which sessions read and send a page of their
// backlog: so many that a processor is left for what goes out live, and with
// rests, so that those who come back together leave time, too.
type catchUps struct {
	free chan *catchUp
}

// catchUp is a turn. Who has taken it may change it.
type catchUp struct {
	done int // messages since the last rest
}

// newCatchUps makes as many turns as there are workers, or fewer.
func newCatchUps(workers int) catchUps {
	n := max(1, min(workers, runtime.GOMAXPROCS(0)-1))
	c := catchUps{make(chan *catchUp, n)}
	for range n {
		c.free <- &catchUp{}
	}
	return c
}

// take waits for a turn.
func (c catchUps) take() *catchUp { return <-c.free }

// give gives a turn back after a page of so many messages, and after a rest if
// it is time for one. The caller does not wait for that.
func (c catchUps) give(t *catchUp, messages int) {
	if messages > 0 {
		t.done += messages + readingCost
	}
	if t.done < restAfter {
		c.free <- t
		return
	}
	t.done = 0
	time.AfterFunc(restFor, func() { c.free <- t })
}
