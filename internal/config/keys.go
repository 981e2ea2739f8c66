package config

import (
	"reflect"
	"strings"
	"time"
)

// key is one setting as users know it. This table, the struct and [Default]
// are compared by a test, so none of them can be changed alone.
type key struct {
	name    string // "server.http"
	doc     string // meaning and unit, full sentences
	example string // a right value, as it is written in YAML
}

// sections says what the keys below a name are about, in the order of the text.
var sections = []struct{ name, doc string }{
	{"server", "Where to listen, and what to be called."},
	{"store", "Which database keeps the record."},
	{"tls", "Certificates for the ports with TLS: from files, or by ACME."},
	{"live", "Bounds for connected clients."},
	{"mqtt", "Bounds for sessions over MQTT, and for what is kept for them."},
	{"limits", "Bounds for what callers may ask."},
	{"memory", "What is held in memory so that it need not be read from the record."},
	{"egress", "Which addresses given by users, such as those of webhooks, may be called."},
	{"api", "Which APIs of others are served beside /v1."},
	{"webhooks", "Bounds for what is sent to webhooks."},
	{"secrets", "Keys that seal secrets in the record, from one source."},
	{"audit", "Who changed what."},
	{"log", "What to log."},
}

var keys = []key{
	{"data", "Folder of the embedded store, the server key and the CLI context. It is made with mode 0700.", "/var/lib/herald"},
	{"node", "Number that tells nodes apart in message IDs, 0 to 1023.", "0"},

	{"server.http", "Address of the API, the live transports and the pages, as host:port. Nothing listens beyond loopback until an app exists.", "0.0.0.0:7700"},
	{"server.tcp", "Address of the raw TCP transport, as host:port. Empty: there is none. Where it is left at its default and server.http has port 0, it takes any free port too.", "0.0.0.0:7701"},
	{"server.https", "Address of what server.http serves, over TLS and also by HTTP/2, as host:port. Empty: there is none. It needs a certificate: see tls.", "0.0.0.0:443"},
	{"server.tcp_tls", "Address of the raw TCP transport over TLS, as host:port. Empty: there is none.", "0.0.0.0:7702"},
	{"server.mqtt", "Address of MQTT, as host:port. Empty: there is none. Left at its default it takes any free port where server.http has port 0, and the server starts without it where that port is taken.", "0.0.0.0:1883"},
	{"server.mqtt_tls", "Address of MQTT over TLS, as host:port. Empty: there is none.", "0.0.0.0:8883"},
	{"server.trusted_proxies", "Who is believed about the address of a client (X-Forwarded-For, PROXY protocol): a list of addresses, networks, loopback, private. In an environment variable or a flag, separated by commas.", "[127.0.0.1, 10.0.0.0/8]"},
	{"server.proxy_protocol", "Let trusted proxies begin connections to server.http, https, tcp, tcp_tls, mqtt and mqtt_tls with a header of the PROXY protocol, version 1 or 2: true or false.", "false"},
	{"server.ops", "Address of metrics, profiles and administration by the command line, as host:port. It should stay on loopback.", "127.0.0.1:7709"},
	{"server.next_port", "Take the next free port, up to 20 further, when one is taken: true or false.", "false"},
	{"server.public_url", "How clients reach this server, for links. Empty: made from server.http.", "https://push.example.com"},
	{"server.demo", "Serve the demo page under /demo/: true or false.", "false"},
	{"server.allow_open", "Let server.http listen beyond loopback while no app exists yet: true or false.", "false"},
	{"server.drain_time", "How long a stop waits for accepted work and connections, as a duration.", "30s"},

	{"store.driver", "sqlite (a file in the data folder), postgres (PostgreSQL 15 or later) or mysql (MariaDB 10.11 or later; MySQL 8 is kept to, and not tested).", "postgres"},
	{"store.dsn", "How to reach the database of postgres or mysql, which is a secret: better in HERALD_STORE__DSN or in store.dsn_file. For mysql: user:password@tcp(host:3306)/database.", "postgres://herald:password@db.example.com/herald"},
	{"store.dsn_file", "File with what store.dsn would say, in the place of it.", "/etc/herald/dsn"},

	{"tls.cert", "PEM file with the certificate and its chain. It is read again when it changes.", "/etc/herald/cert.pem"},
	{"tls.key", "PEM file with the key of tls.cert, without a password.", "/etc/herald/key.pem"},
	{"tls.acme_domains", "Names to get certificates for by ACME, a list. Port 443 of each must lead to server.https, or port 80 to server.http.", "[push.example.com]"},
	{"tls.acme_email", "Where the certificate authority may write to. Empty: nowhere.", "admin@example.com"},
	{"tls.acme_ca", "URL of the directory of the certificate authority. Empty: Let's Encrypt, whose terms of use you accept by setting tls.acme_domains.", "https://acme.example.com/directory"},
	{"tls.acme_root", "PEM file with the root certificate of the authority's own server, for a private authority. Empty: those that the system trusts.", "/etc/herald/ca.pem"},

	{"live.heartbeat", "How often a client must be heard, as a duration of at least 1s.", "50s"},
	{"live.timeout", "Silence after which a session is dead, as a duration. It must be longer than live.heartbeat.", "75s"},
	{"live.connections", "How many live connections this node takes. 0: as many as file descriptors allow, less a reserve.", "100000"},
	{"live.session_queue", "Bytes that may wait for one client, at least 65536.", "262144"},
	{"live.queue_memory", "Bytes that may wait for all clients together, at least live.session_queue.", "536870912"},
	{"live.engine", "What drives connections: epoll (event loops, on Linux) or portable (goroutines, anywhere). Empty: epoll where there is one.", "epoll"},
	{"live.io_uring", "Write to many sockets in one call through io_uring, where the kernel allows it: true or false.", "true"},
	{"live.compression", "Compress messages for WebSocket clients that offer permessage-deflate: true or false.", "true"},

	{"mqtt.session_expiry", "How long a session is kept whose client, of MQTT before 5.0, asked for one that persists: a duration from 1m to 720h. Clients of 5.0 say it themselves, up to 720h.", "168h"},
	{"mqtt.log_ttl", "How long a publication with QoS 1 or 2 that names no end waits for sessions that are away: a duration from 1m to 720h.", "24h"},
	{"mqtt.max_waiting", "How many publications wait for one session that is away, 1 to 100000. The newest are kept.", "1000"},
	{"mqtt.publish_rate", "How often each client may publish in a second, with bursts of twice as many.", "100"},
	{"mqtt.retained", "How many retained messages an app may have, 1 to 1000000.", "10000"},

	{"limits.key_rate", "API requests per second for each app or key, with bursts of twice as many. 0: no limit.", "1000"},
	{"limits.device_rate", "API requests per second for each device. 0: no limit.", "10"},
	{"limits.publish_rate", "How often each session may publish to topics in a second, with bursts of twice as many.", "10"},
	{"limits.address_rate", "Requests per second without valid credentials, among them registrations, from one IP address. 0: no limit.", "20"},
	{"limits.address_connections", "Live connections from one IP address (an IPv6 /64 counts as one) that have not authenticated yet. 0: no limit.", "200"},
	{"limits.group_messages", "How many live messages to more than 1,000 devices an app may have.", "10000"},
	{"limits.schedules", "How many schedules that have not ended an app may have.", "1000"},

	{"memory.sets", "Bytes that targets and states of messages to more than 1,000 devices may take, at least 16777216. What does not fit is read from the record when it is needed.", "536870912"},

	{"egress.allow", "Networks beyond the public internet that may be called, because app servers are there: a list of addresses, networks, loopback, private.", "[10.20.0.0/16]"},
	{"egress.ports", "Ports that may be called, a list; any opens all of them.", "[443, 8443]"},
	{"egress.http", "Let calls go over http, without TLS: true or false.", "false"},
	{"api.jpush", "Serve version 3 of the REST API of JPush under /v3/, for the same app keys and master secrets: true or false.", "true"},
	{"api.jpush_zone", "Time zone of the times in it, which are written without one: an IANA name.", "Asia/Shanghai"},

	{"webhooks.in_flight", "How many requests one endpoint may have at once, 1 to 64, when more than 100 events wait for it. The order of a device is kept; with 1, that of everything.", "8"},

	{"secrets.keys", "Keys that seal secrets of webhooks and the like, which are a secret: better in HERALD_SECRETS__KEYS. 32 random bytes each, as base64 or hex, with commas between them; the first one seals, all open. Where no source is named, a key in the data folder seals.", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="},
	{"secrets.key_file", "File with the keys, one a line, in the place of secrets.keys. \"herald secrets rotate\" puts a new one into it, if the server may write it.", "/etc/herald/secrets.key"},
	{"secrets.key_command", "Program with its arguments that prints the keys, a list, in the place of secrets.keys. It is run at the start, without a shell, and may take 30s.", "[/usr/local/bin/read-keys, herald]"},

	{"audit.keep", "How long entries of the audit log are kept, as a duration of at least 1h. 0s: for ever.", "2160h"},

	{"log.level", "debug, info, warn or error.", "info"},
	{"log.format", "json or text.", "json"},
}

// keyNamed finds a key in the table.
func keyNamed(name string) (key, bool) {
	for _, k := range keys {
		if k.name == name {
			return k, true
		}
	}
	return key{}, false
}

func isSection(name string) bool {
	for _, s := range sections {
		if s.name == name {
			return true
		}
	}
	return false
}

// Keys lists the names of all keys, in the order of the documentation.
func Keys() []string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.name
	}
	return names
}

// fields gives the leaves of a configuration by the name of their key.
func fields(c *Config) map[string]reflect.Value {
	out := map[string]reflect.Value{}
	collect(reflect.ValueOf(c).Elem(), "", out)
	return out
}

func collect(v reflect.Value, prefix string, out map[string]reflect.Value) {
	for i := range v.NumField() {
		name := prefix + v.Type().Field(i).Tag.Get("koanf")
		if f := v.Field(i); f.Kind() == reflect.Struct {
			collect(f, name+".", out)
		} else {
			out[name] = f
		}
	}
}

// nearest gives the known key that is the least edits away from a name, or ""
// if none is near. A name without its section is near the key that ends in it.
func nearest(name string) string {
	name = strings.ToLower(name)
	for _, k := range keys {
		if _, last, found := strings.Cut(k.name, "."); found && last == name {
			return k.name
		}
	}
	best, least := "", max(2, len(name)/3)+1
	for _, k := range keys {
		if d := distance(name, k.name); d < least {
			best, least = k.name, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

var durationType = reflect.TypeFor[time.Duration]()
