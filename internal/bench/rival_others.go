package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/bench/swarm"
)

// other is another product as a rival: a program of a Debian package, with a
// configuration of its own in a temporary folder.
type other struct {
	load    *Load
	kind    *otherKind
	process process
	folder  string
	address string
	http    *http.Client
	target  swarm.Target
	sender  *sender // that publishes over MQTT
}

// otherKind tells products apart.
type otherKind struct {
	name, program, packages string
	// module is a file that the program needs.
	module string
	args   func(config string) []string
	config func(folder, address string, clients int) string
	target swarm.Target
	// worker says that the work is done by a child of the process, which gives
	// up the rights of root by itself. (The module makes a folder for messages
	// where the package says, which only root can do the first time.)
	worker bool
}

func otherKinds() []otherKind {
	return []otherKind{{
		name: "mosquitto", program: "mosquitto", packages: "mosquitto",
		args: func(config string) []string { return []string{"-c", config} },
		config: func(_, address string, _ int) string {
			host, port, _ := net.SplitHostPort(address) // we made it
			return fmt.Sprintf("listener %s %s\nallow_anonymous true\npersistence false\nlog_type error\nmax_connections -1\nmax_queued_messages 0\n", port, host)
		},
		target: swarm.Target{Proto: swarm.MQTT, Topic: "bench", QoS: 1},
	}, {
		name: "mosquitto-persistent", program: "mosquitto", packages: "mosquitto",
		args: func(config string) []string { return []string{"-c", config} },
		config: func(folder, address string, _ int) string {
			host, port, _ := net.SplitHostPort(address) // we made it
			return fmt.Sprintf("listener %s %s\nallow_anonymous true\npersistence true\npersistence_location %s/\nautosave_interval 1\n"+
				"log_type error\nmax_connections -1\nmax_queued_messages 0\n", port, host, folder)
		},
		target: swarm.Target{Proto: swarm.MQTT, Topic: "bench", QoS: 1},
	}, {
		name: "nchan", program: "nginx", packages: "nginx libnginx-mod-nchan", module: nchanModule, worker: true,
		args: func(config string) []string { return []string{"-e", "stderr", "-c", config} },
		config: func(folder, address string, clients int) string {
			user := ""
			if os.Geteuid() == 0 {
				user = "user nobody nogroup;"
			}
			return strings.NewReplacer("USER", user, "FOLDER", folder, "ADDRESS", address, "CONNECTIONS", strconv.Itoa(2*clients+1000)).Replace(nchanConfig)
		},
		target: swarm.Target{Proto: swarm.WebSocket, Path: "/sub"},
	}}
}

const (
	nchanModule = "/usr/lib/nginx/modules/ngx_nchan_module.so"
	nchanConfig = `load_module ` + nchanModule + `;
USER
daemon off;
pid FOLDER/pid;
error_log stderr error;
worker_processes 1;
events { worker_connections CONNECTIONS; }
http {
	access_log off;
	client_body_temp_path FOLDER/body;
	proxy_temp_path FOLDER/proxy;
	fastcgi_temp_path FOLDER/fastcgi;
	uwsgi_temp_path FOLDER/uwsgi;
	scgi_temp_path FOLDER/scgi;
	server {
		listen ADDRESS;
		location = /sub { nchan_subscriber websocket; nchan_channel_id bench; nchan_subscriber_first_message newest; }
		location = /pub { nchan_publisher http; nchan_channel_id bench; }
	}
}
`
)

// Rivals are the products that Herald is measured against.
func Rivals() (names []string) {
	for _, k := range otherKinds() {
		names = append(names, k.name)
	}
	return names
}

// checkRival refuses a product that is not known or not installed.
func checkRival(name string) error {
	if name == "" {
		return nil
	}
	_, _, err := findRival(name)
	return err
}

// findRival finds a product by its name.
func findRival(name string) (k otherKind, program string, err error) {
	i := slices.IndexFunc(otherKinds(), func(k otherKind) bool { return k.name == name })
	if i < 0 {
		return k, "", herald.Invalid("against", "Give one of "+strings.Join(Rivals(), ", ")+".", "%q is no product to measure against", name)
	}
	k = otherKinds()[i]
	program, err = k.find()
	return k, program, err
}

// find finds the program. That of a daemon may not be in the path of a user.
func (k *otherKind) find() (string, error) {
	program, err := exec.LookPath(k.program)
	if err != nil {
		program, err = exec.LookPath("/usr/sbin/" + k.program)
	}
	if err == nil && k.module != "" {
		_, err = os.Stat(k.module)
	}
	if err != nil {
		return "", herald.Errorf(herald.CodeNotFound, "Install it: apt-get install "+k.packages, "%s is not installed: %v", k.name, err)
	}
	return program, nil
}

// startRival starts another product. Another process may take its port in the
// moment in which it is free; then it ends, and is started once more.
func startRival(ctx context.Context, l *Load, name string, clients int) (_ rival, err error) {
	k, program, err := findRival(name)
	if err != nil {
		return nil, err
	}
	for range 3 {
		var o *other
		if o, err = startOther(ctx, l, k, program, clients); err == nil {
			return o, nil
		}
		if !errors.Is(err, errRivalEnded) {
			break
		}
	}
	return nil, err
}

// errRivalEnded is that it has ended before it was ready.
var errRivalEnded = errors.New("has ended")

// startOther starts it once.
func startOther(ctx context.Context, l *Load, k otherKind, program string, clients int) (_ *other, err error) {
	o := &other{load: l, kind: &k, http: manyCallers(), target: k.target}
	if o.folder, err = os.MkdirTemp("", "herald-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.Stop())
		}
	}()
	if o.address, err = freeAddress(ctx); err != nil {
		return nil, err
	}
	config := filepath.Join(o.folder, "conf")
	if err := os.WriteFile(config, []byte(k.config(o.folder, o.address, clients)), 0o644); err != nil { //nolint:gosec // another user reads it
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, k.args(config)...) //nolint:gosec // a program of the table above
	cmd.Stderr, cmd.Dir = l.Log, o.folder
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	if !k.worker {
		if err := unprivileged(cmd, o.folder); err != nil {
			return nil, err
		}
	}
	if err := l.start(cmd); err != nil {
		return nil, fmt.Errorf("bench: starting %s: %w", program, err)
	}
	o.process = process{cmd: cmd, ended: make(chan error, 1)}
	go func() { o.process.ended <- cmd.Wait() }()
	return o, o.ready(ctx)
}

// freeAddress gives an address that nobody listens on now.
func freeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// ready waits until the product listens.
func (o *other) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp4", o.address)
		if err == nil {
			// The port is open before the worker is there.
			if err = o.findWorker(); err == nil {
				return o.greet(ctx, conn)
			}
			_ = conn.Close()
		}
		select {
		case err := <-o.process.ended:
			o.process.ended <- err
			return fmt.Errorf("bench: %s %w", o.kind.name, errors.Join(errRivalEnded, err))
		default:
		}
		if !rest(ctx, 20*time.Millisecond) {
			return fmt.Errorf("bench: %s is not ready: %w", o.kind.name, err)
		}
	}
}

// greet makes the connection that publishes, for MQTT.
func (o *other) greet(ctx context.Context, conn net.Conn) error {
	if o.kind.target.Proto != swarm.MQTT {
		return conn.Close()
	}
	err := conn.Close() // it only knocked
	if err == nil {
		o.sender, err = newSender(ctx, o.address, "bench-sender", "", "")
	}
	return err
}

// findWorker finds the child that does the work.
func (o *other) findWorker() error {
	if !o.kind.worker {
		return nil
	}
	pid := o.process.cmd.Process.Pid
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return err
	}
	list := strings.Fields(string(b))
	if len(list) != 1 {
		return fmt.Errorf("bench: %s has %d workers, want one", o.kind.name, len(list))
	}
	o.process.worker, err = strconv.Atoi(list[0])
	return err
}

// Process is the process that does the work.
func (o *other) Process() *process { return &o.process }

// Target is the product, without tokens.
func (o *other) Target() (swarm.Target, string) {
	t := o.target
	t.Address = o.address
	return t, ""
}

// Broadcast publishes.
func (o *other) Broadcast(ctx context.Context, first uint32, count int) error {
	if o.sender != nil {
		return o.sender.broadcast(o.target, first, count, o.load.Payload)
	}
	for i := range uint32(count) {
		payload := swarm.Mark{Kind: swarm.Broadcast, Seq: first + i, Sent: time.Now().UnixNano()}.Append(nil, o.load.Payload)
		if err := o.publish(ctx, payload); err != nil {
			return err
		}
	}
	return nil
}

// publish publishes over HTTP.
func (o *other) publish(ctx context.Context, payload []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+o.address+"/pub", bytes.NewReader(payload))
	if err != nil {
		return err
	}
	resp, err := o.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err == nil && resp.StatusCode/100 != 2 {
		err = &refusal{resp.StatusCode, text}
	}
	return err
}

// Settle has nothing to wait for.
func (o *other) Settle(context.Context) error { return nil }

// Stop ends the product and removes its folder.
func (o *other) Stop() error {
	o.sender.close()
	o.http.CloseIdleConnections()
	if o.process.cmd != nil {
		_ = o.process.cmd.Process.Signal(os.Interrupt) // it may have ended
		<-o.process.ended                              //nolint:errcheck // a program that a signal ends has no code to look at
	}
	return os.RemoveAll(o.folder)
}
