package mqtt_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/live/mqtt"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/wire/packet"
)

// TestTakeOver: of one client ID there is one connection, the newest
// (MQTT-3.1.4-3).
func TestTakeOver(t *testing.T) {
	for _, v := range versions {
		for _, id := range []string{"", "second"} {
			inRoom(t, mqtt.Config{}, live.Options{}, func(r *room) {
				m := r.Join(herald.PlatformLinux)
				p, stays := as(m, v), as(m, v)
				if stays.ClientID = "third"; id != "" {
					p.ClientID = id
				}
				other, _ := r.connect(stays)
				old, _ := r.connect(p)
				now, _ := r.connect(p)
				old.disconnected(packet.SessionTakenOver)
				for _, k := range []*client{other, now} {
					k.send(&packet.Ping{Type: packet.PINGREQ})
					read[*packet.Ping](k)
				}
				if n := r.hub.Count(livetest.App); n != 2 {
					r.Errorf("%d sessions", n)
				}
				// It is free again when its client has gone.
				now.hangUp()
				r.connect(p)
				// And nobody else's, but in another app.
				if id == "" {
					return
				}
				q := as(r.Join(herald.PlatformLinux), v)
				q.ClientID = id
				k := r.dial(v)
				k.send(q)
				if a := read[*packet.Connack](k); a.Code != packet.ClientIDNotValid {
					r.Errorf("a client ID of another device: %+v", a)
				}
			})
		}
	}
}

// TestTakeOverAtOnce: however many come at the same time, one is left.
func TestTakeOverAtOnce(t *testing.T) {
	for _, id := range []string{"", "second"} {
		inRoom(t, mqtt.Config{}, live.Options{}, func(r *room) {
			m := r.Join(herald.PlatformLinux)
			p := as(m, packet.V5)
			if id != "" {
				p.ClientID = id
			}
			var wg sync.WaitGroup
			var mu sync.Mutex
			ended := 0
			for range 12 {
				k := r.dial(packet.V5)
				wg.Go(func() {
					_ = k.put(p)
					for {
						if _, err := k.get(); err != nil {
							mu.Lock()
							defer mu.Unlock()
							ended++
							return
						}
					}
				})
			}
			synctest.Wait()
			mu.Lock()
			if n := r.hub.Count(livetest.App); n != 1 || ended != 11 {
				r.Errorf("%d sessions, %d connections have ended", n, ended)
			}
			mu.Unlock()
			r.hub.Close()
			wg.Wait()
		})
	}
}

// sessions is a record of sessions that persist; it writes down what is done.
type sessions struct {
	live.TopicSessions
	mu    sync.Mutex
	kept  map[string]*record.TopicSessionState
	calls []string
	fail  error
}

func (s *sessions) note(format string, args ...any) {
	s.calls = append(s.calls, fmt.Sprintf(format, args...))
}

func (s *sessions) took() string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	out := strings.Join(s.calls, "; ")
	s.calls = nil
	return out
}

func (s *sessions) Open(_ context.Context, t record.TopicSession) (record.TopicSessionState, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note("open %s %d %t", t.Client, t.Expiry, t.Clean)
	if s.fail != nil {
		return record.TopicSessionState{}, false, s.fail
	}
	old := s.kept[t.Client]
	if old != nil && old.Ord != t.Ord {
		return record.TopicSessionState{}, false, herald.Errorf(herald.CodeConflict, "", "it is another device's")
	}
	if t.Clean {
		old = nil
		delete(s.kept, t.Client)
	}
	if old == nil {
		state := record.TopicSessionState{TopicSession: t}
		if t.Expiry > 0 {
			s.kept[t.Client] = &state
		}
		return state, false, nil
	}
	return *old, true, nil
}

func (s *sessions) Change(_ herald.AppKey, client string, c record.TopicSessionChange, then func(error)) {
	s.mu.Lock()
	k := s.kept[client]
	switch {
	case c.Will != nil:
		s.note("will %s %d", c.Will.Entry.Topic, c.Will.Delay)
		k.Will = c.Will
	case c.NoWill:
		s.note("no will")
		k.Will = nil
	case c.Expiry != nil:
		s.note("expiry %d", *c.Expiry)
	}
	s.mu.Unlock()
	if then != nil {
		then(nil)
	}
}

func (s *sessions) Read(context.Context, herald.AppKey, string, herald.Pos, int) ([]record.TopicEntry, herald.Pos, bool, error) {
	return nil, 0, false, nil
}

func (s *sessions) Away(_ context.Context, _ herald.AppKey, client string, _ time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note("away %s", client)
	return nil
}

func (s *sessions) End(_ context.Context, _ herald.AppKey, client string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note("end %s", client)
	delete(s.kept, client)
	return nil
}

// TestPersistentSession: what the record is told of a session, and the client.
func TestPersistentSession(t *testing.T) {
	kept := &sessions{kept: map[string]*record.TopicSessionState{}}
	inRoom(t, mqtt.Config{Sessions: kept}, live.Options{}, func(r *room) {
		expect := func(want string) {
			r.Helper()
			if got := kept.took(); got != want {
				r.Fatalf("the record was told %q, want %q", got, want)
			}
		}
		m := r.Join(herald.PlatformLinux)
		p := as(m, packet.V5)
		day, long := uint32(86400), uint32(0xFFFFFFFF)
		p.ClientID, p.CleanStart, p.Props.SessionExpiry = "pump", false, &day
		k, a := r.connect(p)
		if a.SessionPresent || a.Props.SessionExpiry != nil {
			r.Errorf("got %+v", a)
		}
		expect("open pump 86400 false")
		k.hangUp()
		expect("away pump")
		// Back, with a will, and for ever: as long as the server keeps it.
		p.Will = &packet.Will{Topic: "chat/7", Props: packet.Properties{WillDelay: 5}}
		p.Props.SessionExpiry = &long
		k, a = r.connect(p)
		if !a.SessionPresent || a.Props.SessionExpiry == nil || *a.Props.SessionExpiry != 30*day {
			r.Errorf("got %+v", a)
		}
		expect("open pump 2592000 false; will chat/7 5")
		// The next connection takes the session over; that is no absence.
		p.Will = nil
		next, _ := r.connect(p)
		k.disconnected(packet.SessionTakenOver)
		expect("no will; open pump 2592000 false")
		next.send(&packet.Disconnect{Props: packet.Properties{SessionExpiry: &day}})
		expect("expiry 86400; away pump")
		// It ends when the client says so.
		k, _ = r.connect(p)
		kept.took()
		k.send(&packet.Disconnect{Props: packet.Properties{SessionExpiry: new(uint32(0))}})
		expect("end pump")
		// Older clients say it by "clean session"; 3.1 cannot be told of it.
		q := as(m, packet.V311)
		q.CleanStart = false
		k, _ = r.connect(q)
		expect("open " + string(m.ID) + " 604800 false")
		k.send(&packet.Disconnect{})
		expect("away " + string(m.ID))
		if _, a = r.connect(q); !a.SessionPresent {
			r.Error("the session is not present")
		}
		kept.took()
		// What others have is not theirs; what cannot be read is no session.
		p = as(r.Join(herald.PlatformLinux), packet.V5)
		p.ClientID = "drill"
		kept.kept["drill"] = &record.TopicSessionState{TopicSession: record.TopicSession{Ord: m.Ord}}
		refused := func(want packet.Code) {
			r.Helper()
			k = r.dial(packet.V5)
			k.send(p)
			if a := read[*packet.Connack](k); a.Code != want {
				r.Errorf("got %+v, want %s", a, want)
			}
			k.ends()
		}
		refused(packet.ClientIDNotValid)
		kept.fail = errors.New("the disk is gone")
		refused(packet.ServerUnavailable)
	})
}

// TestWill: when it is published, and when not (MQTT-3.1.2-8 and -10).
func TestWill(t *testing.T) {
	const goodBye, withWill = packet.Success, packet.DisconnectWithWill
	for _, c := range []struct {
		name  string
		topic string
		how   func(r *room, k *client, p *packet.Connect)
		want  bool
	}{
		{"cut", "chat/7", func(_ *room, k *client, _ *packet.Connect) { k.hangUp() }, true},
		{"a good-bye", "chat/7", func(_ *room, k *client, _ *packet.Connect) { k.send(&packet.Disconnect{Code: goodBye}) }, false},
		{"a good-bye with will", "chat/7", func(_ *room, k *client, _ *packet.Connect) { k.send(&packet.Disconnect{Code: withWill}) }, true},
		{"an error of the client", "chat/7", func(_ *room, k *client, _ *packet.Connect) {
			k.send(&packet.Disconnect{Code: packet.UnspecifiedError})
		}, true},
		{"malformed", "chat/7", func(_ *room, k *client, _ *packet.Connect) { k.raw([]byte{0, 0}) }, true},
		{"silence", "chat/7", func(_ *room, _ *client, _ *packet.Connect) { time.Sleep(2 * time.Minute) }, true},
		{"taken over", "chat/7", func(r *room, _ *client, p *packet.Connect) { r.connect(p) }, true},
		{"sent away", "chat/7", func(r *room, k *client, _ *packet.Connect) {
			d := livetest.App
			r.hub.Disconnect(d, 1, live.Reason{Code: live.CloseBadToken})
		}, true},
		{"not allowed any more", "chat/7", func(r *room, k *client, _ *packet.Connect) {
			r.Rule(herald.TopicRules{})
			k.hangUp()
		}, false},
		{"its own topic", "own", func(_ *room, k *client, _ *packet.Connect) { k.hangUp() }, true},
	} {
		inRoom(t, mqtt.Config{}, live.Options{}, func(r *room) {
			w := r.watch("chat/7", "own/x") // ordinal 0
			m := r.Join(herald.PlatformLinux)
			if c.topic == "own" {
				c.topic = "own/" + string(m.ID)
				w = r.watch(herald.Topic(c.topic))
			}
			p := as(m, packet.V5)
			p.Will = &packet.Will{Topic: c.topic, Payload: []byte("I am gone"), QoS: 1, Props: packet.Properties{
				WillDelay:   60, // it ends with the session, which does not outlive the connection
				ContentType: "text/plain", User: []packet.Pair{{Name: "a", Value: "b"}},
			}}
			k, _ := r.connect(p)
			r.saw(w)
			c.how(r, k, p)
			if c.want {
				r.saw(w, `"from":"`+string(m.ID)+`","data":"I am gone","content_type":"text/plain","properties":{"a":"b"}}`)
			} else {
				r.saw(w)
			}
		})
	}
}

// TestDelayedWill: a session that outlives its connection has its will wait in the
// record, or published where that is not for later.
func TestDelayedWill(t *testing.T) {
	kept := &sessions{kept: map[string]*record.TopicSessionState{}}
	inRoom(t, mqtt.Config{Sessions: kept}, live.Options{}, func(r *room) {
		w := r.watch("chat/7")
		p := as(r.Join(herald.PlatformLinux), packet.V5)
		expiry, left := uint32(600), uint32(30)
		p.CleanStart, p.Props.SessionExpiry = false, &expiry
		will := packet.Will{Topic: "chat/7", Payload: []byte("1"), Props: packet.Properties{WillDelay: 60, MessageExpiry: &left}}
		p.Will = &will
		k, _ := r.connect(p)
		if got := kept.kept[p.ClientID].Will; got == nil || got.Delay != 60 || got.Expiry != 30 || string(got.Entry.Payload) != "1" || !got.Entry.Expires.IsZero() {
			r.Fatalf("kept %+v", got)
		}
		k.hangUp()
		r.saw(w) // the record waits
		if kept.kept[p.ClientID].Will == nil {
			r.Fatal("the will is not kept")
		}
		// Without a delay it is published at once, and nobody waits for it.
		will.Props.WillDelay = 0
		k, _ = r.connect(p)
		k.hangUp()
		r.saw(w, `"data":1`)
		if kept.kept[p.ClientID].Will != nil {
			r.Fatal("the will is kept")
		}
		// Who begins anew ends the session, and with it the delay.
		will.Props.WillDelay = 60
		r.connect(p)
		p.CleanStart = true
		r.connect(p)
		r.saw(w, `"data":1`)
	})
}
