package faults_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald"
	sdk "github.com/herald-push/herald/client/device"
)

// connections numbers the connections of all devices of the test process.
var connections atomic.Int64

// live runs the life of a device until the world ends.
func (w *world) live(d *device) {
	w.people.Add(1)
	go func() {
		defer w.people.Done()
		if d.sdk {
			w.listen(d)
			return
		}
		r := w.random("device", d.index)
		for w.ctx.Err() == nil && !d.removed.Load() {
			if r.IntN(10) == 0 {
				w.away(time.Duration(2+r.IntN(4)) * time.Second)
			}
			w.connect(d, r)
		}
	}()
}

// away stays away for a time, or until everybody has to be there.
func (w *world) away(d time.Duration) {
	for end := time.Now().Add(d); w.ctx.Err() == nil && !w.calm.Load() && time.Now().Before(end); {
		w.pause(20 * time.Millisecond)
	}
}

// begin lets every device live.
func (w *world) begin() {
	for _, d := range w.list(-1) {
		if !d.member {
			w.live(d)
		}
	}
	if w.forum != nil {
		for _, m := range w.forum.members {
			w.people.Go(m.play)
		}
	}
}

// manner is how a device behaves on one connection.
type manner struct {
	transport string
	ack       string        // each, late, twice, never, cursor
	until     time.Duration // when it cuts the connection
	stall     bool          // it stops reading for a while
}

func (w *world) manner(r *rand.Rand) manner {
	if w.calm.Load() {
		return manner{transport: "websocket", ack: "each", until: time.Hour}
	}
	m := manner{
		transport: []string{"websocket", "websocket", "sse", "stream", "poll", "tcp"}[r.IntN(6)],
		ack:       []string{"each", "each", "late", "twice", "never", "cursor"}[r.IntN(6)],
		until:     time.Duration(50+r.IntN(1500)) * time.Millisecond * w.slower,
		stall:     r.IntN(8) == 0,
	}
	if w.forum != nil && r.IntN(3) == 0 {
		m.transport = "mqtt"
	}
	return m
}

// connect holds one connection.
func (w *world) connect(d *device, r *rand.Rand) {
	m := w.manner(r)
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	// A device that means well now does not stay on a connection that it
	// opened when it did not.
	go w.cutAfter(ctx, cancel, m)
	conn, opened := int(connections.Add(1)), time.Now()
	cursor := ""
	if m.ack == "cursor" || r.IntN(4) == 0 {
		cursor = d.cursor
	}
	var l link
	var err error
	if m.transport == "mqtt" {
		cursor = "" // it has none
		l, err = dialMQTT(ctx, w.n, w.apps[d.app].Key, d)
	} else {
		l, err = dial(ctx, w.n, m.transport, d.token, cursor, m.ack == "cursor")
	}
	if cursor != "" {
		w.j.ack(ack{Device: d.index, Conn: conn, At: opened, Cursor: cursor})
	}
	if err != nil {
		w.pause(time.Duration(20+r.IntN(100)) * time.Millisecond)
		return
	}
	defer l.close()
	var late []string
	for {
		f, err := l.next(ctx)
		if err != nil {
			break
		}
		if f.Type != "message" && f.Type != "withdraw" {
			continue
		}
		w.saw(d, conn, opened, f)
		if m.stall && r.IntN(5) == 0 {
			w.pause(time.Duration(r.IntN(400)) * time.Millisecond)
		}
		if f.Type == "message" {
			late = w.acknowledge(ctx, d, l, conn, m.ack, f, late)
		} else if m.ack != "never" {
			w.told(ctx, l, f)
		}
	}
	// What comes late comes over whatever is there by then.
	if len(late) > 0 && w.ctx.Err() == nil {
		w.receipts(w.ctx, d, conn, late)
	}
}

func (w *world) cutAfter(ctx context.Context, cancel func(), m manner) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(m.until); ; {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if now.After(end) || w.calm.Load() && m.until < time.Hour {
				cancel()
				return
			}
		}
	}
}

func (w *world) saw(d *device, conn int, opened time.Time, f wire) {
	var data struct{ Nonce string }
	_ = json.Unmarshal(f.Data, &data)
	w.j.frame(frame{
		Device: d.index, Conn: conn, Opened: opened, At: time.Now(), Type: f.Type, ID: f.ID, Cursor: f.Cursor,
		Nonce: data.Nonce, Hash: hashOf(f.Notification.Title, f.Data),
	})
	d.seen.Add(1)
	if f.Cursor != "" {
		d.cursor = f.Cursor
	}
}

func (w *world) acknowledge(ctx context.Context, d *device, l link, conn int, how string, f wire, late []string) []string {
	send := func(ids []string, cursor string) {
		w.j.ack(ack{Device: d.index, Conn: conn, At: time.Now(), IDs: ids, Cursor: cursor})
		_ = l.ack(ctx, ids, cursor) // lost with its connection, it is made good by a copy
	}
	switch how {
	case "each":
		send([]string{f.ID}, "")
	case "twice":
		send([]string{f.ID}, "")
		send([]string{f.ID, f.ID}, "")
	case "late":
		if late = append(late, f.ID); len(late) == 5 {
			send(late, "")
			late = nil
		}
	case "cursor":
		if f.Cursor != "" {
			send(nil, f.Cursor)
		}
	}
	return late
}

// told acknowledges a withdrawal, where the transport can.
func (w *world) told(ctx context.Context, l link, f wire) {
	switch c := l.(type) {
	case *socket:
		if b, err := json.Marshal(map[string]any{"type": "event", "event": "withdrawn", "ids": []string{f.ID}}); err == nil {
			_ = c.c.Write(ctx, 1, b)
		}
	case *mqttLink:
		_ = c.ack(ctx, []string{f.ID}, "")
	case *line:
		_ = c.write(map[string]any{"type": "event", "event": "withdrawn", "ids": []string{f.ID}})
	}
}

// receipts acknowledges over HTTP.
func (w *world) receipts(ctx context.Context, d *device, conn int, ids []string) {
	w.j.ack(ack{Device: d.index, Conn: conn, At: time.Now(), IDs: ids})
	var list []map[string]string
	for _, id := range ids {
		list = append(list, map[string]string{"id": id, "event": "received"})
	}
	w.n.call(ctx, web, http.MethodPost, "/v1/receipts", "Bearer "+d.token, "", map[string]any{"receipts": list})
}

// listen runs a device on the Go SDK, which keeps one connection by itself.
func (w *world) listen(d *device) {
	at, _, _ := w.n.where()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	dev, err := sdk.New(sdk.Options{URL: at, AppKey: herald.AppKey(w.apps[d.app].Key), Installation: d.installation, Platform: herald.PlatformLinux, HTTPClient: client})
	if err != nil {
		w.t.Error(err)
		return
	}
	for w.ctx.Err() == nil {
		err := dev.Listen(w.ctx, sdk.Handler{OnMessage: func(_ context.Context, m sdk.Message) error {
			var data struct{ Nonce string }
			_ = json.Unmarshal(m.Data, &data)
			title := ""
			if m.Notification != nil {
				title = m.Notification.Title
			}
			now := time.Now()
			w.j.frame(frame{Device: d.index, Conn: -1, Opened: time.Time{}, At: now, Type: "message", ID: m.ID.String(), Nonce: data.Nonce, Hash: hashOf(title, m.Data), SDK: true})
			w.j.ack(ack{Device: d.index, Conn: -1, At: now, IDs: []string{m.ID.String()}})
			d.seen.Add(1)
			return nil
		}})
		if err != nil && w.ctx.Err() == nil {
			w.pause(time.Second)
		}
	}
}
