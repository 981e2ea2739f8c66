package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestForumOnMosquitto lets the members of a forum meet on another broker,
// which is known to be right: then what they find of Herald is not a mistake of
// theirs. Connections are cut; the broker itself is not, which keeps nothing
// when it is killed. Order and exactly once are not judged: version 2.0 sends
// what was released already when it is cut twice in a row, and what waits
// overtakes what is sent again where the client has a receive maximum.
func TestForumOnMosquitto(t *testing.T) {
	t.Parallel()
	s := seed(t)
	address := mosquitto(t)
	ctx, stop := context.WithCancel(context.Background())
	f := &forum{
		ctx: ctx, address: func() string { return address }, calm: &atomic.Bool{}, posts: map[string]*post{}, pace: 5 * time.Millisecond,
		loss: 1000, least: 400 * time.Millisecond,
		random: func(_ string, n int) *rand.Rand { return rand.New(rand.NewPCG(s, uint64(n))) },
	}
	for i := range 8 {
		f.join(&member{id: fmt.Sprintf("member-%d", i), user: "u", password: "p"})
	}
	var all sync.WaitGroup
	t.Cleanup(func() { stop(); all.Wait() })
	for _, m := range f.members {
		all.Go(m.play)
	}
	f.pause(2 * time.Second)
	f.calm.Store(true)
	f.drained(10 * time.Second)
	stop()
	all.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	t.Logf("%d posts, %d arrivals, of which %d had to be", len(f.posts), len(f.arrivals), len(f.due()))
	if len(f.due()) == 0 {
		t.Error("nothing was published, or to nobody")
	}
	for name, wrong := range map[string][]string{"kept": f.publicationsKept(), "apart": f.publicationsApart()} {
		if len(wrong) > 0 {
			t.Errorf("%s is broken in %d places:\n\t%s", name, len(wrong), few(wrong))
		}
	}
}

// mosquitto starts the broker, and gives its address.
func mosquitto(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("mosquitto")
	if err != nil {
		program, err = exec.LookPath("/usr/sbin/mosquitto")
	}
	if err != nil {
		t.Skip("unavailable: mosquitto, the command was not found")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close() // it is the broker's now
	host, port, _ := net.SplitHostPort(address)
	config := filepath.Join(t.TempDir(), "conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, "listener %s %s\nallow_anonymous true\nmax_queued_messages 0\nlog_type none\nlog_dest none\n", port, host), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-c", config)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	until(t, "mosquitto listens", func() bool {
		conn, err := net.Dial("tcp", address)
		return err == nil && conn.Close() == nil
	})
	return address
}
