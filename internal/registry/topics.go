package registry

import "github.com/herald-push/herald"

// MayUseTopic says whether the settings of an app let a device subscribe or
// publish to a topic: nil, or a forbidden [herald.Error].
func (r *Registry) MayUseTopic(key herald.AppKey, id herald.RegistrationID, v herald.TopicVerb, t herald.Topic) error {
	app, err := r.App(key)
	if err != nil {
		return err
	}
	if app.Row().Settings.Topics.Allow(v, t, id) {
		return nil
	}
	remedy := "Allow the topic in the settings of the app, topics." + string(v) + " of PATCH /v1/app."
	return herald.Errorf(herald.CodeForbidden, remedy, "devices of this app may not %s to the topic %.60q", string(v), string(t))
}
