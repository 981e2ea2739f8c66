package bench

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/herald-push/herald"
)

// arrivals reads a connection and knows when what it read last had come, as far
// as the system tells: a process that shares the processors with a server may
// read it milliseconds after that, which a device elsewhere would not.
type arrivals interface {
	io.Reader
	last() time.Time
}

// probes gathers how long messages took.
type probes struct {
	mu   sync.Mutex
	list []time.Duration
}

func (p *probes) add(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, d)
}

// take gives the p99 of what was added since the last call.
func (p *probes) take() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := quantile(p.list, 0.99)
	p.list = nil
	return out
}

// probe sends messages to single connected devices, at a pace, with the time in
// them. Each is sent by a goroutine of its own: what takes long must not make
// the pace slower.
func (s *storm) probe(ctx context.Context, here []*stormDevice, failed chan<- error) {
	tick := time.NewTicker(time.Second / time.Duration(s.Rate))
	defer tick.Stop()
	callers := newProbeCallers(here[0].host, s.seeded)
	defer callers.close()
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		wg.Go(func() {
			if err := callers.send(ctx, here[i%len(here)].id); err != nil && ctx.Err() == nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
	}
}

// probeCallers are connections of an app server, each for one call at a time. They
// write a request themselves, so that there is nothing between the time in it
// and the system call.
type probeCallers struct {
	host, head string

	mu   sync.Mutex // guards what follows
	idle []*probeCaller
}

type probeCaller struct {
	conn net.Conn
	r    *bufio.Reader
	used time.Time // when it had its last answer
}

// freshFor is how long a connection is used again: a server closes those that ask
// for nothing.
const freshFor = 30 * time.Second

func newProbeCallers(host string, s Seeded) *probeCallers {
	basic := base64.StdEncoding.EncodeToString([]byte(string(s.AppKey) + ":" + s.MasterSecret))
	return &probeCallers{host: host, head: "POST /v1/messages HTTP/1.1\r\nHost: " + host + "\r\nAuthorization: Basic " + basic + "\r\nContent-Type: application/json\r\n"}
}

func (p *probeCallers) take(ctx context.Context) (*probeCaller, error) {
	if c := p.fresh(); c != nil {
		return c, nil
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.host)
	if err != nil {
		return nil, err
	}
	return &probeCaller{conn: conn, r: bufio.NewReader(conn)}, nil
}

// fresh takes the connection that was used last, if that is not long ago; else
// none of them is of use any more.
func (p *probeCallers) fresh() *probeCaller {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1]
	if time.Since(c.used) > freshFor {
		p.drop()
		return nil
	}
	p.idle = p.idle[:n-1]
	return c
}

// drop closes the connections that nobody uses; p.mu is held.
func (p *probeCallers) drop() {
	for _, c := range p.idle {
		_ = c.conn.Close()
	}
	p.idle = nil
}

// send sends a message with the time in it to a device, and reads the answer.
func (p *probeCallers) send(ctx context.Context, to herald.RegistrationID) (err error) {
	c, err := p.take(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = c.conn.Close() // the error is what matters
			return
		}
		c.used = time.Now()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.idle = append(p.idle, c)
	}()
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Now()) })
	defer stop()
	if err := c.conn.SetDeadline(time.Now().Add(stormProbeTTL)); err != nil {
		return err
	}
	body := fmt.Sprintf(`{"audience":{"registration_ids":[%q]},"ttl":%d,"data":{"sent_ns":"%d"}}`, to, stormProbeTTL/time.Second, time.Now().UnixNano())
	if _, err := fmt.Fprintf(c.conn, "%sContent-Length: %d\r\n\r\n%s", p.head, len(body), body); err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("bench: a message to who is connected was answered %d: %.200s", resp.StatusCode, text)
	}
	return err
}

// close ends the connections; the calls are over.
func (p *probeCallers) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop()
}
