package server

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
	"github.com/herald-push/herald/client/device"
	"github.com/herald-push/herald/internal/api"
)

// stream reads a live transport that speaks in lines, and gives the data of
// each frame whose type is topic.
func (n *node) stream(path, token string) <-chan string {
	n.t.Helper()
	ctx, stop := context.WithCancel(n.t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.srv.URL()+path, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := n.client.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		n.t.Fatalf("%s answered %s", path, resp.Status)
	}
	out := make(chan string, 16)
	var reader sync.WaitGroup
	reader.Go(func() {
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			if p := parsePublication(strings.TrimPrefix(lines.Text(), "data: ")); p != "" {
				out <- p
			}
		}
	})
	n.t.Cleanup(func() { stop(); _ = resp.Body.Close(); reader.Wait() })
	return out
}

// parsePublication shows a topic frame; "" for any other line.
func parsePublication(s string) string {
	var f struct {
		Type, Topic, From string
		Data              json.RawMessage
	}
	if json.Unmarshal([]byte(s), &f) != nil || f.Type != "topic" {
		return ""
	}
	return fmt.Sprintf("%s %s %s", f.Topic, f.From, f.Data)
}

// hears runs a device of the SDK that is subscribed to a topic.
func (n *node) hears(topic herald.Topic) (*device.Device, <-chan string, <-chan string) {
	n.t.Helper()
	dev, err := device.Register(n.t.Context(), device.Options{URL: n.srv.URL(), AppKey: n.app.AppKey, HTTPClient: n.client})
	if err != nil {
		n.t.Fatal(err)
	}
	if err := dev.Subscribe(topic); err != nil {
		n.t.Fatal(err)
	}
	heard, problems := make(chan string, 16), make(chan string, 16)
	ctx, stop := context.WithCancel(context.WithoutCancel(n.t.Context()))
	var listening sync.WaitGroup
	listening.Go(func() {
		err := dev.Listen(ctx, device.Handler{
			OnTopic: func(_ context.Context, p device.Publication) {
				heard <- fmt.Sprintf("%s %s %s", p.Topic, p.From, p.Data)
			},
			OnMessage: func(_ context.Context, m device.Message) error {
				heard <- "message " + m.ID.String()
				return nil
			},
			OnProblem: func(e *herald.Error) { problems <- string(e.Code) },
		})
		if err != nil {
			n.t.Errorf("Listen: %v", err)
		}
	})
	n.t.Cleanup(func() { stop(); listening.Wait() })
	return dev, heard, problems
}

func (n *node) hear(name string, from <-chan string, want string) {
	n.t.Helper()
	got := "nothing"
	n.until(name+" gets "+want, func() bool {
		select {
		case got = <-from:
			return true
		default:
			return false
		}
	}, &got)
	if got != want {
		n.t.Fatalf("%s got %s, want %s", name, got, want)
	}
}

// subscribed waits until a topic has so many devices.
func (n *node) subscribed(cl *client.Client, topic herald.Topic, devices int64) {
	n.t.Helper()
	n.until(fmt.Sprintf("%d devices are subscribed to %s", devices, topic), func() bool {
		list, err := cl.TopicCounts(n.t.Context(), topic)
		if err != nil {
			n.t.Fatal(err)
		}
		return list[0].Devices == devices
	})
}

// TestTopicsEndToEnd: one publish reaches who is subscribed over every
// transport, from an app server and from a device, and nobody else.
func TestTopicsEndToEnd(t *testing.T) {
	n := startNode(t, t.TempDir())
	cl, err := client.New(n.srv.URL(), client.MasterSecret(string(n.app.AppKey), n.app.MasterSecret), client.Options{HTTPClient: n.client})
	if err != nil {
		t.Fatal(err)
	}
	dev, heard, problems := n.hears("chat/7")
	sse := n.stream("/v1/live/sse?topic=chat/7", n.register(api.RegisterRequest{}).Token)
	lines := n.stream("/v1/live/stream?topic=chat/7", n.register(api.RegisterRequest{}).Token)
	elsewhere := n.stream("/v1/live/sse?topic=chat/8", n.register(api.RegisterRequest{}).Token)
	n.subscribed(cl, "chat/7", 3)
	n.subscribed(cl, "chat/8", 1)
	all := func(want string) {
		t.Helper()
		n.hear("the SDK", heard, want)
		n.hear("SSE", sse, want)
		n.hear("HTTP streaming", lines, want)
	}

	p, err := cl.Publish(t.Context(), "chat/7", []byte(`{"text":"Hello"}`))
	if err != nil || p.Devices != 3 {
		t.Fatalf("published to %+v, %v", p, err)
	}
	all(`chat/7  {"text":"Hello"}`)

	// A device may not, until the app allows it.
	if err := dev.Publish("chat/7", []byte("1")); err != nil {
		t.Fatal(err)
	}
	n.hear("the SDK", problems, "forbidden")
	allow := func(subscribe, publish []herald.TopicFilter) {
		t.Helper()
		if _, err := cl.UpdateApp(t.Context(), client.AppUpdate{Topics: herald.TopicRules{Subscribe: subscribe, Publish: publish}}); err != nil {
			t.Fatal(err)
		}
	}
	allow([]herald.TopicFilter{"#"}, []herald.TopicFilter{"chat/+"})
	if err := dev.Publish("chat/7", []byte("2")); err != nil {
		t.Fatal(err)
	}
	all("chat/7 " + string(dev.ID()) + " 2")
	d := n.register(api.RegisterRequest{})
	if status := n.call("POST", "/v1/publish", d.Token, `{"topic":"chat/7","data":3}`, nil); status != 202 {
		t.Fatalf("a device that publishes over HTTP is answered %d", status)
	}
	all("chat/7 " + string(d.RegistrationID) + " 3")

	// A message to the topic is tracked, for those who are subscribed.
	sent, err := cl.Send(t.Context(), client.Message{Audience: herald.Audience{Topic: "chat/7"}, Data: []byte("4")})
	if err != nil || *sent.Target != 3 {
		t.Fatalf("sent %+v, %v", sent, err)
	}
	n.hear("the SDK", heard, "message "+sent.ID.String())
	n.counts(sent.ID.String(), `sending 3 {"received":1,"sent":2}`)

	// Another app has a topic of the same name.
	other, err := n.srv.Admin().CreateApp(t.Context(), api.NewApp{Name: "other"})
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := client.New(n.srv.URL(), client.MasterSecret(string(other.AppKey), other.MasterSecret), client.Options{HTTPClient: n.client})
	if err != nil {
		t.Fatal(err)
	}
	if p, err := stranger.Publish(t.Context(), "chat/7", []byte("5")); err != nil || p.Devices != 0 {
		t.Fatalf("another app published to %+v, %v", p, err)
	}
	if list, err := stranger.TopicCounts(t.Context(), "chat/7"); err != nil || list[0] != (client.TopicCount{Topic: "chat/7"}) {
		t.Errorf("another app counts %+v, %v", list, err)
	}
	if page, err := cl.Topics(t.Context(), "chat/", "", 1); err != nil || page.NextCursor != "chat/7" || page.Topics[0] != (client.TopicCount{Topic: "chat/7", Devices: 3, Sessions: 3}) {
		t.Errorf("topics %+v, %v", page, err)
	}
	if page, err := stranger.Topics(t.Context(), "", "", 0); err != nil || len(page.Topics) != 0 {
		t.Errorf("another app sees %+v, %v", page.Topics, err)
	}

	// What is not allowed any more ends.
	allow([]herald.TopicFilter{"chat/8"}, nil)
	n.hear("the SDK", problems, "forbidden")
	n.subscribed(cl, "chat/7", 0)
	if p, err := cl.Publish(t.Context(), "chat/7", []byte("6")); err != nil || p.Devices != 0 {
		t.Errorf("published to %+v, %v", p, err)
	}
	if p, err := cl.Publish(t.Context(), "chat/8", []byte("7")); err != nil || p.Devices != 1 {
		t.Errorf("published to %+v, %v", p, err)
	}
	n.hear("who is subscribed to chat/8", elsewhere, "chat/8  7")
	for _, c := range []<-chan string{heard, sse, lines, elsewhere} {
		select {
		case got := <-c:
			t.Errorf("got %s", got)
		default:
		}
	}
}
