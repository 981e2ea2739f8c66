package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/template"
)

// TemplateStore keeps the templates of apps.
type TemplateStore interface {
	// PutTemplate writes a template, of which an app has at most so many. It
	// gives it as it is now, with its version, and whether the name is new.
	PutTemplate(ctx context.Context, app herald.AppKey, t record.Template, most int) (record.Template, bool, error)
	// DeleteTemplate removes one; not_found if there is none.
	DeleteTemplate(ctx context.Context, app herald.AppKey, name string) error
	// Template finds one; not_found if there is none.
	Template(ctx context.Context, app herald.AppKey, name string) (record.Template, error)
	// Templates lists those whose names come after one, in byte order.
	Templates(ctx context.Context, app herald.AppKey, after string, limit int) ([]record.Template, error)
}

// Limits of templates.
const (
	maxTemplates     = 1000     // of an app
	maxTemplateBytes = 64 << 10 // of one, as JSON
	maxValues        = 1000     // values or defaults
)

// TemplateUse names a template, in a message.
type TemplateUse struct {
	ID       string            `json:"id" minLength:"1" maxLength:"128" doc:"Name of the template."`
	Values   map[string]string `json:"values,omitempty" doc:"What its variables stand for. A variable that has neither a value nor a default is refused; a value that no variable asks for is ignored."`
	Language string            `json:"language,omitempty" maxLength:"35" doc:"The language for all devices, as a BCP 47 tag. Default: for each device its own, as far as the template has it."`
}

// TemplateSource says what a message was made from.
type TemplateSource struct {
	ID      string `json:"id" doc:"Name of the template."`
	Version int64  `json:"version" doc:"Its version then."`
}

// TemplateRequest is the body of PUT /v1/templates/{name}.
type TemplateRequest struct {
	Language string                         `json:"language" minLength:"1" maxLength:"35" doc:"The language of contents that devices with none of the others get."`
	Contents map[string]herald.Notification `json:"contents" doc:"Notifications by language (BCP 47), with {{name}} for what is to be replaced in texts and addresses. Members that are absent in a language are those of the default language."`
	Data     json.RawMessage                `json:"data,omitempty" doc:"Any JSON for the app itself, the same in all languages; {{name}} is replaced within its strings."`
	Defaults map[string]string              `json:"defaults,omitempty" doc:"What variables stand for that a message gives no value."`
}

// TemplateView is a template as its app sees it.
type TemplateView struct {
	Name    string `json:"name"`
	Version int64  `json:"version" doc:"1, and one more with each change."`
	TemplateRequest
	Variables []string  `json:"variables" doc:"All variables in it, sorted."`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// TemplatePage is one page of templates, in byte order.
type TemplatePage struct {
	Templates  []TemplateView `json:"templates"`
	NextCursor string         `json:"next_cursor,omitempty"`
}

// RenderRequest is the body of POST /v1/templates/{name}/render.
type RenderRequest struct {
	Values   map[string]string `json:"values,omitempty" doc:"What its variables stand for."`
	Language string            `json:"language,omitempty" maxLength:"35" doc:"One language; default: all of them."`
}

// RenderAnswer is what a message made from a template would say.
type RenderAnswer struct {
	Notification *herald.Notification `json:"notification,omitempty"`
	Data         json.RawMessage      `json:"data,omitempty"`
	Version      int64                `json:"version" doc:"Of the template."`
}

// Templates manages templates.
type Templates struct {
	c        Config
	messages *Messages
}

func templateView(t *record.Template) (TemplateView, error) {
	names, err := template.Variables(t)
	if names == nil {
		names = []string{}
	}
	return TemplateView{Name: t.Name, Version: t.Version, Variables: names, CreatedAt: t.Created, UpdatedAt: t.Updated,
		TemplateRequest: TemplateRequest{Language: t.Language, Contents: t.Contents, Data: t.Data, Defaults: t.Defaults}}, err
}

// Put saves a template under a name, and tells whether the name is new.
func (s *Templates) Put(ctx context.Context, p Principal, name string, r TemplateRequest) (TemplateView, bool, error) {
	if err := p.may(ScopeSend); err != nil {
		return TemplateView{}, false, err
	}
	if err := herald.ValidName("name", name); err != nil {
		return TemplateView{}, false, err
	}
	now := s.c.Now().UTC().Truncate(time.Millisecond)
	t := record.Template{Name: name, Language: r.Language, Contents: r.Contents, Data: r.Data, Defaults: r.Defaults, Created: now, Updated: now}
	if err := validTemplate(&t); err != nil {
		return TemplateView{}, false, err
	}
	t, created, err := s.c.Templates.PutTemplate(ctx, p.App, t, maxTemplates)
	if err != nil {
		return TemplateView{}, false, err
	}
	v, err := templateView(&t)
	return v, created, err
}

func validTemplate(t *record.Template) error {
	if len(t.Contents) > maxLanguages {
		return herald.Invalid("contents", "Make several templates.", "%d languages are more than %d", len(t.Contents), maxLanguages)
	}
	seen := map[string]string{}
	for _, tag := range slices.Sorted(maps.Keys(t.Contents)) {
		if err := validTag("contents", tag, seen); err != nil {
			return err
		}
		n := t.Contents[tag]
		if err := validText(&n, "contents."+tag, tag == t.Language); err != nil {
			return err
		}
	}
	if _, there := t.Contents[t.Language]; !there {
		return herald.Invalid("language", "Name one of the languages of contents.", "there is no content in the default language %.40q", t.Language)
	}
	if len(t.Defaults) > maxValues {
		return herald.Invalid("defaults", "Use fewer variables.", "%d are more than %d", len(t.Defaults), maxValues)
	}
	for _, name := range slices.Sorted(maps.Keys(t.Defaults)) {
		if !template.ValidName(name) {
			return herald.Invalid("defaults", "Begin with a letter or _; then letters, digits, _, - and dots, at most 64.", "%.70q cannot be the name of a variable", name)
		}
	}
	if _, err := template.Variables(t); err != nil {
		return herald.Invalid("contents", "Write {{name}}: a letter or _, then letters, digits, _, - and dots. What is to be shown as {{ has to come from a value.", "%s", strings.TrimPrefix(err.Error(), "template: "))
	}
	b, err := json.Marshal(t)
	if err != nil {
		return herald.Invalid("data", "Send any JSON value.", "is not JSON")
	}
	if len(b) > maxTemplateBytes {
		return herald.Errorf(herald.CodeTooLarge, "Shorten the texts, or make several templates.", "the template has %d bytes as JSON, more than %d", len(b), maxTemplateBytes)
	}
	return nil
}

// validText checks a notification of a template. An address that has variables
// in it is checked when it is filled.
func validText(n *herald.Notification, at string, whole bool) error {
	x := *n
	x.Actions = slices.Clone(n.Actions)
	for _, address := range []*string{&x.Image, &x.Click} {
		if template.Has(*address) {
			*address = ""
		}
	}
	for i := range x.Actions {
		if template.Has(x.Actions[i].Click) {
			x.Actions[i].Click = ""
		}
	}
	if whole && x.Title == "" && x.Body == "" && n.Image != "" {
		x.Title = "x" // it says something: a picture
	}
	if err := validOverride(at, &x); err != nil || !whole {
		return err
	}
	return validNotification(at, &x, true)
}

// Get shows a template.
func (s *Templates) Get(ctx context.Context, p Principal, name string) (TemplateView, error) {
	if err := p.may(ScopeSend); err != nil {
		return TemplateView{}, err
	}
	t, err := s.c.Templates.Template(ctx, p.App, name)
	if err != nil {
		return TemplateView{}, err
	}
	return templateView(&t)
}

// List shows templates in byte order of their names.
func (s *Templates) List(ctx context.Context, p Principal, cursor string, limit int) (TemplatePage, error) {
	if err := p.may(ScopeSend); err != nil {
		return TemplatePage{}, err
	}
	limit, err := pageSize(limit)
	if err != nil {
		return TemplatePage{}, err
	}
	list, err := s.c.Templates.Templates(ctx, p.App, cursor, limit+1)
	if err != nil {
		return TemplatePage{}, err
	}
	page := TemplatePage{Templates: []TemplateView{}}
	if len(list) > limit {
		list = list[:limit]
		page.NextCursor = list[limit-1].Name
	}
	for i := range list {
		v, err := templateView(&list[i])
		if err != nil {
			return TemplatePage{}, err
		}
		page.Templates = append(page.Templates, v)
	}
	return page, nil
}

// Delete removes a template. Messages that were made from it stay as they are.
func (s *Templates) Delete(ctx context.Context, p Principal, name string) error {
	if err := p.may(ScopeSend); err != nil {
		return err
	}
	return s.c.Templates.DeleteTemplate(ctx, p.App, name)
}

// Render shows what a message made from a template would say.
func (s *Templates) Render(ctx context.Context, p Principal, name string, r RenderRequest) (RenderAnswer, error) {
	if err := p.may(ScopeSend); err != nil {
		return RenderAnswer{}, err
	}
	t, err := s.c.Templates.Template(ctx, p.App, name)
	if err != nil {
		return RenderAnswer{}, err
	}
	c, err := render(&t, "", &TemplateUse{Values: r.Values, Language: r.Language})
	if err == nil {
		err = validContent(&SendRequest{Notification: c.Notification, Data: c.Data})
	}
	return RenderAnswer{Notification: c.Notification, Data: c.Data, Version: t.Version}, err
}

// render fills a template; at is what the member of the request is called that
// names it.
func render(t *record.Template, at string, use *TemplateUse) (herald.Content, error) {
	if at != "" {
		at += "."
	}
	if len(use.Values) > maxValues {
		return herald.Content{}, herald.Invalid(at+"values", "Give fewer.", "%d values are more than %d", len(use.Values), maxValues)
	}
	if use.Language != "" && !isTag(use.Language) {
		return herald.Content{}, herald.Invalid(at+"language", "Write a BCP 47 tag such as en, zh-CN or zh-Hant-TW.", "%.40q is not a language", use.Language)
	}
	c, err := template.Render(t, use.Values, use.Language)
	var missing *template.Missing
	switch {
	case errors.As(err, &missing):
		return c, herald.Invalid(at+"values."+missing.Name, "Give it a value, or a default in the template.", "the template %.140q has no value for {{%s}}", t.Name, missing.Name)
	case errors.Is(err, template.ErrLong):
		return c, herald.Errorf(herald.CodeTooLarge, "Shorten the values.", "the template comes to more than %d bytes with these values", herald.MaxMessageBytes)
	case err != nil:
		return c, fmt.Errorf("api: filling the template %q: %w", t.Name, err)
	}
	return c, nil
}

// rendered gives a message with the content that its template makes, and what
// is kept of that; one without a template as it is.
func (s *Messages) rendered(ctx context.Context, app herald.AppKey, r *SendRequest) (*SendRequest, *record.Facts, error) {
	if r.Template == nil {
		return r, nil, nil
	}
	if r.Notification != nil {
		return nil, nil, herald.Invalid("notification", "Leave one of notification and template out.", "a message with a template has its notification from there")
	}
	t, err := s.template(ctx, app, r.Template.ID)
	if herald.CodeOf(err) == herald.CodeNotFound {
		return nil, nil, herald.Invalid("template.id", "Save it first with PUT /v1/templates/{name}, or check the name.", "there is no template %.140q", r.Template.ID)
	}
	if err != nil {
		return nil, nil, err
	}
	c, err := render(t, "template", r.Template)
	if err != nil {
		return nil, nil, err
	}
	out := *r
	out.Template, out.Notification = nil, c.Notification
	if len(out.Data) == 0 {
		out.Data = c.Data
	}
	return &out, &record.Facts{Template: &record.TemplateVersion{ID: t.Name, Version: t.Version}}, nil
}

// anyContent gives a message with some content in the place of its template,
// for checks that are not about the content.
func (r *SendRequest) anyContent() *SendRequest {
	if r.Template == nil {
		return r
	}
	out := *r
	out.Template, out.Notification = nil, &herald.Notification{Title: "x"}
	return &out
}

type templatesKey struct{}

// templatesOnce gives a context with which each template is read once, for many
// messages that are sent together.
func templatesOnce(ctx context.Context) context.Context {
	return context.WithValue(ctx, templatesKey{}, map[string]*record.Template{})
}

func (s *Messages) template(ctx context.Context, app herald.AppKey, name string) (*record.Template, error) {
	known, _ := ctx.Value(templatesKey{}).(map[string]*record.Template)
	if t := known[name]; t != nil {
		return t, nil
	}
	t, err := s.c.Templates.Template(ctx, app, name)
	if err != nil {
		return nil, err
	}
	if known != nil {
		known[name] = &t
	}
	return &t, nil
}
