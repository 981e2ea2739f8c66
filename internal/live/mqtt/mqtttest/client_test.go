package mqtttest_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/herald-push/herald/internal/live/mqtt/mqtttest"
	"github.com/herald-push/herald/internal/wire/packet"
)

// failing is a test that keeps why it fails, and ends with a panic.
type failing struct {
	testing.TB
	why string
}

func (f *failing) Helper()             {}
func (f *failing) Logf(string, ...any) {}
func (f *failing) Cleanup(c func())    { f.TB.Cleanup(c) }
func (f *failing) Fatal(a ...any)      { f.why = fmt.Sprint(a...); panic(f) }
func (f *failing) Fatalf(format string, a ...any) {
	f.why = fmt.Sprintf(format, a...)
	panic(f)
}

// TestClient plays a server that says something whatever it hears, and closes.
func TestClient(t *testing.T) {
	for _, c := range []struct {
		name, says string
		v          packet.Version
		do         func(c *mqtttest.Client)
		fails      string // a part of why; "" if it does not
	}{
		{"connects", "\x20\x02\x01\x00", packet.V311, func(c *mqtttest.Client) {
			if ack := c.Connect(mqtttest.Login("id", "user", "password")); !ack.SessionPresent {
				c.T.Fatal("no session")
			}
		}, ""},
		{"is refused", "\x20\x02\x00\x05", packet.V311, func(c *mqtttest.Client) { c.ExpectConnack(packet.NotAuthorized) }, ""},
		{"is refused and wants to connect", "\x20\x02\x00\x05", packet.V311, func(c *mqtttest.Client) { c.Connect(packet.Connect{}) }, "reason code 0x87"},
		{"subscribes", "\x90\x04\x00\x01\x01\x00", packet.V311, func(c *mqtttest.Client) { c.Subscribe(mqtttest.Filter("a", 1), mqtttest.Filter("b", 0)) }, ""},
		{"is not granted what it wants", "\x90\x03\x00\x01\x80", packet.V311, func(c *mqtttest.Client) { c.Subscribe(mqtttest.Filter("a", 1)) }, `the filter "a"`},
		{"gets an answer for another", "\x90\x03\x00\x02\x01", packet.V311, func(c *mqtttest.Client) { c.Subscribe(mqtttest.Filter("a", 1)) }, "for identifier 1"},
		{"unsubscribes", "\xb0\x04\x00\x01\x00\x00", packet.V5, func(c *mqtttest.Client) { c.Unsubscribe("a") }, ""},
		{"misses a code", "\xb0\x04\x00\x01\x00\x00", packet.V5, func(c *mqtttest.Client) { c.Unsubscribe("a", "b") }, "2 filters"},
		{"publishes with QoS 1", "\x40\x03\x00\x01\x10", packet.V5, func(c *mqtttest.Client) {
			if code := c.Publish(mqtttest.Message("a", "x", 1)); code != packet.NoMatchingSubscribers {
				c.T.Fatal(code)
			}
		}, ""},
		{"publishes with QoS 2", "\x50\x02\x00\x01\x70\x02\x00\x01", packet.V311, func(c *mqtttest.Client) { c.Publish(mqtttest.Message("a", "x", 2)) }, ""},
		{"publishes with QoS 2 in vain", "\x50\x03\x00\x01\x87", packet.V5, func(c *mqtttest.Client) {
			if code := c.Publish(mqtttest.Message("a", "x", 2)); code != packet.NotAuthorized {
				c.T.Fatal(code)
			}
		}, ""},
		{"gets another acknowledgement", "\x40\x02\x00\x02", packet.V311, func(c *mqtttest.Client) { c.Publish(mqtttest.Message("a", "x", 1)) }, "type 4 for identifier 2"},
		{"puts publications aside", "\x34\x06\x00\x01a\x00\x07x\x30\x04\x00\x01by\x62\x02\x00\x07\xd0\x00", packet.V311, func(c *mqtttest.Client) {
			c.ExpectPublish("a", "x", 2)
			c.ExpectPublish("b", "y", 0)
			c.Quiet()
		}, ""},
		{"waits for a PUBREL", "\x34\x06\x00\x01a\x00\x07x\x62\x02\x00\x08", packet.V311, func(c *mqtttest.Client) { c.ExpectPublish("a", "x", 2) }, "instead of a PUBREL"},
		{"gets another message", "\x30\x04\x00\x01bx", packet.V311, func(c *mqtttest.Client) { c.ExpectPublish("a", "x", 0) }, `want "a"`},
		{"is not quiet", "\x30\x04\x00\x01bx\xd0\x00", packet.V311, func(c *mqtttest.Client) { c.Quiet() }, "instead of a packet.Ping"},
		{"is closed with a reason", "\xe0\x01\x82", packet.V5, func(c *mqtttest.Client) { c.ExpectRefused(packet.ProtocolError) }, ""},
		{"is closed with another reason", "\xe0\x01\x81", packet.V5, func(c *mqtttest.Client) { c.ExpectRefused(packet.ProtocolError) }, "want one of"},
		{"is closed without a reason", "", packet.V311, func(c *mqtttest.Client) { c.ExpectRefused(packet.ProtocolError) }, ""},
		{"is not closed", "\xd0\x00", packet.V311, func(c *mqtttest.Client) { c.ExpectClosed() }, "instead of the end"},
		{"reads what is no packet", "\x00", packet.V311, func(c *mqtttest.Client) { c.Next() }, "packet type 0"},
		{"reads a wrong packet", "\x40\x02\x00\x00", packet.V311, func(c *mqtttest.Client) { c.Next() }, "packet identifier 0"},
		{"reads at the end", "\x40", packet.V311, func(c *mqtttest.Client) { c.Next() }, "EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			mine, theirs := net.Pipe()
			t.Cleanup(func() { _ = theirs.Close() })
			go func() { _, _ = io.Copy(io.Discard, theirs) }()
			said := make(chan struct{})
			go func() {
				defer close(said)
				_, _ = io.WriteString(theirs, c.says)
				_ = theirs.Close()
			}()
			f := &failing{TB: t}
			func() {
				defer func() {
					if r := recover(); r != nil && r != any(f) {
						panic(r)
					}
				}()
				c.do(mqtttest.New(f, mine, c.v))
			}()
			_ = mine.Close()
			<-said
			if (c.fails == "") != (f.why == "") || !strings.Contains(f.why, c.fails) {
				t.Errorf("it failed with %q, want %q", f.why, c.fails)
			}
		})
	}
}
