package v1

import (
	"context"
	"net/http"

	"github.com/herald-push/herald/internal/api"
)

const (
	templateBody    = `"language":"en","contents":{"en":{"title":"Hello {{name}}","body":"Your order {{order}} is on its way."},"zh":{"title":"{{name}}，你好","body":"订单 {{order}} 已发出。"}},"defaults":{"name":"friend"}`
	exampleTemplate = `{"name":"order-sent","version":3,` + templateBody + `,"variables":["name","order"],"created_at":"2026-11-01T08:00:00Z","updated_at":"2026-11-21T09:30:00Z"}`
)

type templateInput struct {
	Name string `path:"name" minLength:"1" maxLength:"128" doc:"The name, percent-encoded: / is %2F." example:"order-sent"`
}

type templateListInput struct {
	Cursor string   `query:"cursor" doc:"next_cursor of the page before."`
	Limit  pageSize `query:"limit" doc:"Templates on a page."`
}

// addTemplates adds the operations on templates.
func (a *API) addTemplates() {
	register(a, operation{
		id: "putTemplate", method: "PUT", path: "/v1/templates/{name}", tag: "Templates", summary: "Save a template", status: http.StatusCreated, write: true,
		description: "Saves a content with variables under a name, or changes it. A message names it as `{\"template\": {\"id\": \"order-sent\", \"values\": {\"order\": \"7\"}}}`; in a batch each message has its own values. " +
			"`{{name}}` stands for a value, in texts, addresses and the strings of `data`; within an address the value is percent-encoded, unless it is the whole address. Each device gets the longest language that its own begins with (zh-Hant-TW: zh-Hant, then zh), else the default one. " +
			"A message keeps what its template said when it was accepted. An app has at most 1,000 templates, of at most 64 KiB each. Needs the scope `messages:send`.",
		body: api.TemplateRequest{}, example: `{` + templateBody + `}`, answer: exampleTemplate,
	}, func(ctx context.Context, x *exchange, in *templateInput) (*putReply[api.TemplateView], error) {
		req, err := decode[api.TemplateRequest](x)
		if err != nil {
			return nil, err
		}
		return put(a.service.Templates.Put(ctx, x.p, in.Name, req))
	})
	register(a, operation{
		id: "listTemplates", method: "GET", path: "/v1/templates", tag: "Templates", summary: "List templates",
		description: "Shows templates in byte order of their names. Needs the scope `messages:send`.",
		answer:      `{"templates":[` + exampleTemplate + `]}`,
	}, func(ctx context.Context, x *exchange, in *templateListInput) (*reply[api.TemplatePage], error) {
		limit, err := in.Limit.int()
		if err != nil {
			return nil, err
		}
		return answer(a.service.Templates.List(ctx, x.p, in.Cursor, limit))
	})
	register(a, operation{
		id: "getTemplate", method: "GET", path: "/v1/templates/{name}", tag: "Templates", summary: "Show a template",
		description: "Shows a template with its variables. Needs the scope `messages:send`.",
		answer:      exampleTemplate, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *templateInput) (*reply[api.TemplateView], error) {
		return answer(a.service.Templates.Get(ctx, x.p, in.Name))
	})
	register(a, operation{
		id: "deleteTemplate", method: "DELETE", path: "/v1/templates/{name}", tag: "Templates", summary: "Delete a template", write: true,
		description: "Deletes a template. Messages that were made from it stay as they are. Needs the scope `messages:send`.",
		errors:      []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *templateInput) (*none, error) {
		return gone(a.service.Templates.Delete(ctx, x.p, in.Name))
	})
	register(a, operation{
		id: "renderTemplate", method: "POST", path: "/v1/templates/{name}/render", tag: "Templates", summary: "Show what a template makes of values",
		description: "Shows what a message made from the template with these values would say, and refuses what such a message would be refused for. Nothing is sent. Needs the scope `messages:send`.",
		body:        api.RenderRequest{}, example: `{"values":{"order":"7"},"language":"zh-CN"}`,
		answer: `{"notification":{"title":"friend，你好","body":"订单 7 已发出。"},"version":3}`, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *templateInput) (*reply[api.RenderAnswer], error) {
		req, err := decode[api.RenderRequest](x)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Templates.Render(ctx, x.p, in.Name, req))
	})
}
