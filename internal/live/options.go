package live

import (
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/edge"
)

// Options configure a hub. Directory, Backlog and Receipts are needed; the
// zero value of everything else is its default.
type Options struct {
	Directory Directory
	Backlog   Backlog
	Receipts  Receipts
	Log       *slog.Logger // default: discard

	// TopicLog stores publications for sessions that persist, Retained keeps
	// publications for who subscribes later; without one, nothing is.
	TopicLog TopicLog
	Retained Retained

	// Heartbeat is how often a client must be heard, Timeout the silence after
	// which its session is dead. Defaults: 50 s and 75 s.
	Heartbeat time.Duration
	Timeout   time.Duration
	// HelloTimeout is how long a client may take to say who it is; default 10 s.
	HelloTimeout time.Duration
	// SessionQueue is how many bytes may wait for one connection (default
	// 256 KiB), QueueMemory how many may wait for all of them (default 512 MiB).
	// A frame for which nothing waits is always taken, so that every
	// connection gets on.
	SessionQueue int
	QueueMemory  int64
	// FrameMemory is how many bytes of encoded frames are kept for replay;
	// default 8 MiB.
	FrameMemory int
	// MaxConnections is how many connections are open at once; default: no
	// limit but the system's.
	MaxConnections int
	// Workers is how many sessions open, or read the backlog, at once; default
	// 4. Of those no more read it than there are processors, less one.
	Workers int
	// PublishRate is how often a session may publish in a second, and twice
	// that at once; default 10.
	PublishRate int
	// AllowOrigin decides about requests that name an Origin; nil allows all,
	// since no credential of a browser is ambient here. A page of the host that
	// was asked is not a matter of it.
	AllowOrigin func(r *http.Request) bool
	// AllowApp decides the same about a session whose request had no token, as
	// soon as its app is known; nil allows all.
	AllowApp func(app herald.AppKey, origin string) bool
	// Driver drives the sockets of connections; default [Portable].
	Driver Driver
	// Address is the address of the client that a request comes from; default
	// the peer of the connection.
	Address func(r *http.Request) netip.Addr
	// AddressConnections is how many connections from one address may be open
	// whose clients have not authenticated; default no limit.
	AddressConnections int
	// Failures bounds how often tokens from one address are refused; default
	// no limit.
	Failures Failures
	// PollRate is how many polls of a device in a second may bring nothing new,
	// with bursts of twice as many; default no limit.
	PollRate float64
}

// Failures counts refused tokens by address. Any goroutine may call it.
type Failures interface {
	// Allow tells whether a token from an address may be checked now. The error
	// is a *herald.Error with the code rate_limited and a RetryAfter.
	Allow(from netip.Addr) error
	// Wrong counts a token that was refused.
	Wrong(from netip.Addr)
}

func (o Options) withDefaults() Options {
	orDuration(&o.Heartbeat, herald.Heartbeat)
	orDuration(&o.Timeout, herald.HeartbeatTimeout)
	orDuration(&o.HelloTimeout, herald.HelloTimeout)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.SessionQueue <= 0 {
		o.SessionQueue = 256 << 10
	}
	if o.QueueMemory <= 0 {
		o.QueueMemory = 512 << 20
	}
	if o.FrameMemory <= 0 {
		o.FrameMemory = 8 << 20
	}
	if o.Driver == nil {
		o.Driver = Portable{}
	}
	if o.Address == nil {
		o.Address = edge.Proxies{}.Client
	}
	if o.Workers <= 0 {
		o.Workers = 4
	}
	if o.PublishRate <= 0 {
		o.PublishRate = 10
	}
	return o
}

func orDuration(d *time.Duration, def time.Duration) {
	if *d <= 0 {
		*d = def
	}
}
