package engine

import "runtime"

// fewWrites are better made one by one: a batch pays when the cost of entering
// the kernel is shared by several.
const fewWrites = 4

// batch is a Batch with the connections that it writes to.
type batch struct {
	Batch
	conns  []*conn
	sizes  []int
	errs   []error
	frames [][]byte
}

// writeMany writes to connections, as many at a time as the batch takes. It
// gives back those that it has not come to, because the batch has ended.
func (l *loop) writeMany(list []*conn) []*conn {
	b := l.batch
	for i, c := range list {
		list[i] = nil
		frames, ok := c.claim(b.frames[:0])
		b.frames = frames
		switch {
		case !ok:
			continue
		case len(frames) == 0:
			c.wrote(0, nil)
			continue
		}
		if !b.add(c, frames) {
			if !b.write() {
				c.wrote(l.kernel.Write(int(c.fd), frames)) // it is claimed already
				l.batch = nil
				return list[i+1:]
			}
			b.add(c, frames)
		}
		clear(frames)
	}
	if !b.write() {
		l.batch = nil
	}
	return nil
}

func (b *batch) add(c *conn, frames [][]byte) bool {
	n, ok := b.Add(int(c.fd), frames, len(b.conns))
	if !ok {
		return false
	}
	size := 0
	for _, f := range frames[:n] {
		size += len(f)
	}
	b.conns, b.sizes, b.errs = append(b.conns, c), append(b.sizes, size), append(b.errs, nil)
	return true
}

// write writes what was added, and reports whether the batch goes on.
func (b *batch) write() bool {
	if len(b.conns) == 0 {
		return true
	}
	err := b.Write(func(user, n int, err error) { b.sizes[user], b.errs[user] = n, err })
	for i, c := range b.conns {
		c.wrote(b.sizes[i], b.errs[i])
		b.conns[i] = nil
	}
	b.conns, b.sizes, b.errs = b.conns[:0], b.sizes[:0], b.errs[:0]
	if err != nil {
		b.Close()
		return false
	}
	runtime.Gosched()
	return true
}
