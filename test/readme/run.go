//go:build unix

package readme

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	runTime    = 3 * time.Minute // for one block, which may have to be compiled on a busy machine
	readyTime  = 3 * time.Minute // until a background block has said what it must
	printTime  = 2 * time.Minute // until a background block has printed what is shown
	stopTime   = time.Minute     // between SIGTERM and SIGKILL
	repository = "https://github.com/herald-push/herald"
)

// Runner runs the blocks of one document, one after another.
type Runner struct {
	Root string // of the repository
	Dir  string // where blocks are run
	Bin  string // folder of the herald binary, put in front of PATH

	vars    map[string]string // what herald dev printed
	outputs map[string]*buffer
	running []*process
}

// process is a block in the background.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// buffer collects what a process prints while others read it.
type buffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
	// final: nothing more will come. Set before anybody else reads.
	final bool
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// NewRunner runs blocks in the folder dir, with the herald binary of bin.
func NewRunner(root, dir, bin string) *Runner {
	return &Runner{Root: root, Dir: dir, Bin: bin, vars: make(map[string]string), outputs: make(map[string]*buffer)}
}

// Run runs a block, or compares the output of one that ran.
func (r *Runner) Run(ctx context.Context, b Block) error {
	if b.Mark == "output" {
		return r.compare(ctx, b.Name, b.Text)
	}
	ctx, cancel := context.WithTimeout(ctx, runTime)
	defer cancel()
	text := r.substitute(b.Text)
	switch b.Kind() {
	case "sh":
		return r.shell(ctx, b, text)
	case "console":
		typed, printed := Commands(text)
		if err := r.shell(ctx, b, typed); err != nil {
			return err
		}
		return r.compare(ctx, b.Name, printed)
	case "node":
		return r.node(ctx, b, text)
	case "gorun":
		// In the repository, so that its module gives the packages.
		return r.file(ctx, b, ".go", text, "go", "-C", r.Root, "run")
	case "message":
		return r.message(ctx, b, text)
	case "config":
		return r.file(ctx, b, ".yaml", text, filepath.Join(r.Bin, "herald"), "config", "check", "--config")
	case "php":
		return r.file(ctx, b, ".php", text, "php")
	case "page":
		return r.file(ctx, b, ".html", text, "node", filepath.Join(r.Root, "test", "interop", "page.mjs"))
	case "make":
		return r.makeTargets(text)
	case "clone":
		return clone(text)
	}
	return fmt.Errorf("readme: there is no way to run %q", b.Kind())
}

// substitute changes what a reader would change.
func (r *Runner) substitute(text string) string {
	text = strings.ReplaceAll(text, "go run ./cmd/herald", "herald")
	if url := r.vars["URL"]; url != "" {
		text = strings.ReplaceAll(text, "http://127.0.0.1:7700", url)
		text = strings.ReplaceAll(text, "http://localhost:7700", url)
		text = strings.ReplaceAll(text, "127.0.0.1:7700", strings.TrimPrefix(url, "http://"))
	}
	if tcp := r.vars["TCP"]; tcp != "" {
		text = strings.ReplaceAll(text, "127.0.0.1:7701", tcp)
	}
	for _, name := range []string{"APP_KEY", "MASTER_SECRET"} {
		if v := r.vars[name]; v != "" {
			for _, form := range []string{"${" + name + "}", "$" + name, name} {
				text = strings.ReplaceAll(text, form, v)
			}
		}
	}
	return text
}

// command makes a command that prints into the output of the block.
func (r *Runner) command(ctx context.Context, b Block, name string, args ...string) (*exec.Cmd, *buffer) {
	out := &buffer{}
	r.outputs[b.Name] = out
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = r.Dir
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(os.Environ(),
		"PATH="+r.Bin+string(os.PathListSeparator)+os.Getenv("PATH"),
		// Any free port: what runs beside this test keeps its own.
		"HERALD_SERVER__HTTP=127.0.0.1:0", "HERALD_SERVER__OPS=127.0.0.1:0")
	// A process group of its own, so that what the shell started ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	return cmd, out
}

func (r *Runner) foreground(ctx context.Context, b Block, name string, args ...string) error {
	cmd, out := r.command(ctx, b, name, args...)
	out.final = true // once Run has returned
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("readme: block %s: %w\n%s", b.Name, err, out)
	}
	return nil
}

func (r *Runner) shell(ctx context.Context, b Block, script string) error {
	return r.start(ctx, b, "bash", "-euo", "pipefail", "-c", script)
}

// start runs a command to its end, or in the background until it is ready.
func (r *Runner) start(ctx context.Context, b Block, name string, args ...string) error {
	if _, ok := b.Options["background"]; !ok {
		return r.foreground(ctx, b, name, args...)
	}
	cmd, out := r.command(context.WithoutCancel(ctx), b, name, args...)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("readme: block %s: %w", b.Name, err)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(p.done)
	}()
	r.running = append(r.running, p)
	ready := func() bool { return strings.Contains(out.String(), b.Options["until"]) }
	if strings.Contains(b.Text, "herald dev") {
		ready = func() bool {
			return strings.Contains(out.String(), b.Options["until"]) && r.learn(out.String()) && r.isReady(ctx)
		}
	}
	return p.await(ctx, b, out, ready)
}

// file writes a block to a file, runs a command with it and returns.
func (r *Runner) file(ctx context.Context, b Block, ext, text, name string, args ...string) error {
	file := filepath.Join(r.Dir, b.Name+ext)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return fmt.Errorf("readme: %w", err)
	}
	return r.start(ctx, b, name, append(args, file)...)
}

// await waits until a background block is ready, which it is not if it ends.
func (p *process) await(ctx context.Context, b Block, out *buffer, ready func() bool) error {
	if until(ctx, readyTime, p.done, ready) {
		return nil
	}
	select {
	case <-p.done:
		return fmt.Errorf("readme: block %s ended and was to go on: %v\n%s", b.Name, p.cmd.ProcessState, out)
	default:
		return fmt.Errorf("readme: block %s was not ready after %v\n%s", b.Name, readyTime, out)
	}
}

// until asks again and again, and reports whether ready said yes in time.
func until(ctx context.Context, limit time.Duration, stop <-chan struct{}, ready func() bool) bool {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-ctx.Done():
			return false
		case <-stop:
			return ready()
		case <-deadline.C:
			return false
		case <-tick.C:
		}
	}
	return true
}

var printed = map[string]*regexp.Regexp{
	"URL":           regexp.MustCompile(`http://127\.0\.0\.1:\d+`),
	"APP_KEY":       regexp.MustCompile(`(?i)app[ _]key\W+([0-9a-z]{24})\b`),
	"MASTER_SECRET": regexp.MustCompile(`(?i)(?:master[ _])?secret\W+([0-9A-Za-z]{24})\b`),
}

var printedTCP = regexp.MustCompile(`(?i)tcp\W+(127\.0\.0\.1:\d+)`)

// learn takes the address and the keys from what herald dev printed, and
// reports whether all are there.
func (r *Runner) learn(output string) bool {
	for name, pattern := range printed {
		m := pattern.FindStringSubmatch(output)
		if m == nil {
			return false
		}
		r.vars[name] = m[len(m)-1]
	}
	if m := printedTCP.FindStringSubmatch(output); m != nil {
		r.vars["TCP"] = m[1]
	}
	return true
}

func (r *Runner) isReady(ctx context.Context) bool {
	status, _, err := r.call(ctx, http.MethodGet, "/readyz", "")
	return err == nil && status == http.StatusOK
}

// call makes a request with the keys of the app.
func (r *Runner) call(ctx context.Context, method, path, body string) (int, string, error) {
	if r.vars["URL"] == "" {
		return 0, "", errors.New("readme: no block above has started a server")
	}
	req, err := http.NewRequestWithContext(ctx, method, r.vars["URL"]+path, strings.NewReader(body))
	if err != nil {
		return 0, "", fmt.Errorf("readme: %w", err)
	}
	req.SetBasicAuth(r.vars["APP_KEY"], r.vars["MASTER_SECRET"])
	req.Header.Set("Content-Type", "application/json")
	client := http.Client{Timeout: time.Minute}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", fmt.Errorf("readme: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(answer), err
}

func (r *Runner) compare(ctx context.Context, name, want string) error {
	out := r.outputs[name]
	if out == nil {
		return fmt.Errorf("readme: block %s printed nothing that could be compared", name)
	}
	want = r.substitute(want)
	// What runs in the background may still be about to print it.
	matches := func() bool { return Match(want, out.String()) == "" }
	if matches() || !out.final && until(ctx, printTime, nil, matches) {
		return nil
	}
	return fmt.Errorf("readme: block %s did not print, or not in this order: %s\nit printed:\n%s", name, Match(want, out.String()), out)
}

// message posts a message, as the block shows it.
func (r *Runner) message(ctx context.Context, b Block, text string) error {
	if !json.Valid([]byte(text)) {
		return errors.New("readme: the block is not valid JSON")
	}
	status, answer, err := r.call(ctx, http.MethodPost, "/v1/messages", text)
	if err != nil {
		return err
	}
	out := &buffer{final: true}
	fmt.Fprintln(out, answer)
	r.outputs[b.Name] = out
	if status != http.StatusAccepted {
		return fmt.Errorf("readme: POST /v1/messages answered %d: %s", status, answer)
	}
	return nil
}

func (r *Runner) node(ctx context.Context, b Block, text string) error {
	// Modules are looked for beside the file that imports them.
	link := filepath.Join(r.Dir, "node_modules")
	if err := os.Symlink(filepath.Join(r.Root, "test", "interop", "node_modules"), link); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("readme: %w", err)
	}
	return r.file(ctx, b, ".mjs", text, "node")
}

// Stop ends what runs in the background and waits for the commands themselves.
// What they started and left behind is killed, which takes effect a moment
// later.
func (r *Runner) Stop() {
	for _, p := range r.running {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
	}
	for _, p := range r.running {
		kill := time.AfterFunc(stopTime, func() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) })
		<-p.done
		kill.Stop()
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	}
	r.running = nil
}

// clone accepts the commands that fetch this repository and enter it.
func clone(text string) error {
	text = strings.ReplaceAll(text, "&&", "\n")
	cloned := false
	for line := range strings.SplitSeq(text, "\n") {
		switch line = strings.TrimSpace(line); line {
		case "", "cd herald":
		case "git clone " + repository, "git clone " + repository + ".git":
			cloned = true
		default:
			return fmt.Errorf("readme: a block as=clone only clones %s and enters it, not: %s", repository, line)
		}
	}
	if !cloned {
		return errors.New("readme: a block as=clone has to clone " + repository)
	}
	return nil
}

var target = regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)

// makeTargets accepts make commands whose targets the Makefile has.
func (r *Runner) makeTargets(text string) error {
	makefile, err := os.ReadFile(filepath.Join(r.Root, "Makefile"))
	if err != nil {
		return fmt.Errorf("readme: %w", err)
	}
	targets := make(map[string]bool)
	for _, m := range target.FindAllStringSubmatch(string(makefile), -1) {
		targets[m[1]] = true
	}
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case words[0] != "make" || len(words) < 2:
			return fmt.Errorf("readme: a block as=make has lines of the form make TARGET..., not: %s", line)
		default:
			for _, w := range words[1:] {
				if !targets[w] && !strings.Contains(w, "=") {
					return fmt.Errorf("readme: the Makefile has no target %s", w)
				}
			}
		}
	}
	return nil
}
