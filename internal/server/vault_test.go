package server

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/doctor"
	"github.com/herald-push/herald/internal/sim/fcm"
)

// account is the file of a service account of a Google that is played at an
// address.
func account(t *testing.T, key *rsa.PrivateKey, url string) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "shop-7", "client_email": "herald@shop-7.example", "private_key_id": "k1", "token_uri": url + "/token",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestCredentials adds a credential to a real server, whose vendor refuses it and
// then takes it, before and after a restart.
func TestCredentials(t *testing.T) {
	keys := make([]*rsa.PrivateKey, 2)
	for i := range keys {
		var err error
		if keys[i], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			t.Fatal(err)
		}
	}
	google := fcm.New(fcm.Config{Project: "shop-7", Email: "herald@shop-7.example", KeyID: "k1", Key: &keys[1].PublicKey})
	vendor := httptest.NewServer(google)
	t.Cleanup(vendor.Close)
	google.SetTokenURL(vendor.URL + "/token")

	n := startNode(t, t.TempDir())
	n.end()
	n.cfg.Egress = config.Egress{Allow: []string{"loopback"}, Ports: []string{"any"}, HTTP: true}
	n.start()
	var vendors api.VendorList
	if status := n.call("GET", "/v1/vendors", "", nil, &vendors); status != 200 || len(vendors.Vendors) != len(providers()) || vendors.Vendors[0].Name != "apns" {
		t.Errorf("%d, %+v", status, vendors)
	}
	examined := func(state doctor.State, words string) {
		t.Helper()
		list := ExamineCredentials(t.Context(), n.cfg)
		if len(list) != 1 || list[0].State != state || !strings.Contains(list[0].Text, words) || (list[0].Remedy == "") != (state == doctor.OK) {
			t.Errorf("%+v, want %s with %q", list, state, words)
		}
	}
	examined(doctor.OK, "no vendor")
	var c api.CredentialView
	values := map[string]string{"service_account": account(t, keys[0], vendor.URL), "url": vendor.URL}
	if status := n.call("POST", "/v1/credentials", "", api.CredentialRequest{Vendor: "fcm", Values: values, Verify: true}, &c); status != 201 || c.State != "problem" || c.Problem.Kind != "unauthorized" || c.Problem.Remedy == "" {
		t.Fatalf("%d, %+v, %+v", status, c, c.Problem)
	}
	examined(doctor.Warning, c.ID)
	if status := n.call("POST", "/v1/credentials", "", api.CredentialRequest{Vendor: "fcm", Values: values}, nil); status != 409 {
		t.Errorf("the same once more was answered %d", status)
	}
	n.end()
	if list := ExamineCredentials(t.Context(), n.cfg); list != nil {
		t.Errorf("without a server: %+v", list)
	}
	n.start()
	examined(doctor.Warning, c.ID)
	path := "/v1/credentials/" + c.ID
	if status := n.call("PATCH", path, "", api.CredentialUpdate{Values: map[string]string{"service_account": account(t, keys[1], vendor.URL)}}, &c); status != 200 || c.State != "unverified" || c.Values["url"] != vendor.URL {
		t.Fatalf("%d, %+v", status, c)
	}
	if status := n.call("POST", path+"/verify", "", map[string]any{}, &c); status != 200 || c.State != "good" || c.VerifiedAt == nil {
		t.Fatalf("%d, %+v, %+v", status, c, c.Problem)
	}
	examined(doctor.OK, "no vendor")
	var list api.CredentialList
	if status := n.call("GET", "/v1/credentials", "", nil, &list); status != 200 || len(list.Credentials) != 1 || list.Credentials[0].ID != c.ID {
		t.Errorf("%d, %+v", status, list)
	}
	if status := n.call("DELETE", path, "", nil, nil); status != 204 {
		t.Errorf("deleting was answered %d", status)
	}
	if status := n.call("GET", path, "", nil, nil); status != 404 {
		t.Errorf("what was deleted was answered %d", status)
	}
}
