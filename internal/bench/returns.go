package bench

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
	"os"
	"time"

	"github.com/herald-push/herald"
)

// idle is the silence after which a device has got what waited for it.
const idle = 500 * time.Millisecond

// returns has devices of the population connect, one after the other, which
// were away for all messages, and acknowledge what they get. Its figure is when
// the first message came, and the processor time for all that waited.
func (b *audienceBench) returns(ctx context.Context) error {
	if b.Returns == 0 {
		return nil
	}
	r := b.p.stream(ofExpression, 1<<46)
	devices := make([]*stormDevice, b.Returns)
	for i := range devices {
		o := herald.Ordinal(r.below(b.p.Devices))
		for b.p.Profile(o).Dead {
			o = herald.Ordinal(r.below(b.p.Devices))
		}
		var err error
		if devices[i], err = register(ctx, b.http, b.server.url, b.seeded, b.p.Installation(o)); err != nil {
			return err
		}
	}
	used, got := b.server.cpu(), 0
	drained := make(chan error, len(devices))
	list, err := timed(len(devices), func(i int) error {
		conn, r, err := devices[i].comeBack(ctx)
		if err != nil {
			return err
		}
		go func() { drained <- devices[i].drain(conn, r) }()
		return nil
	})
	for range list {
		err = errors.Join(err, <-drained)
	}
	if err != nil {
		return err
	}
	for _, d := range devices {
		got += len(d.got)
	}
	b.report("connect, away for all", list)
	b.printf("%-34s %d on average\n", "messages that it got", got/len(devices))
	if now := b.server.cpu(); now > 0 {
		b.printf("%-34s %v\n", "processor time for each device", ((now - used) / time.Duration(len(devices))).Round(10*time.Microsecond))
	}
	return nil
}

// comeBack connects, and waits until the first message comes or it is clear
// that none does. The message stays in the reader.
func (d *stormDevice) comeBack(ctx context.Context) (net.Conn, *bufio.Reader, error) {
	conn, r, err := d.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err = conn.SetReadDeadline(time.Now().Add(idle)); err == nil {
		if _, _, err = readFrame(r); err == nil { // the welcome
			_, err = r.Peek(1)
		}
	}
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return conn, r, nil
}

// drain acknowledges what comes until nothing does any more.
func (d *stormDevice) drain(conn net.Conn, r *bufio.Reader) error {
	err := d.receive(conn, r, idle)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return errors.Join(err, conn.Close())
}

// register registers an installation, and gives it as a device.
func register(ctx context.Context, c *http.Client, server string, s Seeded, installation string) (*stormDevice, error) {
	b, err := json.Marshal(map[string]string{
		"app_key": string(s.AppKey), "installation": installation, "platform": "android",
	})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, server+"/v1/devices", bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.SetBasicAuth(string(s.AppKey), s.MasterSecret)
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var out struct {
		ID    herald.RegistrationID `json:"registration_id"`
		Token string                `json:"token"`
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &out); err != nil || out.Token == "" {
		return nil, fmt.Errorf("bench: registering a device was answered %d: %.200s", resp.StatusCode, text)
	}
	at, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	return &stormDevice{id: out.ID, token: out.Token, host: at.Host, got: map[string]bool{}}, nil
}
