package client

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
)

func TestJWTKeys(t *testing.T) {
	const key = `"id":"q2w8e0r4","kid":"a","issuer":"i","algorithm":"HS256","created_at":"2026-11-21T09:30:00Z"`
	var asked []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var body json.RawMessage
		_ = json.NewDecoder(r.Body).Decode(&body) // only a POST has one
		asked = append(asked, r.Method+" "+r.URL.EscapedPath()+" "+string(body))
		switch r.Method {
		case http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		case http.MethodGet:
			fmt.Fprint(w, `{"keys":[{`+key+`}]}`)
		default:
			fmt.Fprint(w, `{`+key+`,"secret":"s"}`)
		}
	})
	list, err := c.JWTKeys(t.Context())
	if err != nil || len(list) != 1 || list[0].KeyID != "a" || list[0].CreatedAt.IsZero() || !list[0].ExpiresAt.IsZero() {
		t.Errorf("%+v, %v", list, err)
	}
	made, err := c.CreateJWTKey(t.Context(), NewJWTKey{KeyID: "a", Issuer: "i", Algorithm: "HS256"})
	if err != nil || made.Secret != "s" || made.ID != "q2w8e0r4" {
		t.Errorf("%+v, %v", made, err)
	}
	if err := c.DeleteJWTKey(t.Context(), "q/2"); err != nil {
		t.Error(err)
	}
	want := []string{`GET /v1/jwt_keys `, `POST /v1/jwt_keys {"kid":"a","issuer":"i","algorithm":"HS256"}`, `DELETE /v1/jwt_keys/q%2F2 `}
	if fmt.Sprint(asked) != fmt.Sprint(want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
}
