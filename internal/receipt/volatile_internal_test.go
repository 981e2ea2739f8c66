package receipt

import (
	"testing"

	"github.com/herald-push/herald"
)

// TestQueue holds the order of a queue, and that its room is used again.
func TestQueue(t *testing.T) {
	const kept = 100
	var q queue
	next := 0
	for i := range 50 * kept {
		q.put(tracked{herald.MessageID(i), int64(i)})
		for q.len() > kept {
			if first := *q.first(); int(first.id) != next || q.take() != first || int(first.size) != next {
				t.Fatalf("took %+v, want %d", first, next)
			}
			next++
		}
	}
	if next != 49*kept || cap(q.list) > 4*kept {
		t.Errorf("took %d, with room for %d", next, cap(q.list))
	}
}
