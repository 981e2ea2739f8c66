package journey_test

import (
	"net/http"
	"os/exec"
	"strings"
	"testing"
)

func TestSecondStartKeepsTheSecret(t *testing.T) {
	s := startServer(t)
	first, _ := s.output.now()
	for _, want := range []string{s.url, s.context.AppKey, s.context.MasterSecret, "curl", "/v1/messages", s.link} {
		if !strings.Contains(first, want) {
			t.Errorf("the first start does not print %q:\n%s", want, first)
		}
	}
	if strings.Contains(s.link, s.context.MasterSecret) {
		t.Error("the link contains the master secret")
	}
	device := s.register(t)
	s.kill(t)

	s.start(t, s.address(t))
	second, _ := s.output.now()
	if strings.Contains(second, s.context.MasterSecret) {
		t.Errorf("the second start prints the secret:\n%s", second)
	}
	if !strings.Contains(second, s.context.AppKey) || !strings.Contains(second, "existing") {
		t.Errorf("the second start does not say that it found existing data:\n%s", second)
	}
	view := s.call(t, "GET", "/v1/devices/"+device.RegistrationID, s.basic(), nil)
	if view.status != http.StatusOK {
		t.Errorf("the device of the first start: status %d", view.status)
	}
	s.kill(t)

	s.start(t, s.address(t), "--show-secret")
	if third, _ := s.output.now(); !strings.Contains(third, s.context.MasterSecret) {
		t.Errorf("--show-secret does not print it:\n%s", third)
	}
}

func TestATakenPortIsSaid(t *testing.T) {
	first := startServer(t)
	second := &server{dir: t.TempDir()}
	second.start(t, first.address(t))
	if first.url == second.url {
		t.Fatalf("both listen at %s", first.url)
	}
	text, _ := second.output.now()
	if !strings.Contains(text, second.url) || !strings.Contains(text, "taken") && !strings.Contains(text, "in use") {
		t.Errorf("it does not say that the port is taken:\n%s", text)
	}
}

// A page token registers its own installation and pushes to it. Nothing else.
func TestPageTokenReachesOnlyItsPage(t *testing.T) {
	s := startServer(t)
	_, token, _ := strings.Cut(s.link, "#")
	page := "Bearer " + token
	other := s.register(t)

	r := s.call(t, "POST", "/v1/devices", page, object{"platform": "web"})
	if r.status != http.StatusOK && r.status != http.StatusCreated {
		t.Fatalf("registering: status %d: %s", r.status, r.body)
	}
	own := expect[registered](t, r, r.status)
	notification := object{"title": "Hello"}

	tests := []struct {
		name, method, path string
		body               any
		status             int
	}{
		{"itself", "POST", "/v1/messages", object{"audience": object{"registration_ids": []string{own.RegistrationID}}, "notification": notification}, 202},
		{"everybody", "POST", "/v1/messages", object{"audience": "all", "notification": notification}, 403},
		{"another device", "POST", "/v1/messages", object{"audience": object{"registration_ids": []string{other.RegistrationID}}, "notification": notification}, 403},
		{"itself and another", "POST", "/v1/messages", object{"audience": object{"registration_ids": []string{own.RegistrationID, other.RegistrationID}}, "notification": notification}, 403},
		{"itself or everybody", "POST", "/v1/messages", object{"audience": object{"or": []any{object{"registration_ids": []string{own.RegistrationID}}, "all"}}, "notification": notification}, 403},
		{"everybody but another", "POST", "/v1/messages", object{"audience": object{"not": object{"registration_ids": []string{other.RegistrationID}}}, "notification": notification}, 403},
		{"the list of devices", "GET", "/v1/devices", nil, 403},
		{"the list of messages", "GET", "/v1/messages", nil, 403},
		{"another device's profile", "GET", "/v1/devices/" + other.RegistrationID, nil, 403},
		{"removing another device", "DELETE", "/v1/devices/" + other.RegistrationID, nil, 403},
		{"the app", "GET", "/v1/app", nil, 403},
		{"an estimate", "POST", "/v1/audience/estimate", object{"audience": "all"}, 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := s.call(t, tt.method, tt.path, page, tt.body)
			if r.status != tt.status {
				t.Fatalf("status %d, want %d: %s", r.status, tt.status, r.body)
			}
			if tt.status == 403 {
				if p := expect[problem](t, r, 403); p.Code != "forbidden" || p.Remedy == "" {
					t.Errorf("the problem is %+v", p)
				}
			}
		})
	}
}

// The commands that dev prints for a second terminal, in its folder and with
// no flags.
func TestSecondTerminal(t *testing.T) {
	s := startServer(t)
	out := &output{changed: make(chan struct{})}
	listen := exec.Command(binary, "listen")
	listen.Dir, listen.Stdout, listen.Stderr = s.dir, out, out
	if err := listen.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = listen.Process.Kill() // it may have ended
		_ = listen.Wait()         // killed
	})
	out.await(t, "connected")

	push := exec.Command(binary, "push", "Good morning")
	push.Dir = s.dir
	if text, err := push.CombinedOutput(); err != nil || !strings.Contains(string(text), "1 device") {
		t.Fatalf("%v: %s", err, text)
	}
	out.await(t, "Good morning")
	if text, _ := out.now(); strings.Contains(text, s.context.MasterSecret) {
		t.Errorf("listen prints the secret: %s", text)
	}
}
