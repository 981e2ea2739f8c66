package live

import (
	"testing"

	"github.com/herald-push/herald"
)

// TestSlotsAreUsedAgain: who comes and goes costs a topic no memory.
func TestSlotsAreUsedAgain(t *testing.T) {
	var a topics
	enter := func(ord herald.Ordinal) subscription {
		return a.enter("chat/7", &Session{ord: ord}, ord, notAsked)
	}
	first := enter(1)
	for range 3 * blockSize {
		a.exit(enter(2), 2)
	}
	if n := first.topic.next; n != 2 {
		t.Errorf("%d slots for two sessions", n)
	}
	var crowd []subscription
	for i := range herald.Ordinal(3 * blockSize) {
		crowd = append(crowd, enter(10+i))
	}
	for i, sub := range crowd {
		a.exit(sub, 10+herald.Ordinal(i))
	}
	for i, b := range first.topic.blocks[1:] {
		if b.slots != nil {
			t.Errorf("block %d of a crowd that is gone is kept", i+1)
		}
	}
	if n := len(a.named["chat/7"].subscribers().Ordinals()); n != 1 || first.topic.count != 1 {
		t.Errorf("%d subscribers, %d counted, want 1", n, first.topic.count)
	}
	a.exit(first, 1)
	if len(a.named) != 0 {
		t.Error("a topic without sessions is kept")
	}
}
