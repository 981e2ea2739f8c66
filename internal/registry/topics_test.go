package registry_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
)

// TestMayUseTopic: the rules are those of the app, as they are at the call.
func TestMayUseTopic(t *testing.T) {
	w := newWorld(t)
	app, _ := w.newApp()
	other, _ := w.newApp()
	id := herald.NewRegistrationID(w.clock())
	own := herald.Topic("device/" + string(id))
	may := func(key herald.AppKey, v herald.TopicVerb, topic herald.Topic) bool {
		t.Helper()
		err := w.MayUseTopic(key, id, "", v, topic)
		var e *herald.Error
		if err != nil && (!errors.As(err, &e) || e.Code != herald.CodeForbidden || !strings.Contains(e.Remedy, "topics."+string(v))) {
			t.Errorf("%s %s: got %#v", v, topic, err)
		}
		return err == nil
	}
	if !may(app, herald.TopicSubscribe, "a") || may(app, herald.TopicPublish, "a") {
		t.Error("by default a device may subscribe to every topic and publish to none")
	}
	_, err := w.UpdateApp(t.Context(), app, func(r *record.App) {
		r.Settings.Topics = herald.TopicRules{Subscribe: []herald.TopicFilter{}, Publish: []herald.TopicFilter{"device/{registration_id}"}}
	})
	must(t, err)
	for range 2 {
		if may(app, herald.TopicSubscribe, own) || !may(app, herald.TopicPublish, own) || may(app, herald.TopicPublish, "device/x") {
			t.Error("the rules of the app are not those that are applied")
		}
		w.restart(serverKey) // an empty list is not the default afterwards
	}
	if !may(other, herald.TopicSubscribe, "a") || may(other, herald.TopicPublish, own) {
		t.Error("the rules of one app are applied to another")
	}
	if err := w.MayUseTopic(herald.NewAppKey(), id, "", herald.TopicSubscribe, "a"); herald.CodeOf(err) != herald.CodeUnauthorized {
		t.Errorf("in no app: %v", err)
	}
}

// TestTopicsByAlias: the alias is told to be needed while the rules name it, and
// only then; and it is read for many devices at once.
func TestTopicsByAlias(t *testing.T) {
	w := newWorld(t)
	app, _ := w.newApp()
	if w.UseAlias(app) || w.UseAlias(herald.NewAppKey()) {
		t.Error("the default rules name an alias")
	}
	_, err := w.UpdateApp(t.Context(), app, func(r *record.App) {
		r.Settings.Topics.Publish = []herald.TopicFilter{"user/{alias}/#"}
	})
	must(t, err)
	var devices []record.Device
	for _, alias := range []herald.Alias{"anna", "", "ben"} {
		d, _ := w.register(registry.RegisterRequest{App: app, Alias: &alias})
		devices = append(devices, d)
	}
	anna, none, gone := devices[0], devices[1], devices[2]
	_, err = w.Remove(t.Context(), app, gone.ID)
	must(t, err)
	for range 2 {
		if !w.UseAlias(app) {
			t.Error("the rules name the alias")
		}
		found, err := w.AliasesOf(t.Context(), app, []herald.Ordinal{anna.Ord, none.Ord, gone.Ord, gone.Ord + 1})
		must(t, err)
		if len(found) != 1 || found[anna.Ord] != "anna" {
			t.Errorf("got %v", found)
		}
		w.restart(serverKey)
	}
	if w.MayUseTopic(app, anna.ID, "anna", herald.TopicPublish, "user/anna/x") != nil || w.MayUseTopic(app, anna.ID, "", herald.TopicPublish, "user/anna/x") == nil {
		t.Error("the alias does not count")
	}
	_, err = w.UpdateApp(t.Context(), app, func(r *record.App) { r.Settings.Topics = herald.TopicRules{} })
	must(t, err)
	if w.UseAlias(app) {
		t.Error("the rules named the alias before, and do not any more")
	}
}
