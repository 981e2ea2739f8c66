package faults_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"
)

// mqttLink is a connection of a device that only receives pushes over MQTT,
// without a session that is kept.
type mqttLink struct {
	conn net.Conn
	r    *bufio.Reader
	stop func() bool
	ids  map[string]uint16 // the packet of each message
}

func dialMQTT(ctx context.Context, n *node, app string, d *device) (link, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", n.whereMQTT())
	if err != nil {
		return nil, err
	}
	l := &mqttLink{conn: conn, r: bufio.NewReader(conn), ids: map[string]uint16{}}
	l.stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
	if _, err := conn.Write(mqttHello(4, d.id, app, d.token, false)); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *mqttLink) next(context.Context) (w wire, err error) {
	for {
		p, err := readPacket(l.r, 4)
		switch {
		case err != nil:
			return w, err
		case p.kind == mqttConnack && p.code != 0:
			return w, fmt.Errorf("mqtt: code %d", p.code)
		case p.kind != mqttPublish:
			continue
		}
		err = json.Unmarshal(p.payload, &w)
		if w.ID != "" && p.qos > 0 {
			l.ids[w.ID] = p.id
		}
		return w, err
	}
}

// ack sends PUBACK once for each message.
func (l *mqttLink) ack(_ context.Context, ids []string, _ string) error {
	for _, id := range ids {
		n, ok := l.ids[id]
		if !ok {
			continue
		}
		delete(l.ids, id)
		if _, err := l.conn.Write(mqttAnswer(mqttPuback, n)); err != nil {
			return err
		}
	}
	return nil
}

func (l *mqttLink) close() {
	l.stop()
	_ = l.conn.Close()
}

// found makes the forum of a world: so many devices more of each app, whose
// main sessions its members have.
func (w *world) found(each int) {
	f := &forum{
		ctx: w.ctx, w: w, address: w.n.whereMQTT, random: w.random, calm: &w.calm, posts: map[string]*post{},
		pace: 10 * time.Millisecond, loss: 60, least: 50 * time.Millisecond,
	}
	w.forum = f
	for app, a := range w.apps {
		if r := w.n.call(w.ctx, web, http.MethodPatch, "/v1/app", a.basic(), "", map[string]any{"topics": map[string]any{"publish": []string{"t/#"}}}); r.status != http.StatusOK {
			w.t.Fatalf("saying who may publish: status %d: %s", r.status, r.body)
		}
		for range each {
			d := w.register(app, false)
			if d == nil {
				w.t.Fatal("a device could not be registered")
			}
			d.member = true
			f.join(&member{app: app, id: d.id, user: a.Key, password: d.token, d: d})
		}
	}
}
