package engine_test

import (
	"testing"

	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/engine"
	"github.com/herald-push/herald/internal/live/livetest"
)

func TestDriver(t *testing.T) {
	livetest.RunDriver(t, func(t *testing.T) (live.Driver, func()) {
		e, err := engine.New(engine.NewMemory(), engine.Config{Loops: 1})
		if err != nil {
			t.Fatal(err)
		}
		return e, e.Close
	})
}
