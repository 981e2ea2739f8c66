package registry

import (
	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// Languages gives a function that tells the first of some language tags that the
// language of a device begins with, "" if there is none. A device is in the set
// of each range that its language is in, so that zh-Hant-TW is found under zh
// too; tags with more subtags therefore come first.
func (r *Registry) Languages(key herald.AppKey, tags []string) func(herald.Ordinal) string {
	app := r.app(key)
	if app == nil {
		return func(herald.Ordinal) string { return "" }
	}
	names := make([]string, len(tags))
	for i, tag := range tags {
		names[i] = record.LanguageSet(tag)
	}
	return func(o herald.Ordinal) (found string) {
		app.Index.View(func(v sets.View) {
			for i, name := range names {
				if v.Has(name, o) {
					found = tags[i]
					return
				}
			}
		})
		return found
	}
}
