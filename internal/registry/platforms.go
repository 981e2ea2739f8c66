package registry

import (
	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/sets"
)

// Platforms gives a function that tells the platform of a device; "" if it is
// not known.
func (r *Registry) Platforms(key herald.AppKey) func(herald.Ordinal) herald.Platform {
	app := r.app(key)
	if app == nil {
		return func(herald.Ordinal) herald.Platform { return "" }
	}
	return func(o herald.Ordinal) (found herald.Platform) {
		app.Index.View(func(v sets.View) {
			for i, name := range platformSets {
				if v.Has(name, o) {
					found = herald.Platforms[i]
					return
				}
			}
		})
		return found
	}
}
