//go:build planted

package topiclog

import (
	"fmt"
	"sync"

	"github.com/herald-push/herald/internal/faults"
)

// held are entries that the defect "disorders_entries" queues after the next of
// their kind.
var held sync.Map // string to *item

// putEntry queues an entry, but for a defect that is planted.
func (l *Log) putEntry(it *item) error {
	if faults.Planted("loses_entries") {
		if it.then != nil {
			it.then(nil)
		}
		return nil
	}
	e := it.op.Entry
	key := fmt.Sprint(it.op.App, " ", e.From, " ", e.Topic, " ", e.QoS)
	if _, waits := held.Load(key); !waits && faults.Planted("disorders_entries") {
		held.Store(key, it)
		return nil
	}
	err := l.put(it)
	if late, ok := held.LoadAndDelete(key); ok {
		return l.put(late.(*item))
	}
	return err
}
