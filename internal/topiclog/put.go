//go:build !planted

package topiclog

// putEntry queues an entry.
func (l *Log) putEntry(it *item) error { return l.put(it) }
