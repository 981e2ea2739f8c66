package v1

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

const about = "Herald delivers messages to devices and shows what became of each. " +
	"A back end calls with its app key and master secret (Basic) or with a Bearer key that has scopes; a device calls with its device token (Bearer).\n\n" +
	"Bodies are JSON in UTF-8, at most 1 MiB (a batch: 8 MiB). Members and parameters that an operation does not know are refused, so that a misspelt one is noticed; null is not the same as leaving a member out. " +
	"Errors are problem details (RFC 9457) with a stable `code` and a `remedy`. " +
	"Message IDs are decimal strings, because they are larger than JavaScript's exact numbers. " +
	"Lists come in pages: give `next_cursor` as `cursor` until it is absent. " +
	"`RateLimit-Remaining` tells how many requests may follow at once."

func newDocument(version string) *huma.OpenAPI {
	return &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{Title: "Herald API", Version: version, Description: about,
			License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}},
		Servers: []*huma.Server{{URL: "/", Description: "This server."}},
		Tags: []*huma.Tag{
			{Name: "Messages", Description: "Send, follow and withdraw messages."},
			{Name: "Schedules", Description: "Messages at times: once, again and again, by a cron expression, in any time zone."},
			{Name: "Devices", Description: "Register devices, see and change them, report receipts."},
			{Name: "Aliases and tags", Description: "Names by which messages find devices."},
			{Name: "Segments and files", Description: "Saved expressions and uploaded lists, as parts of an audience."},
			{Name: "Topics", Description: "Publish to who is subscribed now, and see how many that are."},
			{Name: "Webhooks", Description: "Have the server call yours with what happens, signed as Standard Webhooks 1.0."},
			{Name: "Credentials", Description: "What the app has of vendors, such as Apple and Google, to reach who is not connected."},
			{Name: "Templates", Description: "Contents with variables, in several languages."},
			{Name: "Routes", Description: "By which ways messages go to people, saved under names."},
			{Name: "Groups of apps", Description: "Send to several apps with one call."},
			{Name: "App and keys", Description: "Settings and credentials of the app."},
		},
		Components: &huma.Components{
			Schemas:   huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
			Responses: map[string]*huma.Response{},
			Headers:   documentedHeaders(),
			SecuritySchemes: map[string]*huma.SecurityScheme{
				"basic":  {Type: "http", Scheme: "basic", Description: "App key as user name, master secret as password."},
				"group":  {Type: "http", Scheme: "basic", Description: "Group key as user name, its secret as password."},
				"bearer": {Type: "http", Scheme: "bearer", Description: "A key made with POST /v1/keys, a device token or a page token."},
			},
		},
	}
}

func documentedHeaders() map[string]*huma.Header {
	number := func(text string) *huma.Header {
		return &huma.Header{Description: text, Schema: &huma.Schema{Type: huma.TypeInteger}}
	}
	return map[string]*huma.Header{
		"RateLimit-Limit":     number("Requests that may come at once when nothing was used lately."),
		"RateLimit-Remaining": number("Requests that may follow at once now."),
		"RateLimit-Reset":     number("Seconds until all of them may."),
		"Retry-After":         number("Seconds to wait before the next attempt."),
		"X-Request-Id":        {Description: "Names this request in the server's log.", Schema: &huma.Schema{Type: huma.TypeString}},
	}
}

// errorTexts describes the refusals by status.
var errorTexts = map[int]string{
	http.StatusBadRequest:            "The request is malformed: not JSON, not UTF-8, or a header or the address has the wrong form.",
	http.StatusUnauthorized:          "There are no credentials, or they are wrong.",
	http.StatusForbidden:             "The credentials do not allow this, or the web origin may not use the app.",
	http.StatusNotFound:              "There is nothing by this name.",
	http.StatusConflict:              "The state does not allow this, or the idempotency key was used with another body.",
	http.StatusRequestEntityTooLarge: "The body is larger than 1 MiB (a batch: 8 MiB or 1,000 messages; an uploaded list: 64 MiB or 1,000,000 lines), the message than 32 KiB, or what is published than 16 KiB.",
	http.StatusUnsupportedMediaType:  "The body is not application/json in UTF-8, or not what the operation takes in its place.",
	http.StatusUnprocessableEntity:   "The request is well-formed and cannot be done as it is: an unknown member, a wrong type or value, or a limit.",
	http.StatusTooManyRequests:       "Too many requests: wait for Retry-After.",
	http.StatusServiceUnavailable:    "Storage does not take writes now, or the node is going away: repeat later.",
}

// document adds to the operation what huma cannot see: the body, examples and
// errors.
func (a *API) document(op *operation) {
	doc := a.huma.OpenAPI()
	o := pathOperation(doc.Paths[op.path], op.method)
	for _, p := range o.Parameters {
		if p.In == "query" {
			op.query = append(op.query, p.Name)
			if p.Schema.Type == huma.TypeArray {
				op.repeats = append(op.repeats, p.Name)
				listsAreNotNull(p.Schema)
			}
		}
		// Parameters are documented by their schema; the description is there
		// twice otherwise.
		p.Schema.Description = ""
	}
	statuses := append([]int{http.StatusBadRequest}, commonErrors[:]...)
	if len(op.query) > 0 {
		statuses = append(statuses, http.StatusUnprocessableEntity)
	}
	if op.body != nil {
		statuses = append(statuses, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity)
		schema := doc.Components.Schemas.Schema(typeOf(op.body), true, "")
		o.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			"application/json": {Schema: schema, Example: example(op.example)}}}
		listsAreNotNull(schema)
		for _, media := range op.media {
			o.RequestBody.Content[media] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}, Example: op.lines}
		}
	}
	if op.upload != nil {
		statuses = append(statuses, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
		content, text := map[string]*huma.MediaType{}, op.example
		if op.body != nil {
			content, text = o.RequestBody.Content, op.lines
		}
		for _, media := range op.upload {
			content[media] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}, Example: text}
			if media == "multipart/form-data" {
				content[media] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeObject, Required: []string{"file"}, Properties: map[string]*huma.Schema{
					"file": {Type: huma.TypeString, Description: "The list, as text/csv or text/plain."}}}}
			}
		}
		o.RequestBody = &huma.RequestBody{Required: true, Content: content}
	}
	a.documentAnswers(op, o)
	for _, s := range append(statuses, op.errors...) {
		o.Responses[strconv.Itoa(s)] = &huma.Response{Ref: "#/components/responses/" + errorName(s)}
	}
}

// documentAnswers completes the good answers.
func (a *API) documentAnswers(op *operation, o *huma.Operation) {
	for status, r := range o.Responses {
		if status[0] != '2' {
			continue
		}
		if r.Headers == nil {
			r.Headers = map[string]*huma.Header{}
		}
		for _, h := range []string{"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "X-Request-Id"} {
			r.Headers[h] = &huma.Header{Ref: "#/components/headers/" + h}
		}
		if op.list != nil {
			a.documentForms(op, r)
		}
		for _, media := range op.media {
			r.Content[media] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
		}
		if m := r.Content["application/json"]; m != nil {
			listsAreNotNull(m.Schema)
			m.Example = example(op.answer)
		}
	}
	for id, text := range map[string][2]string{
		"registerDevice": {"The installation was known", "A new device"},
		"putSegment":     {"The segment was there before", "A new segment"},
		"putTemplate":    {"The template was there before", "A new template"},
		"putRoute":       {"The route was there before", "A new route"},
		"putAlias":       {"The alias was there before", "A new alias"},
	} {
		if op.id == id {
			known := *o.Responses["201"]
			known.Description = text[0]
			o.Responses["200"] = &known
			o.Responses["201"].Description = text[1]
		}
	}
}

// finishDocument describes the shared parts, once all operations are there.
func (a *API) finishDocument() {
	c := a.huma.OpenAPI().Components
	schema := c.Schemas.Schema(typeOf(Problem{}), true, "")
	content := map[string]*huma.MediaType{"application/problem+json": {Schema: schema}}
	headers := map[string]*huma.Header{}
	for name := range c.Headers {
		headers[name] = &huma.Header{Ref: "#/components/headers/" + name}
	}
	c.Responses["Problem"] = &huma.Response{Description: "Any other refusal or failure.", Headers: headers, Content: content}
	for status, text := range errorTexts {
		c.Responses[errorName(status)] = &huma.Response{Description: text, Headers: headers, Content: content}
	}
	all := c.Schemas.Map()
	// huma's own form of errors, which nothing answers.
	delete(all, "ErrorModel")
	delete(all, "ErrorDetail")
	describeMembers(all)
	describeBinding(all)
	describeFormats(all)
	describeAudience(all)
	describeRoute(all)
}

func pathOperation(p *huma.PathItem, method string) *huma.Operation {
	switch method {
	case http.MethodGet:
		return p.Get
	case http.MethodPost:
		return p.Post
	case http.MethodPatch:
		return p.Patch
	case http.MethodPut:
		return p.Put
	default:
		return p.Delete
	}
}

// errorName is the name of a refusal in the components of the document.
func errorName(status int) string {
	name := ""
	for _, r := range http.StatusText(status) {
		if r != ' ' {
			name += string(r)
		}
	}
	return name
}

func example(s string) any {
	var v any
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		panic("v1: an example is not JSON: " + s)
	}
	return v
}
