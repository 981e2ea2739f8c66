package client

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/herald-push/herald"
)

func TestAddresses(t *testing.T) {
	var asked []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var body json.RawMessage
		_ = json.NewDecoder(r.Body).Decode(&body) // only PUT and PATCH have one
		asked = append(asked, r.Method+" "+r.URL.EscapedPath()+" "+string(body))
		switch r.Method {
		case http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		case http.MethodPatch:
			fmt.Fprint(w, `{"addresses":[{"vendor":"apns","environment":"sandbox","token":"0a1b2c…d4e5f6","registered_at":"2026-11-21T09:30:00Z","invalid_at":"2026-11-22T09:30:00Z","reason":"moved"}]}`)
		default:
			fmt.Fprint(w, `{"alias":"anna","addresses":[{"kind":"phone","token":"+8613800138000","registered_at":"2026-11-21T09:30:00Z"}]}`)
		}
	})
	for name, call := range map[string]func() ([]RecipientAddress, error){
		"Addresses": func() ([]RecipientAddress, error) { return c.Addresses(t.Context(), "an/na") },
		"PutAddresses": func() ([]RecipientAddress, error) {
			return c.PutAddresses(t.Context(), "anna", Addresses{Phone: "13800138000", Chat: &ChatAddress{Name: "ops"}})
		},
	} {
		asked = nil
		list, err := call()
		if err != nil || len(list) != 1 || list[0].Kind != "phone" || list[0].Token != "+8613800138000" || list[0].RegisteredAt.IsZero() || !list[0].InvalidAt.IsZero() {
			t.Errorf("%s: %+v, %v", name, list, err)
		}
		if want := map[string]string{
			"Addresses":    `[GET /v1/recipients/an%2Fna/addresses ]`,
			"PutAddresses": `[PUT /v1/recipients/anna/addresses {"phone":"13800138000","chat":{"name":"ops"}}]`,
		}[name]; fmt.Sprint(asked) != want {
			t.Errorf("%s: asked for %q, want %s", name, asked, want)
		}
	}
	asked = nil
	if err := c.DeleteAddress(t.Context(), "anna", "phone"); err != nil {
		t.Error(err)
	}
	d, err := c.UpdateDevice(t.Context(), "06dbnqfs00v8k3m1p2r4", DeviceUpdate{Addresses: []herald.VendorAddress{{Vendor: herald.VendorFCM, Token: "t"}, {Vendor: herald.VendorAPNs}}})
	if err != nil || len(d.Addresses) != 1 || d.Addresses[0].Vendor != herald.VendorAPNs || d.Addresses[0].Environment != "sandbox" || d.Addresses[0].InvalidAt.IsZero() || d.Addresses[0].Reason != "moved" {
		t.Errorf("%+v, %v", d, err)
	}
	want := []string{"DELETE /v1/recipients/anna/addresses/phone ", `PATCH /v1/devices/06dbnqfs00v8k3m1p2r4 {"addresses":[{"vendor":"fcm","token":"t"},{"vendor":"apns","token":""}]}`}
	if fmt.Sprint(asked) != fmt.Sprint(want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
}
