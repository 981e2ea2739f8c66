package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/bench/swarm"
)

// product is Herald as a rival: a server of its own on a folder of its own,
// and devices that are registered.
type product struct {
	load      *Load
	server    *process
	folder    string
	seeded    Seeded
	http      *http.Client
	transport string
	devices   int
	more      int // devices beside those, which other clients are
	ttl       int
	topic     swarm.Target // over MQTT, with Topic: clients subscribe, and messages are published
	sender    *sender      // that publishes then
	batched   bool         // bursts are one request
	acked     bool         // receipts are counted
	sent      []herald.MessageID
	rows      int // messages in the copy of its database
}

// broadcastTTL keeps messages until the run is over.
const broadcastTTL = 6 * 3600

// startProduct starts a server and registers devices, and more for another crew.
func startProduct(ctx context.Context, l *Load, transport string, devices, more int) (_ *product, err error) {
	p := &product{load: l, transport: transport, devices: devices, more: more, ttl: broadcastTTL, http: manyCallers()}
	if p.folder, err = os.MkdirTemp("", "herald-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Stop())
		}
	}()
	if err := p.start(ctx); err != nil {
		return nil, err
	}
	return p, p.register(ctx)
}

// start makes a data folder and starts the server on it.
func (p *product) start(ctx context.Context) (err error) {
	p.load.starting.Lock()
	defer p.load.starting.Unlock()
	data := filepath.Join(p.folder, "data")
	p.seeded, err = Seed(ctx, Seeding{Folder: data, Population: Population{Seed: 1, Devices: 1, Tags: 1, Now: time.Now()}})
	if err != nil {
		return err
	}
	if err := copyFile(filepath.Join(data, "herald.db"), p.bare()); err != nil {
		return err
	}
	args := append([]string{"--set", "limits.address_connections=0", "--set", "limits.address_rate=1e9", "--set", "mqtt.publish_rate=1000000"}, p.load.Serve...)
	if p.transport == swarm.TCP {
		args = append(args, "--set", "server.tcp=127.0.0.1:0")
	}
	if p.transport == swarm.MQTT {
		args = append(args, "--set", "server.mqtt=127.0.0.1:0")
	}
	p.server, err = serve(ctx, p.load.Program, data, p.load.Log, args...)
	return err
}

// register registers the devices, and writes their tokens and IDs into files.
func (p *product) register(ctx context.Context) error {
	devices := make([]*stormDevice, p.devices+p.more)
	p.load.progress().Begin("devices registered")
	_, err := share(len(devices), stormCallers, func(i int) (err error) {
		devices[i], err = register(ctx, p.http, p.server.url, p.seeded, fmt.Sprintf("load-device-%09d", i))
		return err
	})
	if err != nil {
		return err
	}
	p.load.progress().End(len(devices))
	return errors.Join(p.write("", devices[:p.devices]), p.write(ofMore, devices[p.devices:]))
}

// ofMore ends the names of the files of the other crew.
const ofMore = ".more"

// write writes the files of a crew.
func (p *product) write(suffix string, devices []*stormDevice) error {
	var tokens, ids strings.Builder
	for _, d := range devices {
		fmt.Fprintln(&tokens, d.token)
		fmt.Fprintln(&ids, d.id)
	}
	return errors.Join(os.WriteFile(p.tokens()+suffix, []byte(tokens.String()), 0o600), os.WriteFile(p.ids()+suffix, []byte(ids.String()), 0o600))
}

func (p *product) tokens() string { return filepath.Join(p.folder, "tokens") }
func (p *product) ids() string    { return filepath.Join(p.folder, "ids") }

// bare is a copy of the database as it was at first, for who only writes rows.
func (p *product) bare() string { return filepath.Join(p.folder, "bare.db") }

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600) //nolint:gosec // both are in the folder of the run
}

// Process is the server.
func (p *product) Process() *process { return p.server }

// host is where the server listens for HTTP.
func (p *product) host() string { return strings.TrimPrefix(p.server.url, "http://") }

// Target is the transport.
func (p *product) Target() (swarm.Target, string) {
	t := swarm.Target{Proto: p.transport, Address: p.host(), Welcome: true}
	switch p.transport {
	case swarm.WebSocket:
		t.Path = "/v1/live/ws"
	case swarm.SSE:
		t.Path = "/v1/live/sse"
	case swarm.Stream:
		t.Path = "/v1/live/stream"
	case swarm.Poll:
		t.Path = "/v1/live/poll?wait=60"
	case swarm.TCP:
		t.Address = p.server.tcp
	case swarm.MQTT:
		t = p.topic
		t.Proto, t.Address, t.User = swarm.MQTT, p.server.mqtt, string(p.seeded.AppKey)
	}
	return t, p.tokens()
}

// Broadcast sends to all devices, in one request if the API takes many
// messages in one.
func (p *product) Broadcast(ctx context.Context, first uint32, count int) error {
	if p.sender != nil {
		return p.sender.broadcast(p.topic, first, count, p.load.Payload)
	}
	var bodies [][]byte
	for i := range uint32(count) {
		b := fmt.Appendf(nil, `{"audience":"all","ttl":%d,"data":`, p.ttl)
		m := swarm.Mark{Kind: swarm.Broadcast, Seq: first + i, Sent: time.Now().UnixNano()}
		bodies = append(bodies, append(m.Append(b, p.load.Payload), '}'))
	}
	if count > 1 && p.batched {
		return p.post(ctx, "/v1/messages:batch", "application/x-ndjson", bytes.Join(bodies, []byte("\n")), count)
	}
	for _, b := range bodies {
		if err := p.post(ctx, "/v1/messages", "application/json", b, 1); err != nil {
			return err
		}
	}
	return nil
}

// post sends messages, and keeps their IDs.
func (p *product) post(ctx context.Context, path, kind string, body []byte, count int) error {
	text, err := p.call(ctx, http.MethodPost, path, kind, body)
	if err != nil {
		return err
	}
	before := len(p.sent)
	for d := json.NewDecoder(bytes.NewReader(text)); ; {
		var a struct {
			ID herald.MessageID `json:"id"`
		}
		if err := d.Decode(&a); errors.Is(err, io.EOF) {
			break
		} else if err != nil || a.ID == 0 {
			return fmt.Errorf("bench: sending was answered %.300q: %w", text, err)
		}
		p.sent = append(p.sent, a.ID)
	}
	if len(p.sent)-before != count {
		return fmt.Errorf("bench: sending %d messages was answered %.300q", count, text)
	}
	return nil
}

// takesBatches asks whether the server has POST /v1/messages:batch, which
// refuses a batch of nothing.
func (p *product) takesBatches(ctx context.Context) (bool, error) {
	_, err := p.call(ctx, http.MethodPost, "/v1/messages:batch", "application/x-ndjson", nil)
	var r *refusal
	if errors.As(err, &r) {
		return r.status != http.StatusNotFound && r.status != http.StatusMethodNotAllowed, nil
	}
	return err == nil, err
}

// call makes a request as the app, and gives the body of a good answer.
func (p *product) call(ctx context.Context, method, path, kind string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, p.server.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", kind)
	req.SetBasicAuth(string(p.seeded.AppKey), p.seeded.MasterSecret)
	resp, err := p.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err == nil && resp.StatusCode/100 != 2 {
		err = &refusal{resp.StatusCode, text}
	}
	return text, err
}

// refusal is an answer of the server that is no success.
type refusal struct {
	status int
	text   []byte
}

func (r *refusal) Error() string {
	return fmt.Sprintf("bench: the server answers %d: %.300q", r.status, r.text)
}

// Settle waits until all messages were counted as received, if they are
// acknowledged.
func (p *product) Settle(ctx context.Context) error {
	for _, id := range p.sent {
		for p.acked {
			text, err := p.call(ctx, http.MethodGet, "/v1/messages/"+id.String(), "application/json", nil)
			if err != nil {
				return err
			}
			var m struct {
				Counts struct {
					Received int `json:"received"`
				} `json:"counts"`
			}
			if err := json.Unmarshal(text, &m); err != nil {
				return err
			}
			if m.Counts.Received == p.devices {
				break
			}
			if m.Counts.Received > p.devices {
				return fmt.Errorf("bench: message %v was received by %d devices of %d", id, m.Counts.Received, p.devices)
			}
			if !rest(ctx, 20*time.Millisecond) {
				return fmt.Errorf("bench: message %v was counted %d times, want %d: %w", id, m.Counts.Received, p.devices, ctx.Err())
			}
		}
	}
	p.sent = p.sent[:0]
	return nil
}

// online waits until the server knows n devices as connected.
func (p *product) online(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		text, err := p.call(ctx, http.MethodPost, "/v1/audience/estimate", "application/json", []byte(`{"audience":"all"}`))
		if err != nil {
			return err
		}
		var e struct {
			Online int `json:"online"`
		}
		if err := json.Unmarshal(text, &e); err != nil {
			return err
		}
		if e.Online == n {
			return nil
		}
		if !rest(ctx, 50*time.Millisecond) {
			return fmt.Errorf("bench: %d devices are online, want %d: %w", e.Online, n, ctx.Err())
		}
	}
}

// Stop ends the server and removes its folder.
func (p *product) Stop() error {
	var err error
	p.sender.close()
	if p.server != nil {
		err = p.server.stop()
	}
	p.http.CloseIdleConnections()
	return errors.Join(err, os.RemoveAll(p.folder))
}

// rest waits, and reports whether ctx still goes on.
func rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
