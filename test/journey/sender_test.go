package journey_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
)

// web makes the requests of the app server. Its idle connections are closed
// when a server ends, so that the next one is not met through an old one.
var web = &http.Client{Timeout: patience, Transport: &http.Transport{}}

// reply is what the API answered.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// problem is an error of the API (RFC 9457).
type problem struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
	Remedy string `json:"remedy"`
	Field  string `json:"field"`
}

func (s *server) basic() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(s.context.AppKey+":"+s.context.MasterSecret))
}

// call makes one request; body may be nil, a string, or a value for JSON.
func (s *server) call(t *testing.T, method, path, auth string, body any) reply {
	t.Helper()
	var content []byte
	switch b := body.(type) {
	case nil:
	case string:
		content = []byte(b)
	default:
		var err error
		if content, err = json.Marshal(b); err != nil {
			t.Fatal(err)
		}
	}
	r, err := http.NewRequest(method, s.url+path, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	if auth != "" {
		r.Header.Set("Authorization", auth)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := web.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return reply{answer.StatusCode, answer.Header, text}
}

// expect checks the status of an answer and decodes it.
func expect[T any](t *testing.T, r reply, status int) T {
	t.Helper()
	var v T
	if r.status != status {
		t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	if err := json.Unmarshal(r.body, &v); err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
	return v
}

type object = map[string]any

type sent struct {
	ID      string `json:"id"`
	Target  *int64 `json:"target"`
	Unknown int64  `json:"unknown"`
	Stored  bool   `json:"stored"`
}

// push sends a notification to all devices and checks how many they are.
func (s *server) push(t *testing.T, title string, target int) sent {
	t.Helper()
	answer := expect[sent](t, s.call(t, "POST", "/v1/messages", s.basic(), object{
		"audience": "all", "notification": object{"title": title, "body": "for all"},
	}), http.StatusAccepted)
	if !answer.Stored {
		t.Errorf("%s is not stored", title)
	}
	if answer.Target == nil || *answer.Target != int64(target) {
		t.Errorf("%s: target %v, want %d", title, answer.Target, target)
	}
	return answer
}

type counts struct {
	Target, Sent, Received, Displayed, Clicked int64
	States                                     map[string]int64
}

func (c counts) String() string {
	return fmt.Sprintf("target %d, sent %d, received %d, displayed %d, clicked %d, states %v",
		c.Target, c.Sent, c.Received, c.Displayed, c.Clicked, c.States)
}

// awaitCounts asks for the counts of a message until they satisfy.
func (s *server) awaitCounts(t *testing.T, id, what string, is func(counts) bool) {
	t.Helper()
	poll(t, what, func() (bool, string) {
		view := expect[struct {
			State  string `json:"state"`
			Counts counts `json:"counts"`
		}](t, s.call(t, "GET", "/v1/messages/"+id, s.basic(), nil), http.StatusOK)
		sum := int64(0)
		for _, n := range view.Counts.States {
			sum += n
		}
		if sum != view.Counts.Target {
			t.Fatalf("the states do not sum to the target: %s", view.Counts)
		}
		return is(view.Counts), view.Counts.String()
	})
}

// awaitOnline waits until the server knows that so many devices are connected:
// it learns that a client has gone a moment after the client does.
func (s *server) awaitOnline(t *testing.T, devices int64) {
	t.Helper()
	poll(t, fmt.Sprintf("%d online", devices), func() (bool, string) {
		view := expect[struct {
			Online int64 `json:"online"`
		}](t, s.call(t, "POST", "/v1/audience/estimate", s.basic(), object{"audience": "all"}), http.StatusOK)
		return view.Online == devices, fmt.Sprint(view.Online, " online")
	})
}

type registered struct {
	RegistrationID string `json:"registration_id"`
	Token          string `json:"token"`
	Created        bool   `json:"created"`
}

// register makes a new device, with what an app has: the app key.
func (s *server) register(t *testing.T) registered {
	t.Helper()
	r := s.call(t, "POST", "/v1/devices", "", object{"app_key": s.context.AppKey, "platform": "other", "language": "en-GB"})
	if r.status != http.StatusOK && r.status != http.StatusCreated {
		t.Fatalf("registering: status %d: %s", r.status, r.body)
	}
	return expect[registered](t, r, r.status)
}
