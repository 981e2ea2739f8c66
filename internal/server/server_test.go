package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/config"
)

// node is a server that runs for a test, with one app.
type node struct {
	t      *testing.T
	cfg    config.Config
	srv    *Server
	stop   context.CancelFunc
	done   chan error
	app    api.AppSecrets
	client *http.Client
}

func startNode(t *testing.T, data string) *node {
	t.Helper()
	cfg := config.Default()
	cfg.Data, cfg.Server.HTTP, cfg.Server.Ops, cfg.Server.Demo = data, "127.0.0.1:0", "127.0.0.1:0", true
	cfg.Limits.AddressRate, cfg.Limits.DeviceRate, cfg.Limits.KeyRate = 0, 0, 0
	n := &node{t: t, cfg: cfg, done: make(chan error, 1), client: &http.Client{}}
	n.start()
	t.Cleanup(n.end)
	return n
}

func (n *node) start() {
	n.t.Helper()
	log := slog.New(slog.NewTextHandler(n.t.Output(), nil))
	srv, err := Open(n.t.Context(), n.cfg, log)
	if err != nil {
		n.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(n.t.Context()))
	n.srv, n.stop = srv, stop
	if n.app.AppKey == "" {
		if n.app, err = srv.Admin().CreateApp(ctx, api.NewApp{Name: "test"}); err != nil {
			n.t.Fatal(err)
		}
	}
	go func() { n.done <- srv.Run(ctx) }()
}

func (n *node) end() {
	if n.stop == nil {
		return
	}
	n.stop()
	n.stop = nil
	if err := <-n.done; err != nil {
		n.t.Errorf("the server ended with %v", err)
	}
	n.client.CloseIdleConnections()
}

// call makes an API call as the app, or with a Bearer token, and decodes the
// answer.
func (n *node) call(method, path, token string, in, out any) int {
	n.t.Helper()
	var body bytes.Buffer
	if in != nil {
		if s, ok := in.(string); ok {
			body.WriteString(s)
		} else if err := json.NewEncoder(&body).Encode(in); err != nil {
			n.t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(n.t.Context(), method, n.srv.URL()+path, &body)
	if err != nil {
		n.t.Fatal(err)
	}
	if token == "" {
		req.SetBasicAuth(string(n.app.AppKey), n.app.MasterSecret)
	} else {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := n.client.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	if out != nil && len(b) > 0 {
		if err := json.Unmarshal(b, out); err != nil {
			n.t.Fatalf("%s %s answered %s: %s", method, path, resp.Status, b)
		}
	}
	if resp.StatusCode >= 400 {
		n.t.Logf("%s %s: %s", method, path, b)
	}
	return resp.StatusCode
}

func (n *node) register(in api.RegisterRequest) api.RegisterAnswer {
	n.t.Helper()
	var out api.RegisterAnswer
	in.AppKey = n.app.AppKey
	if status := n.call("POST", "/v1/devices", "", in, &out); status != 201 && status != 200 {
		n.t.Fatalf("registering answered %d", status)
	}
	return out
}

func (n *node) send(body string) api.SendAnswer {
	n.t.Helper()
	var out api.SendAnswer
	if status := n.call("POST", "/v1/messages", "", body, &out); status != 202 {
		n.t.Fatalf("sending answered %d", status)
	}
	return out
}

// frame is what a session is sent.
type frame struct {
	Type         string `json:"type"`
	ID           string `json:"id"`
	Cursor       string `json:"cursor"`
	Code         string `json:"code"`
	Detail       string `json:"detail"`
	Notification struct {
		Title string `json:"title"`
	} `json:"notification"`
}

type session struct {
	t *testing.T
	c *websocket.Conn
}

func (n *node) connect(token, query string) *session {
	n.t.Helper()
	url := "ws" + strings.TrimPrefix(n.srv.URL(), "http") + "/v1/live/ws?access_token=" + token + query
	c, _, err := websocket.Dial(n.t.Context(), url, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	s := &session{n.t, c}
	n.t.Cleanup(func() { _ = c.CloseNow() })
	if f := s.next(); f.Type != "welcome" {
		n.t.Fatalf("the first frame is %+v", f)
	}
	return s
}

func (s *session) next() frame {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	_, b, err := s.c.Read(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	var f frame
	if err := json.Unmarshal(b, &f); err != nil {
		s.t.Fatalf("frame %s: %v", b, err)
	}
	return f
}

func (s *session) expect(kind, id string) {
	s.t.Helper()
	if f := s.next(); f.Type != kind || f.ID != id {
		s.t.Fatalf("got %+v, want %s %s", f, kind, id)
	}
}

func (s *session) say(format string, args ...any) {
	s.t.Helper()
	if err := s.c.Write(s.t.Context(), websocket.MessageText, fmt.Appendf(nil, format, args...)); err != nil {
		s.t.Fatal(err)
	}
}

// counts waits until a message's counts are as wanted.
func (n *node) counts(id string, want string) {
	n.t.Helper()
	got := ""
	n.until("message "+id+" counts "+want, func() bool {
		var v api.MessageView
		n.call("GET", "/v1/messages/"+id, "", nil, &v)
		got = "none"
		if v.Counts != nil {
			b, _ := json.Marshal(v.Counts.States)
			got = fmt.Sprintf("%s %d %s", v.State, v.Counts.Target, b)
		}
		return got == want
	}, &got)
}

func TestOnePushEndToEnd(t *testing.T) {
	n := startNode(t, t.TempDir())
	d := n.register(api.RegisterRequest{Installation: "0123456789abcdef"})
	s := n.connect(d.Token, "")
	a := n.send(`{"audience":"all","notification":{"title":"Hello"}}`)
	if a.Target == nil || *a.Target != 1 || !a.Stored {
		t.Fatalf("answer %+v", a)
	}
	s.expect("message", a.ID.String())
	n.counts(a.ID.String(), `sending 1 {"sent":1}`)
	s.say(`{"type":"ack","ids":["%s"]}`, a.ID)
	n.counts(a.ID.String(), `done 1 {"received":1}`)
	s.say(`{"type":"event","event":"clicked","ids":["%s"]}`, a.ID)
	n.counts(a.ID.String(), `done 1 {"clicked":1}`)
	if err := s.c.CloseNow(); err != nil {
		t.Fatal(err)
	}
	n.until("the device is offline", func() bool { // else its dead session may still be sent to
		var v api.DeviceView
		n.call("GET", "/v1/devices/"+string(d.RegistrationID), "", nil, &v)
		return !v.Online
	})
	b := n.send(`{"audience":{"registration_ids":["` + string(d.RegistrationID) + `"]},"data":{"n":1}}`)
	n.counts(b.ID.String(), `sending 1 {"pending":1}`)

	n.end() // what was accepted survives
	n.start()
	n.counts(a.ID.String(), `done 1 {"clicked":1}`)
	n.counts(b.ID.String(), `sending 1 {"pending":1}`)
	s = n.connect(d.Token, "")
	s.expect("message", b.ID.String())
	s.say(`{"type":"ack","ids":["%s"]}`, b.ID)
	n.counts(b.ID.String(), `done 1 {"received":1}`)
}
