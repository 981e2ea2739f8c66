package live

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/herald-push/herald"
)

// Options configure a hub. Directory, Backlog and Receipts are needed; the
// zero value of everything else is its default.
type Options struct {
	Directory Directory
	Backlog   Backlog
	Receipts  Receipts
	Log       *slog.Logger // default: discard

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
	// Workers is how many sessions read the backlog at once; default 4.
	Workers int
	// AllowOrigin decides about requests that name an Origin; nil allows all,
	// since no credential of a browser is ambient here.
	AllowOrigin func(r *http.Request) bool
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
	if o.Workers <= 0 {
		o.Workers = 4
	}
	return o
}

func orDuration(d *time.Duration, def time.Duration) {
	if *d <= 0 {
		*d = def
	}
}
