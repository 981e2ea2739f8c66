package seal

import (
	"context"
	"maps"
	"slices"

	"github.com/herald-push/herald"
)

// Keeper keeps sealed secrets, in rows that hold one or more each.
type Keeper interface {
	// Secrets walks the rows behind a place ("" is before the first), at most
	// limit, and gives each of their secrets to change: with the place that it
	// is bound to, and as it is sealed. What change gives is kept in its stead,
	// durably and in one commit; nil takes the secret away. change may be called
	// twice for a secret, and not at once. next is where to go on, or "" at the
	// end; changed is how many secrets are new or gone.
	Secrets(ctx context.Context, after string, limit int, change func(place string, sealed []byte) []byte) (next string, changed int, err error)
}

// StepRows is how many rows one step of a walk takes, at most.
const StepRows = 100

// Reseal makes one step: what other keys than the first have sealed, and can
// be opened, is sealed anew. Steps may be repeated, and begun anew.
func (r *Ring) Reseal(ctx context.Context, k Keeper, after string) (next string, changed int, err error) {
	return k.Secrets(ctx, after, StepRows, func(place string, sealed []byte) []byte {
		secret, stale, err := r.Open(place, sealed)
		if err != nil || !stale {
			return sealed
		}
		return r.Seal(place, secret)
	})
}

// Count tells how many secrets each key has sealed, by its ID; "" stands for
// what is no sealed secret.
func (r *Ring) Count(ctx context.Context, k Keeper) (map[string]int, error) {
	out := map[string]int{}
	for after := ""; ; {
		next, _, err := k.Secrets(ctx, after, StepRows, func(_ string, sealed []byte) []byte {
			id, _ := r.KeyOf(sealed)
			out[id]++
			return sealed
		})
		if err != nil || next == "" {
			return out, err
		}
		after = next
	}
}

// Missing gives an error that names a key which secrets need and the ring has
// not, if there is one.
func (r *Ring) Missing(counts map[string]int) error {
	have := r.IDs()
	for _, id := range slices.Sorted(maps.Keys(counts)) {
		n := counts[id]
		if id != "" && !slices.Contains(have, id) {
			return herald.Errorf(herald.CodeInvalidRequest,
				"Add that key behind the others where the keys come from. If it is lost for good, \"herald secrets forget "+id+"\" drops what it sealed.",
				"%d secrets are sealed with the key %s, which is not among those given (%s seals now)", n, id, r.ID())
		}
	}
	return nil
}

// Forget takes away what a key that the ring does not have has sealed, in
// steps as Reseal does.
func (r *Ring) Forget(ctx context.Context, k Keeper, id, after string) (next string, changed int, err error) {
	return k.Secrets(ctx, after, StepRows, func(_ string, sealed []byte) []byte {
		if of, known := r.KeyOf(sealed); of == id && !known {
			return nil
		}
		return sealed
	})
}
