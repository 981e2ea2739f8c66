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
	{"tls", "Certificates for server.https and server.tcp_tls: from files, or by ACME."},
	{"live", "Bounds for connected clients."},
	{"limits", "Bounds for what callers may ask."},
	{"memory", "What is held in memory so that it need not be read from the record."},
	{"egress", "Which addresses given by users, such as those of webhooks, may be called."},
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
	{"server.trusted_proxies", "Who is believed about the address of a client (X-Forwarded-For, PROXY protocol): a list of addresses, networks, loopback, private. In an environment variable or a flag, separated by commas.", "[127.0.0.1, 10.0.0.0/8]"},
	{"server.proxy_protocol", "Let trusted proxies begin connections to server.http, https, tcp and tcp_tls with a header of the PROXY protocol, version 1 or 2: true or false.", "false"},
	{"server.ops", "Address of metrics, profiles and administration by the command line, as host:port. It should stay on loopback.", "127.0.0.1:7709"},
	{"server.next_port", "Take the next free port, up to 20 further, when one is taken: true or false.", "false"},
	{"server.public_url", "How clients reach this server, for links. Empty: made from server.http.", "https://push.example.com"},
	{"server.demo", "Serve the demo page under /demo/: true or false.", "false"},
	{"server.allow_open", "Let server.http listen beyond loopback while no app exists yet: true or false.", "false"},
	{"server.drain_time", "How long a stop waits for accepted work and connections, as a duration.", "30s"},

	{"store.driver", "sqlite (a file in the data folder), postgres (PostgreSQL 15 or later) or mysql (MariaDB 10.11 or later, MySQL 8).", "postgres"},
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

	{"limits.key_rate", "API requests per second for each app or key, with bursts of twice as many. 0: no limit.", "1000"},
	{"limits.device_rate", "API requests per second for each device. 0: no limit.", "10"},
	{"limits.publish_rate", "How often each session may publish to topics in a second, with bursts of twice as many.", "10"},
	{"limits.address_rate", "Requests per second without valid credentials, among them registrations, from one IP address. 0: no limit.", "20"},
	{"limits.address_connections", "Live connections from one IP address (an IPv6 /64 counts as one) that have not authenticated yet. 0: no limit.", "200"},
	{"limits.group_messages", "How many live messages to more than 1,000 devices an app may have.", "10000"},

	{"memory.sets", "Bytes that targets and states of messages to more than 1,000 devices may take, at least 16777216. What does not fit is read from the record when it is needed.", "536870912"},

	{"egress.allow", "Networks beyond the public internet that may be called, because app servers are there: a list of addresses, networks, loopback, private.", "[10.20.0.0/16]"},
	{"egress.ports", "Ports that may be called, a list; any opens all of them.", "[443, 8443]"},
	{"egress.http", "Let calls go over http, without TLS: true or false.", "false"},
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
