package v1

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/strict"
)

var update = flag.Bool("update", false, "write docs/openapi.json anew")

const golden = "../../../docs/openapi.json"

// plain is an API with nothing but its own operations.
func plain() *API {
	return New(Config{Service: &api.Service{Messages: &api.Messages{}, Devices: &api.Devices{}, Audience: &api.Audience{}, Apps: &api.Apps{}, Receipts: &api.Receipts{}, Topics: &api.Topics{}, Segments: &api.Segments{}, Files: &api.Files{}, Webhooks: &api.Webhooks{}, Groups: &api.Groups{}, Templates: &api.Templates{}, Routes: &api.Routes{}}})
}

func documentOf(t *testing.T) map[string]any {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(plain().openapi, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestDocumentIsCommitted compares what the code gives with docs/openapi.json.
func TestDocumentIsCommitted(t *testing.T) {
	var got bytes.Buffer
	if err := json.Indent(&got, plain().openapi, "", "  "); err != nil {
		t.Fatal(err)
	}
	got.WriteByte('\n')
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Error("docs/openapi.json is not what the code gives: run go test ./internal/api/v1 -update, and read the difference")
	}
}

// TestDocumentIsSound checks what OpenAPI 3.1 demands and what readers need.
func TestDocumentIsSound(t *testing.T) {
	doc := documentOf(t)
	if doc["openapi"] != "3.1.0" {
		t.Errorf("openapi is %v", doc["openapi"])
	}
	for at, ref := range references("#", doc) {
		if resolve(doc, ref) == nil {
			t.Errorf("%s: %s leads nowhere", at, ref)
		}
	}
	ids := map[string]bool{}
	for path, item := range doc["paths"].(map[string]any) {
		for method, v := range item.(map[string]any) {
			op := v.(map[string]any)
			at := method + " " + path
			id := fmt.Sprint(op["operationId"])
			if ids[id] {
				t.Errorf("%s: the ID %s is taken", at, id)
			}
			ids[id] = true
			checkOperation(t, at, path, op)
		}
	}
	if len(ids) != 105 {
		t.Errorf("%d operations, want 105", len(ids))
	}
}

func checkOperation(t *testing.T, at, path string, op map[string]any) {
	for _, member := range []string{"summary", "description", "tags", "security"} {
		if s := fmt.Sprint(op[member]); op[member] == nil || s == "" {
			t.Errorf("%s has no %s", at, member)
		}
	}
	responses := op["responses"].(map[string]any)
	good := 0
	for status, v := range responses {
		if status[0] != '2' {
			continue
		}
		good++
		content, _ := v.(map[string]any)["content"].(map[string]any)
		body, _ := content["application/json"].(map[string]any)
		if status != "204" && (body["schema"] == nil || body["example"] == nil) {
			t.Errorf("%s: %s has no schema or example", at, status)
		}
	}
	for _, status := range []string{"default", "400", "401", "403", "429", "503"} {
		if responses[status] == nil {
			t.Errorf("%s does not tell of %s", at, status)
		}
	}
	if good == 0 {
		t.Errorf("%s has no good answer", at)
	}
	var inPath []string
	for _, v := range asList(op["parameters"]) {
		p := v.(map[string]any)
		if p["description"] == nil || p["schema"] == nil {
			t.Errorf("%s: parameter %v is not described", at, p["name"])
		}
		if p["in"] == "path" {
			inPath = append(inPath, "{"+p["name"].(string)+"}")
			if p["required"] != true {
				t.Errorf("%s: %v is not required", at, p["name"])
			}
		}
	}
	if want := regexp.MustCompile(`\{\w+\}`).FindAllString(path, -1); !slices.Equal(inPath, want) {
		t.Errorf("%s: parameters %v, the path has %v", at, inPath, want)
	}
}

// TestExamplesFit decodes each example of a body into the type that the
// operation takes, and holds each answer against its schema.
func TestExamplesFit(t *testing.T) {
	a := plain()
	for pattern, op := range a.ops {
		if op.body != nil {
			if err := strict.Decode([]byte(op.example), newOf(op.body)); err != nil {
				t.Errorf("%s: the example of the body: %v", pattern, err)
			}
		}
		if op.answer == "" {
			continue
		}
		doc := documentOf(t)
		o := doc["paths"].(map[string]any)[op.path].(map[string]any)[strings.ToLower(op.method)].(map[string]any)
		status := "200"
		if op.status != 0 {
			status = fmt.Sprint(op.status)
		}
		schema := o["responses"].(map[string]any)[status].(map[string]any)["content"].(map[string]any)["application/json"].(map[string]any)["schema"]
		fits(t, pattern, doc, schema.(map[string]any), example(op.answer))
	}
}

// fits checks members, required members and types; enough to notice an example
// that was forgotten.
func fits(t *testing.T, at string, doc, schema map[string]any, v any) {
	if ref, ok := schema["$ref"].(string); ok {
		schema = resolve(doc, ref).(map[string]any)
	}
	switch v := v.(type) {
	case map[string]any:
		properties, _ := schema["properties"].(map[string]any)
		for name, member := range v {
			p, ok := properties[name].(map[string]any)
			switch values, _ := schema["additionalProperties"].(map[string]any); {
			case ok:
				fits(t, at+"."+name, doc, p, member)
			case values != nil:
				fits(t, at+"."+name, doc, values, member)
			case schema["oneOf"] == nil && len(schema) > 0:
				t.Errorf("%s.%s is not in the schema", at, name)
			}
		}
		for _, name := range asList(schema["required"]) {
			if _, ok := v[name.(string)]; !ok {
				t.Errorf("%s lacks %s", at, name)
			}
		}
	case []any:
		items, _ := schema["items"].(map[string]any)
		for i, item := range v {
			fits(t, fmt.Sprintf("%s[%d]", at, i), doc, items, item)
		}
	case string:
		if p, ok := schema["pattern"].(string); ok && !regexp.MustCompile(p).MatchString(v) {
			t.Errorf("%s: %q does not match %s", at, v, p)
		}
	}
}

func TestMembersAreDescribed(t *testing.T) {
	schemas := documentOf(t)["components"].(map[string]any)["schemas"].(map[string]any)
	if one := asList(schemas["Audience"].(map[string]any)["oneOf"]); len(one) != 2 {
		t.Errorf("an audience is one of %v", one)
	}
	for schema, v := range schemas {
		members, _ := v.(map[string]any)["properties"].(map[string]any)
		for name, p := range members {
			if p.(map[string]any)["description"] == nil {
				t.Errorf("%s.%s is not described", schema, name)
			}
		}
	}
	properties := schemas["AudienceObject"].(map[string]any)["properties"].(map[string]any)
	for name := range audienceMembers {
		if properties[name] == nil {
			t.Errorf("%s is described and not there", name)
		}
	}
	if schemas["ErrorModel"] != nil || schemas["ErrorDetail"] != nil {
		t.Error("the document has huma's own form of errors")
	}
}

func TestDocumentIsServed(t *testing.T) {
	r := newRig(t, Config{Version: "1.2.3"})
	rec := r.do("GET", "/openapi.json", "")
	if rec.Code != 200 || rec.Header().Get("Content-Type") != "application/json" || !strings.Contains(rec.Body.String(), `"version":"1.2.3"`) {
		t.Errorf("got %d %v", rec.Code, rec.Header())
	}
	if rec := r.do("GET", "/openapi.json", "", "If-None-Match: "+rec.Header().Get("ETag")); rec.Code != 304 || rec.Body.Len() > 0 {
		t.Errorf("asked again: %d", rec.Code)
	}
}

// TestErrorTexts: each status that an operation names has a description.
func TestErrorTexts(t *testing.T) {
	for pattern, op := range plain().ops {
		for _, s := range op.errors {
			if errorTexts[s] == "" {
				t.Errorf("%s: %d is not described", pattern, s)
			}
		}
	}
	for s := range errorTexts {
		if name := errorName(s); name == "" || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) }) || http.StatusText(s) == "" {
			t.Errorf("%d has the name %q", s, name)
		}
	}
}

func references(at string, v any) map[string]string {
	out := map[string]string{}
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			if ref, ok := member.(string); ok && name == "$ref" {
				out[at] = ref
				continue
			}
			for k, ref := range references(at+"/"+name, member) {
				out[k] = ref
			}
		}
	case []any:
		for i, item := range v {
			for k, ref := range references(fmt.Sprintf("%s/%d", at, i), item) {
				out[k] = ref
			}
		}
	}
	return out
}

// resolve follows a reference within the document (RFC 6901).
func resolve(doc map[string]any, ref string) any {
	path, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return nil
	}
	var v any = doc
	for name := range strings.SplitSeq(path, "/") {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

func asList(v any) []any {
	l, _ := v.([]any)
	return l
}
