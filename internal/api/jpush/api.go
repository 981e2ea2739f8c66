package jpush

import (
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/herald-push/herald/internal/admission"
	"github.com/herald-push/herald/internal/api"
)

// Path is below what the API is served.
const Path = "/v3/"

// Config says what the API serves and within which bounds.
type Config struct {
	// Service does the work. Needed.
	Service *api.Service
	// Keys counts callers by their app, Strangers those without credentials and
	// Failures those with wrong ones by address. They are shared with the other
	// APIs. Default: no limit.
	Keys, Strangers *admission.Buckets
	Failures        *admission.Failures
	// Zone is where times without a zone are meant. Default Asia/Shanghai.
	Zone *time.Location
	// Log gets the causes of internal errors, and one line per request (debug).
	// Default: nothing is logged.
	Log *slog.Logger
	// Draining reports that the node is going away: writes get 503 from then
	// on. Default: never.
	Draining func() bool
	// Observe is told of each finished request: the name of the call ("none" if
	// there is no such), the status, and the time from head to answer. Default:
	// nobody.
	Observe func(call string, status int, took time.Duration)
	// Address is where a request came from. Default: the peer of the connection.
	Address func(*http.Request) netip.Addr
	// BodyTime is how long a body may take to arrive. Default 30 s.
	BodyTime time.Duration
	// Now tells the time. Default time.Now.
	Now func() time.Time
}

// API is the REST API of JPush. It is safe for use by several goroutines.
type API struct {
	cfg     Config
	service *api.Service
	calls   []call
	batches chan struct{} // a place for each large body that is held
}

// maxBatches is how many batches a node works on at once.
const maxBatches = 16

// New builds the API.
func New(cfg Config) *API {
	if cfg.Zone == nil {
		cfg.Zone = Beijing
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Draining == nil {
		cfg.Draining = func() bool { return false }
	}
	if cfg.Observe == nil {
		cfg.Observe = func(string, int, time.Duration) {}
	}
	if cfg.Address == nil {
		cfg.Address = peer
	}
	if cfg.BodyTime == 0 {
		cfg.BodyTime = 30 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	a := &API{cfg: cfg, service: cfg.Service, batches: make(chan struct{}, maxBatches)}
	a.calls = a.table()
	return a
}

// Beijing is the time of Asia/Shanghai, which has had no other offset since
// 1991. It needs no database of time zones.
var Beijing = time.FixedZone("Asia/Shanghai", 8*60*60)

func peer(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr()
}
