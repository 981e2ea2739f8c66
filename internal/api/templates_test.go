package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

// templated saves a template and gives its version.
func (w *world) templated(p api.Principal, name, body string) (api.TemplateView, error) {
	w.t.Helper()
	var r api.TemplateRequest
	w.must(json.Unmarshal([]byte(body), &r))
	v, _, err := w.s.Templates.Put(w.t.Context(), p, name, r)
	return v, err
}

// templateMethods are the rows of the matrix about templates.
func (w *world) templateMethods() map[string]func(context.Context, api.Principal) error {
	_, err := w.templated(w.masterA, "there", `{"language":"en","contents":{"en":{"title":"T"}}}`)
	w.must(err)
	return map[string]func(context.Context, api.Principal) error{
		"put template": func(_ context.Context, p api.Principal) error {
			_, err := w.templated(p, "t", `{"language":"en","contents":{"en":{"title":"T"}}}`)
			return err
		},
		"template": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Templates.Get(ctx, p, "there")
			return err
		},
		"templates": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Templates.List(ctx, p, "", 0)
			return err
		},
		"render": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Templates.Render(ctx, p, "there", api.RenderRequest{})
			return err
		},
		"delete template": func(ctx context.Context, p api.Principal) error {
			_, err := w.templated(w.masterA, "gone", `{"language":"en","contents":{"en":{"title":"T"}}}`)
			w.must(err)
			return w.s.Templates.Delete(ctx, p, "gone")
		},
	}
}

const orderSent = `{"language":"en","contents":{"en":{"title":"Hello {{name}}","body":"Order {{order}}","click":"https://shop.example/{{order}}"},"zh":{"title":"{{name}}，你好"}},"data":{"order":"{{order}}"},"defaults":{"name":"friend"}}`

func TestTemplateInMessage(t *testing.T) {
	w := newWorld(t)
	w.device(w.a, api.RegisterRequest{})
	v, err := w.templated(w.masterA, "order", orderSent)
	w.must(err)
	if v.Version != 1 || strings.Join(v.Variables, " ") != "name order" || v.Language != "en" {
		t.Errorf("template %+v", v)
	}
	sent := w.sent(w.masterA, `{"audience":"all","template":{"id":"order","values":{"order":"7/8","more":"x"}},"category":"orders"}`)
	check := func() {
		t.Helper()
		m, err := w.s.Messages.Get(t.Context(), w.masterA, sent.ID)
		w.must(err)
		if m.Notification.Title != "Hello friend" || m.Notification.Click != "https://shop.example/7%2F8" || m.Notification.Languages["zh"].Title != "friend，你好" ||
			string(m.Data) != `{"order":"7/8"}` || m.Template == nil || *m.Template != (api.TemplateSource{ID: "order", Version: 1}) || m.Category != "orders" {
			t.Errorf("message %s", asJSON(t, m))
		}
	}
	check()
	// What becomes of the template later is nothing to the message.
	v, err = w.templated(w.masterA, "order", `{"language":"en","contents":{"en":{"title":"Bye"}}}`)
	w.must(err)
	if v.Version != 2 {
		t.Errorf("changed to version %d", v.Version)
	}
	check()
	w.must(w.s.Templates.Delete(t.Context(), w.masterA, "order"))
	check()
	if _, err := w.send(w.masterA, `{"audience":"all","template":{"id":"order"}}`); code(err) != herald.CodeInvalidRequest {
		t.Errorf("a template that is gone: %v", err)
	}
}

func TestTemplateRefused(t *testing.T) {
	w := newWorld(t)
	_, err := w.templated(w.masterA, "order", orderSent)
	w.must(err)
	_, err = w.templated(w.masterA, "link", `{"language":"en","contents":{"en":{"title":"T","click":"{{link}}"}}}`)
	w.must(err)
	_, err = w.templated(w.masterB, "foreign", orderSent)
	w.must(err)
	for name, tt := range map[string]struct {
		members, field string
		code           herald.Code
	}{
		"no value":             {`"template":{"id":"order"}`, "template.values.order", herald.CodeInvalidRequest},
		"unknown":              {`"template":{"id":"none"}`, "template.id", herald.CodeInvalidRequest},
		"of another app":       {`"template":{"id":"foreign","values":{"order":"1"}}`, "template.id", herald.CodeInvalidRequest},
		"beside notification":  {`"template":{"id":"order","values":{"order":"1"}},"notification":{"title":"T"}`, "notification", herald.CodeInvalidRequest},
		"a wrong language":     {`"template":{"id":"order","values":{"order":"1"},"language":"_"}`, "template.language", herald.CodeInvalidRequest},
		"too long":             {`"template":{"id":"order","values":{"order":"` + long(40<<10) + `"}}`, "", herald.CodeTooLarge},
		"a value not a string": {`"template":{"id":"order","values":{"order":1}}`, "template.values.order", herald.CodeInvalidRequest},
		"a wrong address":      {`"template":{"id":"link","values":{"link":"javascript:alert(1)"}}`, "notification.click", herald.CodeInvalidRequest},
		"an unknown member":    {`"template":{"id":"order","value":{}}`, "template.value", herald.CodeInvalidRequest},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.send(w.masterA, `{"audience":"all",`+tt.members+`}`)
			var e *herald.Error
			if !errors.As(err, &e) || e.Code != tt.code || e.Field != tt.field || e.Remedy == "" {
				t.Errorf("got %v (%+v)", err, e)
			}
		})
	}
}

// Each message of a batch has values of its own.
func TestTemplateInBatch(t *testing.T) {
	w := newWorld(t)
	w.device(w.a, api.RegisterRequest{Alias: "ann"})
	_, err := w.templated(w.masterA, "order", orderSent)
	w.must(err)
	var items []api.BatchItem
	for _, body := range []string{
		`{"audience":{"aliases":["ann"]},"template":{"id":"order","values":{"name":"Ann","order":"1"}}}`,
		`{"audience":{"aliases":["ann"]},"template":{"id":"order","values":{"name":"Bob"}}}`,
		`{"audience":{"aliases":["ann"]},"template":{"id":"order","values":{"order":"3"},"language":"zh-CN"},"data":{"own":1}}`,
	} {
		i, _ := w.s.Messages.DecodeItem([]byte(body))
		items = append(items, i)
	}
	out := w.s.Messages.SendBatch(t.Context(), w.masterA, items)
	if out[0].Err != nil || code(out[1].Err) != herald.CodeInvalidRequest || out[2].Err != nil {
		t.Fatalf("%+v", out)
	}
	for i, want := range map[int]string{0: "Hello Ann", 2: "friend，你好"} {
		m, err := w.s.Messages.Get(t.Context(), w.masterA, out[i].Answer.ID)
		w.must(err)
		if m.Notification.Title != want || (i == 2) != (string(m.Data) == `{"own":1}`) {
			t.Errorf("message %d: %s", i, asJSON(t, m))
		}
	}
}

func TestTemplatesAreChecked(t *testing.T) {
	w := newWorld(t)
	for name, tt := range map[string]struct{ body, field string }{
		"no default language": {`{"language":"fr","contents":{"en":{"title":"T"}}}`, "language"},
		"no contents":         {`{"language":"en","contents":{}}`, "language"},
		"not a language":      {`{"language":"e_n","contents":{"e_n":{"title":"T"}}}`, "contents"},
		"a language twice":    {`{"language":"en","contents":{"en":{"title":"T"},"EN":{"title":"T"}}}`, "contents"},
		"says nothing":        {`{"language":"en","contents":{"en":{}}}`, "contents.en"},
		"a bad variable":      {`{"language":"en","contents":{"en":{"title":"{{a b}}"}}}`, "contents"},
		"bad in another":      {`{"language":"en","contents":{"en":{"title":"T"},"zh":{"body":"{{"}}}`, "contents"},
		"bad in data":         {`{"language":"en","contents":{"en":{"title":"T"}},"data":{"x":"{{"}}`, "contents"},
		"a bad default":       {`{"language":"en","contents":{"en":{"title":"T"}},"defaults":{"a b":"c"}}`, "defaults"},
		"a bad address":       {`{"language":"en","contents":{"en":{"title":"T","image":"x"}}}`, "contents.en.image"},
		"nested":              {`{"language":"en","contents":{"en":{"title":"T","platforms":{}}}}`, "contents.en.platforms"},
		"too large":           {`{"language":"en","contents":{"en":{"title":"` + long(70<<10) + `"}}}`, ""},
		"a long name":         {``, "name"},
	} {
		t.Run(name, func(t *testing.T) {
			id := "t"
			if tt.body == "" {
				id, tt.body = long(129), orderSent
			}
			_, err := w.templated(w.masterA, id, tt.body)
			var e *herald.Error
			if !errors.As(err, &e) || e.Field != tt.field {
				t.Errorf("got %v", err)
			}
		})
	}
	for i := range 3 {
		_, err := w.templated(w.masterA, fmt.Sprintf("t%d", i), `{"language":"en","contents":{"en":{"image":"{{a}}","actions":[{"id":"a","title":"A","click":"{{b}}"}]}}}`)
		w.must(err)
	}
	page, err := w.s.Templates.List(t.Context(), w.masterA, "", 2)
	w.must(err)
	if len(page.Templates) != 2 || page.NextCursor != "t1" {
		t.Errorf("page %+v", page)
	}
	page, err = w.s.Templates.List(t.Context(), w.masterA, page.NextCursor, 2)
	w.must(err)
	if len(page.Templates) != 1 || page.NextCursor != "" {
		t.Errorf("page %+v", page)
	}
	_, err = w.templated(w.masterA, "order", orderSent)
	w.must(err)
	r, err := w.s.Templates.Render(t.Context(), w.masterA, "order", api.RenderRequest{Values: map[string]string{"order": "7"}, Language: "zh"})
	w.must(err)
	if r.Notification.Title != "friend，你好" || r.Version != 1 || string(r.Data) != `{"order":"7"}` {
		t.Errorf("rendered %s", asJSON(t, r))
	}
	if _, err := w.s.Templates.Render(t.Context(), w.masterA, "order", api.RenderRequest{}); code(err) != herald.CodeInvalidRequest {
		t.Errorf("without values: %v", err)
	}
	if _, err := w.s.Templates.Render(t.Context(), w.masterB, "order", api.RenderRequest{}); code(err) != herald.CodeNotFound {
		t.Errorf("of another app: %v", err)
	}
}

// A message to a group is made from the template of each app.
func TestTemplateInGroup(t *testing.T) {
	w := newWorld(t)
	_, err := w.templated(w.masterA, "order", orderSent)
	w.must(err)
	sent, err := w.toGroup(w.grouped(w.a, w.b), `{"audience":"all","template":{"id":"order","values":{"order":"1"}}}`, "")
	w.must(err)
	if sent.Apps[0].Err != nil || code(sent.Apps[1].Err) != herald.CodeInvalidRequest {
		t.Errorf("sent %+v", sent)
	}
}
