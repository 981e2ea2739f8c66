package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// process is a server of its own, so that its memory and time are not mixed
// with those of whoever measures it.
type process struct {
	cmd   *exec.Cmd
	url   string
	tcp   string        // address of raw TCP, if it was asked for
	mqtt  string        // and of MQTT
	ready time.Duration // from its start until it answered that it is ready
	ended chan error
	// worker is the process that does the work, where that is a child of what
	// was started; else 0.
	worker int
}

// pid is the process that is measured.
func (p *process) pid() int {
	if p.worker != 0 {
		return p.worker
	}
	return p.cmd.Process.Pid
}

// serve starts a server on a folder and waits until it is ready.
func serve(ctx context.Context, program, folder string, out io.Writer, more ...string) (*process, error) {
	// The last setting is no limit: what is measured is not how fast callers
	// are refused.
	//nolint:gosec // the program is this one, the folder an argument of who runs it
	cmd := exec.CommandContext(ctx, program, append([]string{"serve", "--data", folder, "--http", "127.0.0.1:0", "--ops", "127.0.0.1:0",
		"--set", "server.tcp=", "--set", "server.mqtt=", "--set", "log.format=json", "--set", "limits.key_rate=0", "--set", "limits.device_rate=0"}, more...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 2 * time.Minute
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("bench: starting %s: %w", program, err)
	}
	p := &process{cmd: cmd, ended: make(chan error, 1)}
	url, ports := make(chan string, 1), make(chan [2]string, 16)
	go func() {
		readLog(stderr, url, ports, out)
		p.ended <- cmd.Wait()
	}()
	select {
	case p.url = <-url:
	case err := <-p.ended:
		return nil, errors.Join(errors.New("bench: the server ended before it was ready"), err)
	}
	for !isReady(ctx, p.url) {
		select {
		case err := <-p.ended:
			return nil, errors.Join(errors.New("bench: the server ended before it was ready"), err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	p.ready = time.Since(begun)
	for len(ports) > 0 { // they were logged before the URL
		switch port := <-ports; port[0] {
		case "tcp":
			p.tcp = port[1]
		case "mqtt":
			p.mqtt = port[1]
		}
	}
	return p, nil
}

// readLog finds the address in the log, and passes on what is worse than
// information.
func readLog(r io.Reader, url chan<- string, ports chan<- [2]string, out io.Writer) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct{ Level, Msg, URL, Transport, Address string }
		if json.Unmarshal(lines.Bytes(), &line) != nil || line.Level != "INFO" {
			fmt.Fprintln(out, lines.Text())
			continue
		}
		switch {
		case line.Msg == "listening" && line.Transport != "" && line.Address != "":
			select {
			case ports <- [2]string{line.Transport, line.Address}:
			default: // nobody waits for so many
			}
		case line.Msg == "listening" && line.URL != "":
			url <- line.URL
		}
	}
	_, _ = io.Copy(io.Discard, r) // after a line that is too long
}

func isReady(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
	if err != nil {
		return false
	}
	client := http.Client{Timeout: 5 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
}

// stop ends the server in order.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	return <-p.ended
}

// tick is the unit in which Linux tells the time that a process has used, on
// all its architectures.
const tick = time.Second / 100

// cpu is the processor time that a process has used; 0 where the system does
// not tell.
func (p *process) cpu() time.Duration {
	if d, ok := processClock(p.pid()); ok {
		return d
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid()))
	if err != nil {
		return 0
	}
	// The name of the program, in brackets, may hold anything.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * tick
}

// memory is what the kernel counts for a process, in bytes; ok is false where
// the system does not tell.
type memory struct {
	resident, peak int64
	ok             bool
}

func (p *process) memory() (m memory) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid()))
	if err != nil {
		return m
	}
	defer func() {
		if rss, ok := p.resident(); ok {
			m.resident = rss
		}
	}()
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(line, ":")
		n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch name {
		case "VmRSS":
			m.resident, m.ok = n<<10, true
		case "VmHWM":
			m.peak = n << 10
		}
	}
	return m
}

// resident reads the resident memory from the page tables. That of
// /proc/PID/status is the sum of counters which may be late by some hundred
// kilobytes.
func (p *process) resident() (int64, bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p.pid()))
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, "Rss:"); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return n << 10, err == nil
		}
	}
	return 0, false
}
