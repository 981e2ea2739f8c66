package live_test

import (
	"testing"

	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
)

func TestPortable(t *testing.T) {
	livetest.RunDriver(t, func(*testing.T) (live.Driver, func()) { return live.Portable{}, func() {} })
}
