package record_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// walked is what WalkEvents shows, as ParseEvents gives it.
func walked(b []byte) (out []record.Event, err error) {
	err = record.WalkEvents(b, func(e *record.Event, list []uint32) {
		own := *e
		if own.Set == nil {
			own.Set = sets.New()
			own.Set.AddMany(list)
		}
		out = append(out, own)
	})
	return out, err
}

func FuzzWalkEvents(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		want, err := record.ParseEvents(b)
		got, walk := walked(b)
		if (err == nil) != (walk == nil) {
			t.Fatalf("parsing says %v, walking says %v", err, walk)
		}
		if err != nil {
			return
		}
		if d := cmp.Diff(want, got, setsEqual); d != "" {
			t.Fatal(d)
		}
	})
}
