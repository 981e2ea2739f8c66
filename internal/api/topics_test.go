package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/sets"
)

type seatedTopic struct {
	app   herald.AppKey
	topic herald.Topic
}

// topicHub is who is subscribed to topics, each device with two sessions, and
// notes what the service does.
type topicHub struct {
	mu         sync.Mutex // guards what follows
	subscribed map[seatedTopic]*sets.Set
	published  []published
	rechecked  []herald.AppKey
}

type published struct {
	app herald.AppKey
	live.Publication
}

func (h *topicHub) subscribe(p api.Principal, t herald.Topic) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := seatedTopic{p.App, t}
	if h.subscribed[at] == nil {
		h.subscribed[at] = sets.New()
	}
	h.subscribed[at].Add(p.Ord)
}

func (h *topicHub) PublishThen(app herald.AppKey, p live.Publication, then func(int, error)) {
	h.mu.Lock()
	h.published = append(h.published, published{app, p})
	h.mu.Unlock()
	then(h.Topic(app, p.Topic).Devices, nil)
}

func (h *topicHub) Subscribers(app herald.AppKey, t herald.Topic) *sets.Set {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.subscribed[seatedTopic{app, t}]; s != nil {
		return s.Clone()
	}
	return sets.New()
}

func (h *topicHub) Topic(app herald.AppKey, t herald.Topic) live.TopicCount {
	n := int(h.Subscribers(app, t).Len())
	return live.TopicCount{Topic: t, Devices: n, Sessions: 2 * n}
}

func (h *topicHub) Topics(app herald.AppKey, prefix string, after herald.Topic, limit int) (out []live.TopicCount) {
	h.mu.Lock()
	var names []herald.Topic
	for at := range h.subscribed {
		if at.app == app && at.topic > after && strings.HasPrefix(string(at.topic), prefix) {
			names = append(names, at.topic)
		}
	}
	h.mu.Unlock()
	slices.Sort(names)
	for _, t := range names[:min(limit, len(names))] {
		out = append(out, h.Topic(app, t))
	}
	return out
}

func (h *topicHub) Recheck(app herald.AppKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rechecked = append(h.rechecked, app)
}

func TestPublish(t *testing.T) {
	w := newWorld(t)
	self, other := w.device(w.a, api.RegisterRequest{}), w.device(w.a, api.RegisterRequest{})
	_, err := w.s.Devices.Update(t.Context(), w.masterA, self.Device, api.DeviceUpdate{Alias: ptr(herald.Alias("anna"))})
	w.must(err)
	stranger := w.device(w.b, api.RegisterRequest{})
	_, err = w.s.Apps.Update(t.Context(), w.masterA, api.AppUpdate{Topics: &api.TopicRulesUpdate{Publish: &[]herald.TopicFilter{"chat/+", "device/{registration_id}/#", "user/{alias}"}}})
	w.must(err)
	w.topics.subscribe(self, "chat/7")
	w.topics.subscribe(other, "chat/7")
	w.topics.subscribe(stranger, "chat/7")

	longest := `"` + long(api.MaxPublicationBytes-2) + `"`
	for _, tt := range []struct {
		name    string
		who     api.Principal
		topic   herald.Topic
		data    string
		devices int64
		from    herald.RegistrationID
	}{
		{"an app server", w.masterA, "chat/7", `{"text": "<b>"}`, 2, ""},
		{"to nobody", w.masterA, "no one/is here", `null`, 0, ""},
		{"a device", self, "chat/7", `1`, 2, self.Device},
		{"a device, its own topic", self, "device/" + herald.Topic(self.Device) + "/state", `"on"`, 0, self.Device},
		{"a device, the topic of its user", self, "user/anna", `1`, 0, self.Device},
		{"the other app, any topic", w.masterB, "chat/7", `[]`, 1, ""},
		{"the longest data", w.masterA, "chat/7", longest, 2, ""},
		{"longer by spaces", w.masterA, "chat/7", " " + longest + "\n", 2, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.topics.published = nil
			a, err := w.s.Topics.Publish(t.Context(), tt.who, api.PublishRequest{Topic: tt.topic, Data: json.RawMessage(tt.data)})
			if err != nil || a.Topic != tt.topic || a.Devices != tt.devices {
				t.Fatalf("got %+v, %v", a, err)
			}
			want := strings.ReplaceAll(strings.TrimSpace(tt.data), ": ", ":")
			p := w.topics.published
			if len(p) != 1 || p[0].app != tt.who.App || p[0].Topic != tt.topic || p[0].From != tt.from || string(p[0].Data) != want || !p[0].Time.Equal(w.now) {
				t.Errorf("published %+v", p)
			}
		})
	}
}

func TestPublishRefused(t *testing.T) {
	w := newWorld(t)
	self := w.device(w.a, api.RegisterRequest{})
	userless := w.device(w.b, api.RegisterRequest{})
	_, err := w.s.Apps.Update(t.Context(), w.masterB, api.AppUpdate{Topics: &api.TopicRulesUpdate{Publish: &[]herald.TopicFilter{"user/{alias}"}}})
	w.must(err)
	for _, tt := range []struct {
		name  string
		who   api.Principal
		topic herald.Topic
		data  string
		code  herald.Code
		field string
	}{
		{"by default", self, "chat/7", `1`, herald.CodeForbidden, ""},
		{"without an alias", userless, "user/anna", `1`, herald.CodeForbidden, ""},
		{"no topic", w.masterA, "", `1`, herald.CodeInvalidRequest, "topic"},
		{"a filter", w.masterA, "chat/#", `1`, herald.CodeInvalidRequest, "topic"},
		{"a reserved topic", w.masterA, "herald/push", `1`, herald.CodeInvalidRequest, "topic"},
		{"a bad topic of a device", self, "a\nb", `1`, herald.CodeInvalidRequest, "topic"},
		{"no data", w.masterA, "chat/7", ``, herald.CodeInvalidRequest, "data"},
		{"no JSON", w.masterA, "chat/7", `{`, herald.CodeInvalidRequest, "data"},
		{"too large", w.masterA, "chat/7", `"` + long(api.MaxPublicationBytes-1) + `"`, herald.CodeTooLarge, "data"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := w.s.Topics.Publish(t.Context(), tt.who, api.PublishRequest{Topic: tt.topic, Data: json.RawMessage(tt.data)})
			var e *herald.Error
			if !errors.As(err, &e) || e.Code != tt.code || e.Field != tt.field || e.Remedy == "" {
				t.Errorf("got %#v", err)
			}
			if len(w.topics.published) > 0 {
				t.Errorf("published %+v", w.topics.published)
			}
		})
	}
}

func TestListTopics(t *testing.T) {
	w := newWorld(t)
	d, stranger := w.device(w.a, api.RegisterRequest{}), w.device(w.b, api.RegisterRequest{})
	for _, name := range []herald.Topic{"chat/1", "chat/2", "chat/3", "news"} {
		w.topics.subscribe(d, name)
	}
	w.topics.subscribe(w.device(w.a, api.RegisterRequest{}), "news")
	w.topics.subscribe(stranger, "secret")
	list := func(p api.Principal, q api.TopicQuery) string {
		t.Helper()
		page, err := w.s.Topics.List(t.Context(), p, q)
		w.must(err)
		var out []string
		for _, v := range page.Topics {
			out = append(out, fmt.Sprintf("%s %d %d", v.Topic, v.Devices, v.Sessions))
		}
		if page.NextCursor != "" {
			out = append(out, "then "+page.NextCursor)
		}
		return strings.Join(out, ", ")
	}
	for _, tt := range []struct {
		name string
		who  api.Principal
		q    api.TopicQuery
		want string
	}{
		{"all", w.masterA, api.TopicQuery{}, "chat/1 1 2, chat/2 1 2, chat/3 1 2, news 2 4"},
		{"the other app", w.masterB, api.TopicQuery{}, "secret 1 2"},
		{"a prefix", w.masterA, api.TopicQuery{Prefix: "chat/"}, "chat/1 1 2, chat/2 1 2, chat/3 1 2"},
		{"a prefix of nothing", w.masterA, api.TopicQuery{Prefix: "secret"}, ""},
		{"first page", w.masterA, api.TopicQuery{Limit: 2}, "chat/1 1 2, chat/2 1 2, then chat/2"},
		{"second page", w.masterA, api.TopicQuery{Limit: 2, Cursor: "chat/2"}, "chat/3 1 2, news 2 4"},
		{"page of a prefix", w.masterA, api.TopicQuery{Limit: 1, Prefix: "chat", Cursor: "chat/1"}, "chat/2 1 2, then chat/2"},
		{"behind the last", w.masterA, api.TopicQuery{Cursor: "zzz"}, ""},
		{"by name", w.masterA, api.TopicQuery{Topics: []herald.Topic{"news", "secret", "chat/1", "news"}}, "news 2 4, secret 0 0, chat/1 1 2, news 2 4"},
		{"more names than a page", w.masterA, api.TopicQuery{Limit: 1, Topics: []herald.Topic{"news", "chat/1"}}, "news 2 4, chat/1 1 2"},
		{"no names", w.masterA, api.TopicQuery{Topics: []herald.Topic{}}, ""},
	} {
		if got := list(tt.who, tt.q); got != tt.want {
			t.Errorf("%s: %s", tt.name, got)
		}
	}
	for _, tt := range []struct {
		q     api.TopicQuery
		field string
	}{
		{api.TopicQuery{Limit: -1}, "limit"},
		{api.TopicQuery{Limit: 1001}, "limit"},
		{api.TopicQuery{Prefix: long(257)}, "prefix"},
		{api.TopicQuery{Topics: []herald.Topic{"a"}, Prefix: "a"}, "topic"},
		{api.TopicQuery{Topics: []herald.Topic{"a"}, Cursor: "a"}, "topic"},
		{api.TopicQuery{Topics: []herald.Topic{"a", ""}}, "topic"},
		{api.TopicQuery{Topics: []herald.Topic{"+"}}, "topic"},
		{api.TopicQuery{Topics: make([]herald.Topic, herald.MaxTopics+1)}, "topic"},
	} {
		_, err := w.s.Topics.List(t.Context(), w.masterA, tt.q)
		wantInvalid(t, err, tt.field)
	}
}

// TestTopicRules: what is set is what is shown, a list that is absent stays,
// and the sessions are looked at again after each change that was made.
func TestTopicRules(t *testing.T) {
	w := newWorld(t)
	type filters = []herald.TopicFilter
	update := func(u *api.TopicRulesUpdate) (api.AppView, error) {
		return w.s.Apps.Update(t.Context(), w.masterA, api.AppUpdate{Topics: u})
	}
	for i, tt := range []struct {
		update *api.TopicRulesUpdate
		want   string
	}{
		{&api.TopicRulesUpdate{}, `{"subscribe":["#"],"publish":[]}`},
		{&api.TopicRulesUpdate{Publish: &filters{"chat/+"}}, `{"subscribe":["#"],"publish":["chat/+"]}`},
		{&api.TopicRulesUpdate{Subscribe: &filters{}}, `{"subscribe":[],"publish":["chat/+"]}`},
		{&api.TopicRulesUpdate{Subscribe: &filters{"a/#", "d/{registration_id}"}, Publish: &filters{}}, `{"subscribe":["a/#","d/{registration_id}"],"publish":[]}`},
	} {
		v, err := update(tt.update)
		w.must(err)
		again, err := w.s.Apps.Get(t.Context(), w.masterA)
		w.must(err)
		if got := asJSON(t, v.Topics); got != tt.want || asJSON(t, again.Topics) != got {
			t.Errorf("got %s, then %s, want %s", got, asJSON(t, again.Topics), tt.want)
		}
		if n := len(w.topics.rechecked); n != i+1 || w.topics.rechecked[i] != w.a {
			t.Errorf("looked at the sessions of %v", w.topics.rechecked)
		}
	}
	if v, err := update(nil); err != nil || len(v.Topics.Subscribe) != 2 {
		t.Errorf("without topics: %+v, %v", v.Topics, err)
	}
	_, err := update(&api.TopicRulesUpdate{Publish: &filters{"a", "b", "c/#/d"}})
	wantInvalid(t, err, "topics.publish[2]")
	_, err = update(&api.TopicRulesUpdate{Subscribe: &filters{"{tag}"}, Publish: &filters{"#"}})
	wantInvalid(t, err, "topics.subscribe[0]")
	if n := len(w.topics.rechecked); n != 4 {
		t.Errorf("looked at the sessions %d times, want 4", n)
	}
	if v, err := w.s.Apps.Get(t.Context(), w.masterA); err != nil || len(v.Topics.Publish) != 0 {
		t.Errorf("what was refused is in force: %+v, %v", v.Topics, err)
	}
	if v, err := w.s.Apps.Get(t.Context(), w.masterB); err != nil || asJSON(t, v.Topics) != `{"subscribe":["#"],"publish":[]}` {
		t.Errorf("the other app: %+v, %v", v.Topics, err)
	}
}

// TestMessageByTopic: a message to a topic is for who was subscribed when it
// was accepted, and is followed like any other.
func TestMessageByTopic(t *testing.T) {
	w := newWorld(t)
	first, second := w.device(w.a, api.RegisterRequest{}), w.device(w.a, api.RegisterRequest{})
	w.topics.subscribe(first, "chat/7")
	w.topics.subscribe(w.device(w.b, api.RegisterRequest{}), "chat/7")
	w.online(first, true)
	w.online(second, true)

	e, err := w.s.Audience.Estimate(t.Context(), w.masterA, herald.Audience{Topic: "chat/7"})
	if err != nil || e.Devices != 1 || e.Online != 1 {
		t.Errorf("estimate %+v, %v", e, err)
	}
	m := w.sent(w.masterA, `{"audience":{"topic":"chat/7"},"data":1}`)
	w.topics.subscribe(second, "chat/7")
	v, err := w.s.Messages.Get(t.Context(), w.masterA, m.ID)
	w.must(err)
	if *m.Target != 1 || v.Counts.Target != 1 || v.Counts.Sent != 1 || asJSON(t, v.Audience) != `{"topic":"chat/7"}` {
		t.Errorf("target %d, counts %s, audience %s", *m.Target, asJSON(t, v.Counts), asJSON(t, v.Audience))
	}
	if _, err := w.s.Receipts.Report(t.Context(), first, api.ReceiptsRequest{Receipts: []api.Receipt{{ID: m.ID, Event: herald.StateDisplayed}}}); err != nil {
		t.Error(err)
	}
	if v, err = w.s.Messages.Get(t.Context(), w.masterA, m.ID); err != nil || v.Counts.Displayed != 1 {
		t.Errorf("counts %s, %v", asJSON(t, v.Counts), err)
	}
	if again := w.sent(w.masterA, `{"audience":{"topic":"chat/7"},"data":1}`); *again.Target != 2 {
		t.Errorf("the next message is for %d", *again.Target)
	}
	if _, err := w.send(w.masterA, `{"audience":{"topic":"nobody"},"data":1,"require_target":true}`); code(err) != herald.CodeInvalidRequest {
		t.Errorf("to nobody: %v", err)
	}
	_, err = w.send(w.masterA, `{"audience":{"or":["all",{"topic":"chat/+"}]},"data":1}`)
	wantInvalid(t, err, "audience.or[1].topic")
}
