package mqtt_test

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/live/mqtt"
	"github.com/herald-push/herald/internal/wire/packet"
)

var versions = []packet.Version{packet.V31, packet.V311, packet.V5}

func TestConnect(t *testing.T) {
	type change = func(p *packet.Connect, other livetest.Member)
	for _, c := range []struct {
		name   string
		change change
		code   packet.Code // for 5.0
		before packet.Code // for 3.1.1
	}{
		{"good", func(*packet.Connect, livetest.Member) {}, packet.Success, packet.Success},
		{"plain text", func(p *packet.Connect, _ livetest.Member) { p.Username += "/text" }, packet.Success, packet.Success},
		{"another client ID", func(p *packet.Connect, _ livetest.Member) { p.ClientID = "säge 2" }, packet.Success, packet.Success},
		{"no client ID", func(p *packet.Connect, _ livetest.Member) { p.ClientID = "" }, packet.Success, packet.Success},
		{"no client ID and not clean", func(p *packet.Connect, _ livetest.Member) { p.ClientID, p.CleanStart = "", false }, packet.Success, packet.ClientIDNotValid},
		{"a long client ID", func(p *packet.Connect, _ livetest.Member) { p.ClientID = strings.Repeat("x", 128) }, packet.Success, packet.Success},
		{"a client ID that is too long", func(p *packet.Connect, _ livetest.Member) { p.ClientID = strings.Repeat("x", 129) }, packet.ClientIDNotValid, packet.ClientIDNotValid},
		{"a control character", func(p *packet.Connect, _ livetest.Member) { p.ClientID = "a\tb" }, packet.ClientIDNotValid, packet.ClientIDNotValid},
		{"the registration ID of another device", func(p *packet.Connect, m livetest.Member) { p.ClientID = string(m.ID) }, packet.ClientIDNotValid, packet.ClientIDNotValid},
		{"another app", func(p *packet.Connect, _ livetest.Member) { p.Username = strings.Repeat("x", 24) }, packet.BadUserNameOrPassword, packet.BadUserNameOrPassword},
		{"no user name", func(p *packet.Connect, _ livetest.Member) { p.Username = "" }, packet.BadUserNameOrPassword, packet.BadUserNameOrPassword},
		{"a bad token", func(p *packet.Connect, _ livetest.Member) { p.Password = []byte("x") }, packet.BadUserNameOrPassword, packet.BadUserNameOrPassword},
		{"no password", func(p *packet.Connect, _ livetest.Member) { p.Password, p.HasPassword = nil, false }, packet.BadUserNameOrPassword, packet.BadUserNameOrPassword},
		{"a will", func(p *packet.Connect, _ livetest.Member) { p.Will = &packet.Will{Topic: "chat/7"} }, packet.Success, packet.Success},
		{"a will that is not allowed", func(p *packet.Connect, _ livetest.Member) { p.Will = &packet.Will{Topic: "secret"} }, packet.NotAuthorized, packet.NotAuthorized},
		{"a will to a reserved topic", func(p *packet.Connect, _ livetest.Member) { p.Will = &packet.Will{Topic: "herald/push"} }, packet.TopicNameInvalid, 0xFF},
		{"a will for another device", func(p *packet.Connect, m livetest.Member) { p.Will = &packet.Will{Topic: "own/" + string(m.ID)} }, packet.NotAuthorized, packet.NotAuthorized},
	} {
		for _, v := range versions {
			inRoom(t, mqtt.Config{}, live.Options{}, func(r *room) {
				want := c.code
				if v < packet.V5 {
					want = c.before
				}
				if v == packet.V31 && c.name == "no client ID" {
					want = packet.ClientIDNotValid // 3.1 has none that is empty
				}
				p := as(r.Join(herald.PlatformLinux), v)
				c.change(p, r.Join(herald.PlatformLinux))
				k := r.dial(v)
				k.send(p)
				if want == 0xFF { // no return code says it
					k.ends()
					return
				}
				if a := read[*packet.Connack](k); a.Code != want || a.SessionPresent || a.Code.Failed() && v >= packet.V5 && a.Props.Reason == "" {
					r.Fatalf("%s, version %d: %s, %q, want %s", c.name, v, a.Code, a.Props.Reason, want)
				}
				if want.Failed() {
					k.ends()
				} else if k.send(&packet.Ping{Type: packet.PINGREQ}); r.hub.Count(livetest.App) != 1 {
					r.Fatalf("%s: no session", c.name)
				}
			})
		}
	}
}

// TestFirstPacket: what does not begin as a client does is told nothing, unless it
// has said in which version.
func TestFirstPacket(t *testing.T) {
	connect := (&packet.Connect{Version: packet.V5, ClientID: "x"}).AppendTo(nil, packet.V5)
	change := func(at int, b byte) []byte {
		out := bytes.Clone(connect)
		out[at] = b
		return out
	}
	for _, c := range []struct {
		name   string
		bytes  []byte
		answer []byte
	}{
		{"not a CONNECT", []byte{0xC0, 0}, nil},
		{"a request", []byte("GET / HTTP/1.1\r\n\r\n"), nil},
		{"too large", []byte{0x10, 0x80, 0x80, 0x02}, nil},
		{"another name", change(4, 'X'), []byte{0x20, 3, 0, 0x84}},
		{"version 6", change(8, 6), []byte{0x20, 3, 0, 0x84}},
		{"version 2", change(8, 2), []byte{0x20, 2, 0, 1}},
		{"a reserved flag", change(9, 3), []byte{0x20, 3, 0, 0x81}},
	} {
		inRoom(t, mqtt.Config{}, live.Options{}, func(r *room) {
			k := r.dial(packet.V5)
			go func() { _, _ = k.Conn.Write(c.bytes) }()
			var got bytes.Buffer
			_, _ = got.ReadFrom(k.Conn)
			// The reason string is not compared.
			b := got.Bytes()
			if len(b) > 4 {
				b = append(b[:1:1], 3, b[2], b[3])
			}
			if !bytes.Equal(b, c.answer) {
				r.Fatalf("%s: answered with %x, want %x", c.name, got.Bytes(), c.answer)
			}
		})
	}
}

// TestNoConnect: who says nothing is cut after ten seconds, and who sends byte
// after byte is not given any longer.
func TestNoConnect(t *testing.T) {
	for _, dribbles := range []bool{false, true} {
		inRoom(t, mqtt.Config{}, live.Options{}, func(r *room) {
			k, began := r.dial(packet.V5), time.Now()
			done := make(chan struct{})
			if !dribbles {
				close(done)
			} else {
				go func() {
					defer close(done)
					for _, b := range []byte{0x10, 0xFF, 0x01, 0, 4, 'M', 'Q', 'T', 'T', 5, 0, 0, 0, 0} {
						if _, err := k.Conn.Write([]byte{b}); err != nil {
							return
						}
						time.Sleep(time.Second)
					}
				}()
			}
			k.ends()
			if took := time.Since(began); took < herald.HelloTimeout || took > herald.HelloTimeout+2*time.Second {
				r.Fatalf("cut after %s", took)
			}
			k.hangUp()
			<-done
		})
	}
}

func TestConnack(t *testing.T) {
	inRoom(t, mqtt.Config{}, live.Options{}, func(r *room) {
		m := r.Join(herald.PlatformLinux)
		p := as(m, packet.V5)
		expiry := uint32(60)
		p.ClientID, p.KeepAlive, p.Props.RequestResponse, p.Props.SessionExpiry = "", 0, 1, &expiry
		p.Password = []byte("old-" + m.Token)
		_, a := r.connect(p)
		q := a.Props
		user := map[string]string{}
		for _, u := range q.User {
			user[u.Name] = u.Value
		}
		switch {
		case *q.ReceiveMaximum != mqtt.ReceiveMaximum, *q.MaxPacketSize != mqtt.MaxPacket, q.TopicAliasMax != mqtt.TopicAliasMaximum:
			r.Errorf("limits are %+v", q)
		case !strings.HasPrefix(q.AssignedClient, string(m.ID)+"-") || len(q.AssignedClient) > 64:
			r.Errorf("client ID %q", q.AssignedClient)
		case q.ServerKeepAlive == nil || *q.ServerKeepAlive != 1200:
			r.Error("no keep alive")
		case q.SessionExpiry == nil || *q.SessionExpiry != 0:
			r.Error("no expiry, although nothing persists")
		case q.ResponseInfo != "r/"+string(m.ID)+"/":
			r.Errorf("response information %q", q.ResponseInfo)
		case user["token"] != m.Token || user["session"] == "" || user["registration_id"] != string(m.ID):
			r.Errorf("properties %v", user)
		case q.MaximumQoS != nil || q.RetainAvailable != nil || q.Reason != "":
			r.Errorf("got %+v", q)
		}
		// What the client did not ask for, or may not have, is left out.
		r.Rule(herald.TopicRules{Subscribe: []herald.TopicFilter{"chat/#"}})
		p = as(m, packet.V5)
		p.Props.RequestResponse = 1
		if _, a = r.connect(p); a.Props.ResponseInfo != "" || a.Props.ServerKeepAlive != nil || a.Props.AssignedClient != "" || a.Props.SessionExpiry != nil {
			r.Errorf("got %+v", a.Props)
		}
		// And what does not fit the packets that it takes.
		small := uint32(40)
		p.Props.MaxPacketSize = &small
		if _, a = r.connect(p); len(a.Props.User) != 0 {
			r.Errorf("got %+v", a.Props)
		}
	})
}

// TestReasonsOnlyIfWanted: without problem information there are none after the
// CONNACK but in a DISCONNECT (MQTT-3.1.2-29), and none that does not fit.
func TestReasonsOnlyIfWanted(t *testing.T) {
	inRoom(t, mqtt.Config{}, live.Options{}, func(r *room) {
		no, small := byte(0), uint32(12)
		p := as(r.Join(herald.PlatformLinux), packet.V5)
		p.Props.RequestProblem = &no
		k, _ := r.connect(p)
		k.send(&packet.Connect{Version: packet.V5})
		if d := read[*packet.Disconnect](k); d.Code != packet.ProtocolError || d.Props.Reason != "" {
			r.Errorf("got %+v", d)
		}
		p = as(r.Join(herald.PlatformLinux), packet.V5)
		p.Password, p.Props.MaxPacketSize = []byte("x"), &small
		k = r.dial(packet.V5)
		k.send(p)
		if a := read[*packet.Connack](k); a.Code != packet.BadUserNameOrPassword || a.Props.Reason != "" {
			r.Errorf("got %+v", a)
		}
	})
}

// TestKeepAlive: one and a half times the keep alive of the client (MQTT-3.1.2-22),
// which the server does not ask.
func TestKeepAlive(t *testing.T) {
	for _, c := range []struct {
		v     packet.Version
		keep  uint16
		until time.Duration // 0: for ever
	}{
		{packet.V5, 1, 1500 * time.Millisecond}, {packet.V5, 60, 90 * time.Second}, {packet.V5, 0, 30 * time.Minute}, {packet.V5, 65535, 30 * time.Minute},
		{packet.V311, 600, 15 * time.Minute}, {packet.V31, 3600, 90 * time.Minute}, {packet.V311, 0, 0}, {packet.V311, 65535, 0},
	} {
		inRoom(t, mqtt.Config{}, live.Options{}, func(r *room) {
			p := as(r.Join(herald.PlatformLinux), c.v)
			p.KeepAlive = c.keep
			k, _ := r.connect(p)
			if c.until == 0 {
				time.Sleep(10 * time.Hour)
				k.send(&packet.Ping{Type: packet.PINGREQ})
				read[*packet.Ping](k)
				return
			}
			for range 3 { // PINGREQ and other packets are signs of life
				time.Sleep(c.until / 3 * 2)
				k.send(&packet.Ping{Type: packet.PINGREQ})
				read[*packet.Ping](k)
			}
			began := time.Now()
			k.disconnected(packet.KeepAliveTimeout)
			if took := time.Since(began); took < c.until || took > c.until+2*time.Second {
				r.Fatalf("version %d, keep alive %d: cut after %s", c.v, c.keep, took)
			}
		})
	}
}

// TestEarlyPackets: a client need not wait for the CONNACK, but what it sends
// before has a bound.
func TestEarlyPackets(t *testing.T) {
	inRoom(t, mqtt.Config{}, live.Options{}, func(r *room) {
		k := r.dial(packet.V5)
		m := r.Join(herald.PlatformLinux)
		ping := &packet.Ping{Type: packet.PINGREQ}
		k.raw(append(as(m, packet.V5).AppendTo(nil, packet.V5), k.bytesOf(ping)...))
		read[*packet.Connack](k)
		read[*packet.Ping](k)
	})
	inRoom(t, mqtt.Config{Authenticators: map[string]mqtt.Authenticator{"slow": never{}}}, live.Options{}, func(r *room) {
		k := r.dial(packet.V5)
		p := as(r.Join(herald.PlatformLinux), packet.V5)
		p.Props.AuthMethod = "slow"
		k.send(p)
		go func() { _, _ = k.Conn.Write(bytes.Repeat([]byte{0xC0, 0}, mqtt.MaxPacket)) }()
		if a := read[*packet.Connack](k); a.Code != packet.QuotaExceeded {
			r.Fatalf("got %+v", a)
		}
		k.ends()
	})
}

// TestMalformed: each is answered with its reason, and nothing behind it is done.
func TestMalformed(t *testing.T) {
	for _, c := range []struct {
		name  string
		bytes []byte
		code  packet.Code
	}{
		{"packet type 0", []byte{0x00, 0}, packet.MalformedPacket},
		{"reserved flags", []byte{0xC1, 0}, packet.MalformedPacket},
		{"QoS 3", []byte{0x36, 4, 0, 1, 'a', 0}, packet.MalformedPacket},
		{"a packet of a server", []byte{0xD0, 0}, packet.ProtocolError},
		{"a CONNACK", []byte{0x20, 3, 0, 0, 0}, packet.ProtocolError},
		{"too large", []byte{0x30, 0x80, 0x80, 0x04}, packet.PacketTooLarge},
		{"a second CONNECT", (&packet.Connect{Version: packet.V5}).AppendTo(nil, packet.V5), packet.ProtocolError},
		{"an AUTH that nobody asked for", (&packet.Auth{Code: packet.ContinueAuthentication, Props: packet.Properties{AuthMethod: "x"}}).AppendTo(nil, packet.V5), packet.ProtocolError},
		{"an expiry that was 0", (&packet.Disconnect{Props: packet.Properties{SessionExpiry: new(uint32(5))}}).AppendTo(nil, packet.V5), packet.ProtocolError},
	} {
		for _, v := range []packet.Version{packet.V5, packet.V311} {
			if v < packet.V5 && (strings.Contains(c.name, "AUTH") || strings.Contains(c.name, "expiry")) {
				continue
			}
			inRoom(t, mqtt.Config{}, live.Options{}, func(r *room) {
				m := r.Join(herald.PlatformLinux)
				w := r.watch("chat/7")
				k := r.enter(m, v)
				after := &packet.Publish{Topic: "chat/7", Payload: []byte("1")}
				go func() { _, _ = k.Conn.Write(append(bytes.Clone(c.bytes), k.bytesOf(after)...)) }()
				synctest.Wait()
				k.disconnected(c.code)
				r.saw(w)
				if n := r.hub.Count(livetest.App); n != 1 {
					r.Errorf("%s: %d sessions", c.name, n)
				}
			})
		}
	}
}
