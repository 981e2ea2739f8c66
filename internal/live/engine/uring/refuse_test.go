//go:build linux && (amd64 || arm64)

package uring

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"
	"weak"

	"golang.org/x/sys/unix"
)

const plain = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL

// descriptors counts those that are open.
func descriptors(t *testing.T) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}

// TestNewSaysWhy refuses, one by one, what a container or another kernel may.
func TestNewSaysWhy(t *testing.T) {
	newRing(t, 1)
	setupFails := func(e syscall.Errno) func(*kernel) {
		return func(k *kernel) { k.setup = func(uint32, *params) (int, syscall.Errno) { return -1, e } }
	}
	// after changes what the kernel has answered to the question for its
	// operations.
	after := func(change func(*operations)) func(*kernel) {
		return func(k *kernel) {
			k.register = func(fd int, op uint32, arg unsafe.Pointer, n uint32) syscall.Errno {
				errno := register(fd, op, arg, n)
				change((*operations)(arg))
				return errno
			}
		}
	}
	tests := []struct {
		name  string
		spoil func(*kernel)
		says  string
		is    error
	}{
		{"no io_uring", setupFails(unix.ENOSYS), "the kernel has no io_uring", unix.ENOSYS},
		{"seccomp or sysctl", setupFails(unix.EPERM), "io_uring is forbidden here", unix.EPERM},
		{"old", setupFails(unix.EINVAL), "older than 5.19", unix.EINVAL},
		{"no memory", setupFails(unix.ENOMEM), "no memory", unix.ENOMEM},
		{"no descriptor", setupFails(unix.EMFILE), "io_uring_setup: ", unix.EMFILE},
		{"features", func(k *kernel) {
			k.setup = func(e uint32, p *params) (int, syscall.Errno) {
				fd, errno := setup(e, p)
				p.features = featNoDrop
				return fd, errno
			}
		}, "lacks features: it has 0x2, needed are 0x3", nil},
		{"no questions", func(k *kernel) {
			k.register = func(int, uint32, unsafe.Pointer, uint32) syscall.Errno { return unix.EACCES }
		}, "asking for the operations", unix.EACCES},
		{"an operation is off", after(func(o *operations) { o.ops[opSend].flags = 0 }), "lacks operation 26", nil},
		{"an operation is unknown", after(func(o *operations) { o.len = opSendmsg }), "lacks operation", nil},
		{"no mapping", func(k *kernel) {
			k.setup = func(e uint32, p *params) (int, syscall.Errno) {
				fd, _ := setup(e, p)
				unix.Close(fd)
				fd, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
				if err != nil {
					t.Fatal(err)
				}
				return fd, 0
			}
			k.register = func(_ int, _ uint32, arg unsafe.Pointer, _ uint32) syscall.Errno {
				o := (*operations)(arg)
				o.len, o.ops[opSend].flags, o.ops[opSendmsg].flags = maxOperations, opSupported, opSupported
				return 0
			}
		}, "mapping the queues", unix.ENODEV},
		{"no use of it", func(k *kernel) {
			k.enter = func(int, uint32, uint32, uint32) (int, syscall.Errno) { return 0, unix.EPERM }
		}, "took 0 of 1 sends", unix.EPERM},
		{"sends do nothing", func(k *kernel) {
			k.enter = func(fd int, submit, wait, flags uint32) (int, syscall.Errno) {
				entries, err := unix.Mmap(fd, offsetEntries, int(unsafe.Sizeof(sqe{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
				if err != nil {
					t.Fatal(err)
				}
				entries[0] = 0 // IORING_OP_NOP
				unix.Munmap(entries)
				return enter(fd, submit, wait, flags)
			}
		}, "the trial of a ring failed: a small send: reported true, 0 bytes", errTrial},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := linux()
			tt.spoil(&k)
			before := descriptors(t)
			r, err := open(k, 4, plain)
			if r != nil || err == nil || !strings.Contains(err.Error(), tt.says) || !strings.HasPrefix(err.Error(), "uring: ") {
				t.Errorf("says %v, want %q", err, tt.says)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%v is not %v", err, tt.is)
			}
			if n := descriptors(t); n != before {
				t.Errorf("%d descriptors, before %d", n, before)
			}
		})
	}
}

// TestSubmitWhenTheKernelHesitates lets io_uring_enter do less than asked, or
// later; each send must still arrive once, and none be reported.
func TestSubmitWhenTheKernelHesitates(t *testing.T) {
	newRing(t, 1)
	calls := 0
	refuseFirst := func(errno syscall.Errno, times int) func(int, uint32, uint32, uint32) (int, syscall.Errno) {
		return func(fd int, submit, wait, flags uint32) (int, syscall.Errno) {
			if calls++; calls <= times {
				return 0, errno
			}
			return enter(fd, submit, wait, flags)
		}
	}
	tests := []struct {
		name  string
		enter func(fd int, submit, wait, flags uint32) (int, syscall.Errno)
	}{
		{"three at a time", func(fd int, submit, wait, flags uint32) (int, syscall.Errno) {
			return enter(fd, min(submit, 3), wait, flags)
		}},
		{"one at a time, and each only when asked again and again", func(fd int, submit, wait, flags uint32) (int, syscall.Errno) {
			if calls++; calls%patience != 0 {
				return 0, unix.EAGAIN
			}
			return enter(fd, min(submit, 1), wait, flags)
		}},
		{"no memory for a while", refuseFirst(unix.EAGAIN, patience)},
		{"busy for a while", refuseFirst(unix.EBUSY, patience)},
		{"interrupted often", refuseFirst(unix.EINTR, 100)},
		{"nothing, without an error, for a while", refuseFirst(0, patience)},
		{"completed only when waited for", func(fd int, submit, wait, flags uint32) (int, syscall.Errno) {
			if submit > 0 {
				return int(submit), 0
			}
			if calls++; calls == 1 {
				return 0, unix.EINTR
			}
			_, errno := enter(fd, wait, wait, flags)
			return 0, errno
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRing(t, 8)
			fds, peers := make([]int, 8), make([]int, 8)
			for i := range fds {
				fds[i], peers[i] = pair(t, false)
			}
			r.k.enter = tt.enter
			for range 3 {
				calls = 0
				for i, fd := range fds {
					r.Send(fd, text(uint64(i), 100), uint64(i))
				}
				if got := submitted(t, r); len(got) > 0 {
					t.Fatalf("unsent %v", got)
				}
				for i, peer := range peers {
					if !slices.Equal(receive(t, peer, 100), text(uint64(i), 100)) {
						t.Fatalf("socket %d: other bytes", i)
					}
				}
			}
		})
	}
}

// TestSubmitAccountsForEachSend breaks the ring in the middle of a batch.
func TestSubmitAccountsForEachSend(t *testing.T) {
	newRing(t, 1)
	canceled := func(first, n int) (all []miss) {
		for i := first; i < n; i++ {
			all = append(all, miss{uint64(i), 0, unix.ECANCELED})
		}
		return all
	}
	calls := 0
	tests := []struct {
		name  string
		enter func(fd int, submit, wait, flags uint32) (int, syscall.Errno)
		want  []miss
		is    syscall.Errno
	}{
		{"refused at once", func(int, uint32, uint32, uint32) (int, syscall.Errno) {
			return 0, unix.EPERM
		}, canceled(0, 5), unix.EPERM},
		{"out of memory for good", func(int, uint32, uint32, uint32) (int, syscall.Errno) {
			return 0, unix.ENOMEM
		}, canceled(0, 5), unix.ENOMEM},
		{"refused after two", func(fd int, submit, wait, flags uint32) (int, syscall.Errno) {
			if calls++; calls > 1 {
				return 0, unix.EBADF
			}
			return enter(fd, 2, wait, flags)
		}, canceled(2, 5), unix.EBADF},
		{"taken, and then silence", func(fd int, submit, wait, flags uint32) (int, syscall.Errno) {
			if calls++; calls > 2 {
				return 0, unix.EBADF
			} else if calls == 2 {
				return 1, 0
			}
			return enter(fd, 3, wait, flags)
		}, append([]miss{{3, 0, unix.EIO}}, canceled(4, 5)...), unix.EBADF},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRing(t, 8)
			fd, _ := pair(t, false)
			for i := range 5 {
				r.Send(fd, []byte{1}, uint64(i))
			}
			r.k.enter, calls = tt.enter, 0
			var got []miss
			note := func(user uint64, n int, err syscall.Errno) { got = append(got, miss{user, n, err}) }
			err := r.Submit(note)
			if !errors.Is(err, tt.is) || !slices.Equal(got, tt.want) {
				t.Errorf("%v, unsent %v, want %v", err, got, tt.want)
			}
			if r.Send(fd, []byte{1}, 0) || r.Sendv(fd, [][]byte{{1}}, 0) != 0 || r.Queued() != 0 {
				t.Error("a broken ring takes more")
			}
			if again := r.Submit(note); !errors.Is(again, tt.is) || len(got) != len(tt.want) {
				t.Errorf("again: %v, %v", again, got)
			}
		})
	}
}

// TestBytesLiveUntilSubmit leaves the ring as the only one who has the bytes,
// lets the collector run before Submit and makes garbage of the same size. The
// bytes must arrive, and after Submit nobody may hold them.
func TestBytesLiveUntilSubmit(t *testing.T) {
	const frames, size = 16, 2048
	r := newRing(t, 2*frames)
	fd, peer := pair(t, false)
	vfd, vpeer := pair(t, false)
	fds := []int{fd, vfd}
	for range 3 {
		for i := range fds {
			var held []weak.Pointer[byte]
			frame := func(seed int) []byte {
				p := text(uint64(seed), size)
				held = append(held, weak.Make(&p[0]))
				return p
			}
			for j := range frames {
				if i == 0 {
					r.Send(fd, frame(j), 0)
				} else if n := r.Sendv(vfd, [][]byte{frame(2 * j), frame(2*j + 1)}, 0); n != 2 {
					t.Fatalf("took %d frames", n)
				}
			}
			runtime.GC()
			var garbage [][]byte
			for range 20 * frames {
				garbage = append(garbage, bytes.Repeat([]byte{0xee}, size))
			}
			if got := submitted(t, r); len(got) > 0 {
				t.Fatalf("unsent %v", got)
			}
			runtime.KeepAlive(garbage)
			for j := range held {
				if !bytes.Equal(receive(t, []int{peer, vpeer}[i], size), text(uint64(j), size)) {
					t.Fatalf("frame %d: other bytes", j)
				}
			}
			runtime.GC()
			for j, w := range held {
				if w.Value() != nil {
					t.Errorf("frame %d is held after Submit", j)
				}
			}
		}
	}
}

func TestUnsentMayQueue(t *testing.T) {
	r := newRing(t, 4)
	fd, peer := pair(t, false)
	r.Send(-1, []byte("lost"), 1)
	r.Send(-1, []byte("lost"), 2)
	var users []uint64
	if err := r.Submit(func(user uint64, _ int, err syscall.Errno) {
		users = append(users, user)
		if err != unix.EBADF || !r.Send(fd, []byte{byte(user)}, user) {
			t.Errorf("user %d: %v, or no room", user, err)
		}
		if len(users) == 2 {
			submitted(t, r)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, peer, 2); !slices.Equal(got, []byte{1, 2}) || len(users) != 2 {
		t.Errorf("the peer has %v, reported were %v", got, users)
	}
}

func TestClose(t *testing.T) {
	newRing(t, 1)
	before := descriptors(t)
	for range 20 {
		r := newRing(t, 256)
		r.Send(0, []byte("not sent"), 0)
		r.Close()
		r.Close()
		if r.Send(0, []byte("x"), 0) || r.Sendv(0, [][]byte{{1}}, 0) != 0 || r.Queued() != 0 {
			t.Error("a closed ring takes sends")
		}
		if err := r.Submit(nil); !errors.Is(err, ErrClosed) {
			t.Errorf("Submit after Close: %v", err)
		}
	}
	if n := descriptors(t); n != before {
		t.Errorf("%d descriptors, before %d", n, before)
	}
}
