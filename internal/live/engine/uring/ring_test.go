//go:build linux && (amd64 || arm64)

package uring

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// newRing makes a ring, where the machine lets io_uring be used at all; what
// fails after that is a defect.
func newRing(t *testing.T, entries uint32) *Ring {
	t.Helper()
	fd, errno := setup(1, &params{flags: setupClamp | setupSubmitAll | setupCoopTaskrun})
	if errno != 0 {
		t.Skip("unavailable: io_uring: ", errno)
	}
	unix.Close(fd)
	r, err := New(entries)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// pair is a nonblocking socket and its peer, which blocks, over TCP. A small
// pair has as little room as the kernel allows.
func pair(t *testing.T, small bool) (fd, peer int) {
	t.Helper()
	l, addr := listening(t)
	defer unix.Close(l)
	if small {
		for _, opt := range []int{unix.SO_SNDBUF, unix.SO_RCVBUF} {
			if err := unix.SetsockoptInt(l, unix.SOL_SOCKET, opt, 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	peer, err := dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	if fd, _, err = unix.Accept4(l, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd); unix.Close(peer) })
	return fd, peer
}

// receive reads n bytes from a peer.
func receive(t *testing.T, peer, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	for got := 0; got < n; {
		m, err := unix.Read(peer, b[got:])
		if err != nil || m == 0 {
			t.Fatalf("after %d of %d bytes: %d, %v", got, n, m, err)
		}
		got += m
	}
	return b
}

// text is n bytes that no other seed has.
func text(seed uint64, n int) []byte {
	b := make([]byte, n)
	var s [32]byte
	s[0], s[1] = byte(seed), byte(seed>>8)
	_, _ = rand.NewChaCha8(s).Read(b)
	return b
}

// submitted is Submit with what it reports.
func submitted(t *testing.T, r *Ring) []miss {
	t.Helper()
	var all []miss
	if err := r.Submit(func(user uint64, n int, err syscall.Errno) { all = append(all, miss{user, n, err}) }); err != nil {
		t.Fatal(err)
	}
	if r.Queued() != 0 {
		t.Fatalf("%d sends are queued after Submit", r.Queued())
	}
	return all
}

func TestSendArrivesWholeAndInOrder(t *testing.T) {
	tests := []struct {
		name                   string
		entries                uint32
		sockets, batches, size int
	}{
		{"one", 1, 1, 1, 1},
		{"a part of a ring", 64, 5, 3, 256},
		{"a full ring", 16, 16, 3, 256},
		{"a ring smaller than the batch", 4, 30, 3, 256},
		{"many batches, the counters of the queues go round", 4, 4, 200, 10},
		{"nothing", 4, 2, 2, 0},
		{"large", 4, 2, 2, 20000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRing(t, tt.entries)
			fds, peers := make([]int, tt.sockets), make([]int, tt.sockets)
			for i := range fds {
				fds[i], peers[i] = pair(t, false)
			}
			for b := range tt.batches {
				for i, fd := range fds {
					p := text(uint64(b*tt.sockets+i), tt.size)
					if !r.Send(fd, p, uint64(i)) {
						if got := submitted(t, r); len(got) > 0 || !r.Send(fd, p, uint64(i)) {
							t.Fatalf("batch %d: unsent %v, then still no room", b, got)
						}
					}
				}
				if got := submitted(t, r); len(got) > 0 {
					t.Fatalf("batch %d: unsent %v", b, got)
				}
				for i, peer := range peers {
					if !bytes.Equal(receive(t, peer, tt.size), text(uint64(b*tt.sockets+i), tt.size)) {
						t.Fatalf("batch %d, socket %d: other bytes", b, i)
					}
				}
			}
		})
	}
}

func TestSendvIsOneStream(t *testing.T) {
	tests := []struct {
		name   string
		frames int
		took   []int // by each Sendv, with a Submit between them
	}{
		{"none", 0, nil},
		{"one", 1, []int{1}},
		{"eight", 8, []int{8}},
		{"more than a ring of 4 has room for", 4*partsPerSend + 3, []int{4 * partsPerSend, 3}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRing(t, 4)
			fd, peer := pair(t, false)
			var frames [][]byte
			for i := range tt.frames {
				frames = append(frames, text(uint64(i), 1+i*7))
			}
			want := bytes.Join(frames, nil)
			var took []int
			for len(frames) > 0 {
				n := r.Sendv(fd, frames, 1)
				if got := submitted(t, r); n == 0 || len(got) > 0 {
					t.Fatalf("took %d, unsent %v", n, got)
				}
				took, frames = append(took, n), frames[n:]
			}
			if n := r.Sendv(fd, nil, 1); n != 0 || !slices.Equal(took, tt.took) {
				t.Errorf("took %v, want %v; of nothing %d", took, tt.took, n)
			}
			if !bytes.Equal(receive(t, peer, len(want)), want) {
				t.Error("other bytes")
			}
		})
	}
}

func TestSendvLeavesRoomForNobodyElse(t *testing.T) {
	r := newRing(t, 4)
	fd, _ := pair(t, false)
	frames := slices.Repeat([][]byte{{1}}, partsPerSend)
	for i := range 4 {
		if n := r.Sendv(fd, frames[:1+i], 0); n != 1+i {
			t.Fatalf("took %d", n)
		}
	}
	if n := r.Sendv(fd, frames, 0); n != 0 || r.Send(fd, frames[0], 0) || r.Queued() != 4 {
		t.Errorf("a full ring took %d, has %d", n, r.Queued())
	}
	submitted(t, r)
	// More frames than the kernel takes at once: the first ones go.
	large := newRing(t, 256)
	if n := large.Sendv(fd, slices.Repeat(frames, maxParts), 0); n != maxParts {
		t.Errorf("took %d frames at once, want %d", n, maxParts)
	}
	if got := submitted(t, large); len(got) > 0 {
		t.Errorf("unsent %v", got)
	}
}

// TestNoShortSendIsMissed sends more than goes into small buffers and goes on
// where the reports say, until all streams are whole. A short send that was
// not reported would leave a hole in its stream.
func TestNoShortSendIsMissed(t *testing.T) {
	const sockets, size = 12, 300000
	for _, vectored := range []bool{false, true} {
		t.Run(fmt.Sprintf("vectored=%t", vectored), func(t *testing.T) {
			r := newRing(t, 8)
			fds, peers := make([]int, sockets), make([]int, sockets)
			sent, read := make([]int, sockets), make([][]byte, sockets)
			for i := range fds {
				fds[i], peers[i] = pair(t, true)
			}
			short, refused := 0, 0
			took := make([]int, sockets)
			submit := func() {
				for _, m := range submitted(t, r) {
					switch {
					case m.err == unix.EAGAIN && m.n == 0:
						refused++
					case m.err == 0 && m.n > 0 && m.n < took[m.user]:
						short++
					default:
						t.Fatalf("socket %d: %d bytes, %v", m.user, m.n, m.err)
					}
					took[m.user] = m.n
				}
				for i, n := range took {
					sent[i], took[i] = sent[i]+n, 0
				}
			}
			queue := func(i int) {
				p := text(uint64(i), size)[sent[i]:]
				if !vectored || len(p) < 2 {
					took[i] = len(p)
					r.Send(fds[i], p, uint64(i))
				} else if r.Sendv(fds[i], [][]byte{p[:len(p)/2], p[len(p)/2:]}, uint64(i)) == 2 {
					took[i] = len(p)
				}
			}
			for whole := 0; whole < sockets; {
				// Again and again, until some meet full buffers.
				for range 8 {
					for i := range fds {
						if sent[i] < size {
							queue(i)
						}
						if r.Queued() == 8 || i == sockets-1 {
							submit()
						}
					}
				}
				whole = 0
				for i, peer := range peers {
					read[i] = append(read[i], receive(t, peer, sent[i]-len(read[i]))...)
					if len(read[i]) == size {
						whole++
					}
				}
			}
			for i := range read {
				if !bytes.Equal(read[i], text(uint64(i), size)) {
					t.Errorf("socket %d: other bytes", i)
				}
			}
			if short == 0 || refused == 0 {
				t.Errorf("%d short sends, %d refused: the buffers were too large for this test", short, refused)
			}
		})
	}
}

// TestWritableAgainIsAnEvent: after EAGAIN from a ring, the edge that epoll
// reports is the same as after write(2).
func TestWritableAgainIsAnEvent(t *testing.T) {
	r := newRing(t, 4)
	fd, peer := pair(t, true)
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ep)
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLOUT | unix.EPOLLET, Fd: int32(fd)}); err != nil {
		t.Fatal(err)
	}
	events := make([]unix.EpollEvent, 1)
	if n, err := unix.EpollWait(ep, events, -1); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	p, sent := text(0, 100000), 0
	for {
		r.Send(fd, p, 7)
		got := submitted(t, r)
		if len(got) == 1 && got[0].err == unix.EAGAIN {
			break
		}
		if len(got) != 1 || got[0].user != 7 || got[0].n == 0 {
			t.Fatalf("reported %v", got)
		}
		sent += got[0].n
	}
	receive(t, peer, sent)
	for { // EINTR from the runtime's own signals
		if n, err := unix.EpollWait(ep, events, -1); n == 1 {
			break
		} else if err != unix.EINTR {
			t.Fatal(n, err)
		}
	}
	r.Send(fd, p[:1], 7)
	if got := submitted(t, r); len(got) != 0 {
		t.Errorf("after the edge: %v", got)
	}
}

func TestOneBadSocketAmongGoodOnes(t *testing.T) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGPIPE, unix.SIGWINCH)
	defer signal.Stop(signals)

	r := newRing(t, 8)
	good, goodPeer := pair(t, false)
	shut, _ := pair(t, false)
	if err := unix.Shutdown(shut, unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	gone, gonePeer := pair(t, false)
	if err := unix.Shutdown(gonePeer, unix.SHUT_RDWR); err != nil {
		t.Fatal(err)
	}
	pipe := make([]int, 2)
	if err := unix.Pipe2(pipe, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])

	want := []miss{{2, 0, unix.EPIPE}, {3, 0, unix.EBADF}, {4, 0, unix.ENOTSOCK}}
	for i, fd := range []int{good, good, shut, 1 << 20, pipe[1], good} {
		r.Send(fd, []byte{byte(i)}, uint64(i))
	}
	if got := submitted(t, r); !slices.Equal(got, want) {
		t.Errorf("unsent %v, want %v", got, want)
	}
	if got := receive(t, goodPeer, 3); !bytes.Equal(got, []byte{0, 1, 5}) {
		t.Errorf("the good one has %v", got)
	}
	// The first send to a peer that reads no more is taken, its answer is a
	// reset.
	var got []miss
	for len(got) == 0 {
		r.Send(gone, []byte{1}, 9)
		got = submitted(t, r)
	}
	if e := got[0].err; got[0].user != 9 || e != unix.EPIPE && e != unix.ECONNRESET {
		t.Errorf("a peer that is gone: %v", got)
	}
	// Signals come in the order of their numbers: a SIGPIPE would be first.
	if err := unix.Kill(os.Getpid(), unix.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	if s := <-signals; s != unix.SIGWINCH {
		t.Errorf("a signal: %v", s)
	}
}
