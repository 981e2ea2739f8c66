package client

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/herald-push/herald"
)

func TestTemplates(t *testing.T) {
	const text = `{"name":"a/b","version":2,"language":"en","contents":{"en":{"title":"{{x}}"}},"defaults":{"x":"y"},"variables":["x"],"created_at":"2026-11-21T09:30:00Z","updated_at":"2026-11-21T09:30:00Z"}`
	var asked []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		at := r.Method + " " + r.URL.RequestURI()
		asked = append(asked, strings.TrimSpace(at+" "+string(body)))
		switch at {
		case "DELETE /v1/templates/a%2Fb":
			w.WriteHeader(http.StatusNoContent)
		case "GET /v1/templates?limit=5":
			fmt.Fprint(w, `{"templates":[`+text+`],"next_cursor":"a/b"}`)
		case "POST /v1/templates/a%2Fb/render":
			fmt.Fprint(w, `{"notification":{"title":"z"},"version":2}`)
		case "POST /v1/messages":
			fmt.Fprint(w, `{"id":"1"}`)
		default:
			fmt.Fprint(w, text)
		}
	})
	ctx := t.Context()
	spec := TemplateSpec{Language: "en", Contents: map[string]herald.Notification{"en": {Title: "{{x}}"}}, Data: json.RawMessage("1")}
	for _, call := range []func() (Template, error){
		func() (Template, error) { return c.SetTemplate(ctx, "a/b", spec) },
		func() (Template, error) { return c.Template(ctx, "a/b") },
		func() (Template, error) {
			page, err := c.Templates(ctx, "", 5)
			if err != nil || page.NextCursor != "a/b" {
				t.Errorf("%+v, %v", page, err)
			}
			return page.Templates[0], err
		},
	} {
		if got, err := call(); err != nil || got.Version != 2 || got.Contents["en"].Title != "{{x}}" || got.Defaults["x"] != "y" {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if r, err := c.RenderTemplate(ctx, "a/b", map[string]string{"x": "z"}, "en"); err != nil || r.Notification.Title != "z" {
		t.Errorf("%+v, %v", r, err)
	}
	if err := c.DeleteTemplate(ctx, "a/b"); err != nil {
		t.Error(err)
	}
	if _, err := c.Send(ctx, Message{Audience: herald.Audience{All: true}, Template: &TemplateUse{ID: "a/b", Values: map[string]string{"x": "z"}, Language: "en"}, Category: "news"}); err != nil {
		t.Error(err)
	}
	want := []string{
		`PUT /v1/templates/a%2Fb {"language":"en","contents":{"en":{"title":"{{x}}"}},"data":1}`, `GET /v1/templates/a%2Fb`, `GET /v1/templates?limit=5`,
		`POST /v1/templates/a%2Fb/render {"values":{"x":"z"},"language":"en"}`, `DELETE /v1/templates/a%2Fb`,
		`POST /v1/messages {"audience":"all","template":{"id":"a/b","values":{"x":"z"},"language":"en"},"category":"news"}`,
	}
	if got := strings.Join(asked, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("asked\n%s", got)
	}
}
