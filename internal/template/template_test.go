package template

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

func one(n herald.Notification) *record.Template {
	return &record.Template{Name: "t", Language: "en", Contents: map[string]herald.Notification{"en": n}, Defaults: map[string]string{"name": "friend", "none": ""}}
}

func TestRender(t *testing.T) {
	for name, tt := range map[string]struct {
		in     herald.Notification
		values map[string]string
		want   herald.Notification
	}{
		"plain":             {herald.Notification{Title: "T", Body: "a { b } }} c"}, nil, herald.Notification{Title: "T", Body: "a { b } }} c"}},
		"value":             {herald.Notification{Title: "Hi {{who}}!"}, map[string]string{"who": "Ann"}, herald.Notification{Title: "Hi Ann!"}},
		"spaces":            {herald.Notification{Title: "{{ who }}{{who}}"}, map[string]string{"who": "Ann"}, herald.Notification{Title: "AnnAnn"}},
		"default":           {herald.Notification{Title: "Hi {{name}}"}, nil, herald.Notification{Title: "Hi friend"}},
		"an empty default":  {herald.Notification{Title: "Hi{{none}}"}, nil, herald.Notification{Title: "Hi"}},
		"value for default": {herald.Notification{Title: "Hi {{name}}"}, map[string]string{"name": ""}, herald.Notification{Title: "Hi "}},
		"no second pass":    {herald.Notification{Title: "{{who}}"}, map[string]string{"who": "{{name}}"}, herald.Notification{Title: "{{name}}"}},
		"an address": {herald.Notification{Title: "T", Click: "https://e.example/{{a}}?b={{b}}", Image: "{{whole}}"}, map[string]string{"a": "x/y z", "b": "1&c=2é", "whole": "https://e.example/a?b=1&c=2"},
			herald.Notification{Title: "T", Click: "https://e.example/x%2Fy%20z?b=1%26c%3D2%C3%A9", Image: "https://e.example/a?b=1&c=2"}},
		"actions": {herald.Notification{Title: "T", Actions: []herald.Action{{ID: "{{a}}", Title: "{{a}}", Click: "app://{{a}}"}}}, map[string]string{"a": "x y"},
			herald.Notification{Title: "T", Actions: []herald.Action{{ID: "{{a}}", Title: "x y", Click: "app://x%20y"}}}},
		"sound": {herald.Notification{Title: "T", Sound: "{{a}}.wav"}, map[string]string{"a": "x"}, herald.Notification{Title: "T", Sound: "x.wav"}},
	} {
		t.Run(name, func(t *testing.T) {
			in := one(tt.in)
			before, _ := json.Marshal(in)
			got, err := Render(in, tt.values, "")
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(&tt.want, got.Notification); d != "" {
				t.Error(d)
			}
			if after, _ := json.Marshal(in); string(after) != string(before) {
				t.Errorf("the template changed to %s", after)
			}
		})
	}
}

func TestRenderData(t *testing.T) {
	in := one(herald.Notification{Title: "T"})
	in.Data = json.RawMessage(`{"order":"{{o}}","{{o}}":[1.50,"a{{o}}b",null,{"x":"{{o}}"}],"big":12345678901234567890}`)
	got, err := Render(in, map[string]string{"o": "\"7\"\n"}, "")
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"big":12345678901234567890,"order":"\"7\"\n","{{o}}":[1.50,"a\"7\"\nb",null,{"x":"\"7\"\n"}]}`; string(got.Data) != want {
		t.Errorf("got %s", got.Data)
	}
}

func TestRenderFails(t *testing.T) {
	big := map[string]string{"a": strings.Repeat("é", 4000)}
	for name, tt := range map[string]struct {
		in     herald.Notification
		data   string
		values map[string]string
		miss   string // else it is too long
	}{
		"title":          {in: herald.Notification{Title: "{{a}}"}, miss: "a"},
		"click":          {in: herald.Notification{Title: "T", Click: "https://e.example/{{a.b-c_1}}"}, miss: "a.b-c_1"},
		"action":         {in: herald.Notification{Title: "T", Actions: []herald.Action{{Title: "{{z}}"}}}, miss: "z"},
		"action's click": {in: herald.Notification{Title: "T", Actions: []herald.Action{{Click: "{{z}}"}}}, miss: "z"},
		"data":           {data: `{"b":"{{b}}","a":["{{a}}"]}`, miss: "a"},
		"long":           {in: herald.Notification{Title: "T", Body: strings.Repeat("{{a}}", 5)}, values: big},
		"long address":   {in: herald.Notification{Title: "T", Click: strings.Repeat("x{{a}}", 2)}, values: big},
		"long data":      {data: `["` + strings.Repeat("{{a}}", 5) + `"]`, values: big},
		"one long value": {in: herald.Notification{Title: "x{{a}}"}, values: map[string]string{"a": strings.Repeat("x", 1<<20)}},
		"long, no value": {in: herald.Notification{Title: strings.Repeat("x", 40<<10)}},
	} {
		t.Run(name, func(t *testing.T) {
			in := one(tt.in)
			in.Data = json.RawMessage(tt.data)
			_, err := Render(in, tt.values, "")
			var missing *Missing
			if tt.miss == "" && !errors.Is(err, ErrLong) || tt.miss != "" && (!errors.As(err, &missing) || missing.Name != tt.miss || missing.Error() == "") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestRenderLanguages(t *testing.T) {
	in := &record.Template{Language: "zh-Hant", Contents: map[string]herald.Notification{
		"zh-Hant": {Title: "繁 {{a}}", Body: "B"}, "zh": {Title: "简 {{a}}"}, "en": {Title: "E {{a}}"}, "en-GB": {Title: "G"}}}
	values := map[string]string{"a": "1"}
	got, err := Render(in, values, "")
	if err != nil {
		t.Fatal(err)
	}
	// The default has a place of its own, because zh would take its devices.
	want := &herald.Notification{Title: "繁 1", Body: "B", Languages: map[string]herald.Notification{"zh-Hant": {}, "zh": {Title: "简 1"}, "en": {Title: "E 1"}, "en-GB": {Title: "G"}}}
	if d := cmp.Diff(want, got.Notification); d != "" {
		t.Error(d)
	}
	in.Language = "en"
	if got, err = Render(in, values, ""); err != nil || len(got.Notification.Languages) != 3 || got.Notification.Title != "E 1" {
		t.Errorf("%+v, %v", got.Notification, err)
	}
	for language, title := range map[string]string{"zh-Hant-TW": "繁 1", "zh-CN": "简 1", "ZH": "简 1", "en-gb": "G", "en-US": "E 1", "fr": "E 1", "zhx": "E 1"} {
		got, err := Render(in, values, language)
		if err != nil || got.Notification.Title != title || got.Notification.Languages != nil {
			t.Errorf("%s: %+v, %v", language, got.Notification, err)
		}
	}
}

func TestVariables(t *testing.T) {
	in := one(herald.Notification{Title: "{{b}} {{a}}", Click: "{{c}}", Actions: []herald.Action{{Title: "{{d}}"}}})
	in.Contents["zh"] = herald.Notification{Body: "{{e}}{{a}}"}
	in.Data = json.RawMessage(`["{{f}}"]`)
	got, err := Variables(in)
	if d := cmp.Diff([]string{"a", "b", "c", "d", "e", "f"}, got); d != "" || err != nil {
		t.Error(d, err)
	}
	for _, bad := range []string{"{{", "{{a", "{{}}", "{{a b}}", "{{1}}", "{{a}} {{-}}", "{{a\n}}", "{{ä}}", "{{" + strings.Repeat("a", 65) + "}}"} {
		if _, err := Variables(one(herald.Notification{Body: bad})); err == nil {
			t.Errorf("%q is taken", bad)
		}
		in := one(herald.Notification{Title: "T"})
		in.Data, _ = json.Marshal([]string{bad})
		if _, err := Variables(in); err == nil {
			t.Errorf("%q is taken as data", bad)
		}
	}
	in.Data = json.RawMessage(`{{`)
	if _, err := Variables(in); err == nil {
		t.Error("data that is no JSON is taken")
	}
}

// FuzzRender: what Variables takes, Render fills when all are given, with no
// more than a message may have; a value never makes another variable.
func FuzzRender(f *testing.F) {
	for _, s := range []string{"", "a", "{{a}}", "{{ a }}b", "{{", "}}", "{{a}}{{b}}", "{{{{a}}}}", "{{a}", "x{{a.b}}y", "{ {a}}", "{{a}} {{"} {
		f.Add(s, "{{v}}", true)
		f.Add(s, "v", false)
	}
	f.Fuzz(func(t *testing.T, text, value string, address bool) {
		in := one(herald.Notification{Title: text})
		if address {
			in = one(herald.Notification{Click: text})
		}
		in.Defaults = nil
		names, err := Variables(in)
		if err != nil {
			return
		}
		values := map[string]string{}
		for _, name := range names {
			values[name] = value
		}
		got, err := Render(in, values, "")
		if errors.Is(err, ErrLong) {
			return
		}
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if n := got.Notification; len(n.Title)+len(n.Click) > herald.MaxMessageBytes {
			t.Fatalf("%d bytes", len(n.Title)+len(n.Click))
		}
		if len(names) == 0 && got.Notification.Title+got.Notification.Click != text {
			t.Fatalf("%q became %q", text, got.Notification.Title)
		}
		if len(names) > 0 {
			delete(values, names[0])
			var missing *Missing
			if _, err := Render(in, values, ""); !errors.As(err, &missing) && !errors.Is(err, ErrLong) {
				t.Fatalf("%q without %s: %v", text, names[0], err)
			}
		}
	})
}
