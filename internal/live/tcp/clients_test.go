package tcp_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
)

// program starts a client that is here or says that it is not.
func program(t *testing.T, name string, args ...string) (stdin io.WriteCloser, lines *bufio.Scanner) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("unavailable: %s, not installed on this machine", name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	cmd := exec.CommandContext(ctx, path, args...)
	stdin, err = cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaint strings.Builder
	cmd.Stderr = &complaint
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		cancel() // a client that has ended already is not hurt
		_ = cmd.Wait()
		if complaint.Len() > 0 {
			t.Logf("%s: %s", name, complaint.String())
		}
	})
	return stdin, bufio.NewScanner(stdout)
}

func TestNetcat(t *testing.T) {
	world, hub, address := serveHub(t, live.Options{})
	m := world.Join(herald.PlatformLinux)
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	stdin, lines := program(t, "nc", host, port)
	next := func(kind string) livetest.Frame {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the stream ended instead of a %s", kind)
		}
		f, err := livetest.ParseLine(lines.Bytes())
		if err != nil || f.Type != kind {
			t.Fatalf("got %s, %v, want %s", lines.Text(), err, kind)
		}
		return f
	}
	say := func(format string, args ...any) {
		t.Helper()
		if _, err := fmt.Fprintf(stdin, format+"\n", args...); err != nil {
			t.Fatal(err)
		}
	}
	say(`{"type":"hello","token":%q}`, m.Token)
	next("welcome")
	h := world.Accept(livetest.Send{Content: livetest.Text("hello nc"), To: []livetest.Member{m}})
	if _, err := hub.Deliver(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	if f := next("message"); f.ID != h.Msg.ID || f.Notification.Title != "hello nc" {
		t.Fatalf("got %+v", f)
	}
	say(`{"type":"ack","ids":["%s"]}`, h.Msg.ID)
	say(`{"type":"ping"}`)
	next("pong")
	if !world.Received(h.Msg.ID, m) {
		t.Fatal("not received")
	}
}

// php is what a PHP script needs: it receives two messages over a socket, one
// that waited and one that comes, and acknowledges each. It prints their titles.
const php = `<?php
[, $address, $token] = $argv;
$s = stream_socket_client("tcp://$address", $code, $text, 10) or exit("$text\n");
stream_set_timeout($s, 10);
$say = fn(array $frame) => fwrite($s, json_encode($frame) . "\n");
$say(["type" => "hello", "token" => $token]);
for ($left = 2; $left > 0 && ($line = fgets($s)) !== false;) {
	$frame = json_decode($line, true, 512, JSON_THROW_ON_ERROR);
	switch ($frame["type"]) {
	case "message":
		echo $frame["notification"]["title"], "\n";
		$say(["type" => "ack", "ids" => [$frame["id"]]]);
		$left--;
		break;
	case "ping":
		$say(["type" => "pong"]);
	}
}
$say(["type" => "ping"]); // its answer says that the acknowledgements are in
while (($line = fgets($s)) !== false && json_decode($line, true)["type"] !== "pong");
echo "done\n";
`

func TestPHP(t *testing.T) {
	world, hub, address := serveHub(t, live.Options{})
	m := world.Join(herald.PlatformLinux)
	waits := world.Accept(livetest.Send{Content: livetest.Text("有消息在等"), To: []livetest.Member{m}})
	_, lines := program(t, "php", "-r", strings.TrimPrefix(php, "<?php\n"), address, m.Token)
	next := func(want string) {
		t.Helper()
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("got %q, want %q", lines.Text(), want)
		}
	}
	next("有消息在等")
	now := world.Accept(livetest.Send{Content: livetest.Text("now"), To: []livetest.Member{m}})
	if _, err := hub.Deliver(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	next("now")
	next("done")
	for _, h := range []herald.MessageID{waits.Msg.ID, now.Msg.ID} {
		if !world.Received(h, m) {
			t.Errorf("message %s was not received", h)
		}
	}
}

func TestRefusalsAreReadable(t *testing.T) {
	world, hub, address := serveHub(t, live.Options{MaxConnections: 1})
	m := world.Join(herald.PlatformLinux)
	refusal := func(code string) {
		t.Helper()
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		// It speaks first, which must not cost it the answer.
		if _, err := fmt.Fprintf(conn, `{"type":"hello","token":%q}`+"\n", m.Token); err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(conn)
		if err != nil || !strings.Contains(string(b), `{"type":"close","code":`+code+`,"detail":"this server`) {
			t.Fatalf("got %q, %v", b, err)
		}
	}
	first, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(first, `{"type":"hello","token":%q}`+"\n", m.Token); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(first)
	if !lines.Scan() {
		t.Fatal(lines.Err())
	}
	refusal("4029")
	drained := make(chan error, 1)
	go func() { drained <- hub.Drain(t.Context()) }()
	if !lines.Scan() || !strings.Contains(lines.Text(), `"reconnect"`) {
		t.Fatalf("got %s", lines.Text())
	}
	refusal("4012")
	_ = first.Close()
	if err := <-drained; err != nil {
		t.Fatal(err)
	}
}
