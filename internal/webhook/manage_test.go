package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/wire/signed"
)

func ptr[T any](v T) *T { return &v }

func TestRefused(t *testing.T) {
	w := newWorld(t)
	good := ptr("https://example.com/")
	for name, q := range map[string]Spec{
		"no address":   {},
		"bad address":  {URL: ptr("https://bad/")},
		"no events":    {URL: good, Events: &[]string{}},
		"unknown":      {URL: good, Events: &[]string{"receipt.read"}},
		"part of one":  {URL: good, Events: &[]string{"rec*"}},
		"test":         {URL: good, Events: &[]string{"webhook.test"}},
		"other family": {URL: good, Events: &[]string{"webhook.*"}},
		"long text":    {URL: good, Description: ptr(strings.Repeat("x", 257))},
		"bad secret":   {URL: good, Secret: ptr("secret")},
	} {
		if _, _, err := w.s.Create(t.Context(), app, q); herald.CodeOf(err) != herald.CodeInvalidRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	hook, _ := w.create()
	for name, err := range map[string]error{
		"update": second(w.s.Update(t.Context(), app, hook.ID, Spec{URL: ptr("https://bad/")})),
		"rotate": third(w.s.Rotate(t.Context(), app, hook.ID, ptr("x"), 0)), "overlap": third(w.s.Rotate(t.Context(), app, hook.ID, nil, MaxOverlap+1)),
	} {
		if herald.CodeOf(err) != herald.CodeInvalidRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	const none = "wh_none"
	for name, err := range map[string]error{
		"get": second(w.s.Get(t.Context(), app, none)), "update": second(w.s.Update(t.Context(), app, none, Spec{})), "delete": w.s.Delete(t.Context(), app, none),
		"rotate": third(w.s.Rotate(t.Context(), app, none, nil, 0)), "test": second(w.s.Test(t.Context(), app, none)),
		"deliveries": second(w.s.Deliveries(t.Context(), app, none, 0, 1)), "replay": second(w.s.Replay(t.Context(), app, none, "x")),
		"since": second(w.s.ReplaySince(t.Context(), app, none, start)),
	} {
		if herald.CodeOf(err) != herald.CodeNotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
	for range MaxWebhooks - 1 {
		w.create()
	}
	if _, _, err := w.s.Create(t.Context(), app, Spec{URL: good}); herald.CodeOf(err) != herald.CodeLimitReached {
		t.Errorf("one too many: %v", err)
	}
}

func second[A any](_ A, err error) error        { return err }
func third[A, B any](_ A, _ B, err error) error { return err }

// signs reports whether a secret signed a request.
func signs(c call, secret string) bool {
	key, err := signed.ParseSecret(secret)
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(c.id() + "." + c.header.Get("Webhook-Timestamp") + "." + string(c.raw)))
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for _, s := range strings.Fields(c.header.Get("Webhook-Signature")) {
		if s == want {
			return true
		}
	}
	return false
}

func TestRotate(t *testing.T) {
	w := newWorld(t)
	hook, old := w.create("device.*")
	one := func() call {
		w.register(int(w.get(hook.ID).LogEnd) + 1)
		calls := w.turn()
		if len(calls) != 1 {
			t.Fatalf("%d requests", len(calls))
		}
		return calls[0]
	}
	if c := one(); !signs(c, old) || len(strings.Fields(c.header.Get("Webhook-Signature"))) != 1 {
		t.Errorf("signed %v", c.header)
	}
	_, fresh, err := w.s.Rotate(t.Context(), app, hook.ID, nil, time.Hour)
	w.must(err)
	if c := one(); !signs(c, old) || !signs(c, fresh) || old == fresh {
		t.Errorf("while both are valid: %v", c.header)
	}
	w.sleep(time.Hour)
	if c := one(); signs(c, old) || !signs(c, fresh) {
		t.Errorf("after the overlap: %v", c.header)
	}
	given := signed.NewSecret()
	_, got, err := w.s.Rotate(t.Context(), app, hook.ID, &given, 0)
	w.must(err)
	if c := one(); got != given || signs(c, fresh) || !signs(c, given) {
		t.Errorf("without overlap: %v", c.header)
	}
	for range 10 {
		_, _, err := w.s.Rotate(t.Context(), app, hook.ID, nil, time.Hour)
		w.must(err)
	}
	if n := len(w.get(hook.ID).Secrets); n != maxSecrets {
		t.Errorf("%d secrets", n)
	}
}

// TestOtherServerKey has a record that was moved without its key: the owner sees
// why nothing is sent, and mends it by a rotation.
func TestOtherServerKey(t *testing.T) {
	w := newWorld(t)
	hook, _ := w.create()
	w.s = New(Config{Store: w.db, Egress: w, Seal: ring(t, "another"), Owner: "0", Now: w.clock})
	w.register(1)
	if calls := w.turn(); calls != nil {
		t.Error("sent without a secret")
	}
	list, err := w.s.Deliveries(t.Context(), app, hook.ID, 0, 1)
	w.must(err)
	if len(list) != 1 || !strings.Contains(list[0].Error, "rotate it") || w.get(hook.ID).Failures != 1 {
		t.Errorf("deliveries %+v", list)
	}
	_, secret, err := w.s.Rotate(t.Context(), app, hook.ID, nil, 0)
	w.must(err)
	if calls := w.turn(); len(calls) != 1 || !signs(calls[0], secret) {
		t.Errorf("after a rotation: %v", calls)
	}
}

func TestTestEvent(t *testing.T) {
	w := newWorld(t)
	hook, secret := w.create("device.*")
	_, err := w.s.Update(t.Context(), app, hook.ID, Spec{Disabled: ptr(true)})
	w.must(err)
	w.answers(func(call) (egress.Answer, error) { return egress.Answer{Status: 418, Body: []byte("teapot")}, nil })
	d, err := w.s.Test(t.Context(), app, hook.ID)
	w.must(err)
	calls := w.take()
	if len(calls) != 1 || !signs(calls[0], secret) || calls[0].events()[0] != "webhook.test" || d.Status != 418 || d.Excerpt != "teapot" || d.Open {
		t.Errorf("%+v, %+v", calls, d)
	}
	if got := w.get(hook.ID); got.Failures != 0 || got.Waiting != 0 || got.Reason == "" {
		t.Errorf("a test changed the webhook: %+v", got)
	}
	if _, err := w.s.Replay(t.Context(), app, hook.ID, d.ID); herald.CodeOf(err) != herald.CodeConflict {
		t.Error(err)
	}
}
