package server

import (
	"crypto/subtle"
	"encoding/json"
	"log"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"slices"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/admission"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/api/jpush"
	v1 "github.com/herald-push/herald/internal/api/v1"
	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/demo"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/jssdk"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/version"
)

// quietLog takes what net/http has to say of broken clients to the debug
// level: it is their trouble, and it repeats text that they sent.
func quietLog(l *slog.Logger) *log.Logger { return slog.NewLogLogger(l.Handler(), slog.LevelDebug) }

// routes is what the public port serves.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	s.healthRoutes(mux)
	keys, strangers := admission.NewBuckets(s.cfg.Limits.KeyRate), admission.NewBuckets(s.cfg.Limits.AddressRate)
	calls := v1.New(v1.Config{
		Service: s.service, Version: version.Version(), Log: s.log, Draining: s.draining.Load, Observe: s.metrics.Request,
		Limits: v1.Limits{KeyRate: s.cfg.Limits.KeyRate, DeviceRate: s.cfg.Limits.DeviceRate, AddressRate: s.cfg.Limits.AddressRate},
		Keys:   keys, Strangers: strangers, Failures: s.failures, Address: s.proxies.Client,
	})
	calls.Mount(mux)
	live.Mount(mux, s.hub, transports(s.cfg.Live, s.broker)...)
	mux.Handle(jssdk.Path, jssdk.Handler())
	mux.HandleFunc("POST /callbacks/{app}/{credential}", s.vendorReports)
	home := "/docs"
	if s.cfg.Server.Demo {
		mux.Handle(demo.Path, demo.Handler(s.command()))
		home = demo.Path
	}
	mux.Handle("GET /{$}", http.RedirectHandler(home, http.StatusFound))
	return straight(s.hotPaths()[http.MethodPost], calls, s.withJPush(keys, strangers, mux))
}

// withJPush serves the API of JPush, if that is wanted. It stands before the
// mux, which would send callers with a doubled slash in the path elsewhere.
func (s *Server) withJPush(keys, strangers *admission.Buckets, others http.Handler) http.Handler {
	if !s.cfg.API.JPush {
		return others
	}
	calls := jpush.New(jpush.Config{
		Service: s.service, Keys: keys, Strangers: strangers, Failures: s.failures, Zone: zoneOf(s.cfg.API.JPushZone), Log: s.log,
		Draining: s.draining.Load, Observe: s.metrics.Request, Address: s.proxies.Client, Now: faults.Now,
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if jpush.Serves(r.URL) {
			calls.ServeHTTP(w, r)
			return
		}
		others.ServeHTTP(w, r)
	})
}

// zoneOf gives the time zone that the configuration names, which was checked.
func zoneOf(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil // the default of who is asked
	}
	return zone
}

// straight takes calls to some paths to their handler; the mux, which takes as
// long as some of them, is for the others.
func straight(paths []string, calls, others http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(paths, r.URL.Path) {
			calls.ServeHTTP(w, r)
			return
		}
		others.ServeHTTP(w, r)
	})
}

// command is how the user who started this server runs Herald with its data.
func (s *Server) command() string {
	if s.cfg.Data == config.Default().Data {
		return version.Program()
	}
	return version.Program() + " --data " + version.Quote(s.cfg.Data)
}

func (s *Server) healthRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "alive"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if s.draining.Load() {
			writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "draining"})
			return
		}
		if err := s.health.check(r.Context()); err != nil {
			writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "not ready", "reason": s.whyNotReady(err)})
			return
		}
		writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
	})
}

// opsRoutes is what the operations port serves.
func (s *Server) opsRoutes() http.Handler {
	mux := http.NewServeMux()
	s.healthRoutes(mux)
	mux.Handle("GET /metrics", s.metrics.Handler())
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /admin/apps", s.admin(func(r *http.Request) (any, error) { return s.Admin().ListApps(r.Context()) }))
	mux.HandleFunc("POST /admin/apps", s.admin(func(r *http.Request) (any, error) {
		var in api.NewApp
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			return nil, herald.Invalid("", "Send a JSON object.", "the body is not JSON")
		}
		return s.Admin().CreateApp(r.Context(), in)
	}))
	mux.HandleFunc("POST /admin/apps/{key}/rotate", s.admin(func(r *http.Request) (any, error) {
		var in adminRotation
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			return nil, herald.Invalid("", "Send a JSON object.", "the body is not JSON")
		}
		return s.Admin().RotateApp(r.Context(), herald.AppKey(r.PathValue("key")), in.Keep)
	}))
	mux.HandleFunc("POST /admin/apps/{key}/page-tokens", s.admin(func(r *http.Request) (any, error) {
		var in adminRequest
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			return nil, herald.Invalid("", "Send a JSON object.", "the body is not JSON")
		}
		token, err := s.Admin().PageToken(r.Context(), herald.AppKey(r.PathValue("key")), in.Installation)
		return adminToken{token}, err
	}))
	s.groupRoutes(mux)
	s.secretRoutes(mux)
	s.credentialRoutes(mux)
	return mux
}

type adminRequest struct {
	Installation string `json:"installation,omitempty"`
}

type adminRotation struct {
	Keep time.Duration `json:"keep"` // of the old secret
}

type adminToken struct {
	Token string `json:"token"`
}

// adminError is an error on its way to the CLI.
type adminError struct {
	Code    herald.Code `json:"code"`
	Message string      `json:"message"`
	Remedy  string      `json:"remedy"`
}

// admin serves one call of the administration to who has read the token in the
// data folder.
func (s *Server) admin(do func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if subtle.ConstantTimeCompare([]byte(token), []byte(s.token)) != 1 {
			writeJSON(w, http.StatusUnauthorized, adminError{herald.CodeUnauthorized, "the administration token is wrong", "Run the CLI on the machine and data folder of the server."})
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, herald.MaxFrameBytes)
		v, err := do(r)
		if err != nil {
			writeJSON(w, http.StatusUnprocessableEntity, asAdminError(err))
			return
		}
		writeJSON(w, http.StatusOK, v)
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}

var _ api.Admin = admin{}
