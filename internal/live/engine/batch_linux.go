package engine

import (
	"os"
	"syscall"

	"github.com/herald-push/herald/internal/live/engine/uring"
)

// batchSize is how many sends are submitted at once. More gain nothing, and
// make the first wait for the last.
const batchSize = 256

// ringBatch writes through io_uring.
type ringBatch struct{ ring *uring.Ring }

func (epollKernel) NewBatch() (Batch, error) {
	r, err := uring.New(batchSize)
	if err != nil {
		return nil, err
	}
	return ringBatch{r}, nil
}

func (b ringBatch) Add(fd int, frames [][]byte, user int) (int, bool) {
	if len(frames) == 1 {
		return 1, b.ring.Send(fd, frames[0], uint64(user))
	}
	n := b.ring.Sendv(fd, frames, uint64(user))
	return n, n > 0
}

func (b ringBatch) Write(short func(user, n int, err error)) error {
	return b.ring.Submit(func(user uint64, n int, errno syscall.Errno) {
		switch errno {
		case 0:
			short(int(user), n, nil)
		case syscall.EAGAIN, syscall.ECANCELED: // the latter never came to the socket
			short(int(user), n, ErrAgain)
		default:
			short(int(user), n, os.NewSyscallError("send", errno))
		}
	})
}

func (b ringBatch) Close() { b.ring.Close() }
