package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/bench/floor"
	"github.com/herald-push/herald/internal/bench/swarm"
)

// The kinds of processes that load commands start.
const (
	ofFloor = "floor"
	ofCrowd = "clients"
	ofRows  = "rows"
	ofMass  = "returning"
)

// Child runs one of the processes that load commands start, until its standard input ends.
func Child(kind string, out io.Writer) error {
	switch kind {
	case ofFloor:
		runtime.GOMAXPROCS(1) // one thread does all
		return floor.Run(os.Stdin, out)
	case ofCrowd:
		runtime.GOMAXPROCS(1)
		return swarm.Run(os.Stdin, out)
	case ofRows:
		return runRows(os.Stdin, out)
	case ofMass:
		return runMass(os.Stdin, out)
	}
	return herald.Invalid("kind", "Load commands start it themselves.", "there is no process %q", kind)
}

// linuxOnly refuses where a load command cannot run.
func linuxOnly() error {
	if runtime.GOOS == "linux" {
		return nil
	}
	return herald.Errorf(herald.CodeForbidden, "Run it on Linux.", "load is generated with epoll, which %s does not have", runtime.GOOS)
}

// child is such a process, which answers lines with lines.
type child struct {
	process
	in    io.WriteCloser
	lines *bufio.Reader
}

func startChild(ctx context.Context, l *Load, kind string) (*child, error) {
	//nolint:gosec // the program is this one
	cmd := exec.CommandContext(ctx, l.Program, "bench", "child", kind)
	cmd.Stderr = l.Log
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if l.behind {
		cmd.SysProcAttr = ownGroup()
	}
	if err := l.start(cmd); err != nil {
		return nil, fmt.Errorf("bench: starting %s: %w", l.Program, err)
	}
	if l.behind {
		giveWay(cmd.Process.Pid)
	}
	return &child{process{cmd: cmd}, in, bufio.NewReaderSize(out, 64<<10)}, nil
}

// start starts a process.
func (l *Load) start(cmd *exec.Cmd) error {
	l.starting.Lock()
	defer l.starting.Unlock()
	return cmd.Start()
}

// ask gives a command, and waits for the answer to it.
func (c *child) ask(ctx context.Context, command, answer any) error {
	if command != nil {
		b, err := json.Marshal(command)
		if err != nil {
			return err
		}
		if _, err := c.in.Write(append(b, '\n')); err != nil {
			return errors.Join(ctx.Err(), err)
		}
	}
	b, err := c.lines.ReadBytes('\n')
	if err != nil {
		return errors.Join(ctx.Err(), fmt.Errorf("bench: a process of the load has ended: %w", err))
	}
	return json.Unmarshal(b, answer)
}

// stop ends the process with its input.
func (c *child) stop() error {
	if c == nil {
		return nil
	}
	late := time.AfterFunc(20*time.Second, func() { _ = c.cmd.Process.Kill() })
	defer late.Stop()
	return errors.Join(c.in.Close(), c.cmd.Wait())
}

// crew is a swarm.
type crew struct{ *child }

func (c crew) do(ctx context.Context, m swarm.Command) (swarm.Answer, error) {
	var a swarm.Answer
	if m.Timeout == 0 {
		m.Timeout = 2 * time.Minute
	}
	if err := c.ask(ctx, m, &a); err != nil {
		return a, err
	}
	if a.Error != "" {
		return a, fmt.Errorf("bench: %s", a.Error)
	}
	return a, nil
}
