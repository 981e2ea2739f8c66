package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
)

// minSessionQueue holds the largest message in any transport's frame, so that
// a queue of this size can make progress.
const minSessionQueue = 64 << 10

// minSets holds some hundred slabs with all their states, so that a message to
// everybody is not read again for each device that connects.
const minSets = 16 << 20

// Validate checks every value and the relations between them. It answers all
// mistakes, each as a *herald.Error with the key and the remedy.
func (c Config) Validate() error {
	var problems []error
	bad := func(key, remedy, format string, args ...any) {
		problems = append(problems, herald.Invalid(key, remedy, format, args...))
	}
	if c.Data == "" {
		bad("data", "Name a folder, for example ./herald-data.", "is empty")
	}
	if c.Node < 0 || c.Node > herald.MaxNode {
		bad("node", fmt.Sprintf("Choose a number from 0 to %d that no other node has.", herald.MaxNode), "%d is out of range", c.Node)
	}
	c.Server.validate(bad)
	c.validateEdge(bad)
	c.Store.validate(bad)
	if _, err := egress.New(egress.Config{Allow: c.Egress.Allow, Ports: c.Egress.Ports}); err != nil {
		problems = append(problems, err)
	}
	c.Live.validate(bad)
	c.MQTT.validate(bad)
	c.Limits.validate(bad)
	if c.Memory.Sets < minSets {
		bad("memory.sets", "Use 536870912 unless memory is very short.", "%d is less than %d bytes", c.Memory.Sets, minSets)
	}
	if _, err := time.LoadLocation(c.API.JPushZone); err != nil || c.API.JPushZone == "" {
		bad("api.jpush_zone", "Use an IANA name such as Asia/Shanghai.", "%.40q is not a time zone", c.API.JPushZone)
	}
	if c.Webhooks.InFlight < 1 || c.Webhooks.InFlight > 64 {
		bad("webhooks.in_flight", "Choose from 1 to 64; 8 is usual.", "%d is out of range", c.Webhooks.InFlight)
	}
	c.Secrets.validate(bad)
	if c.Audit.Keep != 0 && c.Audit.Keep < time.Hour {
		bad("audit.keep", "Use 2160h for 90 days, or 0s for ever.", "%v is less than an hour", c.Audit.Keep)
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		bad("log.level", "Use debug, info, warn or error.", "%q is not a level", c.Log.Level)
	}
	if c.Log.Format != "json" && c.Log.Format != "text" {
		bad("log.format", "Use json or text.", "%q is not a format", c.Log.Format)
	}
	return errors.Join(problems...)
}

func (s Server) validate(bad func(key, remedy, format string, args ...any)) {
	taken := map[string]string{}
	for _, a := range []struct{ key, value, example string }{
		{"server.http", s.HTTP, "127.0.0.1:7700"}, {"server.ops", s.Ops, "127.0.0.1:7709"}, {"server.tcp", s.TCP, "127.0.0.1:7701"},
		{"server.https", s.HTTPS, "0.0.0.0:443"}, {"server.tcp_tls", s.TCPTLS, "0.0.0.0:7702"},
		{"server.mqtt", s.MQTT, "127.0.0.1:1883"}, {"server.mqtt_tls", s.MQTTTLS, "0.0.0.0:8883"},
	} {
		if a.value == "" && a.key != "server.http" && a.key != "server.ops" {
			continue // there is none
		}
		port, err := splitAddress(a.value)
		if err != nil {
			bad(a.key, "Write host:port, for example "+a.example+"; an empty host means every address of the machine.", "%q %s", a.value, err)
		} else if other, twice := taken[a.value]; twice && port != 0 {
			bad(a.key, "Give it another port, for example "+a.example+".", "is the same address as %s", other)
		}
		taken[a.value] = a.key
	}
	if s.PublicURL != "" {
		u, err := url.Parse(s.PublicURL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			bad("server.public_url", "Write the scheme and the host, for example https://push.example.com.", "is not the address of a web server")
		}
	}
	if s.DrainTime < 0 || s.DrainTime > time.Hour {
		bad("server.drain_time", "Choose from 0s (stop at once) to 1h.", "%s is out of range", s.DrainTime)
	}
}

// splitAddress gives the port of host:port.
func splitAddress(a string) (int, error) {
	_, port, err := net.SplitHostPort(a)
	if err != nil {
		return 0, errors.New("is not host:port")
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 0 || n > 65535 {
		return 0, errors.New("has no port from 0 to 65535")
	}
	return n, nil
}

func (l Live) validate(bad func(key, remedy, format string, args ...any)) {
	if l.Heartbeat < time.Second || l.Heartbeat > time.Hour {
		bad("live.heartbeat", "Choose from 1s to 1h; 50s outlives the usual time-outs of proxies.", "%s is out of range", l.Heartbeat)
	}
	if l.Timeout <= l.Heartbeat {
		bad("live.timeout", "Make it longer than live.heartbeat, usually one and a half times as long.", "%s is not longer than live.heartbeat (%s)", l.Timeout, l.Heartbeat)
	}
	if !slices.Contains([]string{"", "epoll", "portable"}, l.Engine) {
		bad("live.engine", "Use epoll or portable, or leave it out.", "%.20q is not an engine", l.Engine)
	}
	if l.Connections < 0 {
		bad("live.connections", "Use 0 for as many as the machine allows.", "%d is negative", l.Connections)
	}
	if l.SessionQueue < minSessionQueue {
		bad("live.session_queue", "Use 262144 unless memory is very short.", "%d is less than %d bytes, which the largest message needs", l.SessionQueue, minSessionQueue)
	}
	if l.QueueMemory < int64(l.SessionQueue) {
		bad("live.queue_memory", "Make it at least live.session_queue; 536870912 is usual.", "%d is less than live.session_queue (%d)", l.QueueMemory, l.SessionQueue)
	}
}

func (m MQTT) validate(bad func(key, remedy, format string, args ...any)) {
	const longest = 30 * 24 * time.Hour
	for _, d := range []struct {
		key   string
		value time.Duration
		usual string
	}{{"mqtt.session_expiry", m.SessionExpiry, "168h"}, {"mqtt.log_ttl", m.LogTTL, "24h"}} {
		if d.value < time.Minute || d.value > longest {
			bad(d.key, "Choose from 1m to 720h, which are 30 days; "+d.usual+" is usual.", "%s is out of range", d.value)
		}
	}
	for _, n := range []struct {
		key                       string
		value, least, most, usual int
	}{{"mqtt.max_waiting", m.MaxWaiting, 1, 100_000, 1000}, {"mqtt.publish_rate", m.PublishRate, 1, 1_000_000, 100}, {"mqtt.retained", m.Retained, 1, 1_000_000, 10_000}} {
		if n.value < n.least || n.value > n.most {
			bad(n.key, fmt.Sprintf("Choose from %d to %d; %d is usual.", n.least, n.most, n.usual), "%d is out of range", n.value)
		}
	}
}

func (l Limits) validate(bad func(key, remedy, format string, args ...any)) {
	for _, r := range []struct {
		key  string
		rate float64
	}{{"limits.key_rate", l.KeyRate}, {"limits.device_rate", l.DeviceRate}, {"limits.address_rate", l.AddressRate}} {
		if r.rate < 0 || math.IsNaN(r.rate) || math.IsInf(r.rate, 0) {
			bad(r.key, "Use requests per second, or 0 for no limit.", "%v is not a rate", r.rate)
		}
	}
	if l.PublishRate < 1 || l.PublishRate > 1_000_000 {
		bad("limits.publish_rate", "Choose from 1 to 1000000; 10 is usual. What devices may publish to is in the settings of an app.", "%d is out of range", l.PublishRate)
	}
	if l.AddressConnections < 0 {
		bad("limits.address_connections", "Use 0 for no limit.", "%d is negative", l.AddressConnections)
	}
	if l.Schedules < 1 || l.Schedules > 100_000 {
		bad("limits.schedules", "Choose from 1 to 100000; 1000 is usual.", "%d is out of range", l.Schedules)
	}
	if l.GroupMessages < 1 || l.GroupMessages > 1_000_000 {
		bad("limits.group_messages", "Choose from 1 to 1000000; 10000 is usual.", "%d is out of range", l.GroupMessages)
	}
}

// Warnings says what is allowed and probably not meant, a sentence each.
func (c Config) Warnings() []string {
	var out []string
	if host, _, err := net.SplitHostPort(c.Server.Ops); err == nil && !loopback(host) {
		out = append(out, "server.ops listens beyond loopback: whoever reaches it can read metrics and profiles. Use 127.0.0.1 unless a firewall guards it.")
	}
	out = append(out, c.edgeWarnings()...)
	if c.Server.AllowOpen {
		out = append(out, "server.allow_open is on: the server listens beyond loopback even before an app exists.")
	}
	if c.Limits.AddressRate == 0 {
		out = append(out, "limits.address_rate is 0: strangers may try credentials without limit.")
	}
	return out
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
