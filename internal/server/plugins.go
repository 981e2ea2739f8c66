package server

import (
	"context"
	"log/slog"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/courier"
	"github.com/herald-push/herald/internal/dispatch"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/mqtt"
	"github.com/herald-push/herald/internal/live/poll"
	"github.com/herald-push/herald/internal/live/sse"
	"github.com/herald-push/herald/internal/live/stream"
	"github.com/herald-push/herald/internal/live/tcp"
	"github.com/herald-push/herald/internal/live/websocket"
	"github.com/herald-push/herald/internal/offline"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/provider/apns"
	"github.com/herald-push/herald/internal/provider/dingtalk"
	"github.com/herald-push/herald/internal/provider/fcm"
	"github.com/herald-push/herald/internal/provider/smpp"
	"github.com/herald-push/herald/internal/provider/smtp"
	"github.com/herald-push/herald/internal/provider/twilio"
	channelwebhook "github.com/herald-push/herald/internal/provider/webhook"
	"github.com/herald-push/herald/internal/provider/webpush"
	"github.com/herald-push/herald/internal/receipt"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/retained"
	"github.com/herald-push/herald/internal/seal"
	"github.com/herald-push/herald/internal/store"
	"github.com/herald-push/herald/internal/store/dialect"
	"github.com/herald-push/herald/internal/store/mysql"
	"github.com/herald-push/herald/internal/store/postgres"
	sqlite "github.com/herald-push/herald/internal/store/sqlite/driver"
	"github.com/herald-push/herald/internal/topiclog"
	"github.com/herald-push/herald/internal/vault"
	"github.com/herald-push/herald/internal/webhook"
)

// This file is the only place that names a transport, a provider or a store.

// record is what a node needs of a store; each stage says what it means.
type recordStore interface {
	registry.Store
	dispatch.Store
	receipt.Store
	receipt.MessageSource
	receipt.PlanStore
	offline.Store
	api.MessageReader
	webhook.Store
	vault.Store
	seal.Keeper
	auditStore
	api.GroupStore
	api.TemplateStore
	retained.Store
	topiclog.Store
	dispatch.RouteStore
	dispatch.LiveStore
	dispatch.AddressBook
	courier.ErrandStore
	courier.AddressStore
	api.AttemptStore
	prober
}

// auditStore is a store of the audit log that is also tidied.
type auditStore interface {
	api.AuditStore
	// PurgeAudit deletes about limit of the oldest entries of an app, of those
	// that are older than a time, and tells whether there are more.
	PurgeAudit(ctx context.Context, app herald.AppKey, before time.Time, limit int) (more bool, err error)
}

// prober is a store whose health can be asked for.
type prober interface {
	// Probe makes a real durable write.
	Probe(ctx context.Context) error
	Close() error
}

// openStore opens the record that a configuration names; file is where the
// embedded one is.
func openStore(ctx context.Context, c config.Store, file string, s store.Config) (recordStore, error) {
	var err error
	if s.Driver, err = databaseDriver(c, file, s.Log); err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, s)
	if err != nil {
		return nil, err // not a store that holds a nil pointer
	}
	return db, nil
}

func databaseDriver(c config.Store, file string, log *slog.Logger) (dialect.Driver, error) {
	dsn, err := c.Secret()
	if err != nil {
		return nil, err
	}
	switch c.Driver {
	case config.StorePostgres:
		return postgres.New(postgres.Config{DSN: dsn, Log: log})
	case config.StoreMySQL:
		return mysql.New(mysql.Config{DSN: dsn, Log: log})
	}
	return sqlite.New(sqlite.Config{Path: file, Log: log}), nil
}

// providers lists the vendors that messages can be handed to.
func providers() []provider.Driver {
	return []provider.Driver{
		apns.Driver(), fcm.Driver(), webpush.Driver(),
		smtp.Driver(), smpp.Driver(), twilio.Driver(), dingtalk.Driver(), channelwebhook.Driver(),
	}
}

// transports lists the transports that are reached by HTTP.
func transports(c config.Live, broker *mqttBroker) []live.Endpoint {
	ws := websocket.New(websocket.Config{NoCompression: !c.Compression})
	return []live.Endpoint{ws, sse.New(sse.Config{}), stream.New(stream.Config{}), poll.New(poll.Config{}), broker.WebSocket()}
}

// mqttBroker is what the transports of MQTT share.
type mqttBroker = mqtt.Broker

func newBroker(c config.MQTT, sessions live.TopicSessions, log *slog.Logger) *mqttBroker {
	return mqtt.New(mqtt.Config{Sessions: sessions, SessionExpiry: c.SessionExpiry, PublishRate: c.PublishRate, Log: log})
}

// ports lists the transports with a port of their own.
func ports(c config.Server, broker *mqttBroker) []port {
	raw := tcp.New() // one for both, so that a frame is encoded once
	return []port{
		{key: "server.tcp", address: c.TCP, transport: raw},
		{key: "server.tcp_tls", address: c.TCPTLS, transport: raw, tls: true},
		{key: "server.mqtt", address: c.MQTT, transport: broker.Raw(), optional: true},
		{key: "server.mqtt_tls", address: c.MQTTTLS, transport: broker.Raw(), tls: true},
	}
}
