package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/herald-push/herald"
)

// TemplateUse makes the content of a message from a template.
type TemplateUse struct {
	ID string `json:"id"` // its name
	// Values are what its variables stand for; those without a value have
	// their defaults.
	Values map[string]string `json:"values,omitempty"`
	// Language is that for all devices; "" for each device its own.
	Language string `json:"language,omitempty"`
}

// TemplateSource says what a message was made from.
type TemplateSource struct {
	ID      string `json:"id"`
	Version int64  `json:"version"`
}

// TemplateSpec is what is to be a template: contents by language, with {{name}}
// for what is to be replaced.
type TemplateSpec struct {
	Language string                         `json:"language"` // of Contents, for devices with none of the others
	Contents map[string]herald.Notification `json:"contents"`
	Data     json.RawMessage                `json:"data,omitempty"`
	Defaults map[string]string              `json:"defaults,omitempty"`
}

// Template is a saved template.
type Template struct {
	Name    string `json:"name"`
	Version int64  `json:"version"` // one more with each change
	TemplateSpec
	Variables []string  `json:"variables"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// TemplatePage is one page of templates, in byte order.
type TemplatePage struct {
	Templates  []Template `json:"templates"`
	NextCursor string     `json:"next_cursor,omitempty"` // "" on the last
}

// Rendered is what a message made from a template would say.
type Rendered struct {
	Notification *herald.Notification `json:"notification,omitempty"`
	Data         json.RawMessage      `json:"data,omitempty"`
	Version      int64                `json:"version"`
}

// SetTemplate saves a template under a name. Messages that were made from what
// was there before stay as they are.
func (c *Client) SetTemplate(ctx context.Context, name string, t TemplateSpec) (Template, error) {
	var out Template
	err := c.do(ctx, call{method: http.MethodPut, path: templatePath(name), body: t, into: &out})
	return out, err
}

// Template shows a template.
func (c *Client) Template(ctx context.Context, name string) (Template, error) {
	var out Template
	err := c.do(ctx, call{method: http.MethodGet, path: templatePath(name), into: &out})
	return out, err
}

// Templates lists templates.
func (c *Client) Templates(ctx context.Context, cursor string, limit int) (TemplatePage, error) {
	var out TemplatePage
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/templates", query: page(cursor, limit), into: &out})
	return out, err
}

// DeleteTemplate deletes a template.
func (c *Client) DeleteTemplate(ctx context.Context, name string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: templatePath(name)})
}

// RenderTemplate shows what a message made from a template would say: in one
// language, or ("") in all of them. Nothing is sent.
func (c *Client) RenderTemplate(ctx context.Context, name string, values map[string]string, language string) (Rendered, error) {
	body := struct {
		Values   map[string]string `json:"values,omitempty"`
		Language string            `json:"language,omitempty"`
	}{values, language}
	var out Rendered
	err := c.do(ctx, call{method: http.MethodPost, path: templatePath(name) + "/render", body: body, into: &out})
	return out, err
}

func templatePath(name string) string { return "/v1/templates/" + url.PathEscape(name) }
