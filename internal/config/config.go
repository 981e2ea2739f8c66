// Package config reads the configuration of a server: built-in defaults, then
// a YAML file, then environment variables, then flags, each over the one
// before. Unknown keys are errors, with the nearest known key as the remedy.
package config

import "time"

// Config is the whole configuration. Every field says its meaning, unit and
// default; [Default] gives a value that serves on loopback.
type Config struct {
	// Data is the folder of the embedded store, the server key and the CLI
	// context. Default ./herald-data; made with mode 0700.
	Data string `koanf:"data"`
	// Node tells nodes apart in message IDs, 0 to 1023. Default 0.
	Node   int    `koanf:"node"`
	Server Server `koanf:"server"`
	Store  Store  `koanf:"store"`
	TLS    TLS    `koanf:"tls"`
	Live   Live   `koanf:"live"`
	MQTT   MQTT   `koanf:"mqtt"`
	Limits Limits `koanf:"limits"`
	Memory Memory `koanf:"memory"`
	Egress Egress `koanf:"egress"`
	// Webhooks bounds what is sent to endpoints of webhooks.
	Webhooks Webhooks `koanf:"webhooks"`
	// Secrets says which keys seal what has to be read again.
	Secrets Secrets `koanf:"secrets"`
	API     API     `koanf:"api"`
	Audit   Audit   `koanf:"audit"`
	Log     Log     `koanf:"log"`
}

// Server says where to listen and what to be called.
type Server struct {
	// HTTP is the address of the API, the live transports and the pages.
	// Default 127.0.0.1:7700.
	HTTP string `koanf:"http"`
	// TCP is the address of the raw TCP transport. Default 127.0.0.1:7701;
	// empty switches it off.
	TCP string `koanf:"tcp"`
	// HTTPS is the address of what HTTP serves, over TLS and also by HTTP/2.
	// Default empty: there is none.
	HTTPS string `koanf:"https"`
	// TCPTLS is the address of the raw TCP transport over TLS. Default empty:
	// there is none.
	TCPTLS string `koanf:"tcp_tls"`
	// MQTT is the address of MQTT. Default 127.0.0.1:1883; empty switches it off.
	MQTT string `koanf:"mqtt"`
	// MQTTTLS is the address of MQTT over TLS. Default empty: there is none.
	MQTTTLS string `koanf:"mqtt_tls"`
	// TrustedProxies are believed about the address of a client: addresses,
	// networks, loopback, private. Default empty: nobody is.
	TrustedProxies []string `koanf:"trusted_proxies"`
	// ProxyProtocol lets trusted proxies begin connections with a header of the
	// PROXY protocol. Default false.
	ProxyProtocol bool `koanf:"proxy_protocol"`
	// Ops is the address of metrics, profiles and administration by the CLI.
	// Default 127.0.0.1:7709; it should stay on loopback.
	Ops string `koanf:"ops"`
	// NextPort takes the next free port (up to 20 further) when one is taken.
	// Default false; dev sets it.
	NextPort bool `koanf:"next_port"`
	// PublicURL is how clients reach this server, for links. Default: from HTTP.
	PublicURL string `koanf:"public_url"`
	// Demo serves the demo page under /demo/. Default false; dev sets it.
	Demo bool `koanf:"demo"`
	// AllowOpen lets HTTP listen beyond loopback while no app exists yet.
	// Default false.
	AllowOpen bool `koanf:"allow_open"`
	// DrainTime is how long a stop waits for accepted work and connections.
	// Default 30 s.
	DrainTime time.Duration `koanf:"drain_time"`
}

// Store says which database keeps the record.
type Store struct {
	// Driver is sqlite (a file in the data folder), postgres or mysql (which
	// MariaDB is too). Default sqlite.
	Driver string `koanf:"driver"`
	// DSN is how to reach the database of postgres or mysql. It is a secret.
	DSN string `koanf:"dsn"`
	// DSNFile is a file with the DSN, in the place of it.
	DSNFile string `koanf:"dsn_file"`
}

// TLS says where certificates come from: Cert and Key, or ACMEDomains.
type TLS struct {
	// Cert and Key are PEM files: the certificate with its chain, and its key.
	// They are read again when they change.
	Cert string `koanf:"cert"`
	Key  string `koanf:"key"`
	// ACMEDomains are the names to get certificates for by ACME.
	ACMEDomains []string `koanf:"acme_domains"`
	// ACMEEmail is where the authority may write to. Default empty.
	ACMEEmail string `koanf:"acme_email"`
	// ACMECA is the URL of the authority's directory. Default empty: Let's
	// Encrypt.
	ACMECA string `koanf:"acme_ca"`
	// ACMERoot is a PEM file with the root of the authority's own server.
	// Default empty: those of the system.
	ACMERoot string `koanf:"acme_root"`
}

// Live bounds connected clients.
type Live struct {
	// Heartbeat is how often a client must be heard. Default 50 s.
	Heartbeat time.Duration `koanf:"heartbeat"`
	// Timeout is the silence after which a session is dead. Default 75 s.
	Timeout time.Duration `koanf:"timeout"`
	// Connections is how many live connections this node takes. Default
	// 0: as many as file descriptors allow, less a reserve.
	Connections int `koanf:"connections"`
	// SessionQueue is the bytes that may wait for one client. Default 262144.
	SessionQueue int `koanf:"session_queue"`
	// QueueMemory is the bytes that may wait for all clients. Default 512 MiB.
	QueueMemory int64 `koanf:"queue_memory"`
	// Compression agrees to permessage-deflate with WebSocket clients that
	// offer it. Default true.
	Compression bool `koanf:"compression"`
	// Engine is who drives connections: "epoll" (event loops, Linux) or
	// "portable" (two goroutines for each connection). Default empty: epoll
	// where the system has it.
	Engine string `koanf:"engine"`
	// IOUring lets the engine write to many sockets in one call, where the
	// kernel has io_uring. Default true.
	IOUring bool `koanf:"io_uring"`
}

// MQTT bounds sessions over MQTT, and what is kept for them.
type MQTT struct {
	// SessionExpiry is how long the session of a client before MQTT 5.0 is kept
	// that asked for it. Default 168h, which are 7 days.
	SessionExpiry time.Duration `koanf:"session_expiry"`
	// LogTTL is how long a publication that names no end waits for sessions that
	// are away. Default 24h.
	LogTTL time.Duration `koanf:"log_ttl"`
	// MaxWaiting is how many publications wait for one session, of which the
	// newest are kept. Default 1000.
	MaxWaiting int `koanf:"max_waiting"`
	// PublishRate is how often each client may publish in a second, with bursts
	// of twice as many. Default 100.
	PublishRate int `koanf:"publish_rate"`
	// Retained is how many retained messages an app may have. Default 10000.
	Retained int `koanf:"retained"`
}

// Limits bounds what callers may ask.
type Limits struct {
	// KeyRate is API requests per second for each app or key, with bursts of
	// twice as many. Default 1000; 0 means no limit.
	KeyRate float64 `koanf:"key_rate"`
	// DeviceRate is API requests per second for each device. Default 10.
	DeviceRate float64 `koanf:"device_rate"`
	// PublishRate is how often each session may publish to topics in a second,
	// with bursts of twice as many. Default 10.
	PublishRate int `koanf:"publish_rate"`
	// AddressRate is requests per second without valid credentials (among
	// them registrations) from one IP address. Default 20.
	AddressRate float64 `koanf:"address_rate"`
	// AddressConnections is how many live connections without valid
	// credentials one IP address may have. Default 200; 0 means no limit.
	AddressConnections int `koanf:"address_connections"`
	// GroupMessages is how many live messages to more than 1,000 devices an
	// app may have. Default 10000.
	GroupMessages int `koanf:"group_messages"`
	// Schedules is how many schedules that have not ended an app may have, at
	// most 100000. Default 1000.
	Schedules int `koanf:"schedules"`
}

// Memory bounds what is held in memory so that it need not be read.
type Memory struct {
	// Sets is the bytes that targets and states of messages to many devices
	// may take. Default 512 MiB.
	Sets int64 `koanf:"sets"`
}

// Egress says which addresses given by users, such as those of webhooks, may be
// called.
type Egress struct {
	// Allow are networks beyond the public internet that may be called:
	// addresses, networks, loopback, private. Default empty: none.
	Allow []string `koanf:"allow"`
	// Ports are the ports that may be called; any opens all. Default 443.
	Ports []string `koanf:"ports"`
	// HTTP lets calls go without TLS. Default false.
	HTTP bool `koanf:"http"`
}

// API says which APIs of others are served beside /v1.
type API struct {
	// JPush serves version 3 of the REST API of JPush under /v3/, for the same
	// app keys and master secrets. Default true.
	JPush bool `koanf:"jpush"`
	// JPushZone is the time zone of times in it, which are written without one.
	// Default Asia/Shanghai.
	JPushZone string `koanf:"jpush_zone"`
}

// Webhooks bounds what is sent to endpoints of webhooks.
type Webhooks struct {
	// InFlight is how many requests an endpoint may have at once, 1 to 64. With
	// 1 it is told in the order of the log. Default 8.
	InFlight int `koanf:"in_flight"`
}

// Secrets says where the keys come from that seal secrets in the record: one of
// its members. Default: none; then it is the key that "herald secrets rotate"
// made in the data folder, or one that is derived from the server key.
type Secrets struct {
	// Keys are the keys themselves, which are a secret.
	Keys string `koanf:"keys"`
	// KeyFile is a file with the keys.
	KeyFile string `koanf:"key_file"`
	// KeyCommand is a program with its arguments that prints the keys.
	KeyCommand []string `koanf:"key_command"`
}

// Audit bounds the log of who changed what.
type Audit struct {
	// Keep is how long its entries are kept; 0 is for ever. Default 90 days.
	Keep time.Duration `koanf:"keep"`
}

// Log says what to log.
type Log struct {
	// Level is debug, info, warn or error. Default info.
	Level string `koanf:"level"`
	// Format is json or text. Default json; dev uses text.
	Format string `koanf:"format"`
}

// Default gives the defaults.
func Default() Config {
	return Config{
		Data:     "./herald-data",
		Server:   Server{HTTP: "127.0.0.1:7700", TCP: "127.0.0.1:7701", MQTT: "127.0.0.1:1883", Ops: "127.0.0.1:7709", DrainTime: 30 * time.Second},
		Store:    Store{Driver: StoreSQLite},
		Live:     Live{Heartbeat: 50 * time.Second, Timeout: 75 * time.Second, SessionQueue: 256 << 10, QueueMemory: 512 << 20, Compression: true, IOUring: true},
		MQTT:     MQTT{SessionExpiry: 7 * 24 * time.Hour, LogTTL: 24 * time.Hour, MaxWaiting: 1000, PublishRate: 100, Retained: 10000},
		Limits:   Limits{KeyRate: 1000, DeviceRate: 10, PublishRate: 10, AddressRate: 20, AddressConnections: 200, GroupMessages: 10000, Schedules: 1000},
		Memory:   Memory{Sets: 512 << 20},
		Egress:   Egress{Ports: []string{"443"}},
		Webhooks: Webhooks{InFlight: 8},
		API:      API{JPush: true, JPushZone: "Asia/Shanghai"},
		Audit:    Audit{Keep: 90 * 24 * time.Hour},
		Log:      Log{Level: "info", Format: "json"},
	}
}
