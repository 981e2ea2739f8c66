package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// Templates keeps the templates of apps.
type Templates interface {
	PutTemplate(ctx context.Context, app herald.AppKey, t record.Template, most int) (record.Template, bool, error)
	DeleteTemplate(ctx context.Context, app herald.AppKey, name string) error
	Template(ctx context.Context, app herald.AppKey, name string) (record.Template, error)
	Templates(ctx context.Context, app herald.AppKey, after string, limit int) ([]record.Template, error)
}

func testTemplates(t *testing.T, f *fixture) {
	put := func(app herald.AppKey, name, title string, most int) (record.Template, bool, error) {
		now := f.clock()
		return f.PutTemplate(f.ctx, app, record.Template{Name: name, Language: "en", Contents: map[string]herald.Notification{"en": {Title: title}, "zh": {Title: "标题"}},
			Data: json.RawMessage(`{"a":1}`), Defaults: map[string]string{"a": "b"}, Created: now, Updated: now}, most)
	}
	first, created, err := put(appA, "b", "one", 2)
	f.must(err)
	if !created || first.Version != 1 {
		t.Errorf("a new template is %+v, %v", first, created)
	}
	f.sleep(time.Hour)
	same1, created, err := put(appA, "b", "one", 2)
	f.must(err)
	same(t, "what says the same", same1, first)
	if created {
		t.Error("it is new again")
	}
	second, created, err := put(appA, "b", "two", 2)
	f.must(err)
	if created || second.Version != 2 || !second.Created.Equal(start) || !second.Updated.Equal(start.Add(time.Hour)) {
		t.Errorf("a changed template is %+v, %v", second, created)
	}
	a, _, err := put(appA, "a/ä", "x", 2)
	f.must(err)
	_, _, err = put(appA, "c", "x", 2)
	refused(t, err, herald.CodeLimitReached)
	_, _, err = put(appA, "b", "two", 2)
	f.must(err)
	foreign, _, err := put(appB, "b", "foreign", 2)
	f.must(err)
	f.restart()
	for app, want := range map[herald.AppKey]record.Template{appA: second, appB: foreign} {
		got, err := f.Template(f.ctx, app, "b")
		f.must(err)
		same(t, fmt.Sprintf("template of %s", app), got, want)
	}
	list, err := f.Templates(f.ctx, appA, "", 10)
	f.must(err)
	same(t, "list", list, []record.Template{a, second})
	list, err = f.Templates(f.ctx, appA, "a/ä", 1)
	f.must(err)
	same(t, "page", list, []record.Template{second})
	f.must(f.DeleteTemplate(f.ctx, appA, "b"))
	refused(t, f.DeleteTemplate(f.ctx, appA, "b"), herald.CodeNotFound)
	_, err = f.Template(f.ctx, appA, "b")
	refused(t, err, herald.CodeNotFound)
	_, err = f.Template(f.ctx, appB, "b")
	f.must(err)
	_, err = f.Template(f.ctx, none, "b")
	refused(t, err, herald.CodeNotFound)
}
