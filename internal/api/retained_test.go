package api_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/retained"
)

// retained keeps retained publications until the test ends.
func (w *world) retained(now func() time.Time) *retained.Keeper {
	w.keeper = retained.New(retained.Config{Store: w.db, Now: now})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); w.keeper.Run(ctx) }()
	w.t.Cleanup(func() { stop(); <-done })
	return w.keeper
}

func (w *world) retain(app herald.AppKey, e record.TopicEntry) {
	w.t.Helper()
	done := make(chan error, 1)
	w.keeper.Keep(app, &e, func(err error) { done <- err })
	w.must(<-done)
}

// retainedMethods are the rows of the matrix about retained publications.
func (w *world) retainedMethods() map[string]func(context.Context, api.Principal) error {
	there := record.TopicEntry{Topic: "there", Data: []byte("1")}
	w.retain(w.a, there)
	return map[string]func(context.Context, api.Principal) error{
		"list retained": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Topics.ListRetained(ctx, p, "", "", 0)
			return err
		},
		"retained": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Topics.Retained(ctx, p, "there")
			return err
		},
		"delete retained": func(ctx context.Context, p api.Principal) error {
			w.retain(w.a, record.TopicEntry{Topic: "gone", Data: []byte("1")})
			return w.s.Topics.DeleteRetained(ctx, p, "gone")
		},
	}
}

func TestRetained(t *testing.T) {
	w := newWorld(t)
	d := w.device(w.a, api.RegisterRequest{})
	at := w.now.UTC().Truncate(time.Millisecond)
	for _, e := range []record.TopicEntry{
		{Topic: "a/json", Data: []byte(`{"x":1}`), Time: at, From: d.Device},
		{Topic: "a/text", Payload: []byte("on"), Time: at, QoS: 1, Expires: at.Add(time.Minute)},
		{Topic: "b/bytes", Payload: []byte{0xff}, Time: at, Props: &record.TopicProps{ContentType: "x/y", User: []record.TopicPair{{Name: "a", Value: "1"}, {Name: "a", Value: "2"}}}},
	} {
		w.retain(w.a, e)
	}
	w.retain(w.b, record.TopicEntry{Topic: "a/json", Data: []byte(`"theirs"`), Time: at})
	views := func(list []api.RetainedView) (out []string) {
		for _, v := range list {
			b, err := json.Marshal(v)
			w.must(err)
			out = append(out, string(b))
		}
		return out
	}
	when := at.Format("2006-01-02T15:04:05.999Z07:00")
	jsonView := `{"topic":"a/json","from":"` + string(d.Device) + `","published_at":"` + when + `","qos":0,"data":{"x":1}}`
	textView := `{"topic":"a/text","published_at":"` + when + `","expires_at":"` + at.Add(time.Minute).Format("2006-01-02T15:04:05.999Z07:00") + `","qos":1,"data":"on"}`
	bytesView := `{"topic":"b/bytes","published_at":"` + when + `","qos":0,"base64":"/w==","content_type":"x/y","properties":{"a":"2"}}`
	for _, q := range []struct {
		prefix, cursor string
		limit          int
		want           []string
		next           string
	}{
		{"", "", 0, []string{jsonView, textView, bytesView}, ""},
		{"", "", 2, []string{jsonView, textView}, "a/text"},
		{"", "a/text", 2, []string{bytesView}, ""},
		{"a/", "a/json", 0, []string{textView}, ""},
		{"c", "", 0, nil, ""},
	} {
		page, err := w.s.Topics.ListRetained(t.Context(), w.masterA, q.prefix, q.cursor, q.limit)
		w.must(err)
		if got := views(page.Retained); !slices.Equal(got, q.want) || page.NextCursor != q.next || page.Retained == nil {
			t.Errorf("%+v: got %s, %q", q, got, page.NextCursor)
		}
	}
	one, err := w.s.Topics.Retained(t.Context(), w.masterB, "a/json")
	w.must(err)
	if string(one.Data) != `"theirs"` {
		t.Errorf("the other app has %+v", one)
	}
	if _, err := w.s.Topics.Retained(t.Context(), w.masterB, "a/text"); herald.CodeOf(err) != herald.CodeNotFound {
		t.Errorf("got %v", err)
	}
	for _, err := range []error{
		second(w.s.Topics.Retained(t.Context(), w.masterA, "a/+")),
		second(w.s.Topics.ListRetained(t.Context(), w.masterA, long(herald.MaxTopicBytes+1), "", 0)),
		second(w.s.Topics.ListRetained(t.Context(), w.masterA, "", "", -1)),
	} {
		if herald.CodeOf(err) != herald.CodeInvalidRequest {
			t.Errorf("got %v", err)
		}
	}
	w.must(w.s.Topics.DeleteRetained(t.Context(), w.masterA, "a/json"))
	if err := w.s.Topics.DeleteRetained(t.Context(), w.masterA, "a/json"); herald.CodeOf(err) != herald.CodeNotFound {
		t.Errorf("deleted twice: %v", err)
	}
	if _, err := w.s.Topics.Retained(t.Context(), w.masterB, "a/json"); err != nil {
		t.Errorf("that of the other app: %v", err)
	}
	// An erased device is not named any more, also where it was in memory.
	w.retain(w.a, record.TopicEntry{Topic: "a/json", Data: []byte(`1`), Time: at, From: d.Device})
	if v, err := w.s.Topics.Retained(t.Context(), w.masterA, "a/json"); err != nil || v.From != d.Device {
		t.Errorf("got %+v, %v", v, err)
	}
	w.must(w.s.Devices.Erase(t.Context(), w.masterA, d.Device))
	if v, err := w.s.Topics.Retained(t.Context(), w.masterA, "a/json"); err != nil || v.From != "" {
		t.Errorf("after the erasure: %+v, %v", v, err)
	}
	w.pass(time.Minute)
	if _, err := w.s.Topics.Retained(t.Context(), w.masterA, "a/text"); herald.CodeOf(err) != herald.CodeNotFound {
		t.Errorf("expired: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// TestPublishContents: what is published as text or bytes, and how.
func TestPublishContents(t *testing.T) {
	w := newWorld(t)
	text, none, raw, bad := "on", "", base64.StdEncoding.EncodeToString([]byte{0xff, 0}), "***"
	longest, longer := long(herald.MaxMessageBytes), long(herald.MaxMessageBytes+1)
	longer64 := base64.StdEncoding.EncodeToString([]byte(longer))
	seconds, zero, much := int64(60), int64(0), int64(1<<32)
	for name, tt := range map[string]struct {
		r     api.PublishRequest
		want  live.Publication
		field string
		code  herald.Code
	}{
		"text":            {r: api.PublishRequest{Text: &text, Retain: true, QoS: 1}, want: live.Publication{Payload: []byte("on"), Retain: true, QoS: 1}},
		"no text":         {r: api.PublishRequest{Text: &none, Retain: true}, want: live.Publication{Payload: []byte{}, Retain: true}},
		"bytes":           {r: api.PublishRequest{Base64: &raw, ExpiresIn: &seconds}, want: live.Publication{Payload: []byte{0xff, 0}, Expires: w.now.UTC().Add(time.Minute)}},
		"a kind":          {r: api.PublishRequest{Data: []byte(`{"a": 1}`), ContentType: "x/y"}, want: live.Publication{Data: []byte(`{"a":1}`), Props: &live.PublicationProps{ContentType: "x/y"}}},
		"the longest":     {r: api.PublishRequest{Text: &longest}, want: live.Publication{Payload: []byte(longest)}},
		"two contents":    {r: api.PublishRequest{Text: &text, Data: []byte("1")}, field: "data"},
		"two others":      {r: api.PublishRequest{Text: &text, Base64: &raw}, field: "data"},
		"no base64":       {r: api.PublishRequest{Base64: &bad}, field: "base64"},
		"too long":        {r: api.PublishRequest{Text: &longer}, field: "text", code: herald.CodeTooLarge},
		"too many bytes":  {r: api.PublishRequest{Base64: &longer64}, field: "base64", code: herald.CodeTooLarge},
		"a long kind":     {r: api.PublishRequest{Text: &text, ContentType: long(257)}, field: "content_type"},
		"a broken kind":   {r: api.PublishRequest{Text: &text, ContentType: "a\nb"}, field: "content_type"},
		"QoS 2":           {r: api.PublishRequest{Text: &text, QoS: 2}, field: "qos"},
		"expires at once": {r: api.PublishRequest{Text: &text, ExpiresIn: &zero}, field: "expires_in"},
		"expires never":   {r: api.PublishRequest{Text: &text, ExpiresIn: &much}, field: "expires_in"},
	} {
		w.topics.published = nil
		tt.r.Topic = "a"
		_, err := w.s.Topics.Publish(t.Context(), w.masterA, tt.r)
		if tt.field != "" {
			e := (*herald.Error)(nil)
			if tt.code == "" {
				tt.code = herald.CodeInvalidRequest
			}
			if !errors.As(err, &e) || e.Code != tt.code || e.Field != tt.field || len(w.topics.published) != 0 {
				t.Errorf("%s: got %v", name, err)
			}
			continue
		}
		w.must(err)
		tt.want.Topic, tt.want.Time = "a", w.now.UTC()
		got, err := json.Marshal(w.topics.published[0].Publication)
		w.must(err)
		want, err := json.Marshal(tt.want)
		w.must(err)
		if string(got) != string(want) {
			t.Errorf("%s: got %.300s, want %.300s", name, got, want)
		}
	}
}
