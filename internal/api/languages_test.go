package api_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

func TestLanguagesAreChecked(t *testing.T) {
	w := newWorld(t)
	many := make([]string, 51)
	for i := range many {
		many[i] = fmt.Sprintf(`"a%c%c":{"title":"T"}`, 'a'+i/26, 'a'+i%26)
	}
	for name, tt := range map[string]struct{ languages, field string }{
		"good":                {`"zh":{"title":"Z"},"zh-Hant-TW":{"body":"B"},"sr-Latn":{},"de-1996":{}`, ""},
		"not a tag":           {`"zh_CN":{"title":"Z"}`, "notification.languages"},
		"empty":               {`"":{"title":"Z"}`, "notification.languages"},
		"a digit first":       {`"1a":{"title":"Z"}`, "notification.languages"},
		"long":                {`"zh-abcdefghi":{"title":"Z"}`, "notification.languages"},
		"twice":               {`"zh-CN":{"title":"Z"},"zh-cn":{"title":"Z"}`, "notification.languages"},
		"nested":              {`"zh":{"languages":{"en":{}}}`, "notification.languages.zh.languages"},
		"platforms":           {`"zh":{"platforms":{"ios":{}}}`, "notification.languages.zh.platforms"},
		"a wrong picture":     {`"zh":{"image":"x"}`, "notification.languages.zh.image"},
		"too many":            {strings.Join(many, ","), "notification.languages"},
		"an unknown member":   {`"zh":{"tilte":"x"}`, "notification.languages.zh.tilte"},
		"within the platform": {`"zh":{}},"platforms":{"ios":{"languages":{}}`, "notification.platforms.ios.languages"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.send(w.masterA, `{"audience":"all","notification":{"title":"T","languages":{`+tt.languages+`}}}`)
			var e *herald.Error
			if tt.field == "" {
				w.must(err)
			} else if !errors.As(err, &e) || e.Field != tt.field {
				t.Errorf("got %v, want the field %s", err, tt.field)
			}
		})
	}
}

func TestLanguagesOfDevices(t *testing.T) {
	w := newWorld(t)
	find := w.registry.Languages(w.a, []string{"zh-Hant", "zh", "EN"})
	for language, want := range map[string]string{"zh-Hant-TW": "zh-Hant", "zh-hant": "zh-Hant", "zh-CN": "zh", "zh": "zh", "en-GB": "EN", "fr": "", "": ""} {
		d := w.device(w.a, api.RegisterRequest{Profile: api.Profile{Language: language}})
		if got := find(d.Ord); got != want {
			t.Errorf("%q speaks %q, want %q", language, got, want)
		}
	}
	if got := w.registry.Languages("nnnnnnnnnnnnnnnnnnnnnnnn", []string{"zh"})(0); got != "" {
		t.Errorf("in an app that is not there: %q", got)
	}
}
