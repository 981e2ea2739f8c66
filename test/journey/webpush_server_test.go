package journey_test

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// simulate runs a simulator of the binary until the test ends.
func simulate(t *testing.T, args ...string) *output {
	t.Helper()
	out := &output{changed: make(chan struct{})}
	play := exec.Command(binary, append([]string{"sim"}, args...)...)
	play.Stdout, play.Stderr = out, out
	if err := play.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = play.Process.Kill() // it may have ended
		_ = play.Wait()         // killed
	})
	out.await(t, "Ctrl-C stops")
	return out
}

// simWebPush runs the push service of the binary, and gives the credential that
// leads there and the addresses of its browsers.
func simWebPush(t *testing.T, folder string, more ...string) (out *output, values object, address func(name string) string) {
	t.Helper()
	out = simulate(t, append([]string{"webpush", "--folder", folder}, more...)...)
	address = func(name string) string {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(folder, name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	var s struct{ Endpoint string }
	if err := json.Unmarshal([]byte(address("subscription")), &s); err != nil {
		t.Fatal(err)
	}
	url, _, _ := strings.Cut(s.Endpoint, "/wpush/")
	return out, object{"subject": "mailto:push@example.com", "services": "127.0.0.1", "url": url}, address
}

// TestWebPush goes the whole way: an app without keys gets them, a browser that is
// not connected gets a message, and one that is gone loses its address.
func TestWebPush(t *testing.T) {
	folder := t.TempDir()
	out, values, address := simWebPush(t, folder)
	s := &server{dir: t.TempDir(), env: []string{"SSL_CERT_FILE=" + filepath.Join(folder, "ca.pem")}}
	s.start(t, ownAddress(), "--set", "egress.allow=loopback", "--set", "egress.ports=any")
	made := expect[struct {
		State  string
		Values map[string]string
	}](t, s.call(t, "POST", "/v1/credentials", s.basic(), object{"vendor": "webpush", "values": values, "verify": true}), http.StatusCreated)
	if made.State != "good" || len(made.Values["public_key"]) != 87 || made.Values["private_key"] != "" {
		t.Errorf("made %+v", made)
	}
	register := func(name string) registered {
		t.Helper()
		return expect[registered](t, s.call(t, "POST", "/v1/devices", "", object{"app_key": s.context.AppKey, "platform": "web",
			"addresses": []object{{"vendor": "webpush", "token": address(name)}}}), http.StatusCreated)
	}
	here, gone := register("subscription"), register("gone")
	expect[object](t, s.call(t, "POST", "/v1/messages", s.basic(), object{"audience": object{"registration_ids": []string{here.RegistrationID, gone.RegistrationID}},
		"notification": object{"title": "早上好"}, "priority": "high", "vendors": object{"webpush": object{"urgency": "low"}}}), http.StatusAccepted)
	out.await(t, "早上好")
	for began := time.Now(); ; <-time.After(50 * time.Millisecond) { // between two looks
		d := expect[struct {
			Addresses []struct{ Vendor, Reason string }
		}](t, s.call(t, "GET", "/v1/devices/"+gone.RegistrationID, s.basic(), nil), http.StatusOK)
		if len(d.Addresses) == 1 && d.Addresses[0].Reason != "" {
			break
		}
		if time.Since(began) > patience {
			t.Fatalf("the address of a browser that is gone is %+v", d.Addresses)
		}
	}
}
