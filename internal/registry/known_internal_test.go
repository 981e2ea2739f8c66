package registry

import (
	"fmt"
	"testing"

	"github.com/herald-push/herald"
)

// TestKnownDevices: what is asked for stays, what is not makes room.
func TestKnownDevices(t *testing.T) {
	var k knownDevices
	id := func(n int) herald.RegistrationID { return herald.RegistrationID(fmt.Sprintf("%020d", n)) }
	if o, ok := k.get(id(0)); ok {
		t.Errorf("an empty one knows %d", o)
	}
	const all = 5 * knownIDs
	for n := range all {
		k.put(id(n), herald.Ordinal(n))
		if o, ok := k.get(id(0)); n > 0 && (!ok || o != 0) {
			t.Fatalf("after %d others the first is %d, %v", n, o, ok)
		}
		if len(k.newer) > knownIDs || len(k.older) > knownIDs {
			t.Fatalf("after %d there are %d and %d", n, len(k.newer), len(k.older))
		}
	}
	if o, ok := k.get(id(1)); ok {
		t.Errorf("one that nobody asked for is still %d", o)
	}
	if o, ok := k.get(id(all - 1)); !ok || o != all-1 {
		t.Errorf("the last is %d, %v", o, ok)
	}
}
