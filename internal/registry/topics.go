package registry

import (
	"context"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// MayUseTopic says whether the settings of an app let a device subscribe or
// publish to a topic: nil, or a forbidden [herald.Error]. The alias counts only if
// [Registry.UseAlias] says so.
func (r *Registry) MayUseTopic(key herald.AppKey, id herald.RegistrationID, alias herald.Alias, v herald.TopicVerb, t herald.Topic) error {
	app, err := r.App(key)
	if err != nil {
		return err
	}
	if app.topicRules().Allow(v, t, id, alias) {
		return nil
	}
	remedy := "Allow the topic in the settings of the app, topics." + string(v) + " of PATCH /v1/app."
	return herald.Errorf(herald.CodeForbidden, remedy, "devices of this app may not %s to the topic %.60q", string(v), string(t))
}

// topicRules gives those of the app. The lists must not be changed.
func (a *App) topicRules() herald.TopicRules {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.row.Settings.Topics
}

// UseAlias tells whether the rules of an app about topics name the alias of the
// device.
func (r *Registry) UseAlias(key herald.AppKey) bool {
	app := r.app(key)
	if app == nil {
		return false
	}
	app.mu.Lock()
	defer app.mu.Unlock()
	return app.useAlias
}

// AliasesOf reads the aliases of devices of an app, given in ascending order.
// Those that have none, or are gone, are absent.
func (r *Registry) AliasesOf(ctx context.Context, key herald.AppKey, ords []herald.Ordinal) (map[herald.Ordinal]herald.Alias, error) {
	list, err := r.store.Devices(ctx, key, record.DeviceFilter{Within: ords}, 0, len(ords))
	out := make(map[herald.Ordinal]herald.Alias, len(list))
	for _, d := range list {
		if d.Alias != "" {
			out[d.Ord] = d.Alias
		}
	}
	return out, err
}
