package livetest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"

	"github.com/herald-push/herald"
)

// unlimited lets a cutter count only.
const unlimited = 1 << 30

// cutOpenings: a client that begins to open a session and goes, after each
// number of bytes, with the end of its data or with a reset. No session comes
// of it, and the server ends the connection as soon as it knows.
func cutOpenings(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	n := e.openingBytes(m)
	done := e.calm()
	seen := e.world.SeenCount()
	for k := range n {
		e.cutOpening(m, k, false)
		e.cutOpening(m, k, true)
	}
	if got := e.world.SeenCount() - seen; got != 0 {
		e.Fatalf("%d sessions came of openings that were cut", got)
	}
	// Whole, and then the end: the session ends with its client.
	e.cutOpening(m, n, false)
	e.cutOpening(m, n, true)
	done()
}

// openingBytes is how many bytes a client sends to open a session.
func (e *env) openingBytes(m Member) int {
	e.Helper()
	conn := newCutter(e.socket(), unlimited, false)
	e.openOnce(conn, conn.TCPConn, m)
	return conn.count()
}

// openOnce opens the only session that there is over a connection, and ends it.
func (e *env) openOnce(conn net.Conn, socket *net.TCPConn, m Member) {
	e.Helper()
	c, err := e.over(conn, Dial{Token: m.Token})
	if err != nil {
		e.Fatal(err)
	}
	if e.harness.Polls {
		e.until("the request is held", func() bool { return e.hub.Count(App) > 0 })
	} else {
		c.expect("welcome")
	}
	reset(socket)
	e.until("the session has ended", func() bool { return e.hub.Count(App) == 0 })
}

// cutOpening opens over a connection that is cut, and reads to its end.
func (e *env) cutOpening(m Member, k int, reset bool) {
	e.Helper()
	conn := newCutter(e.socket(), k, reset)
	_, _ = e.over(conn, Dial{Token: m.Token}) // fails, unless all went through
	<-conn.done                               // a harness may write beside reading
	if !reset {
		e.ended(conn, fmt.Sprintf("after %d bytes of the opening", k))
	}
	_ = conn.Close()
}

// ended reads until the server ends the connection.
func (e *env) ended(conn io.Reader, when string) {
	e.Helper()
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		e.Fatalf("%s: the server does not end the connection", when)
	}
}

// cutFrames: the same with a frame of an open session. It counts if it is
// whole, and not before.
func cutFrames(e *env) {
	done := e.calm()
	counter := e.acknowledger(unlimited, false)
	n := counter.conn.(*cutter).count()
	_ = counter.conn.Close()
	var cut []acknowledger
	for k := range n + 8 { // not each is as long: compression makes a difference
		cut = append(cut, e.acknowledger(k, false), e.acknowledger(k, true))
	}
	done() // the server has let go of all of them
	whole := 0
	for i, a := range cut {
		k, reset := i/2, i%2 == 1
		// With a reset it is left to the kernel whether the server gets the last bytes.
		if got := e.world.Received(a.id, a.Member); got != a.whole && (!a.whole || !reset) {
			e.Errorf("an acknowledgement cut after %d bytes (whole: %v, reset: %v) counts: %v", k, a.whole, reset, got)
		}
		if a.whole {
			whole++
		}
	}
	if whole == 0 || whole == len(cut) {
		e.Errorf("%d of %d acknowledgements were whole", whole, len(cut))
	}
}

// acknowledger is a client whose acknowledgement is cut.
type acknowledger struct {
	*client
	Member
	id    herald.MessageID
	whole bool // all of its frame was sent
}

func (e *env) acknowledger(left int, reset bool) acknowledger {
	e.Helper()
	m := e.world.Join(herald.PlatformWeb)
	h := e.world.Accept(Send{Content: Text("waits"), To: []Member{m}})
	conn := newCutter(e.socket(), unlimited, false)
	c, err := e.over(conn, Dial{Token: m.Token})
	if err != nil {
		e.Fatal(err)
	}
	c.expect("welcome")
	c.expectMessages(h.Msg.ID)
	conn.after(left, reset)
	err = c.Send(fmt.Sprintf(`{"type":"ack","ids":["%s"]}`, h.Msg.ID))
	if left != unlimited {
		conn.now()
		if !reset {
			e.ended(conn, fmt.Sprintf("after %d bytes of a frame", left))
			_ = conn.Close()
		}
	}
	return acknowledger{c, m, h.Msg.ID, err == nil}
}

// earlyFrames: what a client sends in the packet of its opening is not lost,
// and is taken in its turn.
func earlyFrames(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	const first, second = `{"type":"subscribe","topics":["early"],"ref":"1"}`, `{"type":"unsubscribe","topics":["early"],"ref":"2"}`
	// The bytes of the frames, as the transport's client writes them.
	probe := newTail(e.socket(), nil)
	c, err := e.over(probe, Dial{Token: m.Token})
	if err != nil {
		e.Fatal(err)
	}
	c.expect("welcome")
	opening := len(probe.bytes())
	c.send(first)
	c.send(second)
	c.expect("subscribed")
	c.expect("unsubscribed")
	early := probe.bytes()[opening:]
	for k := 1; k <= len(early); k++ { // as much of it in the packet, the rest behind it
		conn := newTail(e.socket(), early[:k])
		c, err := e.over(conn, Dial{Token: e.world.Join(herald.PlatformWeb).Token})
		if err != nil {
			e.Fatal(err)
		}
		<-conn.opened // a harness may write beside reading
		if _, err := conn.Conn.Write(early[k:]); err != nil {
			e.Fatal(err)
		}
		c.expect("welcome")
		if a, b := c.expect("subscribed"), c.expect("unsubscribed"); a.Ref != "1" || b.Ref != "2" {
			e.Fatalf("with %d bytes of frames in the packet of the opening: %+v, %+v", k, a, b)
		}
		_ = conn.Close()
	}
	_ = probe.Close()
	e.empties()
}

// earlyBytes: whose clients have nothing to say after their request, ends the
// connection when they do, also when that came with the request.
func earlyBytes(e *env) {
	done := e.calm()
	for _, extra := range []string{"\x00", "\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"} {
		conn := newTail(e.socket(), []byte(extra))
		_, _ = e.over(conn, Dial{Token: e.world.Join(herald.PlatformWeb).Token})
		e.ended(conn, fmt.Sprintf("with %q behind the request", extra))
	}
	done()
}

// earlyRequest: of two requests in a packet each is answered, in order.
func earlyRequest(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	socket := e.socket()
	probe := newTail(socket, nil)
	e.openOnce(probe, socket, m)
	request := probe.bytes()
	id := e.push(Send{Content: Text("waits"), To: []Member{m}})
	conn := e.socket()
	if _, err := conn.Write(append(append([]byte{}, request...), request...)); err != nil {
		e.Fatal(err)
	}
	in := bufio.NewReader(conn)
	for i := range 2 {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			e.Fatalf("answer %d: %v", i+1, err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || !containsID(body, id) {
			e.Fatalf("answer %d is %d %q, %v", i+1, resp.StatusCode, body, err)
		}
	}
	_ = conn.Close()
	e.empties()
}

// resetsInBroadcast: half of the clients are cut while messages go out to all.
// The others miss nothing.
func resetsInBroadcast(e *env) {
	const clients, messages = 40, 100
	var members []Member
	var stay, leave []*client
	for i := range clients {
		m := e.world.Join(herald.PlatformWeb)
		members = append(members, m)
		c := e.connect(m)
		if i%2 == 0 {
			stay = append(stay, c)
		} else {
			leave = append(leave, c)
		}
	}
	var wg sync.WaitGroup
	half := make(chan struct{})
	wg.Go(func() {
		<-half
		for _, c := range leave {
			wg.Go(func() { reset(asTCP(c.conn)) })
		}
	})
	var ids []herald.MessageID
	for i := range messages {
		if i == messages/4 {
			close(half)
		}
		ids = append(ids, e.push(Send{Content: Text(fmt.Sprint("message ", i)), To: members}))
	}
	wg.Wait()
	for _, c := range stay {
		c.expectMessages(ids...)
		_ = c.conn.Close()
	}
	e.empties()
}

// comeAndGoAtOnce: connections that are cut before anybody has looked at them.
func comeAndGoAtOnce(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	n := e.openingBytes(m)
	done := e.calm()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 40 {
				conn, err := e.net.dial()
				if err != nil {
					e.Error(err)
					return
				}
				switch tcp := asTCP(conn); i % 4 {
				case 0:
					_ = tcp.Close()
				case 1:
					reset(tcp)
				default: // the opening, and nobody who reads what it is answered
					cut := newCutter(tcp, n, i%4 == 2)
					go func() { _, _ = e.over(cut, Dial{Token: m.Token}) }()
					<-cut.done
					_ = cut.Close()
				}
			}
		})
	}
	wg.Wait()
	done()
}
