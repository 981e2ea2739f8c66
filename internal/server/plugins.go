package server

import (
	"context"

	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/dispatch"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/poll"
	"github.com/herald-push/herald/internal/live/sse"
	"github.com/herald-push/herald/internal/live/stream"
	"github.com/herald-push/herald/internal/live/tcp"
	"github.com/herald-push/herald/internal/live/websocket"
	"github.com/herald-push/herald/internal/offline"
	"github.com/herald-push/herald/internal/receipt"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/store/sqlite"
	"github.com/herald-push/herald/internal/webhook"
)

// This file is the only place that names a transport, a provider or a store.

// record is what a node needs of a store; each stage says what it means.
type recordStore interface {
	registry.Store
	dispatch.Store
	receipt.Store
	receipt.MessageSource
	offline.Store
	api.MessageReader
	webhook.Store
	prober
}

// prober is a store whose health can be asked for.
type prober interface {
	// Probe makes a real durable write.
	Probe(ctx context.Context) error
	Close() error
}

func openStore(ctx context.Context, c sqlite.Config) (recordStore, error) { return sqlite.Open(ctx, c) }

// transports lists the transports that are reached by HTTP.
func transports(c config.Live) []live.Endpoint {
	ws := websocket.New(websocket.Config{NoCompression: !c.Compression})
	return []live.Endpoint{ws, sse.New(sse.Config{}), stream.New(stream.Config{}), poll.New(poll.Config{})}
}

// ports lists the transports with a port of their own.
func ports(c config.Server) []port {
	raw := tcp.New() // one for both, so that a frame is encoded once
	return []port{
		{key: "server.tcp", address: c.TCP, transport: raw},
		{key: "server.tcp_tls", address: c.TCPTLS, transport: raw, tls: true},
	}
}
