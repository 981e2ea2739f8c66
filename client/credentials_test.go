package client

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
)

func TestCredentials(t *testing.T) {
	const one = `{"id":"crd_1","vendor":"apns","environment":"sandbox","name":"n","values":{"topic":"t"},"state":"problem","verified_at":null,` +
		`"problem":{"kind":"unauthorized","code":"403","text":"ended","remedy":"renew","at":"2026-11-21T09:30:00Z"},"created_at":"2026-11-21T09:30:00Z","updated_at":"2026-11-21T09:30:00Z"}`
	var asked []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var body json.RawMessage
		_ = json.NewDecoder(r.Body).Decode(&body) // not every call has one
		asked = append(asked, r.Method+" "+r.URL.EscapedPath()+" "+string(body))
		switch r.Method + " " + r.URL.Path {
		case "DELETE /v1/credentials/c/1":
			w.WriteHeader(http.StatusNoContent)
		case "GET /v1/vendors":
			fmt.Fprint(w, `{"vendors":[{"name":"apns","environments":["production"],"fields":[{"name":"key","secret":true,"needed":false,"help":"h"}]}]}`)
		case "GET /v1/credentials":
			fmt.Fprint(w, `{"credentials":[`+one+`]}`)
		default:
			fmt.Fprint(w, one)
		}
	})
	ctx := t.Context()
	check := func(name string, got Credential, err error) {
		t.Helper()
		if err != nil || got.ID != "crd_1" || got.Environment != "sandbox" || got.Values["topic"] != "t" || got.VerifiedAt != nil || got.Problem == nil || got.Problem.Remedy != "renew" || got.Problem.At.IsZero() {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	vendors, err := c.Vendors(ctx)
	if err != nil || len(vendors) != 1 || vendors[0].Environments[0] != "production" || vendors[0].Fields[0] != (VendorField{Name: "key", Secret: true, Help: "h"}) {
		t.Errorf("%+v, %v", vendors, err)
	}
	list, err := c.Credentials(ctx)
	if len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	check("list", list[0], err)
	got, err := c.Credential(ctx, "c/1")
	check("show", got, err)
	got, err = c.CreateCredential(ctx, CredentialSpec{Vendor: "apns", Environment: "sandbox", Name: "n", Values: map[string]string{"key": "k"}, Verify: true})
	check("create", got, err)
	got, err = c.UpdateCredential(ctx, "c/1", CredentialUpdate{Values: map[string]string{"key": ""}})
	check("update", got, err)
	got, err = c.VerifyCredential(ctx, "c/1")
	check("verify", got, err)
	if err := c.DeleteCredential(ctx, "c/1"); err != nil {
		t.Error(err)
	}
	want := []string{
		`GET /v1/vendors `, `GET /v1/credentials `, `GET /v1/credentials/c%2F1 `,
		`POST /v1/credentials {"vendor":"apns","environment":"sandbox","name":"n","values":{"key":"k"},"verify":true}`,
		`PATCH /v1/credentials/c%2F1 {"values":{"key":""}}`, `POST /v1/credentials/c%2F1/verify `, `DELETE /v1/credentials/c%2F1 `,
	}
	if fmt.Sprint(asked) != fmt.Sprint(want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
}
