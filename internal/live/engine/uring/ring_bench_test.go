//go:build linux && (amd64 || arm64)

package uring

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// way is one way to send b to every socket of a crowd.
type way struct {
	name string
	send func(c *crowd, b []byte)
	cost []float64 // µs of CPU per send, one for each round
}

func writes(c *crowd, b []byte) {
	for _, fd := range c.fds {
		if n, err := syscall.Write(fd, b); n != len(b) {
			panic(err)
		}
	}
}

func rawWrites(c *crowd, b []byte) {
	for _, fd := range c.fds {
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		if int(n) != len(b) {
			panic(errno)
		}
	}
}

func unsentPanics(_ uint64, n int, err syscall.Errno) {
	panic(fmt.Sprint("a send was not taken whole: ", n, err))
}

// variant is a way to use a ring that New does not choose.
type variant struct {
	fixed bool // registered files
	skip  bool // no completion for a success
	onOne bool // completions for one thread, which takes them itself
	raw   bool // without telling the scheduler
}

const (
	sqeFixedFile   = 1 << 0
	sqeLink        = 1 << 2
	sqeSkipSuccess = 1 << 6

	setupSingleIssuer = 1 << 12
	setupDeferTaskrun = 1 << 13

	registerFiles = 2
)

func (v variant) kernel() kernel {
	k := linux()
	if v.onOne {
		k.setup = func(entries uint32, p *params) (int, syscall.Errno) {
			p.flags = setupClamp | setupSubmitAll | setupSingleIssuer | setupDeferTaskrun
			return setup(entries, p)
		}
	}
	if v.raw {
		k.enter = func(fd int, submit, wait, flags uint32) (int, syscall.Errno) {
			n, _, errno := syscall.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(fd), uintptr(submit), uintptr(wait), uintptr(flags), 0, 0)
			return int(n), errno
		}
	}
	return k
}

func benchRing(b *testing.B, batch int, v variant) *Ring {
	r, err := open(v.kernel(), uint32(batch), plain)
	if err != nil {
		b.Skip("unavailable: ", err)
	}
	b.Cleanup(r.Close)
	return r
}

// rings makes a way that sends through a ring in batches.
func rings(b *testing.B, batch int, v variant, c *crowd) func(*crowd, []byte) {
	r, fds := benchRing(b, batch, v), slices.Clone(c.fds)
	if v.fixed {
		table := make([]int32, len(fds))
		for i, fd := range fds {
			table[i], fds[i] = int32(fd), i
		}
		if errno := register(r.fd, registerFiles, unsafe.Pointer(&table[0]), uint32(len(table))); errno != 0 {
			b.Fatal(errno)
		}
		r.flags |= sqeFixedFile
	}
	submit := func() error { return r.Submit(unsentPanics) }
	if v.skip {
		r.flags |= sqeSkipSuccess
		r.msgFlags |= unix.MSG_WAITALL
		submit = func() error { // Submit, but for the completions that never come
			atomic.StoreUint32(r.sqTail, *r.sqTail+uint32(len(r.batch)))
			if _, errno := r.k.enter(r.fd, uint32(len(r.batch)), 0, 0); errno != 0 || r.reap() > 0 {
				return errno
			}
			clear(r.batch)
			r.batch = r.batch[:0]
			return nil
		}
	}
	return func(_ *crowd, p []byte) {
		for i, fd := range fds {
			r.Send(fd, p, uint64(i))
			if r.Queued() == batch || i == len(fds)-1 {
				if err := submit(); err != nil {
					panic(err)
				}
			}
		}
	}
}

func cpu() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// round sends to everybody, reps times, and notes the cost. The readers read
// at the same time in their own process, or, with late set, afterwards.
func (w *way) round(b *testing.B, c *crowd, p []byte, reps int, late bool) {
	want := reps * len(c.fds) * len(p)
	if !late {
		c.expect(want)
	}
	before := cpu()
	for range reps {
		w.send(c, p)
	}
	spent := cpu() - before
	if late {
		c.expect(want)
	}
	c.read(b)
	w.cost = append(w.cost, float64(spent.Nanoseconds())/1e3/float64(reps*len(c.fds)))
}

// table prints the median of each way with its quartiles, and the median of
// its ratios to the first way in the same round, which a busy machine moves
// less.
func table(b *testing.B, ways []*way) {
	var t strings.Builder
	fmt.Fprintf(&t, "\n%s, µs of CPU per send, %d rounds\n", b.Name(), len(ways[0].cost))
	base := ways[0].cost
	for _, w := range ways {
		ratio := make([]float64, len(base))
		for i := range base {
			ratio[i] = w.cost[i] / base[i]
		}
		_, r, _ := quartiles(ratio)
		low, m, high := quartiles(w.cost)
		fmt.Fprintf(&t, "  %-30s %6.2f  (%.2f to %.2f)  %.2f\n", w.name, m, low, high, r)
	}
	fmt.Fprint(os.Stderr, t.String()) // b.Log cuts after ten lines
}

func quartiles(of []float64) (low, median, high float64) {
	s := slices.Sorted(slices.Values(of))
	return s[len(s)/4], s[len(s)/2], s[len(s)*3/4]
}

// alternate runs the ways in rounds, a round of each in one iteration, and
// begins with another one each time.
func alternate(b *testing.B, c *crowd, ways []*way, size int, late bool) {
	// SINGLE_ISSUER needs one thread; to the others it makes no difference.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p := make([]byte, size)
	reps := max(1, 10000/len(c.fds))
	for i := 0; b.Loop(); i++ {
		for j := range ways {
			ways[(i+j)%len(ways)].round(b, c, p, reps, late)
		}
	}
	table(b, ways)
}

// BenchmarkSend compares the ways to send 256 bytes to each of N sockets. late
// means that the readers, who are another process, read after the sending and
// not during it. Run it with -benchtime=31x or so, on a quiet machine.
func BenchmarkSend(b *testing.B) {
	for _, n := range []int{1000, 10000} {
		for _, late := range []bool{false, true} {
			b.Run(fmt.Sprintf("sockets=%d/late=%t", n, late), func(b *testing.B) {
				c := newCrowd(b, n)
				ways := []*way{{name: "write(2), syscall.Write", send: writes}, {name: "write(2), RawSyscall", send: rawWrites}}
				add := func(name string, batch int, v variant) {
					ways = append(ways, &way{name: fmt.Sprintf("ring, %d%s", batch, name), send: rings(b, batch, v, c)})
				}
				for _, batch := range []int{32, 64, 256} {
					add("", batch, variant{})
					add(", skip", batch, variant{skip: true})
					add(", fixed", batch, variant{fixed: true})
					add(", fixed, skip", batch, variant{fixed: true, skip: true})
				}
				for _, batch := range []int{1, 2, 4, 8, 16, 128, 512, 1024} {
					add("", batch, variant{})
				}
				add(", single, defer", 256, variant{onOne: true})
				add(", RawSyscall", 256, variant{raw: true})
				alternate(b, c, ways, 256, late)
			})
		}
	}
}

// BenchmarkBurst compares the ways to send eight frames of 256 bytes to each
// of N sockets; a send is all eight.
func BenchmarkBurst(b *testing.B) {
	const burst, size, batch = 8, 256, 256
	for _, n := range []int{1000, 10000} {
		b.Run(fmt.Sprintf("sockets=%d", n), func(b *testing.B) {
			c := newCrowd(b, n)
			alternate(b, c, bursts(b, slices.Repeat([][]byte{make([]byte, size)}, burst), batch), burst*size, false)
		})
	}
}

func bursts(b *testing.B, frames [][]byte, batch int) []*way {
	r, long := benchRing(b, batch, variant{}), benchRing(b, batch*len(frames), variant{})
	joined := make([][]byte, batch)
	join := func(i int) []byte {
		joined[i] = joined[i][:0]
		for _, f := range frames {
			joined[i] = append(joined[i], f...)
		}
		return joined[i]
	}
	// through queues each socket's frames with put, and submits full batches.
	through := func(r *Ring, put func(fd int)) func(*crowd, []byte) {
		return func(c *crowd, _ []byte) {
			for i, fd := range c.fds {
				put(fd)
				if r.Queued() == cap(r.batch) || i == len(c.fds)-1 {
					if err := r.Submit(unsentPanics); err != nil {
						panic(err)
					}
				}
			}
		}
	}
	each := func(put func(fd int)) func(*crowd, []byte) {
		return func(c *crowd, _ []byte) {
			for _, fd := range c.fds {
				put(fd)
			}
		}
	}
	single := func(link uint8) func(fd int) {
		return func(fd int) {
			for i, f := range frames {
				if long.flags = link; i == len(frames)-1 {
					long.flags = 0
				}
				long.Send(fd, f, 0)
			}
		}
	}
	return []*way{
		{name: "write(2) for each", send: each(func(fd int) {
			for _, f := range frames {
				_, _ = syscall.Write(fd, f)
			}
		})},
		{name: "joined, write(2)", send: each(func(fd int) { _, _ = syscall.Write(fd, join(0)) })},
		{name: "writev(2)", send: each(func(fd int) { _, _ = unix.Writev(fd, frames) })},
		{name: "joined, Send", send: through(r, func(fd int) { r.Send(fd, join(r.Queued()), 0) })},
		{name: "Sendv", send: through(r, func(fd int) { r.Sendv(fd, frames, 0) })},
		{name: "Send for each, unlinked", send: through(long, single(0))},
		{name: "Send for each, linked", send: through(long, single(sqeLink))},
	}
}
