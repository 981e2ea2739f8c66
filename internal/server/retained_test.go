package server

import (
	"context"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
	"github.com/herald-push/herald/internal/api"
)

// TestRetainedEndToEnd: what is retained is there when the call answers, outlives
// the server, and reaches who subscribes later, of the same app.
func TestRetainedEndToEnd(t *testing.T) {
	n := startNode(t, t.TempDir())
	backend := func() *client.Client {
		t.Helper()
		cl, err := client.New(n.srv.URL(), client.MasterSecret(string(n.app.AppKey), n.app.MasterSecret), client.Options{HTTPClient: n.client})
		if err != nil {
			t.Fatal(err)
		}
		return cl
	}
	cl := backend()
	_, heard, _ := n.hears("lamp/+")
	n.until("the SDK is subscribed", func() bool {
		list, err := cl.Topics(t.Context(), "lamp/", "", 9)
		return err == nil && len(list.Topics) == 1 && list.Topics[0] == client.TopicCount{Topic: "lamp/+", Devices: 1, Sessions: 1}
	})
	on, gone := "on", ""
	for topic, p := range map[herald.Topic]client.Publication{
		"lamp/1": {Text: &on, Retain: true, QoS: 1}, "lamp/2": {Bytes: []byte{0xff}, Retain: true}, "lamp/3": {Data: []byte("3"), Retain: true, ExpiresIn: time.Hour},
	} {
		p.Topic = topic
		if a, err := cl.PublishWith(t.Context(), p); err != nil || a.Devices != 1 {
			t.Fatalf("%s: %+v, %v", topic, a, err)
		}
	}
	for range 3 {
		select {
		case <-heard:
		case <-t.Context().Done():
			t.Fatal("a publication did not come")
		}
	}
	if _, err := cl.PublishWith(t.Context(), client.Publication{Topic: "lamp/3", Text: &gone, Retain: true}); err != nil {
		t.Fatal(err)
	}
	token := n.register(api.RegisterRequest{}).Token
	stranger, err := n.srv.Admin().CreateApp(t.Context(), api.NewApp{Name: "another"})
	if err != nil {
		t.Fatal(err)
	}
	n.end()
	n.cfg.MQTT.Retained = 2 // that is how many there are
	n.start()

	cl = backend()
	if _, err := cl.PublishWith(t.Context(), client.Publication{Topic: "lamp/9", Text: &on, Retain: true}); herald.CodeOf(err) != herald.CodeLimitReached {
		t.Errorf("one more than the app may retain: %v", err)
	}
	page, err := cl.ListRetained(t.Context(), "lamp/", "", 0)
	if err != nil || len(page.Retained) != 2 || string(page.Retained[0].Data) != `"on"` || string(page.Retained[1].Bytes) != "\xff" {
		t.Fatalf("retained are %+v, %v", page, err)
	}
	s := n.connect(token, "")
	s.say(`{"type":"subscribe","topics":["lamp/#"],"retained":true}`)
	s.expect("subscribed", "")
	s.expect("topic", "")
	s.expect("topic", "")
	if err := cl.DeleteRetained(t.Context(), "lamp/1"); err != nil {
		t.Fatal(err)
	}
	if _, err := cl.Retained(t.Context(), "lamp/1"); herald.CodeOf(err) != herald.CodeNotFound {
		t.Errorf("deleted, and still there: %v", err)
	}
	s.say(`{"type":"subscribe","topics":["lamp/+"],"retained":true}`)
	s.expect("subscribed", "")
	s.expect("topic", "")
	s.say(`{"type":"ping"}`)
	s.expect("pong", "")
	other, err := client.New(n.srv.URL(), client.MasterSecret(string(stranger.AppKey), stranger.MasterSecret), client.Options{HTTPClient: n.client})
	if err != nil {
		t.Fatal(err)
	}
	if page, err := other.ListRetained(context.WithoutCancel(t.Context()), "", "", 0); err != nil || len(page.Retained) != 0 {
		t.Errorf("the other app has %+v, %v", page, err)
	}
}
