package swarm_test

import (
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/bench/floor"
	"github.com/herald-push/herald/internal/bench/swarm"
)

// process is a floor or a crowd that runs in the process of the test.
type process struct {
	in  *os.File
	out *json.Decoder
}

func start(t *testing.T, run func(in *os.File, out io.Writer) error) *process {
	t.Helper()
	in, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	read, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(in, out) }()
	t.Cleanup(func() {
		_ = feed.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		_ = in.Close()
	})
	return &process{feed, json.NewDecoder(read)}
}

func (p *process) ask(t *testing.T, command, answer any) {
	t.Helper()
	if command != nil {
		if err := json.NewEncoder(p.in).Encode(command); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.out.Decode(answer); err != nil {
		t.Fatal(err)
	}
}

// crowd gives commands to a crowd, which have to do what they should.
func (p *process) crowd(t *testing.T, c swarm.Command) swarm.Answer {
	t.Helper()
	a := p.try(t, c)
	if a.Error != "" {
		t.Fatalf("%s: %s", c.Do, a.Error)
	}
	return a
}

func (p *process) try(t *testing.T, c swarm.Command) (a swarm.Answer) {
	t.Helper()
	if c.Timeout == 0 {
		c.Timeout = time.Minute
	}
	p.ask(t, c, &a)
	return a
}

// TestCrowdAndFloor has clients of a bare server do all that they can, and then
// miss a message.
func TestCrowdAndFloor(t *testing.T) {
	base, crowd := start(t, floor.Run), start(t, swarm.Run)
	var at floor.Answer
	base.ask(t, nil, &at)
	const clients = 50
	target := swarm.Target{Proto: swarm.WebSocket, Address: at.Address, Path: "/", Numbered: true}
	connect := swarm.Command{Do: "connect", Target: target, Clients: clients, Parallel: 8}
	if a := crowd.crowd(t, connect); a.Tally.Up != clients {
		t.Fatalf("%+v", a)
	}
	seq := uint32(0)
	broadcast := func(count int) {
		t.Helper()
		var a floor.Answer
		base.ask(t, floor.Command{First: seq + 1, Count: count, Size: 256}, &a)
		if seq += uint32(count); a.Error != "" || a.Writes != count*clients {
			t.Fatalf("%+v", a)
		}
	}
	crowd.crowd(t, swarm.Command{Do: "clear", Timed: true})
	broadcast(3)
	a := crowd.crowd(t, swarm.Command{Do: "expect", Broadcasts: 3 * clients, Nap: time.Millisecond})
	if a.Latency.N != 3*clients || a.Latency.P50 <= 0 || a.Latency.Max < a.Latency.P99 {
		t.Errorf("%+v", a.Latency)
	}
	post := swarm.Post{Address: at.Address, Path: "/", Size: 100, Connections: 3, Messages: 2*clients + 1}
	if a := crowd.crowd(t, swarm.Command{Do: "post", Post: post}); a.Accepted != post.Messages {
		t.Errorf("%+v", a)
	}
	post.Path, post.Batch = "/batch", 40
	crowd.crowd(t, swarm.Command{Do: "post", Post: post})
	crowd.crowd(t, swarm.Command{Do: "expect", Broadcasts: 3 * clients, Unicasts: uint64(2 * post.Messages)})
	if a := crowd.crowd(t, swarm.Command{Do: "close"}); a.Tally.Up != 0 {
		t.Errorf("%+v", a)
	}
	crowd.crowd(t, connect)
	crowd.crowd(t, swarm.Command{Do: "stall", Clients: 1})
	broadcast(1)
	crowd.crowd(t, swarm.Command{Do: "expect", Broadcasts: clients - 1})
	crowd.crowd(t, swarm.Command{Do: "resume", Clients: 1})
	crowd.crowd(t, swarm.Command{Do: "expect", Broadcasts: clients})
	crowd.crowd(t, swarm.Command{Do: "stall", Clients: 1})
	broadcast(1)
	crowd.crowd(t, swarm.Command{Do: "expect", Broadcasts: 2*clients - 1})
	lost := crowd.try(t, swarm.Command{Do: "expect", Broadcasts: 2 * clients, Timeout: time.Millisecond})
	if want := "lost are 1 and 0; client 0 has 4 of 5"; !strings.Contains(lost.Error, want) {
		t.Errorf("got %q, want %q", lost.Error, want)
	}
}

func TestMoreThanWasSent(t *testing.T) {
	base, crowd := start(t, floor.Run), start(t, swarm.Run)
	var at floor.Answer
	base.ask(t, nil, &at)
	crowd.crowd(t, swarm.Command{Do: "connect", Clients: 2, Target: swarm.Target{Proto: swarm.WebSocket, Address: at.Address, Path: "/", Numbered: true}})
	base.ask(t, floor.Command{First: 1, Count: 1}, &at)
	crowd.crowd(t, swarm.Command{Do: "expect", Broadcasts: 2})
	if a := crowd.try(t, swarm.Command{Do: "expect", Broadcasts: 1}); !strings.Contains(a.Error, "2 broadcasts and 0 unicasts came, want 1 and 0") {
		t.Errorf("%+v", a)
	}
}

func TestCommandsThatFail(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	few := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(few, []byte("one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ws := swarm.Target{Proto: swarm.WebSocket, Address: closed, Path: "/"}
	for name, tt := range map[string]struct {
		command swarm.Command
		want    string
	}{
		"an unknown command":  {swarm.Command{Do: "dance"}, "no command"},
		"nobody listens":      {swarm.Command{Do: "connect", Clients: 1, Target: ws}, "client 0: connection refused"},
		"no tokens":           {swarm.Command{Do: "connect", Clients: 1, Target: ws, Tokens: few + ".none"}, "no such file"},
		"too few tokens":      {swarm.Command{Do: "connect", Clients: 2, Target: ws, Tokens: few}, "1 tokens are too few"},
		"an address of words": {swarm.Command{Do: "connect", Clients: 1, Target: swarm.Target{Address: "nowhere"}}, "not an ip:port"},
		"sending to nobody":   {swarm.Command{Do: "post", Post: swarm.Post{Address: closed, Messages: 1}}, "nobody to send to"},
		"sending to a closed port": {swarm.Command{Do: "post", Post: swarm.Post{Address: closed, Messages: 1, Clients: 1}},
			"connection refused"},
		"too few IDs": {swarm.Command{Do: "post", Post: swarm.Post{Address: closed, Messages: 1, Clients: 2, IDs: few}}, "1 IDs, want 2"},
	} {
		t.Run(name, func(t *testing.T) {
			if a := start(t, swarm.Run).try(t, tt.command); !strings.Contains(a.Error, tt.want) {
				t.Errorf("got %q, want %q", a.Error, tt.want)
			}
		})
	}
}
