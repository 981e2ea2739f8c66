package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/admission"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/audience"
	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/courier"
	"github.com/herald-push/herald/internal/dispatch"
	"github.com/herald-push/herald/internal/doctor"
	"github.com/herald-push/herald/internal/edge"
	"github.com/herald-push/herald/internal/edge/certs"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/engine"
	"github.com/herald-push/herald/internal/offline"
	"github.com/herald-push/herald/internal/receipt"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/retained"
	"github.com/herald-push/herald/internal/store"
	"github.com/herald-push/herald/internal/telemetry"
	"github.com/herald-push/herald/internal/topiclog"
	"github.com/herald-push/herald/internal/vault"
	"github.com/herald-push/herald/internal/version"
	"github.com/herald-push/herald/internal/webhook"
)

// Server is one running node.
type Server struct {
	cfg    config.Config
	log    *slog.Logger
	folder *folder

	store      recordStore
	secrets    *secrets
	registry   *registry.Registry
	ledger     *receipt.Ledger
	backlog    *offline.Backlog
	unfinished *unfinished
	retained   *retained.Keeper
	topics     *topiclog.Log
	evaluator  *audience.Evaluator
	engine     *engine.Engine // nil for the portable driver
	hub        *live.Hub
	dispatcher atomic.Pointer[dispatch.Dispatcher] // nil until it is built
	service    *api.Service
	metrics    *telemetry.Metrics
	egress     *egress.Client
	webhooks   *webhook.Sender
	vault      *vault.Vault
	courier    *courier.Courier
	failures   *admission.Failures // wrong credentials, by address
	health     *health

	proxies   edge.Proxies
	certs     *certs.Source // nil without TLS
	http, ops net.Listener
	https     net.Listener // nil if there is none
	broker    *mqttBroker
	ports     []port
	url       string
	token     string // of the administration on the operations port
	draining  atomic.Bool
	closeOnce sync.Once
	closeErr  error
}

// Open locks the data folder, opens the record, builds the stages and binds
// the listeners, so that the addresses are known. It serves nothing yet.
func Open(ctx context.Context, cfg config.Config, log *slog.Logger) (*Server, error) {
	f, err := openFolder(cfg.Data)
	if errors.Is(err, errLocked) {
		return nil, herald.Errorf(herald.CodeConflict, "Stop it, or choose another folder with --data.", "another herald runs on the data folder %s", cfg.Data)
	}
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, log: log, folder: f, unfinished: newUnfinished()}
	if err := s.parseProxies(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.build(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.listen(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// build makes the stages, from right to left.
func (s *Server) build(ctx context.Context) (err error) {
	s.store, err = openStore(ctx, s.cfg.Store, s.folder.database(), store.Config{
		Log: s.log, Now: faults.Now,
		// The store tells of commits before the stages behind these exist.
		OnSets: func(app herald.AppKey, e record.SetLogEntry) {
			if s.registry != nil {
				s.registry.OnSets(app, e)
			}
		},
		OnRelease: func(app herald.AppKey, pos herald.Pos) {
			if d := s.dispatcher.Load(); d != nil {
				d.OnRelease(app, pos)
			}
		},
		OnAccepted: func(m *record.Message) {
			if d := s.dispatcher.Load(); d != nil {
				d.OnAccepted(m)
			}
		},
		OnTopics: func(app herald.AppKey, moves []record.TopicMove) {
			if s.topics != nil {
				s.topics.OnTopics(app, moves)
			}
		},
	})
	if err != nil {
		return err
	}
	if faults.Planted("leaks_secret") {
		s.log.InfoContext(ctx, "opened", "key", s.folder.key)
	}
	s.registry = registry.New(registry.Config{Store: s.store, ServerKey: s.folder.key, Sealer: sealer{s}, Log: s.log, Now: faults.Now})
	if err := s.registry.Load(ctx); err != nil {
		return err
	}
	if err := s.folder.fits(s.registry.Apps()); err != nil {
		return err
	}
	if err := s.openSecrets(ctx); err != nil {
		return err
	}
	states := receipt.Config{
		Store: s.store, Messages: s.store, Plans: s.store, DeadAt: s.registry.DeadAt, Memory: s.cfg.Memory.Sets, Log: s.log, Now: faults.Now,
		Observe: func(state herald.DeliveryState, n int64) { s.metrics.Delivered(state, n) },
	}
	if s.cfg.Store.Driver == config.StoreSQLite && !faults.Cramped() { // of a database server's disk nobody here knows
		states.Room = func() bool { return !doctor.LowDisk(s.cfg.Data) }
	}
	if faults.Cramped() { // who waits is kept by devices from the first messages on
		states.Memory, states.Small, states.BundleLeast, states.BundleAfter = 64<<10, -1, 4, -1
	}
	s.ledger = receipt.New(states)
	s.backlog = offline.New(offline.Config{Store: s.store, Ledger: s.ledger, Registry: s.registry, Now: faults.Now})
	s.retained = retained.New(retained.Config{Store: s.store, Log: s.log, Now: faults.Now, Most: s.cfg.MQTT.Retained})
	s.failures = admission.NewFailures(s.cfg.Limits.AddressRate)
	if err := s.openEngine(); err != nil {
		return err
	}
	s.openTopics()
	s.broker = newBroker(s.cfg.MQTT, s.topics, s.log)
	s.ports = ports(s.cfg.Server, s.broker)
	s.hub = live.NewHub(live.Options{
		Directory: directory{s.registry}, Backlog: backlog{s.backlog}, Receipts: s.ledger, TopicLog: s.topics, Retained: s.retained, Log: s.log,
		Heartbeat: s.cfg.Live.Heartbeat, Timeout: s.cfg.Live.Timeout, SessionQueue: s.cfg.Live.SessionQueue,
		QueueMemory: s.cfg.Live.QueueMemory, MaxConnections: connections(s.cfg.Live.Connections),
		AllowOrigin: s.allowOrigin, AllowApp: s.allowApp,
		Address: s.proxies.Client, AddressConnections: s.cfg.Limits.AddressConnections, Failures: s.failures, PollRate: s.cfg.Limits.DeviceRate,
		Driver: s.driver(), PublishRate: s.cfg.Limits.PublishRate,
	})
	s.metrics = telemetry.New(version.Version(), s.hub.Sessions, s.hub.Dropped)
	s.metrics.Sets(func() telemetry.Cache {
		c := s.ledger.Cache()
		return telemetry.Cache{Bytes: c.Bytes, Hits: c.Hits, Misses: c.Misses, Evictions: c.Evictions}
	})
	s.metrics.Topics(s.topicFigures)
	s.evaluator = audience.New(audience.Config{Registry: s.registry, Online: s.hub.Online, Subscribers: s.hub.Subscribers, Persistent: s.topics.Subscribers, Now: faults.Now})
	if err := s.openVault(ctx); err != nil {
		return err
	}
	s.openCourier()
	d, err := dispatch.New(ctx, dispatch.Config{
		Routes: s.routeConfig(),
		Store:  s.store, Ledger: s.ledger, Registry: s.registry, Outlets: []dispatch.Outlet{s.hub},
		Evaluate: api.Evaluate(s.evaluator), GroupLimit: s.cfg.Limits.GroupMessages, ScheduleLimit: s.cfg.Limits.Schedules,
		Make: func(ctx context.Context, one *record.Schedule, occurrence time.Time) (dispatch.Request, error) {
			return s.service.Schedules.Make(ctx, one, occurrence) // the service is there before the dispatcher starts
		},
		Node: s.cfg.Node, Log: s.log, Now: faults.Now,
	})
	if err != nil {
		return err
	}
	s.dispatcher.Store(d)
	if err := s.openWebhooks(); err != nil {
		return err
	}
	s.service = api.New(api.Config{
		Registry: s.registry, Audience: s.evaluator, Dispatch: d, Ledger: s.ledger, Backlog: s.backlog, Webhooks: s.webhooks, Vault: s.vault,
		Presence: s.hub, Subscriptions: s.hub, Messages: s.store, Audits: s.store, Groups: s.store, Templates: s.store, Retained: s.retained, Sessions: s.topics, Attempts: s.store,
		Environments: environments(providers()), Unfinished: s.unfinished.note, Log: s.log, Now: faults.Now,
	})
	s.health = newHealth(s.store.Probe, s.metrics.Ready)
	if err := d.Start(ctx); err != nil {
		return err
	}
	for _, key := range s.registry.Apps() {
		if err := s.service.Devices.FinishRemovals(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// URL is the base address of the API and the pages, e.g. http://127.0.0.1:7700.
func (s *Server) URL() string { return s.url }

// Fresh reports whether Open found an empty data folder.
func (s *Server) Fresh() bool {
	return s.folder.fresh && (s.folder.made || s.cfg.Store.Driver == config.StoreSQLite)
}

// Admin administers this server.
func (s *Server) Admin() api.Admin {
	return admin{s.registry, s.dispatcher.Load().Follow}
}

// Run serves until ctx ends, then drains for at most the configured time: not
// ready any more, clients told to come back, accepted work finished.
func (s *Server) Run(ctx context.Context) error {
	// The hub outlives ctx: it is drained first.
	hubCtx, stopHub := context.WithCancel(context.WithoutCancel(ctx))
	defer stopHub()
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.hub.Run(hubCtx) })
	wg.Go(func() { s.retained.Run(hubCtx) })
	wg.Go(func() { _ = s.topics.Run(hubCtx) })
	wg.Go(func() { s.keepHouse(hubCtx) })
	wg.Go(func() { s.bundle(hubCtx) })
	wg.Go(func() {
		collect(hubCtx, func() uint64 { return s.dispatcher.Load().Accepted() + s.hub.Replayed() + s.courier.Called() }, s.hub.Polled)
	})
	wg.Go(func() { s.webhooks.Run(hubCtx) })
	wg.Go(func() { s.courier.Run(hubCtx) })
	wg.Go(func() { s.sealAnew(hubCtx) })
	wg.Go(func() { s.finish(hubCtx) })
	wg.Go(func() { // what a crash has interrupted
		for _, key := range s.registry.Apps() {
			err := errors.Join(s.service.Devices.FinishRebindings(hubCtx, key), s.service.Devices.FinishErasures(hubCtx, key))
			if err != nil && hubCtx.Err() == nil {
				s.unfinished.note(key)
			}
		}
	})

	web, ops := s.servers()
	failed := make(chan error, 3+len(s.ports))
	wg.Go(func() { failed <- s.serveWeb(web) })
	if s.certs != nil {
		wg.Go(func() { s.certs.Run(hubCtx) })
	}
	if s.https != nil {
		wg.Go(func() { failed <- serveTLS(web, s.behind(s.https)) })
	}
	wg.Go(func() { failed <- serve(ops, s.ops) })
	for _, p := range s.ports {
		if p.listener != nil { // until the hub is drained, so that who comes is told
			wg.Go(func() { failed <- s.serveRaw(hubCtx, s.wrap(p), p.transport) })
		}
	}

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.log.InfoContext(ctx, "draining", "sessions", s.hub.Sessions())
	s.draining.Store(true)
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Server.DrainTime)
	defer cancel()
	if e := s.hub.Drain(limit); e != nil {
		s.log.WarnContext(ctx, "not every client left in time", "error", e)
	}
	// Requests that are under way are finished, then the ports are closed.
	err = errors.Join(err, shutdown(limit, web), shutdown(limit, ops))
	stopHub()
	wg.Wait()
	return errors.Join(err, s.close(limit))
}

// keepHouse does what has to be done every so often.
func (s *Server) keepHouse(ctx context.Context) {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-second.C:
		}
		minute := n%60 == 0
		err := s.ledger.Fold(ctx, minute)
		if minute {
			err = errors.Join(err, s.registry.Flush(ctx))
		}
		if n%3600 == 60 {
			err = errors.Join(err, s.forgetAudit(ctx, faults.Now()))
		}
		if err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "folding the logs failed; trying again", "error", err)
		}
	}
}

// bundle has what no cache has room for written by devices, too. It is behind
// keepHouse, because it may take long.
func (s *Server) bundle(ctx context.Context) {
	every := time.Minute
	if faults.Cramped() {
		every = time.Second / 4
	}
	again := time.NewTicker(every)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
		if err := s.ledger.Bundle(ctx); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "writing who waits by devices failed; trying again in a minute", "error", err)
		}
	}
}

// Close releases what Open took, for a server that is not run.
func (s *Server) Close() error {
	limit, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return s.close(limit)
}

// close ends the stages from left to right, so that each can still write to
// those behind it.
func (s *Server) close(ctx context.Context) error {
	s.closeOnce.Do(func() {
		var errs []error
		listeners := []net.Listener{s.http, s.ops, s.https}
		for _, p := range s.ports {
			listeners = append(listeners, p.listener)
		}
		for _, l := range listeners {
			if l != nil {
				if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
					errs = append(errs, err)
				}
			}
		}
		if s.certs != nil {
			s.certs.Close()
		}
		if d := s.dispatcher.Load(); d != nil {
			d.Close()
		}
		if s.hub != nil {
			s.hub.Close()
		}
		if s.engine != nil {
			s.engine.Close()
		}
		if s.topics != nil {
			s.topics.Close()
		}
		if s.vault != nil {
			s.vault.Close()
		}
		if s.egress != nil {
			s.egress.Close()
		}
		if s.ledger != nil {
			errs = append(errs, s.ledger.Close(ctx))
		}
		if s.registry != nil {
			errs = append(errs, s.registry.Flush(ctx))
		}
		if s.store != nil {
			errs = append(errs, s.store.Close())
		}
		s.closeErr = errors.Join(append(errs, s.folder.close())...)
	})
	return s.closeErr
}
