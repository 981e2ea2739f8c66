package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/strict"
)

// routed saves a route.
func (w *world) routed(p api.Principal, name, body string) (api.RouteView, error) {
	w.t.Helper()
	var r api.RouteRequest
	if err := strict.Decode([]byte(body), &r); err != nil {
		return api.RouteView{}, err
	}
	v, _, err := w.s.Routes.Put(w.t.Context(), p, name, r)
	return v, err
}

// routeMethods are the rows of the matrix about routes.
func (w *world) routeMethods() map[string]func(context.Context, api.Principal) error {
	const live = `{"steps":[{"channel":"live"}]}`
	_, err := w.routed(w.masterA, "there", live)
	w.must(err)
	return map[string]func(context.Context, api.Principal) error{
		"put route": func(_ context.Context, p api.Principal) error {
			_, err := w.routed(p, "r", live)
			return err
		},
		"route": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Routes.Get(ctx, p, "there")
			return err
		},
		"routes": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Routes.List(ctx, p)
			return err
		},
		"delete route": func(ctx context.Context, p api.Principal) error {
			_, err := w.routed(w.masterA, "gone", live)
			w.must(err)
			return w.s.Routes.Delete(ctx, p, "gone")
		},
	}
}

const urgentSteps = `{"steps":[{"channel":"live"},{"channel":"vendor","unless":"sent"},{"channel":"sms","vendor":"twilio","after":"90s","options":{"text":"x"},"notification":{"body":"y"}}]}`

// shown is the route of a message as it is shown, as JSON; "" for none.
func (w *world) shown(id herald.MessageID) string {
	w.t.Helper()
	m, err := w.s.Messages.Get(w.t.Context(), w.masterA, id)
	w.must(err)
	if m.Route == nil {
		return ""
	}
	b, err := json.Marshal(m.Route)
	w.must(err)
	return string(b)
}

func TestNamedRouteInMessage(t *testing.T) {
	w := newWorld(t)
	w.device(w.a, api.RegisterRequest{})
	v, err := w.routed(w.masterA, "urgent", urgentSteps)
	w.must(err)
	if v.Name != "urgent" || len(v.Steps) != 3 || v.Steps[0].Unless != herald.StateReceived || v.CreatedAt.IsZero() {
		t.Errorf("saved %s", asJSON(t, v))
	}
	const want = `{"name":"urgent","steps":[{"channel":"live","unless":"received"},{"channel":"vendor","unless":"sent"},` +
		`{"channel":"sms","vendor":"twilio","unless":"received","after":"1m30s","notification":{"body":"y"},"options":{"text":"x"}}]}`
	sent := w.sent(w.masterA, `{"audience":"all","data":1,"route":"urgent","debug":true,"digest":{"key":"k","window":"5m"}}`)
	if diff := cmp.Diff(want, w.shown(sent.ID)); diff != "" {
		t.Error(diff)
	}
	// What becomes of the route later is nothing to the message.
	_, err = w.routed(w.masterA, "urgent", `{"steps":[{"channel":"live"}]}`)
	w.must(err)
	later := w.sent(w.masterA, `{"audience":"all","data":1,"route":"urgent"}`)
	w.must(w.s.Routes.Delete(t.Context(), w.masterA, "urgent"))
	if diff := cmp.Diff(want, w.shown(sent.ID)); diff != "" {
		t.Error(diff)
	}
	if got := w.shown(later.ID); got != `{"name":"urgent","steps":[{"channel":"live","unless":"received"}]}` {
		t.Errorf("a later message goes by %s", got)
	}
	m, err := w.s.Messages.Get(t.Context(), w.masterA, sent.ID)
	w.must(err)
	if !m.Debug || m.Digest == nil || *m.Digest != (herald.Digest{Key: "k", Window: herald.Duration(5 * time.Minute)}) {
		t.Errorf("message %s", asJSON(t, m))
	}
	_, err = w.send(w.masterA, `{"audience":"all","data":1,"route":"urgent"}`)
	wantInvalid(t, err, "route")
}

func TestDefaultRoute(t *testing.T) {
	w := newWorld(t)
	w.device(w.a, api.RegisterRequest{})
	plain := w.sent(w.masterA, `{"audience":"all","data":1}`)
	_, err := w.routed(w.masterA, herald.DefaultRouteName, urgentSteps)
	w.must(err)
	_, err = w.routed(w.masterB, "foreign", urgentSteps)
	w.must(err)
	const live, vendor = `{"channel":"live","unless":"received"}`, `{"channel":"vendor","unless":"sent"}`
	const sms = `{"channel":"sms","vendor":"twilio","unless":"received","after":"1m30s","notification":{"body":"y"},"options":{"text":"x"}}`
	for name, tc := range map[string]struct{ members, want string }{
		"names none":                {``, `{"name":"default","steps":[` + live + `,` + vendor + `,` + sms + `]}`},
		"ends with the last step":   {`,"ttl":90`, `{"name":"default","steps":[` + live + `,` + vendor + `,` + sms + `]}`},
		"ends before the last step": {`,"ttl":89`, `{"name":"default","steps":[` + live + `,` + vendor + `]}`},
		"has steps of its own":      {`,"route":{"steps":[{"channel":"vendor"}]}`, `{"steps":[{"channel":"vendor","unless":"received"}]}`},
		"names the default":         {`,"route":"default"`, `{"name":"default","steps":[` + live + `,` + vendor + `,` + sms + `]}`},
		"is now or never":           {`,"ttl":0`, ``},
		"is now or never, and live": {`,"ttl":0,"route":{"steps":[{"channel":"live"}]}`, `{"steps":[` + live + `]}`},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := w.send(w.masterA, `{"audience":"all","data":1`+tc.members+`}`)
			w.must(err)
			if diff := cmp.Diff(tc.want, w.shown(a.ID)); diff != "" {
				t.Error(diff)
			}
		})
	}
	if got := w.shown(plain.ID); got != "" {
		t.Errorf("a message from before goes by %s", got)
	}
	// All that is left of this one comes too late.
	_, err = w.routed(w.masterA, herald.DefaultRouteName, `{"steps":[{"channel":"sms","after":"1h"}]}`)
	w.must(err)
	if got := w.shown(w.sent(w.masterA, `{"audience":"all","data":1,"ttl":60}`).ID); got != `{"name":"default","steps":[`+live+`]}` {
		t.Errorf("a message that ends before any step goes by %s", got)
	}
	w.must(w.s.Routes.Delete(t.Context(), w.masterA, herald.DefaultRouteName))
	if got := w.shown(w.sent(w.masterA, `{"audience":"all","data":1}`).ID); got != "" {
		t.Errorf("a message of an app without a default route goes by %s", got)
	}
}

func TestRouteRefused(t *testing.T) {
	w := newWorld(t)
	w.device(w.a, api.RegisterRequest{})
	_, err := w.routed(w.masterA, "urgent", urgentSteps)
	w.must(err)
	_, err = w.routed(w.masterB, "foreign", urgentSteps)
	w.must(err)
	for name, tc := range map[string]struct{ members, field string }{
		"unknown":                         {`"route":"none"`, "route"},
		"of another app":                  {`"route":"foreign"`, "route"},
		"without a name":                  {`"route":""`, "route"},
		"a name with a line break":        {`"route":"a\nb"`, "route"},
		"a number":                        {`"route":1`, "route"},
		"null":                            {`"route":null`, "route"},
		"no steps":                        {`"route":{"steps":[]}`, "route.steps"},
		"nothing":                         {`"route":{}`, "route.steps"},
		"a member that is none":           {`"route":{"step":[]}`, "route.step"},
		"a member of a step that is none": {`"route":{"steps":[{"chanel":"live"}]}`, "route.steps[0].chanel"},
		"seconds without a unit":          {`"route":{"steps":[{"channel":"live","after":10}]}`, "route.steps[0].after"},
		"a text that is no time":          {`"route":{"steps":[{"channel":"live","after":"soon"}]}`, "route.steps[0].after"},
		"no channel":                      {`"route":{"steps":[{"channel":"live"},{"channel":"pigeon"}]}`, "route.steps[1].channel"},
		"a vendor of another channel":     {`"route":{"steps":[{"channel":"email","vendor":"apns"}]}`, "route.steps[0].vendor"},
		"after the ttl":                   {`"ttl":60,"route":{"steps":[{"channel":"sms","after":"61s"}]}`, "route.steps[0].after"},
		"a named one after the ttl":       {`"ttl":60,"route":"urgent"`, "route"},
		"a named one, now or never":       {`"ttl":0,"route":"urgent"`, "route"},
		"a vendor, now or never":          {`"ttl":0,"route":{"steps":[{"channel":"live"},{"channel":"vendor"}]}`, "route.steps[1].channel"},
		"options that are a text":         {`"route":{"steps":[{"channel":"sms","options":"x"}]}`, "route.steps[0].options"},
		"a text that says nothing":        {`"route":{"steps":[{"channel":"sms","notification":{}}]}`, "route.steps[0].notification"},
		"a click on a script":             {`"route":{"steps":[{"channel":"sms","notification":{"title":"a","click":"javascript:x"}}]}`, "route.steps[0].notification.click"},
		"a text for no platform":          {`"route":{"steps":[{"channel":"sms","notification":{"title":"a","platforms":{"symbian":{}}}}]}`, "route.steps[0].notification.platforms.symbian"},
		"a text in no language":           {`"route":{"steps":[{"channel":"sms","notification":{"title":"a","languages":{"_":{"title":"b"}}}}]}`, "route.steps[0].notification.languages"},
		"a digest without a window":       {`"digest":{"key":"k"}`, "digest.window"},
		"a digest, now or never":          {`"ttl":0,"digest":{"key":"k","window":"1m"}`, "ttl"},
		"debug as a text":                 {`"debug":"yes"`, "debug"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.send(w.masterA, `{"audience":"all","data":1,`+tc.members+`}`)
			wantInvalid(t, err, tc.field)
		})
	}
	for name, tc := range map[string]struct{ name, body, field string }{
		"without a name":          {"", `{"steps":[{"channel":"live"}]}`, "name"},
		"no steps":                {"a", `{"steps":[]}`, "steps"},
		"no channel":              {"a", `{"steps":[{"channel":"pigeon"}]}`, "steps[0].channel"},
		"after the longest ttl":   {"a", `{"steps":[{"channel":"sms","after":"721h"}]}`, "steps[0].after"},
		"a text that is nothing":  {"a", `{"steps":[{"channel":"sms","notification":{}}]}`, "steps[0].notification"},
		"a name in the place":     {"a", `"urgent"`, ""},
		"more than a route takes": {"a", `{"steps":[{"channel":"sms","notification":{"body":"` + long(33<<10) + `"}}]}`, "steps"},
	} {
		t.Run("saved "+name, func(t *testing.T) {
			_, err := w.routed(w.masterA, tc.name, tc.body)
			wantInvalid(t, err, tc.field)
		})
	}
	_, err = w.s.Routes.Get(t.Context(), w.masterA, "none")
	if code(err) != herald.CodeNotFound {
		t.Errorf("a route that is not there: %v", err)
	}
	if err := w.s.Routes.Delete(t.Context(), w.masterA, "foreign"); code(err) != herald.CodeNotFound {
		t.Errorf("a route of another app is deleted: %v", err)
	}
}

func TestRoutesOfAnApp(t *testing.T) {
	w := newWorld(t)
	for i := range herald.MaxRoutes {
		_, err := w.routed(w.masterA, fmt.Sprintf("%02d", herald.MaxRoutes-i), `{"steps":[{"channel":"live"}]}`)
		w.must(err)
	}
	if _, err := w.routed(w.masterA, "one more", urgentSteps); code(err) != herald.CodeLimitReached {
		t.Errorf("one more than the limit: %v", err)
	}
	w.pass(time.Hour)
	same, err := w.routed(w.masterA, "01", `{"steps":[{"channel":"live","unless":"received"}]}`)
	w.must(err)
	other, err := w.routed(w.masterA, "02", urgentSteps)
	w.must(err)
	if !same.UpdatedAt.Equal(same.CreatedAt) || other.UpdatedAt.Sub(other.CreatedAt) != time.Hour {
		t.Errorf("what says the same was changed at %s, what does not at %s", same.UpdatedAt, other.UpdatedAt)
	}
	list, err := w.s.Routes.List(t.Context(), w.masterA)
	w.must(err)
	if len(list.Routes) != herald.MaxRoutes || list.Routes[0].Name != "01" || list.Routes[49].Name != "50" || len(list.Routes[1].Steps) != 3 {
		t.Errorf("%d routes, from %s", len(list.Routes), list.Routes[0].Name)
	}
	if list, err := w.s.Routes.List(t.Context(), w.masterB); err != nil || list.Routes == nil || len(list.Routes) != 0 {
		t.Errorf("another app has %v, %v", list.Routes, err)
	}
}

// A page may send to itself, and chooses no way that costs its app money.
func TestRouteOfPage(t *testing.T) {
	w := newWorld(t)
	token, err := w.registry.PageToken(w.a, "0123456789abcdef")
	w.must(err)
	page, err := w.s.Apps.Bearer(t.Context(), token, netip.Addr{})
	w.must(err)
	self, err := w.s.Devices.Register(t.Context(), page, api.RegisterRequest{})
	w.must(err)
	page, err = w.s.Apps.Bearer(t.Context(), token, netip.Addr{})
	w.must(err)
	_, err = w.routed(w.masterA, herald.DefaultRouteName, urgentSteps)
	w.must(err)
	for _, members := range []string{`"route":"default"`, `"route":{"steps":[{"channel":"live"}]}`, `"debug":true`, `"digest":{"key":"k","window":"1m"}`} {
		_, err := w.send(page, fmt.Sprintf(`{"audience":{"registration_ids":[%q]},"data":1,%s}`, self.RegistrationID, members))
		var e *herald.Error
		if !errors.As(err, &e) || e.Code != herald.CodeForbidden || e.Remedy == "" {
			t.Errorf("%s: %v", members, err)
		}
	}
	a, err := w.send(page, fmt.Sprintf(`{"audience":{"registration_ids":[%q]},"data":1}`, self.RegistrationID))
	w.must(err)
	if got := w.shown(a.ID); got != "" {
		t.Errorf("the message of a page goes by %s", got)
	}
}

// The message of a schedule takes the route as it is at each occurrence.
func TestRouteOfSchedule(t *testing.T) {
	w := newWorld(t)
	w.device(w.a, api.RegisterRequest{})
	_, err := w.routed(w.masterA, "urgent", urgentSteps)
	w.must(err)
	planned := func(message string) (api.ScheduleView, error) {
		var r api.ScheduleRequest
		w.must(strict.Decode([]byte(`{"name":"s","trigger":{"cron":"0 9 * * *"},"message":`+message+`}`), &r))
		return w.s.Schedules.Create(t.Context(), w.masterA, r, "", nil)
	}
	_, err = planned(`{"audience":"all","data":1,"route":"none"}`)
	wantInvalid(t, err, "message.route")
	v, err := planned(`{"audience":"all","data":1,"route":"urgent","debug":true,"digest":{"key":"k","window":"1m"}}`)
	w.must(err)
	if v.Message.Route == nil || v.Message.Route.Name != "urgent" || !v.Message.Debug || v.Message.Digest == nil {
		t.Errorf("the schedule is shown as %s", asJSON(t, v))
	}
	_, err = w.routed(w.masterA, "urgent", `{"steps":[{"channel":"vendor"}]}`)
	w.must(err)
	run, err := w.s.Schedules.Run(t.Context(), w.masterA, v.ID, "")
	w.must(err)
	if got := w.shown(run.MessageID); got != `{"name":"urgent","steps":[{"channel":"vendor","unless":"received"}]}` {
		t.Errorf("its message goes by %s", got)
	}
}

// What a name stands for is looked up when the message is accepted, also where it
// waits for a second key, and in a batch.
func TestRouteOfWhatWaits(t *testing.T) {
	w := newWorld(t)
	w.device(w.a, api.RegisterRequest{})
	_, err := w.routed(w.masterA, "urgent", `{"steps":[{"channel":"vendor"}]}`)
	w.must(err)
	w.approval(0)
	first, second := w.key("first"), w.key("second")
	held, err := w.send(first, `{"audience":"all","data":1,"route":"urgent"}`)
	w.must(err)
	var items []api.BatchItem
	for _, body := range []string{`{"audience":"all","data":1,"ttl":0}`, `{"audience":"all","data":1,"route":"none"}`, `{"audience":"all","data":1,"route":"urgent"}`} {
		i, _ := w.s.Messages.DecodeItem([]byte(body))
		items = append(items, i)
	}
	out := w.s.Messages.SendBatch(t.Context(), first, items)
	wantInvalid(t, out[1].Err, "route")
	w.must(out[2].Err)
	w.must(w.s.Routes.Delete(t.Context(), w.masterA, "urgent"))
	_, err = w.s.Messages.Approve(t.Context(), second, held.ID)
	w.must(err)
	for _, id := range []herald.MessageID{held.ID, out[2].Answer.ID} {
		if got := w.shown(id); got != `{"name":"urgent","steps":[{"channel":"vendor","unless":"received"}]}` {
			t.Errorf("it goes by %s", got)
		}
	}
}

// Each app of a group has routes of its own; steps that are wrong for all are
// refused before anything is sent.
func TestRouteOfGroup(t *testing.T) {
	w := newWorld(t)
	w.device(w.a, api.RegisterRequest{})
	w.device(w.b, api.RegisterRequest{})
	_, err := w.routed(w.masterA, "urgent", `{"steps":[{"channel":"vendor"}]}`)
	w.must(err)
	_, err = w.routed(w.masterB, herald.DefaultRouteName, `{"steps":[{"channel":"email"}]}`)
	w.must(err)
	p := w.grouped(w.a, w.b)
	_, err = w.toGroup(p, `{"audience":"all","data":1,"route":{"steps":[{"channel":"pigeon"}]}}`, "")
	wantInvalid(t, err, "route.steps[0].channel")
	sent, err := w.toGroup(p, `{"audience":"all","data":1,"route":"urgent"}`, "")
	w.must(err)
	if got := w.shown(sent.Apps[0].Answer.ID); got != `{"name":"urgent","steps":[{"channel":"vendor","unless":"received"}]}` {
		t.Errorf("in one app it goes by %s", got)
	}
	wantInvalid(t, sent.Apps[1].Err, "route")
	sent, err = w.toGroup(p, `{"audience":"all","data":1}`, "")
	w.must(err)
	m, err := w.s.Messages.Get(t.Context(), w.masterB, sent.Apps[1].Answer.ID)
	w.must(err)
	if w.shown(sent.Apps[0].Answer.ID) != "" || m.Route == nil || m.Route.Steps[0].Channel != herald.ChannelEmail {
		t.Errorf("by default it goes by %+v", m.Route)
	}
}
