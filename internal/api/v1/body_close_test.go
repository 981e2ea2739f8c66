package v1

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/herald-push/herald/internal/api"
)

// A client that closes each connection must be able to read why its large body
// was refused.
func TestRefusalReachesWhoCloses(t *testing.T) {
	srv := httptest.NewServer(New(Config{Service: &api.Service{Apps: &api.Apps{}}}))
	defer srv.Close()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	body := strings.Repeat("x", 1<<20+100)
	for range 60 {
		resp, err := client.Post(srv.URL+"/v1/messages", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatalf("the answer was lost: %v", err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode/100 != 4 {
			t.Fatalf("answered %s", resp.Status)
		}
	}
}
