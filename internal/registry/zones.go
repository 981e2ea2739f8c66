package registry

import (
	"context"
	"maps"
	"slices"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// zoneSets makes the sets of time zones of an app whose devices registered with
// a Herald that had none. It is done once: all rows of devices are read.
func (r *Registry) zoneSets(ctx context.Context, app *App, head record.Head) ([]record.SetChange, error) {
	if app.row.Settings.Zoned {
		return nil, nil
	}
	found := map[string]*sets.Set{}
	if err := r.store.DeviceZones(ctx, app.key, func(o herald.Ordinal, zone string) {
		name := record.ZoneSet(zone)
		if found[name] == nil {
			found[name] = sets.New()
		}
		found[name].Add(o)
	}); err != nil {
		return nil, err
	}
	var changes []record.SetChange
	var chunks []record.SetChunk
	for _, name := range slices.Sorted(maps.Keys(found)) {
		changes = append(changes, record.SetChange{Set: name, Ords: found[name]})
		for part, bits := range sets.Parts(name, found[name]) {
			chunks = append(chunks, record.SetChunk{Set: part.Set, Slab: part.Slab, Whole: part.Whole, Upto: head.Pos, Bits: bits})
		}
	}
	if len(chunks) > 0 {
		if err := r.store.FoldSets(ctx, app.key, 0, chunks); err != nil {
			return nil, err
		}
	}
	app.row.Settings.Zoned = true
	return changes, r.store.UpdateApp(ctx, app.row)
}
