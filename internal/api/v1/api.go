package v1

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/admission"
	"github.com/herald-push/herald/internal/api"
)

// Config says what the API serves and within which bounds.
type Config struct {
	// Service does the work. Needed.
	Service *api.Service
	Limits  Limits
	// Failures counts wrong credentials, where the API is not alone in that.
	// Default: its own, by Limits.AddressRate.
	Failures *admission.Failures
	// Keys and Strangers count callers by key, and those without credentials by
	// address, where the API is not alone in that. Default: its own, by Limits.
	Keys, Strangers *admission.Buckets
	// Version of the server, for the OpenAPI document. Default "development".
	Version string
	// Log gets one line per request (debug) and the causes of internal
	// errors. Default: nothing is logged.
	Log *slog.Logger
	// Draining reports that the node is going away: writes get 503 from then
	// on. Default: never.
	Draining func() bool
	// Observe is told of each finished request: the operation ID ("none" if
	// no operation matched), the status, and the time from head to answer. It
	// is called on the goroutine of the request. Default: nobody.
	Observe func(operation string, status int, took time.Duration)
	// Address is where a request came from, for a server behind a proxy.
	// Default: the peer of the connection.
	Address func(*http.Request) netip.Addr
	// BodyTime is how long a body may take to arrive, and an answer to be
	// taken. Default 30 s.
	BodyTime time.Duration
}

// Limits are requests per second; bursts may be twice as large, and at least 1.
// 0 means no limit.
type Limits struct {
	KeyRate     float64 // each app (its master secret) or Bearer key
	DeviceRate  float64 // each device token or page token
	AddressRate float64 // each address, for requests without valid credentials
}

// API is the HTTP API. It is safe for use by several goroutines.
type API struct {
	cfg     Config
	service *api.Service
	mux     *http.ServeMux // of the operations; ServeHTTP stands before it
	huma    huma.API
	ops     map[string]*operation // by pattern of the mux
	direct  map[string]*operation // those with a way of their own, by path
	verbs   [][2]string           // what comes before the name in the path, and behind it
	limits  limits
	large   chan struct{} // a place for each large batch under way
	heavy   chan struct{} // a place for each export and report under way
	openapi []byte

	// What the chain asks of the service, apart so that tests of the chain
	// need no service.
	basic  func(context.Context, herald.AppKey, string) (api.Principal, error)
	bearer func(context.Context, string, netip.Addr) (api.Principal, error)
	origin func(herald.AppKey, string) bool
}

// New builds the API. It panics if an operation is declared wrongly, which a
// test would have found.
func New(cfg Config) *API {
	if cfg.Version == "" {
		cfg.Version = "development"
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
	a := &API{
		cfg: cfg, service: cfg.Service, mux: http.NewServeMux(), ops: map[string]*operation{}, direct: map[string]*operation{},
		large:  make(chan struct{}, maxLarge),
		limits: newLimits(cfg), heavy: make(chan struct{}, maxHeavy),
		basic: cfg.Service.Apps.Basic, bearer: cfg.Service.Apps.Bearer, origin: cfg.Service.Apps.AllowedOrigin,
	}
	a.huma = humago.New(verbs{a.mux}, humaConfig(cfg.Version))
	a.addMessages()
	a.addReports()
	a.addSchedules()
	a.addPlans()
	a.addDevices()
	a.addNames()
	a.addSegments()
	a.addFiles()
	a.addTopics()
	a.addWebhooks()
	a.addCredentials()
	a.addApp()
	a.addJWT()
	a.addAttempts()
	a.addAudit()
	a.addTemplates()
	a.addRoutes()
	a.addGroups()
	a.finishDocument()
	var err error
	if a.openapi, err = json.Marshal(a.huma.OpenAPI()); err != nil {
		panic("v1: the OpenAPI document cannot be written: " + err.Error())
	}
	return a
}

// Mount puts the API, its OpenAPI document and the page about it on a mux.
// Patterns below /v1/ that are more specific may be mounted beside it.
func (a *API) Mount(mux *http.ServeMux) {
	mux.Handle("/v1/", a)
	mux.Handle("/v1", a)
	mux.Handle("/openapi.json", a.page(a.serveDocument))
	mux.Handle("/docs", a.page(serveDocs))
	mux.Handle("/docs/", a.page(serveDocs))
}

// humaConfig is huma's configuration without its own pages, links and
// transformers.
func humaConfig(version string) huma.Config {
	format := huma.Format{Marshal: marshal, Unmarshal: json.Unmarshal}
	return huma.Config{
		OpenAPI:       newDocument(version),
		Formats:       map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat: "application/json",
	}
}

// marshal writes an answer. A value that cannot be written is a defect; the
// panic is caught by the chain before anything was sent, and answered 500.
func marshal(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// peer is the address at the other end of the connection.
func peer(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr()
}
