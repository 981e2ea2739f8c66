package mqtt_test

import (
	"context"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/mqtt"
	"github.com/herald-push/herald/internal/wire/packet"
)

// never is a method that does not answer before the server goes.
type never struct{}

func (never) Authenticate(ctx context.Context, _ any, _ []byte) (mqtt.Step, error) {
	<-ctx.Done()
	return mqtt.Step{}, ctx.Err()
}

// riddle is a method that asks twice: the second answer is the token.
type riddle struct{}

func (riddle) Authenticate(_ context.Context, memory any, data []byte) (mqtt.Step, error) {
	switch n, _ := memory.(int); {
	case string(data) == "wrong":
		return mqtt.Step{}, herald.Errorf(herald.CodeUnauthorized, "", "the answer is wrong")
	case n < 2:
		return mqtt.Step{Data: append([]byte("why "), data...), Memory: n + 1}, nil
	}
	return mqtt.Step{Token: string(data), Data: []byte("done")}, nil
}

func auth(code packet.Code, method, data string) *packet.Auth {
	return &packet.Auth{Code: code, Props: packet.Properties{AuthMethod: method, AuthData: []byte(data)}}
}

func TestEnhancedAuthentication(t *testing.T) {
	c := mqtt.Config{Authenticators: map[string]mqtt.Authenticator{"riddle": riddle{}}}
	inRoom(t, c, live.Options{}, func(r *room) {
		m, other := r.Join(herald.PlatformLinux), r.Join(herald.PlatformLinux)
		p := &packet.Connect{Version: packet.V5, CleanStart: true, ClientID: string(m.ID), KeepAlive: 60}
		p.Props.AuthMethod, p.Props.AuthData = "riddle", []byte("a")
		k := r.dial(packet.V5)
		k.send(p)
		asks := func(want string) {
			r.Helper()
			if a := read[*packet.Auth](k); a.Code != packet.ContinueAuthentication || a.Props.AuthMethod != "riddle" || string(a.Props.AuthData) != want {
				r.Fatalf("got %+v", a)
			}
		}
		asks("why a")
		k.send(auth(packet.ContinueAuthentication, "riddle", "b"))
		asks("why b")
		k.send(auth(packet.ContinueAuthentication, "riddle", m.Token))
		if a := read[*packet.Connack](k); a.Code != packet.Success || a.Props.AuthMethod != "riddle" || string(a.Props.AuthData) != "done" {
			r.Fatalf("got %+v", a)
		}
		// Again, while the session goes on.
		k.send(auth(packet.Reauthenticate, "riddle", "c"))
		asks("why c")
		k.send(&packet.Ping{Type: packet.PINGREQ})
		read[*packet.Ping](k)
		k.send(auth(packet.ContinueAuthentication, "riddle", "d"))
		asks("why d")
		k.send(auth(packet.ContinueAuthentication, "riddle", m.Token))
		if a := read[*packet.Auth](k); a.Code != packet.Success || string(a.Props.AuthData) != "done" {
			r.Fatalf("got %+v", a)
		}
		// With the token of another device it ends.
		for range 2 {
			k.send(auth(packet.Reauthenticate, "riddle", "e"))
			asks("why e")
			k.send(auth(packet.ContinueAuthentication, "riddle", "f"))
			asks("why f")
			k.send(auth(packet.ContinueAuthentication, "riddle", other.Token))
			k.disconnected(packet.NotAuthorized)
			break
		}
	})
}

func TestAuthenticationIsRefused(t *testing.T) {
	c := mqtt.Config{Authenticators: map[string]mqtt.Authenticator{"riddle": riddle{}}}
	connect := func(method, data string) *packet.Connect {
		p := &packet.Connect{Version: packet.V5, CleanStart: true, ClientID: "x"}
		p.Props.AuthMethod, p.Props.AuthData = method, []byte(data)
		return p
	}
	for _, a := range []struct {
		name  string
		first *packet.Connect
		then  appender
		code  packet.Code
	}{
		{"unknown method", connect("scram", ""), nil, packet.BadAuthenticationMethod},
		{"no token", connect(mqtt.TokenMethod, ""), nil, packet.NotAuthorized},
		{"bad token", connect(mqtt.TokenMethod, "x"), nil, packet.BadUserNameOrPassword},
		{"wrong at once", connect("riddle", "wrong"), nil, packet.NotAuthorized},
		{"wrong later", connect("riddle", "a"), auth(packet.ContinueAuthentication, "riddle", "wrong"), packet.NotAuthorized},
		{"another method", connect("riddle", "a"), auth(packet.ContinueAuthentication, mqtt.TokenMethod, "x"), packet.ProtocolError},
		{"another code", connect("riddle", "a"), auth(packet.Reauthenticate, "riddle", "x"), packet.ProtocolError},
		{"another packet", connect("riddle", "a"), &packet.Ping{Type: packet.PINGREQ}, packet.ProtocolError},
	} {
		inRoom(t, c, live.Options{}, func(r *room) {
			k := r.dial(packet.V5)
			k.send(a.first)
			if a.then != nil {
				read[*packet.Auth](k)
				k.send(a.then)
			}
			if got := read[*packet.Connack](k); got.Code != a.code {
				r.Fatalf("%s: %+v, want %s", a.name, got, a.code)
			}
			k.ends()
		})
	}
}

// TestTokenMethod: a client goes on with another token of its device.
func TestTokenMethod(t *testing.T) {
	inRoom(t, mqtt.Config{}, live.Options{}, func(r *room) {
		m := r.Join(herald.PlatformLinux)
		p := &packet.Connect{Version: packet.V5, CleanStart: true, ClientID: string(m.ID)}
		p.Props.AuthMethod, p.Props.AuthData = mqtt.TokenMethod, []byte(m.Token)
		k, a := r.connect(p)
		if a.Props.AuthMethod != mqtt.TokenMethod {
			r.Errorf("got %+v", a.Props)
		}
		k.send(auth(packet.Reauthenticate, mqtt.TokenMethod, "old-"+m.Token))
		if a := read[*packet.Auth](k); a.Code != packet.Success {
			r.Fatalf("got %+v", a)
		}
		k.send(auth(packet.Reauthenticate, mqtt.TokenMethod, "x"))
		k.disconnected(packet.NotAuthorized)
		// And who has connected with a password cannot.
		k = r.enter(m, packet.V5)
		k.send(auth(packet.Reauthenticate, mqtt.TokenMethod, m.Token))
		k.disconnected(packet.ProtocolError)
	})
}
