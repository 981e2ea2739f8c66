package mqtt_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/live/mqtt/mqtttest"
	"github.com/herald-push/herald/internal/wire/packet"
)

// script is a conversation with the server that shows what normative statements
// ask for. docs/conformance/mqtt.md has a row for each statement; test/house
// checks that both say the same.
type script struct {
	name string
	old  string // the statements of MQTT 3.1.1 that it shows
	new  string // and those of 5.0
	in   []packet.Version
	run  func(s *stage)
}

// In which versions a script runs.
var (
	all    = []packet.Version{packet.V31, packet.V311, packet.V5}
	either = []packet.Version{packet.V311, packet.V5}
	before = []packet.Version{packet.V311}
	five   = []packet.Version{packet.V5}
)

var versionNames = map[packet.Version]string{packet.V31: "3.1", packet.V311: "3.1.1", packet.V5: "5.0"}

// stage is what a script plays on: a server that it shares with others, and
// names that are its own.
type stage struct {
	*testing.T
	v      packet.Version
	on     server
	prefix string
	logins map[string]login
}

// server is what plays the server, and whom it lets in.
type server struct {
	address string
	join    func(clientID string) login
}

// login is what a device connects with.
type login struct{ user, password string }

var stages atomic.Int64

// atOnce is how many scripts are played at once: most of them wait for packets
// or for time to pass.
const atOnce = 16

func TestConformance(t *testing.T) {
	on := serveConformance(t)
	var playing sync.WaitGroup
	defer playing.Wait()
	room := make(chan struct{}, atOnce)
	for _, c := range slices.Concat(connectScripts, willScripts, sessionScripts, publishScripts, propertyScripts, retainScripts, qosScripts,
		senderScripts, subscribeScripts, topicScripts, shareScripts, authScripts) {
		for _, v := range c.in {
			room <- struct{}{}
			playing.Go(func() {
				defer func() { <-room }()
				t.Run(c.name+"/"+versionNames[v], func(t *testing.T) {
					c.run(&stage{T: t, v: v, on: on, prefix: fmt.Sprintf("s%d", stages.Add(1)), logins: map[string]login{}})
				})
			})
		}
	}
}

// topic is a topic or a filter of this stage alone.
func (s *stage) topic(name string) string { return s.prefix + "/" + name }

// dial connects and says nothing.
func (s *stage) dial() *mqtttest.Client {
	s.Helper()
	return mqtttest.Dial(s, s.on.address, s.v)
}

// login is a CONNECT with a clean start of the device with a client ID.
func (s *stage) login(name string) packet.Connect {
	l, ok := s.logins[name]
	if !ok {
		l = s.on.join(s.id(name))
		s.logins[name] = l
	}
	p := mqtttest.Login(s.id(name), l.user, l.password)
	p.Version = s.v
	return p
}

func (s *stage) id(name string) string { return s.prefix + name }

// client is connected with a clean start.
func (s *stage) client(name string) *mqtttest.Client {
	s.Helper()
	c := s.dial()
	c.Connect(s.login(name))
	return c
}

// lasting is a CONNECT of a client whose session outlives its connection.
func (s *stage) lasting(name string) packet.Connect {
	p := s.login(name)
	p.CleanStart = false
	if s.v >= packet.V5 {
		p.Props.SessionExpiry = new(uint32(100))
	}
	return p
}

// back connects a client to its session, which is there.
func (s *stage) back(name string) *mqtttest.Client {
	s.Helper()
	c := s.dial()
	if ack := c.Connect(s.lasting(name)); !ack.SessionPresent && s.v > packet.V31 {
		s.Fatal("the session is not present")
	}
	return c
}

// persistent connects a client whose session lasts, for the first time.
func (s *stage) persistent(name string) *mqtttest.Client {
	s.Helper()
	c := s.dial()
	if ack := c.Connect(s.lasting(name)); ack.SessionPresent {
		s.Fatal("a session is present")
	}
	return c
}

// gone takes a client off and waits until the server has noticed: the same
// client ID has another connection with it.
func (s *stage) gone(c *mqtttest.Client) {
	s.Helper()
	c.Send(&packet.Disconnect{})
	c.ExpectClosed()
}

// publish publishes as another client, and waits until all is done.
func (s *stage) publish(list ...packet.Publish) {
	s.Helper()
	p := s.client(fmt.Sprintf("p%d", stages.Add(1)))
	for _, m := range list {
		if code := p.Publish(m); code.Failed() {
			s.Fatalf("publishing to %s: %v", m.Topic, code)
		}
	}
	p.Quiet()
	s.gone(p)
}

// rejected waits for a CONNACK that refuses, or for the end at once, as a server
// may choose with a CONNECT that breaks the protocol.
func (s *stage) rejected(c *mqtttest.Client, codes ...packet.Code) {
	s.Helper()
	p, _, err := c.Read()
	if err != nil {
		return
	}
	ack, ok := p.(*packet.Connack)
	if !ok || !slices.Contains(codes, ack.Code) {
		s.Fatalf("got %T %+v, want a CONNACK with one of %v", p, p, codes)
	}
	c.ExpectClosed()
}

// refuses checks what a server makes of a packet that breaks the protocol.
func refuses(bytes string, code packet.Code) func(*stage) {
	return func(s *stage) {
		c := s.client("a")
		c.SendBytes([]byte(bytes))
		c.ExpectRefused(code)
	}
}

// joins gives each client ID a device of its own in a world.
func joins(w *livetest.World) func(string) login {
	var mu sync.Mutex
	known := map[string]login{}
	return func(id string) login {
		mu.Lock()
		defer mu.Unlock()
		l, ok := known[id]
		if !ok {
			l = login{string(livetest.App), w.Join("linux").Token}
			known[id] = l
		}
		return l
	}
}
