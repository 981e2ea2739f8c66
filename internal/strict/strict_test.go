package strict_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/strict"
)

type base struct {
	Language string `json:"language,omitempty"`
}

type example struct {
	Name       string             `json:"name"`
	TTL        *int64             `json:"ttl,omitempty"`
	Ratio      float64            `json:"ratio,omitempty"`
	On         bool               `json:"on,omitempty"`
	Data       json.RawMessage    `json:"data,omitempty"`
	Tags       *[]string          `json:"tags,omitempty"`
	Attributes map[string]*string `json:"attributes,omitempty"`
	Labels     map[string]string  `json:"labels,omitempty"`
	ID         herald.MessageID   `json:"id,omitempty"`
	At         *time.Time         `json:"send_at,omitempty"`
	Audience   herald.Audience    `json:"audience,omitzero"`
	Inner      []example          `json:"inner,omitempty"`
	Free       any                `json:"free,omitempty"`
	Key        []byte             `json:"key,omitempty"`
	Hidden     string             `json:"-"`
	base
	Plain string
}

func TestDecodeTakes(t *testing.T) {
	ttl, tags, one := int64(5), []string{"a"}, "1"
	at := time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		body string
		want example
	}{
		"empty object":    {`{}`, example{}},
		"space around":    {" \r\n\t{ } \n", example{}},
		"plain members":   {`{"name":"n","ttl":5,"ratio":-1.5e2,"on":true,"Plain":"p"}`, example{Name: "n", TTL: &ttl, Ratio: -150, On: true, Plain: "p"}},
		"false":           {`{"on":false}`, example{}},
		"escaped name":    {`{"n\u0061me":"n"}`, example{Name: "n"}},
		"escaped text":    {`{"name":"\"\\\u00e9\ud83d\ude00\\ud800"}`, example{Name: "\"\\é😀\\ud800"}},
		"free JSON":       {`{"data":{"a":[null,{"b":1}]},"free":null}`, example{Data: json.RawMessage(`{"a":[null,{"b":1}]}`)}},
		"list":            {`{"tags":["a"]}`, example{Tags: &tags}},
		"null in a map":   {`{"attributes":{"a":null,"b":"1"}}`, example{Attributes: map[string]*string{"a": nil, "b": &one}}},
		"embedded struct": {`{"language":"zh"}`, example{base: base{Language: "zh"}}},
		"message ID":      {`{"id":"7"}`, example{ID: 7}},
		"time":            {`{"send_at":"2026-11-21T09:30:00Z"}`, example{At: &at}},
		"bytes":           {`{"key":"AAE="}`, example{Key: []byte{0, 1}}},
		"audience word":   {`{"audience":"all"}`, example{Audience: herald.Audience{All: true}}},
		"audience object": {`{"audience":{"not":{"tags":["a"]},"and":["all"]}}`, example{Audience: herald.Audience{Not: &herald.Audience{Tags: []herald.Tag{"a"}}, And: []herald.Audience{{All: true}}}}},
		"nested":          {`{"inner":[{"name":"a"},{"inner":[]}]}`, example{Inner: []example{{Name: "a"}, {Inner: []example{}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			var got example
			if err := strict.Decode([]byte(c.body), &got); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got, cmp.AllowUnexported(example{})); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	deep := func(n int) string { return `{"data":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}` }
	for name, c := range map[string]struct {
		body, field, text, remedy string
		syntax                    bool
	}{
		"nothing":               {" ", "", "the body is empty", "Send a JSON object", true},
		"not UTF-8":             {"{\"name\":\"a\xffb\"}", "", "byte 10 is not UTF-8", "UTF-8", true},
		"byte order mark":       {"\ufeff{}", "", "byte order mark", "Leave", true},
		"cut":                   {`{"name":`, "", "unexpected end", "RFC 8259", true},
		"comma at the end":      {`{"name":"a",}`, "", "not JSON at byte 13", "RFC 8259", true},
		"second value":          {`{} {}`, "", "after top-level value", "RFC 8259", true},
		"control character":     {"{\"name\":\"a\nb\"}", "", "not JSON at byte 11", "RFC 8259", true},
		"not an object":         {`[]`, "", "an object is expected, not a list", "Write an object", false},
		"null":                  {`null`, "", "an object is expected, not null", "", false},
		"a number":              {`7`, "", "an object is expected, not a number", "", false},
		"unknown member":        {`{"titel":1}`, "titel", "not known", "Known here: name, ttl", false},
		"misspelt member":       {`{"tlt":1}`, "tlt", "not known", `Did you mean "ttl"?`, false},
		"other case":            {`{"Name":"a"}`, "Name", "not known", `Did you mean "name"?`, false},
		"camel case":            {`{"sendAt":"x"}`, "sendAt", "not known", `Did you mean "send_at"?`, false},
		"hidden member":         {`{"Hidden":"a"}`, "Hidden", "not known", "", false},
		"twice":                 {`{"name":"a","n\u0061me":"b"}`, "name", "occurs twice", "once", false},
		"twice in free JSON":    {`{"data":[{"a":1,"a":2}]}`, "data[0].a", "occurs twice", "once", false},
		"twice in a map":        {`{"labels":{"a":"1","a":"2"}}`, "labels.a", "occurs twice", "once", false},
		"number for a string":   {`{"name":12}`, "name", "a string is expected, not a number", "quotes", false},
		"string for a number":   {`{"ttl":"5"}`, "ttl", "a whole number is expected, not a string", "", false},
		"string for a boolean":  {`{"on":"true"}`, "on", "true or false is expected, not a string", "", false},
		"boolean for a string":  {`{"name":true}`, "name", "a string is expected, not true", "", false},
		"boolean for a list":    {`{"tags":false}`, "tags", "a list is expected, not false", "", false},
		"string for a list":     {`{"tags":"a"}`, "tags", "a list is expected, not a string", "", false},
		"object for a list":     {`{"tags":{}}`, "tags", "a list is expected, not an object", "", false},
		"list for a string":     {`{"name":["a"]}`, "name", "a string is expected, not a list", "", false},
		"list for a map":        {`{"labels":[]}`, "labels", "an object is expected, not a list", "", false},
		"fraction":              {`{"ttl":1.5}`, "ttl", "not a whole number in range", "", false},
		"too large":             {`{"ttl":9223372036854775808}`, "ttl", "not a whole number in range", "", false},
		"float too large":       {`{"ratio":1e999}`, "ratio", "out of range", "", false},
		"null for a member":     {`{"name":null}`, "name", "a string is expected, not null", "Leave", false},
		"null for a pointer":    {`{"ttl":null}`, "ttl", "not null", "Leave", false},
		"null for a list":       {`{"tags":null}`, "tags", "not null", "Leave", false},
		"null in a list":        {`{"tags":["a",null]}`, "tags[1]", "not null", "Leave", false},
		"null in a map":         {`{"labels":{"a":null}}`, "labels.a", "not null", "Leave", false},
		"in a list":             {`{"inner":[{},{"inner":[{"nam":1}]}]}`, "inner[1].inner[0].nam", "not known", `"name"`, false},
		"message ID":            {`{"id":"x"}`, "id", "not a positive decimal number", "", false},
		"message ID as number":  {`{"id":7}`, "id", "a string is expected, not a number", "quotes", false},
		"time":                  {`{"send_at":"tomorrow"}`, "send_at", "is not a time", "RFC 3339", false},
		"time as a number":      {`{"send_at":17}`, "send_at", "is not a time", "RFC 3339", false},
		"time as true":          {`{"send_at":true}`, "send_at", "is not a time", "RFC 3339", false},
		"time as an object":     {`{"send_at":{}}`, "send_at", "a string is expected, not an object", "", false},
		"base64":                {`{"key":"*"}`, "key", "illegal base64", "", false},
		"audience member":       {`{"audience":{"not":{"tag":["a"]}}}`, "audience.not.tag", "not known", `"tags"`, false},
		"audience in case":      {`{"audience":{"Tags":["a"]}}`, "audience.Tags", "not known", `"tags"`, false},
		"audience word":         {`{"audience":{"or":["everybody"]}}`, "audience.or[0]", "is not an audience", "all", false},
		"audience list":         {`{"audience":["a"]}`, "audience", "a string or an object", "", false},
		"audience number":       {`{"audience":1}`, "audience", "a string or an object", "", false},
		"half a pair":           {`{"name":"a\ud83d"}`, "name", `\ud83d, half of a surrogate pair`, "whole character", false},
		"second half":           {`{"data":["\udc00"]}`, "data[0]", `\udc00, half`, "", false},
		"half a pair in a name": {`{"data":{"\ud83dx":1}}`, "data.\ufffdx", "half", "", false},
		"too deep":              {deep(64), "data[0][0][0][0][0][0][0]", "deeper than 64", "flatter", false},
		"much too deep":         {deep(9000), "data[0][0][0][0][0][0][0]", "deeper than 64", "flatter", false},
		"out of bounds":         {deep(20000), "", "exceeded max depth", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			err := strict.Decode([]byte(c.body), new(example))
			var e *herald.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want a *herald.Error", err)
			}
			if e.Code != herald.CodeInvalidRequest || e.Field != c.field || !strings.Contains(e.Message, c.text) || !strings.Contains(e.Remedy, c.remedy) || e.Remedy == "" {
				t.Errorf("got %s, field %q, %q, remedy %q", e.Code, e.Field, e.Message, e.Remedy)
			}
			if errors.Is(err, strict.ErrSyntax) != c.syntax {
				t.Errorf("a syntax error: %v, want %v", !c.syntax, c.syntax)
			}
		})
	}
}

func TestDepthAllowed(t *testing.T) {
	var v example
	body := `{"data":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `}`
	if err := strict.Decode([]byte(body), &v); err != nil {
		t.Error(err)
	}
}

// picky refuses what it is given as a whole.
type picky struct {
	A int `json:"a"`
}

func (p *picky) UnmarshalJSON([]byte) error { return errors.New("json: never") }

func TestDecodeKeepsErrorsOfTypes(t *testing.T) {
	err := strict.Decode([]byte(`{"a":1}`), new(picky))
	if want := "the value does not fit: never"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestDecodeNeedsPointer(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	_ = strict.Decode([]byte(`{}`), example{})
}

func TestNearest(t *testing.T) {
	known := []string{"ttl", "title", "send_at", "audience"}
	for name, want := range map[string]string{
		"tittle": "title", "TTL": "ttl", "sendAt": "send_at", "adience": "audience", "uadience": "audience",
		"": "", "completely": "", "xyz": "", strings.Repeat("t", 65): "",
	} {
		if got := strict.Nearest(name, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", name, got, want)
		}
	}
}

// FuzzDecode holds what is taken against encoding/json, and checks that what
// is refused is refused with a reason.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"name":"a","ttl":1,"inner":[{"tags":["x"]}]}`, `{"audience":{"or":["all",{"tags":["a"]}]}}`,
		`{"data":{"a":[1,2,{"b":null}]}}`, `{"name":"\ud83d\ude00"}`, `{"name":"\ud83d"}`, "\xff", `{"a":1,"a":2}`,
		`{"send_at":"2026-11-21T09:30:00Z","id":"7","key":"AAE="}`, `{"attributes":{"a":null}}`, `[[[[`, `{"":{"":0}}`, `1e5`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var got, want example
		err := strict.Decode(body, &got)
		if err == nil {
			if err := json.Unmarshal(body, &want); err != nil {
				t.Fatalf("taken, but encoding/json says %v", err)
			}
			if d := cmp.Diff(want, got, cmp.AllowUnexported(example{})); d != "" {
				t.Fatal(d)
			}
			return
		}
		var e *herald.Error
		if !errors.As(err, &e) || e.Code != herald.CodeInvalidRequest || e.Message == "" || e.Remedy == "" {
			t.Fatalf("%#v is not a proper error", err)
		}
		if !utf8.ValidString(e.Message + e.Field + e.Remedy) {
			t.Fatalf("%+q is not UTF-8", e.Message+e.Field+e.Remedy)
		}
		if errors.Is(err, strict.ErrSyntax) && json.Valid(body) && utf8.Valid(body) {
			t.Fatalf("a syntax error about well-formed JSON: %v", err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	body := []byte(`{"name":"Hello","ttl":86400,"tags":["vip","beta"],"data":{"order":7,"lines":[1,2,3]},"audience":{"tags":["vip"]}}`)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if err := strict.Decode(body, new(example)); err != nil {
			b.Fatal(err)
		}
	}
}
