package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-push/herald"
)

// write makes a configuration file.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "herald.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// problems lists the mistakes in an error, as "field: text | remedy".
func problems(t *testing.T, err error) []string {
	t.Helper()
	list := []error{err}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		list = many.Unwrap()
	}
	var out []string
	for _, e := range list {
		var p *herald.Error
		if !errors.As(e, &p) {
			t.Fatalf("%v is not a *herald.Error", e)
		}
		if p.Remedy == "" {
			t.Errorf("%v has no remedy", p)
		}
		out = append(out, p.Error()+" | "+p.Remedy)
	}
	return out
}

func TestTableNamesEveryField(t *testing.T) {
	var c Config
	var inStruct []string
	for name := range fields(&c) {
		inStruct = append(inStruct, name)
	}
	inTable := Keys()
	slices.Sort(inStruct)
	slices.Sort(inTable)
	if d := cmp.Diff(inStruct, inTable); d != "" {
		t.Errorf("the struct (-) and the table in keys.go (+) differ; document the key there:\n%s", d)
	}
	for _, k := range keys {
		if section, _, below := strings.Cut(k.name, "."); below && !isSection(section) {
			t.Errorf("%s: its section is not in the list of sections", k.name)
		}
		if !strings.HasSuffix(k.doc, ".") || k.example == "" {
			t.Errorf("%s: needs a full sentence and an example", k.name)
		}
		if _, err := convert(k, k.example); err != nil {
			t.Errorf("%s: its example is not a right value: %v", k.name, err)
		}
	}
}

func TestDefaultsTextLoadsAsDefault(t *testing.T) {
	text := Defaults()
	got, err := Load(Sources{File: write(t, text)})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Default(), got); d != "" {
		t.Errorf("the text says something else than Default (-):\n%s", d)
	}
	// Every value must come from the text, not from the default beneath it.
	empty := Config{}
	blank, err := Load(Sources{Base: &empty, File: write(t, text)})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Default(), blank); d != "" {
		t.Errorf("the text leaves values out:\n%s", d)
	}
	for _, line := range strings.Split(text, "\n") {
		if len(line) > 80 {
			t.Errorf("line of %d letters: %s", len(line), line)
		}
	}
}

func TestDefaultIsValid(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if w := c.Warnings(); w != nil {
		t.Error(w)
	}
}

func TestLayers(t *testing.T) {
	path := write(t, "server:\n  http: 127.0.0.1:1\n  drain_time: 1s\nlive:\n  heartbeat: 10s\n  timeout: 20s\nlog:\n")
	got, err := Load(Sources{
		File:    path,
		Environ: []string{"HOME=/root", "HERALD_SERVER__HTTP=127.0.0.1:2", "HERALD_LIVE__TIMEOUT=30s", "HERALD_LIMITS__KEY_RATE=0.5", "HERALD_SERVER__DEMO=true", "HERALD_NODE="},
		Flags:   map[string]string{"server.http": "127.0.0.1:3", "node": "7"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Node = 7
	want.Server.HTTP, want.Server.DrainTime, want.Server.Demo = "127.0.0.1:3", time.Second, true
	want.Live.Heartbeat, want.Live.Timeout = 10*time.Second, 30*time.Second
	want.Limits.KeyRate = 0.5
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func TestLists(t *testing.T) {
	want := []string{"loopback", "10.0.0.0/8"}
	for name, s := range map[string]Sources{
		"file":        {File: write(t, "server:\n  trusted_proxies: [loopback, 10.0.0.0/8]\n")},
		"environment": {Environ: []string{"HERALD_SERVER__TRUSTED_PROXIES=loopback, 10.0.0.0/8,"}},
		"flag":        {Flags: map[string]string{"server.trusted_proxies": "loopback,10.0.0.0/8"}},
		"over a file": {File: write(t, "server:\n  trusted_proxies: [private, loopback, 10.0.0.0/8]\n"), Flags: map[string]string{"server.trusted_proxies": "loopback,10.0.0.0/8"}},
	} {
		c, err := Load(s)
		if err != nil || !slices.Equal(c.Server.TrustedProxies, want) {
			t.Errorf("%s: %q, %v", name, c.Server.TrustedProxies, err)
		}
	}
	for _, text := range []string{"[]", `""`} {
		c, err := Load(Sources{File: write(t, "server:\n  trusted_proxies: "+text+"\n")})
		if err != nil || len(c.Server.TrustedProxies) != 0 {
			t.Errorf("%s: %q, %v", text, c.Server.TrustedProxies, err)
		}
	}
}

func TestEdge(t *testing.T) {
	c := Default()
	c.Server.HTTPS, c.Server.TCPTLS, c.Server.TrustedProxies, c.Server.ProxyProtocol = "0.0.0.0:443", "0.0.0.0:7702", []string{"private"}, true
	c.TLS = TLS{ACMEDomains: []string{"push.example.com", "192.0.2.1"}, ACMEEmail: "admin@example.com", ACMECA: "https://acme.example.com/directory", ACMERoot: "ca.pem"}
	if err := c.Validate(); err != nil || c.Warnings() != nil {
		t.Errorf("%v, warnings %q", err, c.Warnings())
	}
	c.Server.HTTPS = "0.0.0.0:8443"
	if w := c.Warnings(); len(w) != 1 {
		t.Errorf("the authority cannot reach it: %q", w)
	}
	if c.Server.HTTP = ":80"; c.Warnings() != nil {
		t.Errorf("it can by HTTP: %q", c.Warnings())
	}
	c = Default()
	c.TLS = TLS{Cert: "c", Key: "k"}
	if w := c.Warnings(); c.Validate() != nil || len(w) != 1 {
		t.Errorf("nothing uses the certificate: %q", w)
	}
}

func TestVariablesOfOthersAreNotConfiguration(t *testing.T) {
	_, err := Load(Sources{Environ: []string{"HERALD_URL=x", "HERALD_APP_KEY=x", "HERALD_SECRET=x", "HERALD_REQUIRE=all",
		"HERALD_PORT=tcp://10.0.0.1:7700", "HERALD_PORT_7700_TCP_ADDR=10.0.0.1", "HERALD_SERVICE_HOST=10.0.0.1"}})
	if err != nil {
		t.Error(err)
	}
}

func TestMistakesInAFile(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"misspelt key", "server:\n  htpp: a", "server.htpp: unknown key in file F | Did you mean server.http?"},
		{"key without its section", "heartbeat: 5s", "heartbeat: unknown key in file F | Did you mean live.heartbeat?"},
		{"far from all", "zzzzzzzzzzzzzzzzzzzz: 1", `zzzzzzzzzzzzzzzzzzzz: unknown key in file F | Run "herald config defaults" for the list of keys.`},
		{"key below a key", "node:\n  x: 1", "node: a list or section is not a whole number, in file F | Write for example: 0"},
		{"section with a value", "server: 5", "server: a section needs keys, in file F | Write its keys on the lines below it, indented."},
		{"dotted key", "server.http: a", "server.http: a key with a dot in file F | Write server: and below it, indented, http:"},
		{"duration without unit", "live:\n  heartbeat: 50", "live.heartbeat: 50 is not a duration: it needs a unit, in file F | Write for example: 50s"},
		{"no duration", "live:\n  heartbeat: soon", `live.heartbeat: "soon" is not a duration, in file F | Write for example: 50s`},
		{"text for a number", "node: one", `node: "one" is not a whole number, in file F | Write for example: 0`},
		{"fraction for a whole number", "node: 1.5", "node: 1.5 is not a whole number, in file F | Write for example: 0"},
		{"number for text", "data: 5", "data: 5 is not text, in file F | Write for example: /var/lib/herald"},
		{"no boolean", "server:\n  demo: yes please", `server.demo: "yes please" is neither true nor false, in file F | Write for example: false`},
		{"text for a rate", "limits:\n  key_rate: fast", `limits.key_rate: "fast" is not a number, in file F | Write for example: 1000`},
		{"list for a rate", "limits:\n  key_rate: [1]", "limits.key_rate: a list or section is not a number, in file F | Write for example: 1000"},
		{"number for a list", "server:\n  trusted_proxies: 5", "server.trusted_proxies: 5 is not a list of texts, in file F | Write for example: [127.0.0.1, 10.0.0.0/8]"},
		{"number in a list", "server:\n  trusted_proxies: [loopback, 5.5]", "server.trusted_proxies: 5.5 in the list is not text, in file F | Write for example: [127.0.0.1, 10.0.0.0/8]"},
		{"infinite rate", "limits:\n  key_rate: .inf", "limits.key_rate: +Inf is not a finite number, in file F | Write for example: 1000"},
		{"no value", "node:", "node: has no value, in file F | Write for example: 0"},
		{"two documents", "node: 1\n---\nnode: 2", "F has more than one YAML document | Put everything into one document, without a line ---."},
		{"not YAML", "\t", "F: found character that cannot start any token | Correct the YAML; \"herald config defaults\" prints an example."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, tt.text)
			_, err := Load(Sources{File: path})
			if err == nil {
				t.Fatal("no error")
			}
			got := strings.ReplaceAll(strings.Join(problems(t, err), "\n"), path, "F")
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestMistakesElsewhere(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.yaml")
	large := write(t, "# "+strings.Repeat("x", MaxFileBytes))
	tests := []struct {
		name string
		s    Sources
		want string
	}{
		{"environment", Sources{Environ: []string{"HERALD_SERVER_HTTP=a"}}, "server_http: unknown key in environment variable HERALD_SERVER_HTTP | Did you mean server.http?"},
		{"environment type", Sources{Environ: []string{"HERALD_NODE=x"}}, `node: "x" is not a whole number, in environment variable HERALD_NODE | Write for example: 0`},
		{"flag", Sources{Flags: map[string]string{"nodes": "1"}}, "nodes: unknown key in a flag | Did you mean node?"},
		{"no file", Sources{File: missing}, "the configuration file cannot be read: open " + missing},
		{"large file", Sources{File: large}, "is larger than 1048576 bytes"},
		{"folder", Sources{File: t.TempDir()}, "the configuration file cannot be read"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(tt.s)
			if err == nil {
				t.Fatal("no error")
			}
			if got := strings.Join(problems(t, err), "\n"); !strings.Contains(got, tt.want) {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	_, err := Load(Sources{File: write(t, "a: 1\nnode: x\n"), Environ: []string{"HERALD_B=1"}})
	if got := problems(t, err); len(got) != 3 {
		t.Errorf("got %q", got)
	}
}

func TestValidate(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Config)
		field  string
	}{
		{"no data folder", func(c *Config) { c.Data = "" }, "data"},
		{"node below", func(c *Config) { c.Node = -1 }, "node"},
		{"node above", func(c *Config) { c.Node = 1024 }, "node"},
		{"unknown store", func(c *Config) { c.Store.Driver = "oracle" }, "store.driver"},
		{"DSN of sqlite", func(c *Config) { c.Store.DSN = "x" }, "store.dsn"},
		{"no DSN", func(c *Config) { c.Store.Driver = StoreMySQL }, "store.dsn"},
		{"two DSNs", func(c *Config) { c.Store = Store{StorePostgres, "x", "y"} }, "store.dsn_file"},
		{"no port", func(c *Config) { c.Server.HTTP = "localhost" }, "server.http"},
		{"port too high", func(c *Config) { c.Server.HTTP = ":65536" }, "server.http"},
		{"port is text", func(c *Config) { c.Server.Ops = ":http" }, "server.ops"},
		{"same address", func(c *Config) { c.Server.Ops = c.Server.HTTP }, "server.ops"},
		{"TCP without a port", func(c *Config) { c.Server.TCP = "localhost" }, "server.tcp"},
		{"MQTT without a port", func(c *Config) { c.Server.MQTT = "localhost" }, "server.mqtt"},
		{"MQTT at the address of raw TCP", func(c *Config) { c.Server.MQTT = c.Server.TCP }, "server.mqtt"},
		{"MQTT over TLS without a certificate", func(c *Config) { c.Server.MQTTTLS = ":8883" }, "server.mqtt_tls"},
		{"sessions that hardly last", func(c *Config) { c.MQTT.SessionExpiry = time.Second }, "mqtt.session_expiry"},
		{"sessions for ever", func(c *Config) { c.MQTT.SessionExpiry = 721 * time.Hour }, "mqtt.session_expiry"},
		{"publications for ever", func(c *Config) { c.MQTT.LogTTL = 721 * time.Hour }, "mqtt.log_ttl"},
		{"nothing waits", func(c *Config) { c.MQTT.MaxWaiting = 0 }, "mqtt.max_waiting"},
		{"too much waits", func(c *Config) { c.MQTT.MaxWaiting = 100_001 }, "mqtt.max_waiting"},
		{"clients that may not publish", func(c *Config) { c.MQTT.PublishRate = 0 }, "mqtt.publish_rate"},
		{"no retained messages", func(c *Config) { c.MQTT.Retained = 0 }, "mqtt.retained"},
		{"TCP at the address of HTTP", func(c *Config) { c.Server.TCP = c.Server.HTTP }, "server.tcp"},
		{"TCP at the address of operations", func(c *Config) { c.Server.TCP = c.Server.Ops }, "server.tcp"},
		{"public URL without scheme", func(c *Config) { c.Server.PublicURL = "push.example.com" }, "server.public_url"},
		{"public URL with a query", func(c *Config) { c.Server.PublicURL = "https://push.example.com/?a" }, "server.public_url"},
		{"negative drain", func(c *Config) { c.Server.DrainTime = -1 }, "server.drain_time"},
		{"short heartbeat", func(c *Config) { c.Live.Heartbeat = time.Millisecond }, "live.heartbeat"},
		{"timeout equal to heartbeat", func(c *Config) { c.Live.Timeout = c.Live.Heartbeat }, "live.timeout"},
		{"negative connections", func(c *Config) { c.Live.Connections = -1 }, "live.connections"},
		{"an unknown engine", func(c *Config) { c.Live.Engine = "kqueue" }, "live.engine"},
		{"small queue", func(c *Config) { c.Live.SessionQueue = 1000 }, "live.session_queue"},
		{"queue above memory", func(c *Config) { c.Live.QueueMemory = 1000 }, "live.queue_memory"},
		{"proxies that are none", func(c *Config) { c.Server.TrustedProxies = []string{"proxy.example"} }, "server.trusted_proxies"},
		{"every address may be called", func(c *Config) { c.Egress.Allow = []string{"0.0.0.0/0"} }, "egress.allow"},
		{"no request at once", func(c *Config) { c.Webhooks.InFlight = 0 }, "webhooks.in_flight"},
		{"too many requests at once", func(c *Config) { c.Webhooks.InFlight = 65 }, "webhooks.in_flight"},
		{"two sources of keys", func(c *Config) { c.Secrets.Keys, c.Secrets.KeyFile = "x", "/x" }, "secrets.key_file"},
		{"keys from a file and a command", func(c *Config) { c.Secrets.KeyFile, c.Secrets.KeyCommand = "/x", []string{"x"} }, "secrets.key_command"},
		{"a command without a program", func(c *Config) { c.Secrets.KeyCommand = []string{"", "x"} }, "secrets.key_command"},
		{"a port that is none", func(c *Config) { c.Egress.Ports = []string{"https"} }, "egress.ports"},
		{"everybody is a proxy", func(c *Config) { c.Server.TrustedProxies = []string{"0.0.0.0/0"} }, "server.trusted_proxies"},
		{"PROXY protocol from nobody", func(c *Config) { c.Server.ProxyProtocol = true }, "server.proxy_protocol"},
		{"HTTPS without a certificate", func(c *Config) { c.Server.HTTPS = ":443" }, "server.https"},
		{"HTTPS without a port", func(c *Config) { c.Server.HTTPS, c.TLS = "localhost", TLS{Cert: "c", Key: "k"} }, "server.https"},
		{"HTTPS at the address of HTTP", func(c *Config) { c.Server.HTTPS, c.TLS = c.Server.HTTP, TLS{Cert: "c", Key: "k"} }, "server.https"},
		{"TCP over TLS without a certificate", func(c *Config) { c.Server.TCPTLS = ":7702" }, "server.tcp_tls"},
		{"certificate without key", func(c *Config) { c.TLS.Cert = "c" }, "tls.key"},
		{"key without certificate", func(c *Config) { c.TLS.Key = "k" }, "tls.cert"},
		{"files and ACME", func(c *Config) {
			c.Server.HTTPS, c.TLS = ":443", TLS{Cert: "c", Key: "k", ACMEDomains: []string{"push.example.com"}}
		}, "tls.acme_domains"},
		{"ACME without HTTPS", func(c *Config) { c.TLS.ACMEDomains = []string{"push.example.com"} }, "server.https"},
		{"ACME for no name", func(c *Config) {
			c.Server.HTTPS, c.TLS.ACMEDomains = ":443", []string{"https://push.example.com"}
		}, "tls.acme_domains"},
		{"ACME for a wildcard", func(c *Config) { c.Server.HTTPS, c.TLS.ACMEDomains = ":443", []string{"*.example.com"} }, "tls.acme_domains"},
		{"ACME for one label", func(c *Config) { c.Server.HTTPS, c.TLS.ACMEDomains = ":443", []string{"push"} }, "tls.acme_domains"},
		{"no mail address", func(c *Config) { c.TLS.ACMEEmail = "admin" }, "tls.acme_email"},
		{"authority without TLS", func(c *Config) { c.TLS.ACMECA = "http://acme.example.com" }, "tls.acme_ca"},
		{"negative connections of an address", func(c *Config) { c.Limits.AddressConnections = -1 }, "limits.address_connections"},
		{"negative rate", func(c *Config) { c.Limits.KeyRate = -1 }, "limits.key_rate"},
		{"negative device rate", func(c *Config) { c.Limits.DeviceRate = -1 }, "limits.device_rate"},
		{"no publish rate", func(c *Config) { c.Limits.PublishRate = 0 }, "limits.publish_rate"},
		{"zone of JPush that is none", func(c *Config) { c.API.JPushZone = "Asia/Nowhere" }, "api.jpush_zone"},
		{"audit log for a moment", func(c *Config) { c.Audit.Keep = time.Minute }, "audit.keep"},
		{"audit log before it is made", func(c *Config) { c.Audit.Keep = -time.Hour }, "audit.keep"},
		{"little memory for sets", func(c *Config) { c.Memory.Sets = 1 << 20 }, "memory.sets"},
		{"large publish rate", func(c *Config) { c.Limits.PublishRate = 1_000_001 }, "limits.publish_rate"},
		{"negative address rate", func(c *Config) { c.Limits.AddressRate = -1 }, "limits.address_rate"},
		{"no group messages", func(c *Config) { c.Limits.GroupMessages = 0 }, "limits.group_messages"},
		{"no schedules", func(c *Config) { c.Limits.Schedules = 0 }, "limits.schedules"},
		{"level", func(c *Config) { c.Log.Level = "loud" }, "log.level"},
		{"format", func(c *Config) { c.Log.Format = "xml" }, "log.format"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Default()
			tt.change(&c)
			got := problems(t, c.Validate())
			if len(got) != 1 || !strings.HasPrefix(got[0], tt.field+": ") {
				t.Errorf("got %q, want one problem of %s", got, tt.field)
			}
		})
	}
}

func TestPortZeroMayRepeat(t *testing.T) {
	c := Default()
	c.Server.HTTP, c.Server.Ops, c.Server.TCP = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if c.Server.TCP = ""; c.Validate() != nil {
		t.Error("no raw TCP is a mistake")
	}
}

func TestWarnings(t *testing.T) {
	c := Default()
	c.Server.Ops, c.Server.AllowOpen, c.Limits.AddressRate = ":7709", true, 0
	if got := c.Warnings(); len(got) != 3 {
		t.Errorf("got %q", got)
	}
	c = Default()
	c.Server.Ops = "localhost:7709"
	if got := c.Warnings(); got != nil {
		t.Errorf("got %q", got)
	}
}

func TestShortDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{time.Minute: "1m", time.Hour: "1h", 90 * time.Second: "1m30s", 0: "0s", 10 * time.Second: "10s"} {
		if got := shortDuration(d); got != want {
			t.Errorf("%d: got %s, want %s", d, got, want)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(Defaults(), "HERALD_NODE", "3")
	f.Add("server:\n  http: a", "HERALD_SERVER__HTTP", "b")
	f.Add("a: &a [*a]", "HERALD_", "")
	f.Add("? [1]\n: 2", "HERALD_SERVER", "x")
	f.Add("server: {http: {x: 1}}\n1: 2\ntrue: 3", "HERALD_LIVE__", "1")
	f.Add("<<: {node: 1}", "HERALD_A__B__C", "1")
	f.Fuzz(func(t *testing.T, text, name, value string) {
		c, err := Load(Sources{File: write(t, text), Environ: []string{name + "=" + value}})
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without text")
			}
			return
		}
		// What loads is valid, and every field of it can be written and read again.
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
		for key, v := range fields(&c) {
			k, _ := keyNamed(key)
			shown := v.Interface()
			if d, ok := shown.(time.Duration); ok {
				shown = d.String()
			}
			if n, ok := shown.(int64); ok {
				shown = int(n)
			}
			back, err := convert(k, shown)
			if err != nil || !reflect.DeepEqual(reflect.ValueOf(back).Convert(v.Type()).Interface(), v.Interface()) {
				t.Errorf("%s: %v comes back as %v, %v", key, shown, back, err)
			}
		}
	})
}

// TestPortsAsNumbers holds that ports in a list need no quotes.
func TestPortsAsNumbers(t *testing.T) {
	c, err := Load(Sources{File: write(t, "egress:\n  ports: [443, \"8443\"]\n")})
	if err != nil || !slices.Equal(c.Egress.Ports, []string{"443", "8443"}) {
		t.Errorf("%q, %v", c.Egress.Ports, err)
	}
}
