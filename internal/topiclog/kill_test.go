package topiclog_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/store/sqlite"
	"github.com/herald-push/herald/internal/topiclog"
)

// childEnv names the folder of a child that is killed.
const childEnv = "HERALD_TOPICLOG_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stdout, "error", err)
		}
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// child publishes with QoS 2, a publication for each packet ID, and prints the
// ID when it is acknowledged. Every other publication is wanted.
func child(dir string) error {
	db, err := sqlite.Open(context.Background(), sqlite.Config{Path: filepath.Join(dir, "herald.db")})
	if err != nil {
		return err
	}
	if err := db.CreateApp(context.Background(), record.App{Key: appA, SecretHash: []byte("x")}); err != nil {
		return err
	}
	l := topiclog.New(topiclog.Config{Store: db})
	for _, client := range []string{"publisher", "subscriber"} {
		if _, _, err := l.Open(context.Background(), record.TopicSession{App: appA, Client: client, Expiry: 3600}); err != nil {
			return err
		}
	}
	done := make(chan error, 1)
	l.Change(appA, "subscriber", record.TopicSessionChange{Subscribe: []record.TopicSub{{Filter: "a", QoS: 2}}}, func(err error) { done <- err })
	if err := <-done; err != nil {
		return err
	}
	window := make(chan bool, 64)
	for id := uint16(1); id < 60_000; id++ {
		window <- true
		e := entry([]string{"a", "unwanted"}[id%2], strconv.Itoa(int(id)))
		e.QoS, e.Client, e.In = 2, "publisher", id
		l.Append(appA, e, func(err error) {
			if err != nil {
				fmt.Fprintln(os.Stdout, "error", err)
			}
			fmt.Fprintln(os.Stdout, id)
			<-window
		})
	}
	return nil
}

// TestKill: what was acknowledged is there after a kill, and nothing twice: an
// entry is there if and only if its packet ID is known, so that a client that
// repeats it publishes nothing again.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var acked []uint16
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		id, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Errorf("the child says %s", lines.Text())
			break
		}
		if acked = append(acked, uint16(id)); len(acked) == 500 {
			_ = cmd.Process.Kill() // what it still printed was acknowledged as well
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if len(acked) < 500 {
		t.Fatalf("the child acknowledged %d publications", len(acked))
	}
	w := &world{t: t, ctx: t.Context(), dir: dir, config: topiclog.Config{Waiting: 60_000}}
	w.start()
	defer w.stop()
	s, _, err := w.Session(w.ctx, appA, "publisher")
	w.must(err)
	for _, id := range acked {
		if !slices.Contains(s.In, id) {
			t.Errorf("packet ID %d was acknowledged and is not known", id)
		}
	}
	list, _, _, err := w.Read(w.ctx, appA, "subscriber", 0, 60_000)
	w.must(err)
	var got, want []uint16
	for _, e := range list {
		id, err := strconv.Atoi(string(e.Payload))
		w.must(err)
		got = append(got, uint16(id))
	}
	for _, id := range s.In {
		if id%2 == 0 {
			want = append(want, id)
		}
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("there are entries of the packet IDs %v, want %v", got, want)
	}
}
