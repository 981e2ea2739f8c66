package client

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/herald-push/herald"
)

const keyJSON = `"id":"k7","name":"n","scopes":["messages:send"],"created_at":"2026-11-21T09:30:00Z","networks":["10.0.0.0/8"],"old_secret_until":"2026-11-22T09:30:00Z"`

func TestKeys(t *testing.T) {
	var asked []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var body json.RawMessage
		_ = json.NewDecoder(r.Body).Decode(&body) // a DELETE has none
		asked = append(asked, r.Method+" "+r.URL.EscapedPath()+" "+string(body))
		switch r.Method {
		case http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		case http.MethodGet:
			fmt.Fprint(w, `{"keys":[{`+keyJSON+`}]}`)
		default:
			fmt.Fprint(w, `{`+keyJSON+`,"key":"hk1.x"}`)
		}
	})
	list, err := c.Keys(t.Context())
	if err != nil || len(list) != 1 || list[0].Networks[0] != "10.0.0.0/8" || list[0].OldSecretUntil.IsZero() || !list[0].ExpiresAt.IsZero() {
		t.Errorf("%+v, %v", list, err)
	}
	made, err := c.CreateKey(t.Context(), NewKey{Name: "n", Scopes: []string{"messages:send"}})
	if err != nil || made.Key != "hk1.x" || made.ID != "k7" {
		t.Errorf("%+v, %v", made, err)
	}
	turned, err := c.RotateKey(t.Context(), "k/7", time.Hour-time.Nanosecond)
	if err != nil || turned.Key != "hk1.x" {
		t.Errorf("%+v, %v", turned, err)
	}
	if k, err := c.UpdateKey(t.Context(), "k7", KeyUpdate{Networks: &[]string{}}); err != nil || k.ID != "k7" {
		t.Errorf("%+v, %v", k, err)
	}
	if err := c.DeleteKey(t.Context(), "k7"); err != nil {
		t.Error(err)
	}
	want := []string{`GET /v1/keys `, `POST /v1/keys {"name":"n","scopes":["messages:send"]}`, `POST /v1/keys/k%2F7/rotate {"keep":3600}`, `PATCH /v1/keys/k7 {"networks":[]}`, `DELETE /v1/keys/k7 `}
	if fmt.Sprint(asked) != fmt.Sprint(want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
}

// TestRotationIsNotRepeated: another try would make a third secret, and end
// the first, which is in use.
func TestRotationIsNotRepeated(t *testing.T) {
	tries := 0
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		tries++
		w.WriteHeader(http.StatusBadGateway)
	})
	if _, err := c.RotateKey(t.Context(), "k7", 0); herald.CodeOf(err) != herald.CodeStorageUnavailable || tries != 1 {
		t.Errorf("%v after %d tries", err, tries)
	}
}
