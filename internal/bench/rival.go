package bench

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/bench/floor"
	"github.com/herald-push/herald/internal/bench/swarm"
)

// Load is what all load commands share.
type Load struct {
	Program  string    // this program: the server, the floor and the clients are processes of it
	Log      io.Writer // what the processes complain of
	Progress *Progress
	// Rounds alternate with those of the floor.
	Rounds int
	// Payload is the bytes of a payload, a JSON string with its quotes.
	Payload int
	// Parallel is how many connections are being opened at once.
	Parallel int
	// Nap is how long the clients sleep when there is nothing to read; see swarm.Command.
	Nap time.Duration
	// Rest is how long a server has after a round, for what it does behind
	// the delivery; its processor time counts.
	Rest time.Duration
	// Serve are more arguments for the server, such as --set.
	Serve []string

	behind    bool          // children give way to all other processes
	quiet     bool          // several things run at once: no progress is shown
	addresses *atomic.Int64 // that clients had
	// starting lets one process be started at a time. Until it runs its
	// program, a new process has the locks of files that this one holds.
	starting *sync.Mutex
}

// address gives the first of addresses for n clients that nobody had before:
// connections that were closed keep their ports for a minute.
func (l *Load) address(n int) int {
	const each = 4000 // clients of an address
	count := int64(n/each) + 1
	return int(l.addresses.Add(count)-count) % (1 << 22)
}

// progress shows how far one thing is.
func (l *Load) progress() *Progress {
	if l.quiet {
		return nil
	}
	return l.Progress
}

// check refuses what cannot be run.
func (l *Load) check() error {
	l.addresses, l.starting = &atomic.Int64{}, &sync.Mutex{}
	switch {
	case l.Rounds < 1 || l.Rounds > 1000:
		return herald.Invalid("rounds", "Give 1 to 1000.", "%d rounds", l.Rounds)
	case l.Payload < swarm.MinPayload || l.Payload > swarm.MaxPayload:
		return herald.Invalid("payload", fmt.Sprintf("Give %d to %d bytes.", swarm.MinPayload, swarm.MaxPayload), "a payload of %d bytes", l.Payload)
	case l.Parallel < 1 || l.Parallel > 4096:
		return herald.Invalid("parallel", "Give 1 to 4096.", "%d connections at once", l.Parallel)
	case l.Nap < 0 || l.Nap > time.Second || l.Rest < 0 || l.Rest > time.Minute:
		return herald.Invalid("rest", "Give at most 1m to rest, and 1s to nap.", "these times are out of range")
	}
	return linuxOnly()
}

// maxClients is what fits into the ports and numbers of a swarm.
const maxClients = 500_000

func checkClients(list []int) error {
	if len(list) == 0 {
		return herald.Invalid("clients", "Give for example 10000.", "there are no clients")
	}
	for _, n := range list {
		if n < 1 || n > maxClients {
			return herald.Invalid("clients", fmt.Sprintf("Give 1 to %d.", maxClients), "%d clients", n)
		}
		if limit := openFiles(); limit > 0 && n > limit-reserve {
			return herald.Invalid("clients", fmt.Sprintf("Give at most %d, or raise the limit of open files (ulimit -n).", limit-reserve),
				"%d clients need more file descriptors than a process may have", n)
		}
	}
	return nil
}

// reserve are descriptors that a process needs beside its clients'.
const reserve = 300

func checkTransports(list, known []string) error {
	for _, name := range list {
		if !slices.Contains(known, name) {
			return herald.Invalid("transports", "Give some of "+strings.Join(known, ",")+".", "%q cannot be measured here", name)
		}
	}
	if len(list) == 0 {
		return herald.Invalid("transports", "Give some of "+strings.Join(known, ",")+".", "there is no transport")
	}
	return nil
}

// rival is a server that is measured: Herald, the floor or another product.
type rival interface {
	// Process is the server, whose time and memory count.
	Process() *process
	// Target is where clients connect, and the file with their tokens.
	Target() (t swarm.Target, tokens string)
	// Broadcast sends messages to all clients, numbered from first on.
	Broadcast(ctx context.Context, first uint32, count int) error
	// Settle waits until the server has done what belongs to the messages.
	Settle(ctx context.Context) error
	// Stop ends the server and removes what it wrote.
	Stop() error
}

// bare is the floor as a rival.
type bare struct {
	*child
	address string
	size    int
}

func startFloor(ctx context.Context, l *Load) (*bare, error) {
	c, err := startChild(ctx, l, ofFloor)
	if err != nil {
		return nil, err
	}
	var a floor.Answer
	if err := c.ask(ctx, nil, &a); err != nil {
		return nil, err
	}
	return &bare{c, a.Address, l.Payload}, nil
}

func (b *bare) Process() *process { return &b.process }

func (b *bare) Target() (swarm.Target, string) {
	return swarm.Target{Proto: swarm.WebSocket, Address: b.address, Path: "/", Numbered: true}, ""
}

func (b *bare) Broadcast(ctx context.Context, first uint32, count int) error {
	var a floor.Answer
	if err := b.ask(ctx, floor.Command{First: first, Count: count, Size: b.size}, &a); err != nil {
		return err
	}
	if a.Error != "" {
		return fmt.Errorf("bench: %s", a.Error)
	}
	return nil
}

func (b *bare) Settle(context.Context) error { return nil }

func (b *bare) Stop() error { return b.stop() }
