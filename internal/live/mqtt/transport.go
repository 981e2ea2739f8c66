// Package mqtt is a broker of MQTT 3.1, 3.1.1 and 5.0 on the sessions of the
// hub: a device receives its pushes with any client of MQTT, and devices and app
// servers publish to each other's topics.
//
// A connection (conn) reads packets, authenticates, and ends; what a client
// publishes and subscribes to is the exchange of its session. Each frame of the
// package is a packet of MQTT within one binary message of WebSocket, so that it
// can be shared by all sessions of a kind; on a raw port the head of that message
// is left out.
package mqtt

import (
	"log/slog"
	"time"

	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/wire"
	"github.com/herald-push/herald/internal/wire/packet"
)

// Limits that the server announces in its CONNACK (MQTT 5.0 section 3.2.2.3),
// and keeps with clients of the older versions too.
const (
	// MaxPacket is the size of a packet, with its header.
	MaxPacket = 64 << 10
	// ReceiveMaximum is how many publications with QoS 1 and 2 a client may have
	// under way to the server.
	ReceiveMaximum = 64
	// TopicAliasMaximum is how many topic aliases a client may use.
	TopicAliasMaximum = 32
	// MaxKeepAlive is the keep alive that is imposed on who asks for none, or for
	// a longer one, if its version can be told.
	MaxKeepAlive = 20 * time.Minute

	maxConnect  = 16 << 10 // the first packet, from whom nobody knows
	maxClientID = 128      // bytes
)

// Config configures a broker. Its zero value is the default.
type Config struct {
	// Path is where it is mounted for WebSocket; default /mqtt.
	Path string
	// Sessions keeps sessions that persist; nil: none does.
	Sessions live.TopicSessions
	// SessionExpiry is how long the session of a client without "clean session"
	// persists that has no way to say it (before 5.0); default 7 days.
	SessionExpiry time.Duration
	// MaxSessionExpiry bounds what a client may ask for; default 30 days.
	MaxSessionExpiry time.Duration
	// PublishRate is how often a client may publish in a second, with bursts of
	// twice as many; default 100.
	PublishRate int
	// Authenticators are the methods of enhanced authentication (MQTT 5.0 section
	// 4.12) beside "herald-token", by name.
	Authenticators map[string]Authenticator
	// Log takes what an operator should know; default: discard.
	Log *slog.Logger
}

// Broker is what the transports of MQTT share.
type Broker struct {
	config  Config
	kinds   [4]*Transport // see kind
	clients clients
	counts  counts
}

// New makes a broker.
func New(c Config) *Broker {
	if c.Path == "" {
		c.Path = "/mqtt"
	}
	if c.SessionExpiry <= 0 {
		c.SessionExpiry = 7 * 24 * time.Hour
	}
	if c.MaxSessionExpiry <= 0 {
		c.MaxSessionExpiry = 30 * 24 * time.Hour
	}
	if c.PublishRate <= 0 {
		c.PublishRate = 100
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	b := &Broker{config: c}
	for i := range b.kinds {
		b.kinds[i] = &Transport{broker: b, version: packet.V311, text: i&1 != 0}
		if i&2 != 0 {
			b.kinds[i].version = packet.V5
		}
	}
	return b
}

// Persist has sessions persist; it is called before the first connection.
func (b *Broker) Persist(s live.TopicSessions) { b.config.Sessions = s }

// Raw is the transport for a port of its own.
func (b *Broker) Raw() live.Server { return &raw{b.kind(packet.V311, false)} }

// WebSocket is the transport for the shared port.
func (b *Broker) WebSocket() live.Upgrader { return &upgrader{b.kind(packet.V311, false)} }

// kind gives the transport of a version, with pushes as JSON or as plain text.
// The versions before 5.0 differ in nothing that is sent to several.
func (b *Broker) kind(v packet.Version, text bool) *Transport {
	i := 0
	if text {
		i = 1
	}
	if v >= packet.V5 {
		i |= 2
	}
	return b.kinds[i]
}

// Transport is the codec for the sessions of one kind. What can differ between
// sessions of a kind is in no frame.
type Transport struct {
	broker  *Broker
	version packet.Version // V311 stands for 3.1 too
	text    bool
}

// Name is "mqtt".
func (t *Transport) Name() string { return "mqtt" }

// Publication is nil: an exchange sends what was published.
func (t *Transport) Publication(live.Publication) live.Frame { return nil }

// Control makes frames of what MQTT can say, in its own packets or as what a push
// could be. The welcome is a CONNACK, which differs for each connection, and the
// server asks nobody whether he is there: clients do.
func (t *Transport) Control(c live.Control) live.Frame {
	switch c.Kind {
	case live.Pong:
		return frame(&packet.Ping{Type: packet.PINGRESP}, t.version)
	case live.Reconnect, live.Problem:
		return t.notice(c)
	}
	return nil
}

// raw is the broker on a port of its own.
type raw struct{ *Transport }

// NewHandler makes the handler of a connection.
func (r *raw) NewHandler(hub *live.Hub) live.Handler { return newConn(r.Transport, hub) }

// Refusal is nil: before the CONNECT nobody knows in which version to say why.
func (r *raw) Refusal(live.Reason) live.Frame { return nil }

// writer is a packet that can be written.
type writer interface {
	AppendTo(b []byte, v packet.Version) []byte
}

// before is where the head of a WebSocket message comes. It is full, so that what
// is appended to it is a copy.
var before [wire.HeadRoom]byte

// frame makes a frame of a packet; nil if the version has none such.
func frame(p writer, v packet.Version) live.Frame {
	b := p.AppendTo(before[:], v)
	if len(b) == wire.HeadRoom {
		return nil
	}
	return wire.FrameInPlace(wire.Binary, b)
}

// packetIn gives the packet in a frame, without the head of the WebSocket message
// (RFC 6455 section 5.2).
func packetIn(f live.Frame) []byte {
	switch f[1] {
	case 126:
		return f[4:]
	case 127:
		return f[10:]
	}
	return f[2:]
}
