package live

import (
	"testing"
	"unsafe"
)

// TestSessionIsSmall: there may be hundreds of thousands, and the next larger
// piece of the heap has 176 bytes.
func TestSessionIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Session{}); n > 160 {
		t.Errorf("a session takes %d bytes", n)
	}
}
