package faults_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// wire is a frame of the session protocol, as any transport brings it.
type wire struct {
	Type         string
	ID           string
	Cursor       string
	Code         any
	Notification struct{ Title string }
	Data         json.RawMessage
}

// link is one connection of a device.
type link interface {
	// next waits for a frame.
	next(ctx context.Context) (wire, error)
	// ack acknowledges messages, or everything up to a cursor.
	ack(ctx context.Context, ids []string, cursor string) error
	close()
}

var errEnded = errors.New("the connection ended")

// dial connects a device. cursor acknowledges what came before.
func dial(ctx context.Context, n *node, transport, token, cursor string, upto bool) (link, error) {
	web, _, tcp := n.where()
	q := url.Values{}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	if upto {
		q.Set("ack", "upto")
	}
	switch transport {
	case "websocket":
		c, _, err := websocket.Dial(ctx, strings.Replace(web, "http", "ws", 1)+"/v1/live/ws?"+q.Encode(),
			&websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}, HTTPClient: &http.Client{Transport: &http.Transport{}}})
		if err != nil {
			return nil, err
		}
		c.SetReadLimit(1 << 20)
		return &socket{c}, nil
	case "tcp":
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", tcp)
		if err != nil {
			return nil, err
		}
		hello := map[string]any{"type": "hello", "token": token}
		if cursor != "" {
			hello["cursor"] = cursor
		}
		if upto {
			hello["ack"] = "upto"
		}
		l := &line{conn: c, lines: bufio.NewReader(c)}
		stop := context.AfterFunc(ctx, func() { _ = c.Close() })
		l.stop = stop
		return l, l.write(hello)
	}
	return dialHTTP(ctx, web, transport, token, q)
}

// socket is a WebSocket.
type socket struct{ c *websocket.Conn }

func (s *socket) next(ctx context.Context) (w wire, err error) {
	_, b, err := s.c.Read(ctx)
	if err == nil {
		err = json.Unmarshal(b, &w)
	}
	return w, err
}

func (s *socket) ack(ctx context.Context, ids []string, cursor string) error {
	b, err := json.Marshal(ackFrame(ids, cursor))
	if err != nil {
		return err
	}
	return s.c.Write(ctx, websocket.MessageText, b)
}

func (s *socket) close() { _ = s.c.CloseNow() }

func ackFrame(ids []string, cursor string) map[string]any {
	if cursor != "" {
		return map[string]any{"type": "ack", "upto": cursor}
	}
	return map[string]any{"type": "ack", "ids": ids}
}

// line is a raw TCP connection.
type line struct {
	conn  net.Conn
	lines *bufio.Reader
	stop  func() bool
}

func (l *line) write(v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		_, err = l.conn.Write(append(b, '\n'))
	}
	return err
}

func (l *line) next(context.Context) (w wire, err error) {
	b, err := l.lines.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(b, &w)
	}
	if err == nil && w.Type == "ping" {
		err = l.write(map[string]any{"type": "pong"})
	}
	return w, err
}

func (l *line) ack(_ context.Context, ids []string, cursor string) error {
	return l.write(ackFrame(ids, cursor))
}

func (l *line) close() {
	l.stop()
	_ = l.conn.Close()
}

// oneWay is SSE, HTTP streaming or one poll. It acknowledges by POST.
type oneWay struct {
	kind, base, token string
	client            *http.Client
	body              io.ReadCloser
	lines             *bufio.Reader
	polled            []wire
}

func dialHTTP(ctx context.Context, base, kind, token string, q url.Values) (link, error) {
	o := &oneWay{kind: kind, base: base, token: token, client: &http.Client{Transport: &http.Transport{}}}
	q.Del("ack")
	switch kind {
	case "poll":
		q.Set("wait", "1")
	case "long poll":
		o.kind, kind = "poll", "poll"
		q.Set("wait", "60")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/v1/live/"+kind+"?"+q.Encode(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := o.client.Do(req)
	if err != nil {
		return nil, err
	}
	o.body, o.lines = resp.Body, bufio.NewReader(resp.Body)
	if resp.StatusCode != http.StatusOK {
		o.close()
		return nil, fmt.Errorf("%s: status %d", kind, resp.StatusCode)
	}
	if kind == "poll" {
		var answer struct{ Frames []wire }
		if err := json.NewDecoder(o.lines).Decode(&answer); err != nil {
			o.close()
			return nil, err
		}
		o.polled = answer.Frames
	}
	return o, nil
}

func (o *oneWay) next(context.Context) (w wire, err error) {
	if o.kind == "poll" {
		if len(o.polled) == 0 {
			return w, errEnded
		}
		w, o.polled = o.polled[0], o.polled[1:]
		return w, nil
	}
	for {
		b, err := o.lines.ReadBytes('\n')
		if err != nil {
			return w, err
		}
		if o.kind == "sse" {
			var ok bool
			if b, ok = bytes.CutPrefix(b, []byte("data:")); !ok {
				continue
			}
		}
		return w, json.Unmarshal(b, &w)
	}
}

func (o *oneWay) ack(ctx context.Context, ids []string, cursor string) error {
	m := map[string]any{}
	if cursor != "" {
		m["cursor"] = cursor
	} else {
		var list []map[string]string
		for _, id := range ids {
			list = append(list, map[string]string{"id": id, "event": "received"})
		}
		m["receipts"] = list
	}
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.base+"/v1/receipts", bytes.NewReader(b))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+o.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := o.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("receipts: status %d", resp.StatusCode)
	}
	return nil
}

func (o *oneWay) close() {
	_ = o.body.Close()
	o.client.CloseIdleConnections()
}
