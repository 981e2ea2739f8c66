package jpush

import (
	"encoding/json"
	"net/http"

	"github.com/herald-push/herald/internal/api"
)

func (a *API) templateCalls() []call {
	return []call{on(http.MethodPost, "push/template", "pushTemplate", (*exchange).pushTemplate)}
}

// templateAnswer is the answer to a push from a template, whose form is another
// than that of the other calls.
type templateAnswer struct {
	Code    int          `json:"code"`
	Message string       `json:"message"`
	Data    templateData `json:"data"`
}

type templateData struct {
	List []templateOutcome `json:"push_list"`
}

type templateOutcome struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	ID      string `json:"message_id,omitempty"`
	Trace   string `json:"trace_id"`
}

// pushTemplate sends messages that are made from a template of the app, each
// with its own values and to its own audience, in one commit.
func (x *exchange) pushTemplate() (any, error) {
	o, err := readObject(x.body)
	if err != nil {
		return nil, err
	}
	id := o.text("id")
	var params []json.RawMessage
	if raw := o.raw("params"); raw != nil && json.Unmarshal(raw, &params) != nil {
		o.r.refuse(codeValue, "params must be a list of objects")
	}
	o.done()
	switch {
	case o.r.err != nil:
		return nil, o.r.err
	case id == "" || len(params) == 0:
		return nil, refuse(codeMissing, "id and params are needed")
	case len(params) > maxBatch:
		return nil, refuse(codeValue, "params has %d entries, more than %d", len(params), maxBatch)
	}
	if err := x.takeMore(len(params) - 1); err != nil {
		return nil, err
	}
	out := make([]templateOutcome, len(params))
	var items []api.BatchItem
	var at []int
	for i, raw := range params {
		var r api.SendRequest
		if out[i].Trace, r, err = readParams(id, raw); err != nil {
			out[i].fail(x.area.refusal(err))
			continue
		}
		items, at = append(items, x.a.service.Messages.Item(r, "", nil)), append(at, i)
	}
	for i, done := range x.a.service.Messages.SendBatch(x.r.Context(), x.p, items) {
		if done.Err != nil {
			out[at[i]].fail(x.area.refusal(done.Err))
			continue
		}
		out[at[i]].Message, out[at[i]].ID = "success", done.Answer.ID.String()
	}
	return templateAnswer{Message: "success", Data: templateData{out}}, nil
}

func (t *templateOutcome) fail(r *refusal) { t.Code, t.Message = r.code, r.message }

// readParams reads one message of a push from a template.
func readParams(template string, raw json.RawMessage) (trace string, r api.SendRequest, err error) {
	o := (&reader{}).object("", raw)
	if o == nil {
		return "", r, refuse(codeValue, "an entry of params must be an object")
	}
	trace = o.text("trace_id")
	use := &api.TemplateUse{ID: template}
	if keys := o.object("keys"); keys != nil {
		use.Values = map[string]string{}
		for name := range keys.left {
			if keys.has(name) {
				use.Values[name] = keys.scalar(name)
			}
		}
	}
	r.Audience, r.Template, r.RequireTarget = readAudience(o, false), use, true
	o.done()
	return trace, r, o.r.result()
}

// scalar gives a value as text: a text, or another value as it is written. It
// does not take the member.
func (o *object) scalar(name string) string {
	var s string
	if json.Unmarshal(o.left[name], &s) != nil {
		return string(o.left[name])
	}
	return s
}
