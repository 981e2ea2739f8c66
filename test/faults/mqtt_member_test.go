package faults_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"time"
)

// member is a session of MQTT that is kept, and the client that has it. What
// belongs to the session (MQTT 5.0 section 4.1) outlives the connections of the
// client, which never forgets: one goroutine has it all.
type member struct {
	f                  *forum
	index, app         int
	id, user, password string
	version            byte
	filters            []filter
	d                  *device // whose pushes come on the connection; nil: none

	began bool              // the session is there, with all its subscriptions
	left  bool              // it has posted for the last time
	last  uint16            // the packet ID given last
	out   []*sending        // in the order in which they were sent first
	in    map[uint16]string // QoS 2 that came and is not released: the nonce
	seqs  map[string]int    // the number of the last post, by topic and QoS
}

// filter is a subscription. Those of a member do not overlap, so that a post
// comes to it by one.
type filter struct {
	text  string
	qos   byte
	since time.Time // when it was granted
}

// sending is a post that is not done: its PUBLISH is repeated until it is
// acknowledged, then its PUBREL.
type sending struct {
	post     *post
	id       uint16
	released bool
}

// play lives until the forum ends.
func (m *member) play() {
	r := m.f.random("member", m.index)
	for m.f.ctx.Err() == nil {
		if !m.f.calm.Load() && r.IntN(6) == 0 {
			m.f.pause(time.Duration(r.IntN(600)) * time.Millisecond)
		}
		if err := m.connect(r); err != nil {
			m.f.pause(time.Duration(10+r.IntN(40)) * time.Millisecond)
		}
	}
}

// visit is one connection of a member.
type visit struct {
	*member
	conn    net.Conn
	number  int
	opened  time.Time
	packets chan packet
	r       *rand.Rand
	rude    bool // it loses packets and is cut at any moment
	late    bool // it began after all was settled
}

// connect holds one connection, until it is cut.
func (m *member) connect(r *rand.Rand) error {
	ctx, cancel := context.WithCancel(m.f.ctx)
	defer cancel()
	v := &visit{member: m, number: int(connections.Add(1)), opened: time.Now(), packets: make(chan packet), r: r, rude: !m.f.calm.Load(), late: m.f.last.Load()}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", m.f.address())
	if err != nil {
		return err
	}
	v.conn = conn
	ended := make(chan error, 1)
	go func() { ended <- v.read(ctx) }()
	defer func() {
		cancel()
		_ = conn.Close() // it may be closed
		<-ended
	}()
	if err := v.write(mqttHello(m.version, m.id, m.user, m.password, true)); err != nil {
		return err
	}
	tick := time.NewTicker(max(m.f.pace, 2*time.Millisecond))
	defer tick.Stop()
	cut := time.After(time.Hour)
	if v.rude {
		cut = time.After(time.Duration(int(v.f.least/time.Millisecond)+r.IntN(1200)) * time.Millisecond)
	}
	up := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			ended <- err
			return err
		case <-cut:
			return nil
		case <-tick.C:
			if v.rude && m.f.calm.Load() || !v.late && m.f.last.Load() {
				return nil // who means well now does not stay on a connection from before
			}
			if up && m.began {
				if err := v.publish(); err != nil {
					return err
				}
			}
		case p := <-v.packets:
			if v.rude && r.IntN(v.f.loss) == 0 {
				return nil // the packet is lost, and the connection with it
			}
			if p.kind == mqttConnack {
				up = true
			}
			if err := v.take(p); err != nil {
				return err
			}
		}
	}
}

func (v *visit) read(ctx context.Context) error {
	r := bufio.NewReader(v.conn)
	for {
		p, err := readPacket(r, v.version)
		if err != nil {
			return err
		}
		select {
		case v.packets <- p:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (v *visit) write(b []byte) error {
	_, err := v.conn.Write(b)
	return err
}

// take does what a packet asks for. The state changes before the answer goes
// out: what the other side is told is kept.
func (v *visit) take(p packet) error {
	switch p.kind {
	case mqttConnack:
		return v.welcome(p)
	case mqttSuback:
		if p.code > 2 || int(p.id) > len(v.filters) || v.filters[p.id-1].qos != p.code {
			return v.f.complain("member %d is answered code %#x to its subscription to %s", v.index, p.code, v.filters[p.id-1].text)
		}
		v.f.granted(v.member, int(p.id)-1)
		v.began = v.began || !slices.ContainsFunc(v.filters, func(f filter) bool { return f.since.IsZero() })
	case mqttPublish:
		return v.received(p)
	case mqttPubrel:
		delete(v.in, p.id)
		return v.write(mqttAnswer(mqttPubcomp, p.id))
	case mqttPuback, mqttPubrec, mqttPubcomp:
		return v.answered(p)
	case mqttDisconnect:
		// Going away, busy, taken over, too slow: that may be.
		if !slices.Contains([]byte{0x00, 0x89, 0x8b, 0x8d, 0x8e, 0x9c}, p.code) {
			return v.f.complain("member %d is told that it is wrong: reason %#x", v.index, p.code)
		}
	}
	return nil
}

// welcome goes on where the session stands (MQTT 5.0 section 4.4).
func (v *visit) welcome(p packet) error {
	if p.code != 0 {
		if p.code >= 0x80 && p.code != 0x88 && p.code != 0x89 || p.code < 0x80 && p.code != 3 {
			return v.f.complain("member %d may not connect: code %#x", v.index, p.code)
		}
		return errEnded
	}
	if !p.present && v.began {
		return v.f.complain("the session of member %d is gone", v.index)
	}
	if !v.began {
		for i, f := range v.filters {
			if err := v.write(mqttAsk(v.version, uint16(i+1), f.text, f.qos)); err != nil {
				return err
			}
		}
		return nil
	}
	for _, s := range v.out {
		if err := v.send(s, true); err != nil {
			return err
		}
	}
	return nil
}

func (v *visit) send(s *sending, again bool) error {
	if s.released {
		return v.write(mqttAnswer(mqttPubrel, s.id))
	}
	return v.write(mqttPost(v.version, again, s.post.qos, s.id, s.post.topic, s.post.payload))
}

// publish posts something, unless much of it is under way or the time for it
// is over.
func (v *visit) publish() error {
	if v.late && !v.left {
		v.left = true
		for _, topic := range lastTopics {
			if err := v.post(topic, 2); err != nil {
				return err
			}
		}
	}
	if len(v.out) >= 8 || v.f.calm.Load() || v.f.quiet.Load() {
		return nil
	}
	return v.post(fmt.Sprintf("t/%d/%d", v.r.IntN(3), v.r.IntN(3)), byte(v.r.IntN(10)+2)/4)
}

func (v *visit) post(topic string, qos byte) error {
	key := fmt.Sprint(topic, " ", qos)
	v.seqs[key]++
	p := v.f.begin(v.member, topic, qos, v.seqs[key])
	s := &sending{post: p}
	if qos > 0 {
		for used := true; used; {
			v.last = v.last%65535 + 1
			used = slices.ContainsFunc(v.out, func(s *sending) bool { return s.id == v.last })
		}
		s.id = v.last
		v.out = append(v.out, s)
	}
	return v.send(s, false)
}

// answered: the server has the post, as of PUBACK and PUBREC.
func (v *visit) answered(p packet) error {
	i := slices.IndexFunc(v.out, func(s *sending) bool { return s.id == p.id })
	if i < 0 {
		// The answer to what was sent again, after the answer to the first.
		if p.kind == mqttPubrec {
			return v.write(mqttAnswer(mqttPubrel, p.id))
		}
		return nil
	}
	s := v.out[i]
	// PUBCOMP may say that it does not know the packet: it was released before.
	if p.code >= 0x80 && p.kind != mqttPubcomp {
		return v.f.complain("member %d may not publish %s: reason %#x", v.index, s.post.nonce, p.code)
	}
	if p.kind != mqttPubcomp {
		v.f.owned(s.post)
	}
	if p.kind == mqttPubrec {
		s.released = true
		return v.send(s, true)
	}
	v.out = slices.Delete(v.out, i, i+1)
	return nil
}

// received hands on what came, once if it has QoS 2, and acknowledges.
func (v *visit) received(p packet) error {
	if p.topic == "herald/push" {
		return v.pushed(p)
	}
	var said struct{ Nonce string }
	_ = json.Unmarshal(p.payload, &said) // what is none of ours is told below
	if p.qos < 2 || v.in[p.id] == "" {
		v.f.arrived(arrival{member: v.index, conn: v.number, topic: p.topic, nonce: said.Nonce, payload: string(p.payload), qos: p.qos, at: time.Now()})
	} else if v.in[p.id] != said.Nonce {
		return v.f.complain("member %d gets %s with packet ID %d, which it has not released for %s", v.index, said.Nonce, p.id, v.in[p.id])
	}
	switch p.qos {
	case 1:
		return v.write(mqttAnswer(mqttPuback, p.id))
	case 2:
		v.in[p.id] = said.Nonce
		return v.write(mqttAnswer(mqttPubrec, p.id))
	}
	return nil
}

// pushed takes a push, as devices over other transports do.
func (v *visit) pushed(p packet) error {
	var f wire
	if err := json.Unmarshal(p.payload, &f); err != nil || v.d == nil {
		return v.f.complain("member %d gets a push that it cannot read, or has none: %q", v.index, p.payload)
	}
	v.f.w.saw(v.d, v.number, v.opened, f)
	if v.rude && v.r.IntN(4) == 0 || p.qos == 0 {
		return nil // it does not acknowledge this time
	}
	if f.Type == "message" {
		v.f.w.j.ack(ack{Device: v.d.index, Conn: v.number, At: time.Now(), IDs: []string{f.ID}})
	}
	return v.write(mqttAnswer(mqttPuback, p.id))
}
