package live

import (
	"testing"
	"time"
)

// pings is a Conn that counts.
type pings struct{ sent int }

func (p *pings) Send(Frame) error { p.sent++; return nil }
func (*pings) Close(Reason)       {}

// pinging is a Transport with nothing but a heartbeat.
type pinging struct{ _ byte }

func (*pinging) Name() string                  { return "pinging" }
func (*pinging) Encode(Release) Frame          { return nil }
func (*pinging) Publication(Publication) Frame { return nil }
func (*pinging) Control(Control) Frame         { return Frame("ping") }

// BenchmarkHeartbeat turns the wheel for 19,000 sessions that are idle: what a
// ping costs beside the sending. One operation is one second.
func BenchmarkHeartbeat(b *testing.B) {
	h, c, t := NewHub(Options{}), &pings{}, &pinging{}
	for range 19_000 {
		s := h.Attach(t, c, true)
		s.mu.Lock()
		s.state = stateLive
		h.wheel.schedule(s, s.pingAfter())
		s.mu.Unlock()
	}
	var list []*Session
	now := time.Duration(0)
	for range 60 {
		now += tick
		list = h.turn(now, list)
	}
	c.sent = 0
	b.ReportAllocs()
	for b.Loop() {
		now += tick
		list = h.turn(now, list)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(c.sent), "ns/ping")
}
