package faults_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// node is one `herald serve` on a data folder, through all its lives.
type node struct {
	t      *testing.T
	binary string
	data   string
	env    []string
	listen []string // the environment that says where it serves

	cmd    *exec.Cmd
	exited chan struct{}
	out    output
	wrap   []string // a command before the binary
	// inspect looks into the record when the server has stopped.
	inspect func() []string

	mu         sync.Mutex // guards the addresses, which change with each start
	http, ops  string
	tcp, token string
	mqtt       string
}

// output keeps what the process printed, in all its lives.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) from(n int) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text.Bytes()[n:])
}

func newNode(t *testing.T, binary string, env ...string) *node {
	t.Helper()
	n := &node{t: t, binary: binary, data: filepath.Join(t.TempDir(), "data"), env: env}
	// Each life listens where the last one did, as clients expect.
	n.listen = []string{"HERALD_SERVER__HTTP=" + ownAddress(t), "HERALD_SERVER__TCP=" + ownAddress(t), "HERALD_SERVER__MQTT=" + ownAddress(t),
		"HERALD_SERVER__OPS=127.0.0.1:0"}
	n.inspect = func() []string { return inspect(n.data, true) }
	t.Cleanup(n.kill)
	return n
}

// firstPort is where ownAddress looks first, and lastPort how far it has come.
var (
	firstPort = 20_000 + rand.IntN(10_000)
	lastPort  atomic.Int64
)

// ownAddress gives an address that is free, with a port below those that the
// system gives out. One of those could be another's when the next life wants
// it: of a test of another package, or of a client that comes too early.
func ownAddress(t *testing.T) string {
	t.Helper()
	for range 1000 {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(firstPort+int(lastPort.Add(1)))))
		if err == nil {
			_ = l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("a thousand ports are taken")
	return ""
}

var (
	listening     = regexp.MustCompile(`"msg":"listening","transport":"tcp","address":"([^"]+)"`)
	listeningMQTT = regexp.MustCompile(`"msg":"listening","transport":"mqtt","address":"([^"]+)"`)
)

// spawn starts the process and does not wait for it to serve.
func (n *node) spawn() error {
	if err := os.Remove(filepath.Join(n.data, "run.json")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return n.spawnBeside()
}

// spawnBeside is spawn on a folder that is another's.
func (n *node) spawnBeside() error {
	args := append(append([]string{}, n.wrap...), n.binary, "serve", "--data", n.data)
	n.cmd = exec.Command(args[0], args[1:]...)
	n.cmd.Env = append(os.Environ(), "HERALD_SERVER__DRAIN_TIME=20s",
		"HERALD_LIMITS__KEY_RATE=0", "HERALD_LIMITS__DEVICE_RATE=0", "HERALD_LIMITS__ADDRESS_RATE=0", "HERALD_MQTT__PUBLISH_RATE=10000")
	n.cmd.Env = append(append(n.cmd.Env, n.listen...), n.env...)
	n.cmd.Stdout, n.cmd.Stderr = &n.out, &n.out
	if err := n.cmd.Start(); err != nil {
		return err
	}
	cmd, exited := n.cmd, make(chan struct{})
	n.exited = exited
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	return nil
}

// start starts the process and waits until it is ready, or has ended.
func (n *node) start() error {
	n.t.Helper()
	from := len(n.out.from(0))
	if err := n.spawn(); err != nil {
		return err
	}
	for deadline := time.Now().Add(patience); ; <-time.After(5 * time.Millisecond) {
		select {
		case <-n.exited:
			return fmt.Errorf("the server ended: %s\n%s", n.cmd.ProcessState, n.out.from(from))
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the server is not ready after %s:\n%s", patience, n.out.from(from))
		}
		if n.readAddresses(from) && n.ready() == http.StatusOK {
			return nil
		}
	}
}

func (n *node) mustStart() {
	n.t.Helper()
	if err := n.start(); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) readAddresses(from int) bool {
	b, err := os.ReadFile(filepath.Join(n.data, "run.json"))
	tcp, mqtt := listening.FindStringSubmatch(n.out.from(from)), listeningMQTT.FindStringSubmatch(n.out.from(from))
	var run struct{ URL, Ops, Token string }
	if err != nil || json.Unmarshal(b, &run) != nil || tcp == nil {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.http, n.ops, n.token, n.tcp = run.URL, run.Ops, run.Token, tcp[1]
	if mqtt != nil {
		n.mqtt = mqtt[1]
	}
	return true
}

// where gives the addresses of the present life.
func (n *node) where() (web, ops, tcp string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.http, n.ops, n.tcp
}

// whereMQTT is where it listens for MQTT.
func (n *node) whereMQTT() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mqtt
}

// kill ends the process as kill -9 does.
func (n *node) kill() {
	if n.cmd == nil || n.cmd.Process == nil {
		return
	}
	_ = n.cmd.Process.Kill()
	<-n.exited
}

// stop ends the process in order and gives its exit code.
func (n *node) stop() int {
	n.t.Helper()
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		n.t.Error(err)
	}
	select {
	case <-n.exited:
	case <-time.After(patience):
		n.t.Error("the server does not stop")
		n.kill()
	}
	return n.cmd.ProcessState.ExitCode()
}

func (n *node) alive() bool {
	select {
	case <-n.exited:
		return false
	default:
		return true
	}
}

// web makes the requests of the harness. It keeps no connection, so that the
// next life is not met through one of the last.
var web = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// ready asks /readyz; 0 if nobody answers.
func (n *node) ready() int {
	at, _, _ := n.where()
	r, err := web.Get(at + "/readyz")
	if err != nil {
		return 0
	}
	defer r.Body.Close()
	return r.StatusCode
}

// account is an app with its keys.
type account struct {
	Key    string `json:"app_key"`
	Secret string `json:"master_secret"`
	JWT    string `json:"jwt_secret"`
}

func (a account) basic() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(a.Key+":"+a.Secret))
}

func (n *node) createApp(name string) account {
	n.t.Helper()
	_, ops, _ := n.where()
	r, err := http.NewRequest(http.MethodPost, ops+"/admin/apps", strings.NewReader(`{"name":"`+name+`"}`))
	if err != nil {
		n.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+n.token)
	answer, err := web.Do(r)
	if err != nil {
		n.t.Fatal(err)
	}
	defer answer.Body.Close()
	var a account
	if err := json.NewDecoder(answer.Body).Decode(&a); err != nil || a.Key == "" {
		n.t.Fatalf("making an app: %d, %v", answer.StatusCode, err)
	}
	return a
}

// reply is what the API answered; status 0 means that nobody knows.
type reply struct {
	status     int
	code       string
	retryAfter string
	body       []byte
	err        error
}

func (r reply) refused() bool { return r.status >= 400 && r.status < 500 }

// call makes one request, without repeating it.
func (n *node) call(ctx context.Context, client *http.Client, method, path, auth, key string, body any) reply {
	content, err := json.Marshal(body)
	if err != nil {
		return reply{err: err}
	}
	if body == nil {
		content = nil
	}
	at, _, _ := n.where()
	req, err := http.NewRequestWithContext(ctx, method, at+path, bytes.NewReader(content))
	if err != nil {
		return reply{err: err}
	}
	req.Header.Set("Authorization", auth)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return reply{err: err}
	}
	out := reply{status: resp.StatusCode, body: text, retryAfter: resp.Header.Get("Retry-After")}
	if out.status >= 400 {
		var p struct{ Code string }
		_ = json.Unmarshal(text, &p)
		out.code = p.Code
	}
	return out
}
