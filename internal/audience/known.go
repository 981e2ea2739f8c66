package audience

import (
	"context"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/registry"
)

// Known is Evaluate for an audience of one registration ID or one alias, and
// nothing else, whose devices are in memory: nearly every message is for one
// person. It gives what Evaluate gives, but for the image. False means that
// Evaluate has to be asked.
func (e *Evaluator) Known(key herald.AppKey, a *herald.Audience) (t Target, ok bool) {
	if !alone(a) {
		return t, false
	}
	app, err := e.registry.App(key)
	if err != nil {
		return t, false
	}
	var n registry.Named
	if len(a.Aliases) == 1 {
		n, ok = app.NamedByAlias(a.Aliases[0])
	} else {
		n, ok = app.NamedByID(a.RegistrationIDs[0])
	}
	if !ok {
		return t, false
	}
	return Target{Devices: int64(len(n.Direct)), Pos: n.Pos, ByAlias: len(a.Aliases) == 1, Direct: n.Direct}, true
}

// Prepare reads what Known has to know of many audiences, together. What it
// cannot read Evaluate will say. They need not be valid.
func (e *Evaluator) Prepare(ctx context.Context, key herald.AppKey, list []*herald.Audience) {
	app, err := e.registry.App(key)
	if err != nil {
		return
	}
	var n names
	for _, a := range list {
		if !alone(a) {
			continue
		}
		if len(a.Aliases) == 1 {
			if _, ok := app.NamedByAlias(a.Aliases[0]); !ok && len(a.Aliases[0]) <= herald.MaxNameBytes {
				note(&n.aliases, a.Aliases[0])
			}
		} else if _, ok := app.NamedByID(a.RegistrationIDs[0]); !ok && a.RegistrationIDs[0].Valid() {
			note(&n.ids, a.RegistrationIDs[0])
		}
	}
	for part := range chunked(n.ids) {
		_, _ = e.registry.Ordinals(ctx, key, part)
	}
	for part := range chunked(n.aliases) {
		_, _ = e.registry.OrdinalsByAlias(ctx, key, part)
	}
}

// alone reports whether an audience has one registration ID or one alias, and
// no other member.
func alone(a *herald.Audience) bool {
	return !a.All && (len(a.RegistrationIDs) == 1 && a.Aliases == nil || len(a.Aliases) == 1 && a.RegistrationIDs == nil) &&
		a.Tags == nil && a.TagsAnd == nil && a.TagsNot == nil && a.Platforms == nil && a.Languages == nil && a.AppVersions == nil &&
		a.ActiveWithinDays == 0 && a.Online == nil && a.Topic == "" && a.Segments == nil && a.Files == nil && a.And == nil && a.Or == nil && a.Not == nil
}
