package bench

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/bench/swarm"
)

func goodLoad() *Load { return &Load{Rounds: 5, Payload: 256, Parallel: 64} }

// TestChecks: what cannot be run is refused before anything starts, with what
// to write instead.
func TestChecks(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("unavailable: load, it is generated on Linux only")
	}
	ws := []string{swarm.WebSocket}
	load := func(f func(*Load)) error {
		l := goodLoad()
		f(l)
		return l.check()
	}
	fanout := func(f func(*FanoutRun)) error {
		r := &FanoutRun{Load: goodLoad(), Clients: []int{10}, Transports: ws, Broadcasts: 8, Burst: 1}
		f(r)
		return r.Check()
	}
	idle := func(f func(*IdleRun)) error {
		r := &IdleRun{Load: goodLoad(), Clients: []int{10}, Transports: ws}
		f(r)
		return r.Check()
	}
	unicast := func(f func(*UnicastRun)) error {
		r := &UnicastRun{Load: goodLoad(), Clients: 10, Transport: swarm.TCP, Messages: 10, Posters: 1}
		f(r)
		return r.Check()
	}
	connect := func(f func(*ConnectRun)) error {
		r := &ConnectRun{Load: goodLoad(), Clients: 10, Transports: ws}
		f(r)
		return r.Check()
	}
	mixed := func(f func(*MixedRun)) error {
		r := &MixedRun{Load: goodLoad(), Clients: 10, Transport: swarm.WebSocket, Broadcasts: 1, Messages: 1, Posters: 1, Connects: 1}
		f(r)
		return r.Check()
	}
	floor := func(f func(*FloorRun)) error {
		r := &FloorRun{Load: goodLoad(), Clients: []int{10}, Broadcasts: 1, Messages: 1, Posters: 1}
		f(r)
		return r.Check()
	}
	for name, err := range map[string]error{
		"load": load(func(*Load) {}), "fanout": fanout(func(*FanoutRun) {}), "idle": idle(func(*IdleRun) {}), "unicast": unicast(func(*UnicastRun) {}),
		"connect": connect(func(*ConnectRun) {}), "mixed": mixed(func(*MixedRun) {}), "floor": floor(func(*FloorRun) {}),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, tt := range map[string]struct {
		err   error
		field string
	}{
		"no rounds":                {load(func(l *Load) { l.Rounds = 0 }), "rounds"},
		"a payload without a mark": {load(func(l *Load) { l.Payload = 10 }), "payload"},
		"none at once":             {load(func(l *Load) { l.Parallel = 0 }), "parallel"},
		"a long rest":              {load(func(l *Load) { l.Rest = time.Hour }), "rest"},
		"no numbers":               {fanout(func(r *FanoutRun) { r.Clients = nil }), "clients"},
		"no clients":               {fanout(func(r *FanoutRun) { r.Clients = []int{0} }), "clients"},
		"too many clients":         {fanout(func(r *FanoutRun) { r.Clients = []int{maxClients + 1} }), "clients"},
		"no transport":             {fanout(func(r *FanoutRun) { r.Transports = nil }), "transports"},
		"fan-out to polls":         {fanout(func(r *FanoutRun) { r.Transports = []string{swarm.Poll} }), "transports"},
		"half a burst":             {fanout(func(r *FanoutRun) { r.Burst = 3 }), "broadcasts"},
		"more than are kept":       {fanout(func(r *FanoutRun) { r.TTL, r.Broadcasts = 60, 1000 }), "broadcasts"},
		"slow ones below none":     {fanout(func(r *FanoutRun) { r.Slow = -1 }), "slow"},
		"an unknown product":       {fanout(func(r *FanoutRun) { r.Against = "pigeons" }), "against"},
		"a negative rest":          {idle(func(r *IdleRun) { r.Settle = -1 }), "settle"},
		"idle, unknown product":    {idle(func(r *IdleRun) { r.Against = "pigeons" }), "against"},
		"no messages":              {unicast(func(r *UnicastRun) { r.Messages = 0 }), "messages"},
		"a large batch":            {unicast(func(r *UnicastRun) { r.Batch = 1001 }), "batch"},
		"nobody who sends":         {unicast(func(r *UnicastRun) { r.Posters = 0 }), "posters"},
		"too many recipients":      {unicast(func(r *UnicastRun) { r.Recipients = 11 }), "recipients"},
		"more than a device keeps": {unicast(func(r *UnicastRun) { r.Durable, r.Messages = true, 10_000 }), "messages"},
		"connect over polls":       {connect(func(r *ConnectRun) { r.Transports = []string{swarm.Poll} }), "transports"},
		"mixed over SSE":           {mixed(func(r *MixedRun) { r.Transport = swarm.SSE }), "transports"},
		"nobody connects":          {mixed(func(r *MixedRun) { r.Connects = 0 }), "broadcasts"},
		"a floor without messages": {floor(func(r *FloorRun) { r.Messages = 0 }), "messages"},
	} {
		var e *herald.Error
		if !errors.As(tt.err, &e) || e.Field != tt.field || e.Remedy == "" {
			t.Errorf("%s: %v, want a mistake in %s", name, tt.err, tt.field)
		}
	}
}

func TestManyClientsNeedDescriptors(t *testing.T) {
	limit := openFiles()
	if limit == 0 || limit > maxClients {
		t.Skip("unavailable: a limit of open files, this machine has none that matters")
	}
	if err := checkClients([]int{limit}); err == nil || !strings.Contains(err.Error(), "descriptors") {
		t.Errorf("got %v", err)
	}
}

// TestChildren: only what load commands start.
func TestChildren(t *testing.T) {
	if err := Child("dragon", io.Discard); err == nil {
		t.Error("no error")
	}
}

func TestAddresses(t *testing.T) {
	l := goodLoad()
	if err := l.check(); err != nil && runtime.GOOS == "linux" {
		t.Fatal(err)
	}
	// Those of one call do not reach into those of the next.
	if one, two, three := l.address(19_000), l.address(1), l.address(19_000); two != one+5 || three != two+1 {
		t.Errorf("%d, then %d and %d", one, two, three)
	}
}

// TestRivalThatIsNotInstalled: the remedy names the Debian packages.
func TestRivalThatIsNotInstalled(t *testing.T) {
	for _, k := range []otherKind{
		{name: "pigeons", program: "herald-has-no-such-program", packages: "pigeonry"},
		{name: "pigeons", program: "true", packages: "pigeonry", module: "/no/such/module"},
	} {
		_, err := k.find()
		var e *herald.Error
		if !errors.As(err, &e) || e.Code != herald.CodeNotFound || e.Remedy != "Install it: apt-get install pigeonry" || !strings.Contains(e.Message, "pigeons is not installed") {
			t.Errorf("got %v", err)
		}
	}
}
