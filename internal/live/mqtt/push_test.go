package mqtt_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/live/mqtt"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/wire/packet"
)

// TestPush: what a device is sent, in each version.
func TestPush(t *testing.T) {
	for _, v := range versions {
		inRoom(t, mqtt.Config{}, live.Options{}, func(r *room) {
			m := r.Join(herald.PlatformLinux)
			waits := r.push(livetest.Send{Content: livetest.Text("waits"), To: []livetest.Member{m}})
			k := r.enter(m, v)
			p := read[*packet.Publish](k)
			f, err := livetest.ParseLine(p.Payload)
			if err != nil || f.ID != waits || f.Cursor == "" || p.Topic != "herald/push" || p.QoS != 1 || p.ID != 2 || p.Dup || p.Retain {
				r.Fatalf("got %+v, %v", p, err)
			}
			if v >= packet.V5 && (p.Props.ContentType != "application/json" || *p.Props.PayloadFormat != 1) {
				r.Errorf("properties %+v", p.Props)
			}
			k.send(&packet.Ack{Type: packet.PUBACK, ID: p.ID})
			if !r.Received(waits, m) {
				r.Error("not received")
			}
			now := r.push(livetest.Send{Content: livetest.Text("now or never"), To: []livetest.Member{m}, Volatile: true})
			if p := read[*packet.Publish](k); p.QoS != 0 || !strings.Contains(string(p.Payload), now.String()) {
				r.Errorf("got %+v", p)
			}
			h := r.Withdraw(waits)
			if _, err := r.hub.Deliver(r.Context(), h); err != nil {
				r.Fatal(err)
			}
			p = read[*packet.Publish](k)
			if f, err := livetest.ParseLine(p.Payload); err != nil || f.Type != "withdraw" || f.ID != waits || p.ID != 3 || p.QoS != 1 {
				r.Fatalf("got %+v, %v", p, err)
			}
			k.send(&packet.Ack{Type: packet.PUBACK, ID: p.ID})
			list := r.Events(waits)
			if last := list[len(list)-1]; last.State != record.ToldState {
				r.Errorf("the notice is reported as %+v", last)
			}
		})
	}
}

// TestPlainText: what small devices are sent.
func TestPlainText(t *testing.T) {
	inRoom(t, mqtt.Config{}, live.Options{}, func(r *room) {
		m := r.Join(herald.PlatformLinux)
		p := as(m, packet.V5)
		p.Username += "/text"
		k, _ := r.connect(p)
		for _, c := range []struct {
			content herald.Content
			want    string
		}{
			{herald.Content{Notification: &herald.Notification{Title: "A\ntitle", Body: "two\nlines"}}, "A title\ntwo\nlines"},
			{herald.Content{Notification: &herald.Notification{Title: "ü"}, Data: json.RawMessage(`{"a":1}`)}, "ü\n"},
			{herald.Content{Data: json.RawMessage(`{"a":1}`)}, "\n" + `{"a":1}`},
			{herald.Content{Data: json.RawMessage(`"on"`)}, "\non"},
		} {
			id := r.push(livetest.Send{Content: c.content, To: []livetest.Member{m}})
			if p := read[*packet.Publish](k); string(p.Payload) != "message "+id.String()+"\n"+c.want || p.Props.ContentType != "text/plain; charset=utf-8" {
				r.Errorf("got %q", p.Payload)
			}
		}
		id := r.push(livetest.Send{Content: livetest.Text("x"), To: []livetest.Member{m}})
		read[*packet.Publish](k)
		if _, err := r.hub.Deliver(r.Context(), r.Withdraw(id)); err != nil {
			r.Fatal(err)
		}
		if p := read[*packet.Publish](k); string(p.Payload) != "withdraw "+id.String() {
			r.Errorf("got %q", p.Payload)
		}
		go func() { _ = r.hub.Drain(r.Context()) }()
		if p := read[*packet.Publish](k); !strings.HasPrefix(string(p.Payload), "reconnect ") {
			r.Errorf("got %q", p.Payload)
		}
		k.disconnected(packet.ServerShuttingDown)
		k.hangUp()
	})
}

// TestReceipts: what became of a message is published.
func TestReceipts(t *testing.T) {
	inRoom(t, mqtt.Config{}, live.Options{}, func(r *room) {
		m := r.Join(herald.PlatformLinux)
		k := r.enter(m, packet.V5)
		id := r.push(livetest.Send{Content: livetest.Text("x"), To: []livetest.Member{m}})
		read[*packet.Publish](k)
		for i, c := range []struct {
			payload string
			code    packet.Code
			state   herald.DeliveryState
		}{
			{`{"event":"displayed","ids":["` + id.String() + `"]}`, packet.Success, herald.StateDisplayed},
			{" clicked " + id.String() + "\n", packet.Success, herald.StateClicked},
			{"received " + id.String() + " 7", packet.Success, herald.StateReceived},
			{`{"type":"event","event":"displayed","ids":["` + id.String() + `"]}`, packet.Success, herald.StateDisplayed},
			{`{"type":"ack","ids":["` + id.String() + `"]}`, packet.PayloadFormatInvalid, ""},
			{`{"event":"displayed"}`, packet.PayloadFormatInvalid, ""},
			{`{"event":"displayed","ids":["x"]}`, packet.PayloadFormatInvalid, ""},
			{`{"event":"displayed","ids":["1"],"more":1}`, packet.PayloadFormatInvalid, ""},
			{`{"event":"seen","ids":["1"]}`, packet.PayloadFormatInvalid, ""},
			{`{"event"`, packet.PayloadFormatInvalid, ""},
			{"", packet.PayloadFormatInvalid, ""},
			{"displayed", packet.PayloadFormatInvalid, ""},
			{"displayed x", packet.PayloadFormatInvalid, ""},
			{"displayed" + strings.Repeat(" 1", 1001), packet.PayloadFormatInvalid, ""},
			{"\xFF 1", packet.PayloadFormatInvalid, ""},
		} {
			before := len(r.Events(id))
			k.send(&packet.Publish{Topic: "herald/receipt", QoS: 1, ID: uint16(i + 1), Payload: []byte(c.payload)})
			a := read[*packet.Ack](k)
			if a.Code != c.code || a.ID != uint16(i+1) || (a.Props.Reason != "") != c.code.Failed() {
				r.Errorf("%.40q is answered with %+v", c.payload, a)
			}
			list := r.Events(id)
			if c.state == "" && len(list) != before || c.state != "" && list[len(list)-1].State != c.state {
				r.Errorf("%.40q: events %+v", c.payload, list)
			}
		}
	})
}

// TestPushesThatDoNotFit: a packet that is larger than the client takes counts as
// sent (MQTT-3.1.2-25), and holds up nothing.
func TestPushesThatDoNotFit(t *testing.T) {
	inRoom(t, mqtt.Config{}, live.Options{}, func(r *room) {
		m := r.Join(herald.PlatformLinux)
		p := as(m, packet.V5)
		small := uint32(500)
		p.Props.MaxPacketSize = &small
		k, _ := r.connect(p)
		r.push(livetest.Send{Content: livetest.Text(strings.Repeat("x", 500)), To: []livetest.Member{m}})
		id := r.push(livetest.Send{Content: livetest.Text("fits"), To: []livetest.Member{m}})
		if p := read[*packet.Publish](k); !strings.Contains(string(p.Payload), id.String()) {
			r.Errorf("got %s", p.Payload)
		}
	})
}

// TestDeviceIsSentAway: the reason of the hub as a code.
func TestReasons(t *testing.T) {
	for code, want := range map[int]packet.Code{
		live.CloseBadToken: packet.NotAuthorized, live.CloseForbidden: packet.NotAuthorized, live.CloseReplaced: packet.QuotaExceeded,
		live.CloseTooMany: packet.ServerBusy, live.CloseDraining: packet.ServerShuttingDown,
	} {
		for _, v := range versions {
			inRoom(t, mqtt.Config{}, live.Options{}, func(r *room) {
				m := r.Join(herald.PlatformLinux)
				k := r.enter(m, v)
				r.hub.Disconnect(livetest.App, m.Ord, live.Reason{Code: code, Text: "because"})
				synctest.Wait()
				k.disconnected(want)
			})
		}
	}
}
