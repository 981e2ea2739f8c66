package mqtt_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/herald-push/herald/internal/live/mqtt"
	"github.com/herald-push/herald/internal/wire/packet"
)

// twice is two honest clients, one that publishes and one that subscribes, whose
// own state survives everything.
type twice struct {
	h    *hall
	p, s *party
	q    packet.QoS

	// Of the publisher: what was not completed, in order.
	out  []sending
	next int
	id   uint16
	// Of the subscriber: the identifiers that it has taken, and what it was given.
	taken map[uint16]bool
	given []string
}

type sending struct {
	id       uint16
	payload  string
	released bool // PUBREC came
}

// party is a client with the packets that it has not looked at yet.
type party struct {
	*user
	inbox []any
	up    bool
}

func (c *party) fetch() { c.inbox = append(c.inbox, c.packets()...) }

func (w *twice) cut(c *party) {
	if c.up {
		c.hangUp()
		c.up, c.inbox = false, nil
	}
}

func (w *twice) dial(c *party) {
	if c.up {
		return
	}
	options := []option{lasting}
	if c == w.s {
		options = append(options, receives(3))
	}
	c.user = c.again(options...)
	c.up = true
	if c == w.s {
		return
	}
	for _, m := range w.out { // MQTT-4.4.0-1
		if m.released {
			c.send(ack(packet.PUBREL, m.id))
		}
	}
	for _, m := range w.out {
		if !m.released {
			p := pub(w.q, m.id, "chat/1", m.payload)
			p.Dup = true
			c.send(p)
		}
	}
}

func (w *twice) publish() {
	if !w.p.up || len(w.out) >= 5 {
		return
	}
	w.next++
	w.id++
	m := sending{id: w.id, payload: fmt.Sprint(w.next)}
	w.out = append(w.out, m)
	w.p.send(pub(w.q, m.id, "chat/1", m.payload))
}

// look has a client act on one packet.
func (w *twice) look(c *party) (did bool) {
	if !c.up {
		return false
	}
	c.fetch()
	if len(c.inbox) == 0 {
		return false
	}
	p := c.inbox[0]
	c.inbox = c.inbox[1:]
	switch p := p.(type) {
	case *packet.Publish:
		w.take(p)
	case *packet.Ack:
		w.ack(c, p)
	default:
		w.h.Fatalf("%s got %s", c.id, words(p))
	}
	return true
}

func (w *twice) take(p *packet.Publish) {
	if p.QoS == 1 {
		w.given = append(w.given, string(p.Payload))
		w.s.send(ack(packet.PUBACK, p.ID))
		return
	}
	if !w.taken[p.ID] {
		w.taken[p.ID] = true
		w.given = append(w.given, string(p.Payload))
	}
	w.s.send(ack(packet.PUBREC, p.ID))
}

func (w *twice) ack(c *party, a *packet.Ack) {
	i := slices.IndexFunc(w.out, func(m sending) bool { return m.id == a.ID })
	switch {
	case a.Type == packet.PUBREL:
		delete(w.taken, a.ID)
		c.send(ack(packet.PUBCOMP, a.ID))
	case i < 0:
	case a.Code.Failed() && a.Type != packet.PUBCOMP:
		w.h.Fatalf("%s got %s", c.id, words(a))
	case a.Type == packet.PUBREC:
		w.out[i].released = true
		c.send(ack(packet.PUBREL, a.ID))
	default:
		w.out = slices.Delete(w.out, i, i+1)
	}
}

// crash ends the server, and begins another one on what is durable.
func (w *twice) crash() {
	w.h.log = w.h.log.crash()
	old := w.h.stop
	w.h.open(mqtt.Config{})
	for _, c := range []*party{w.p, w.s} {
		c.up, c.inbox = false, nil
	}
	old()
	synctest.Wait()
}

// steps are what happens, the frequent ones more than once.
var steps = []string{
	"publish", "publish", "publisher", "publisher", "subscriber", "subscriber", "subscriber", "commit", "commit", "commit", "dial", "dial",
	"cut publisher", "cut subscriber", "crash", "crash in a commit",
}

func (w *twice) step(what string) {
	switch what {
	case "publish":
		w.publish()
	case "publisher":
		w.look(w.p)
	case "subscriber":
		w.look(w.s)
	case "commit":
		w.h.log.step(true)
		synctest.Wait()
	case "dial":
		w.dial(w.p)
		w.dial(w.s)
	case "cut publisher":
		w.cut(w.p)
	case "cut subscriber":
		w.cut(w.s)
	case "crash in a commit":
		w.h.log.step(false)
		w.crash()
	case "crash":
		w.crash()
	}
}

// heal lets everything come to its end.
func (w *twice) heal() {
	w.dial(w.p)
	w.dial(w.s)
	for more := true; more; {
		w.h.log.commit()
		synctest.Wait()
		more = w.look(w.p)
		more = w.look(w.s) || more
	}
}

// TestNothingIsLostAndNothingTwice plays two clients against a server whose
// connections break, and which ends, at any point.
func TestNothingIsLostAndNothingTwice(t *testing.T) {
	for _, q := range []packet.QoS{1, 2} {
		t.Run(fmt.Sprintf("QoS %d", q), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				list := rapid.SliceOfN(rapid.SampledFrom(steps), 1, 60).Draw(rt, "steps")
				wrong := ""
				synctest.Test(t, func(t *testing.T) { wrong = playTwice(t, q, list) })
				if wrong != "" {
					rt.Fatal(wrong)
				}
			})
		})
	}
}

func playTwice(t *testing.T, q packet.QoS, list []string) (wrong string) {
	h := newHall(t, newLedger(), mqtt.Config{})
	defer func() { h.stop(); synctest.Wait() }()
	w := &twice{h: h, q: q, taken: map[uint16]bool{}}
	w.p = &party{user: h.enter("p", packet.V5, lasting), up: true}
	w.s = &party{user: h.enter("s", packet.V5, lasting, receives(3)), up: true}
	w.s.send(sub(1, filter("chat/+", q)))
	w.s.want(fmt.Sprintf("SUBACK 1 [%02x]", byte(q)))
	h.log.manual = true
	for _, what := range list {
		w.step(what)
	}
	w.heal()
	if len(w.out) > 0 {
		return fmt.Sprintf("%d publications were not completed", len(w.out))
	}
	seen, again := map[string]bool{}, false
	var first, want []string
	for _, g := range w.given {
		again = again || seen[g]
		if !seen[g] {
			first = append(first, g)
		}
		seen[g] = true
	}
	for i := range w.next {
		want = append(want, fmt.Sprint(i+1))
	}
	if !slices.Equal(first, want) || again && q == 2 {
		return fmt.Sprintf("of %d publications came %v", w.next, w.given)
	}
	subscriber, _ := h.log.state("s")
	publisher, _ := h.log.state("p")
	if len(subscriber.Released)+len(publisher.In) > 0 {
		return fmt.Sprintf("still released are %v, still taken %v", subscriber.Released, publisher.In)
	}
	return ""
}
