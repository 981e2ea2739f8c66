package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/wire"
)

// stormDevice is a device with as little around its socket as can be, so that
// many of them fit beside a server on one machine. One goroutine runs it.
type stormDevice struct {
	id    herald.RegistrationID
	token string
	host  string
	want  int           // distinct messages after which it is done
	done  chan struct{} // closed then
	got   map[string]bool
	twice int
	// Of a device that is measured:
	probes   *probes
	arrivals arrivals
}

// run connects and acknowledges what comes until ctx ends.
func (d *stormDevice) run(ctx context.Context, dials chan struct{}, failed chan<- error) {
	if err := d.serve(ctx, dials); err != nil && ctx.Err() == nil {
		failed <- fmt.Errorf("bench: a device that came back: %w", err)
	}
}

func (d *stormDevice) serve(ctx context.Context, dials chan struct{}) error {
	if dials != nil {
		dials <- struct{}{}
	}
	conn, r, err := d.open(ctx)
	if dials != nil {
		<-dials
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	return d.receive(conn, r, 0)
}

// receive acknowledges what comes until the connection ends, or until nothing
// has come for a while, unless that is 0.
func (d *stormDevice) receive(conn net.Conn, r *bufio.Reader, silence time.Duration) error {
	var ids []string
	for {
		if silence > 0 {
			if err := conn.SetReadDeadline(time.Now().Add(silence)); err != nil {
				return err
			}
		}
		op, payload, err := readFrame(r)
		if err != nil {
			return err
		}
		switch op {
		case wire.Text:
			if id := d.take(payload); id != "" {
				ids = append(ids, id)
			}
		case wire.Ping:
			if _, err := conn.Write(wire.AppendMasked(nil, true, wire.Pong, [4]byte{}, payload)); err != nil {
				return err
			}
		case wire.Close:
			return fmt.Errorf("closed: %q", payload)
		}
		// What came together is acknowledged together.
		if len(ids) > 0 && (r.Buffered() == 0 || len(ids) == maxAcks) {
			if err := acknowledge(conn, ids); err != nil {
				return err
			}
			ids = ids[:0]
		}
	}
}

// maxAcks keeps a frame of acknowledgements within what the server takes.
const maxAcks = 500

func acknowledge(conn net.Conn, ids []string) error {
	b, err := json.Marshal(struct {
		Type string   `json:"type"`
		IDs  []string `json:"ids"`
	}{"ack", ids})
	if err == nil {
		_, err = conn.Write(wire.AppendMasked(nil, true, wire.Text, [4]byte{}, b))
	}
	return err
}

// open connects with a WebSocket handshake.
func (d *stormDevice) open(ctx context.Context) (net.Conn, *bufio.Reader, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", d.host)
	if err != nil {
		return nil, nil, err
	}
	var from io.Reader = conn
	if d.probes != nil {
		if d.arrivals, err = stampArrivals(conn); err != nil {
			return nil, nil, errors.Join(err, conn.Close())
		}
		from = d.arrivals
	}
	r := bufio.NewReaderSize(from, 4096)
	_, err = fmt.Fprintf(conn, "GET /v1/live/ws HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nAuthorization: Bearer %s\r\n\r\n", d.host, d.token)
	if err == nil {
		var resp *http.Response
		if resp, err = http.ReadResponse(r, nil); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusSwitchingProtocols {
				err = errors.New(resp.Status)
			}
		}
	}
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return conn, r, nil
}

// readFrame reads a frame of a server, which is whole and not masked.
func readFrame(r *bufio.Reader) (wire.Opcode, []byte, error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:2]); err != nil {
		return 0, nil, err
	}
	op, n := wire.Opcode(head[0]&0x0f), uint64(head[1])
	var long []byte
	switch n {
	case 126:
		long = head[6:]
	case 127:
		long = head[:]
	}
	if long != nil {
		clear(head[:])
		if _, err := io.ReadFull(r, long); err != nil {
			return 0, nil, err
		}
		n = binary.BigEndian.Uint64(head[:])
	}
	if n > 1<<20 {
		return 0, nil, fmt.Errorf("a frame of %d bytes", n)
	}
	payload := make([]byte, n)
	_, err := io.ReadFull(r, payload)
	return op, payload, err
}

// take counts a message, and gives its ID; "" if it is none.
func (d *stormDevice) take(frame []byte) string {
	if !bytes.HasPrefix(frame, []byte(`{"type":"message"`)) {
		return ""
	}
	id := text(frame, `"id":"`)
	if ns, err := strconv.ParseInt(text(frame, `"sent_ns":"`), 10, 64); err == nil {
		d.probes.add(d.arrivals.last().Sub(time.Unix(0, ns)))
		return id
	}
	if d.got[id] {
		d.twice++
		return id
	}
	d.got[id] = true
	if len(d.got) == d.want {
		close(d.done)
	}
	return id
}

// text gives what follows a mark, up to the next quote.
func text(frame []byte, mark string) string {
	_, after, _ := bytes.Cut(frame, []byte(mark))
	value, _, _ := bytes.Cut(after, []byte(`"`))
	return string(value)
}
