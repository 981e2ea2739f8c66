package journey_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// loadReport is what the load commands write with --json.
type loadReport struct {
	Command string `json:"command"`
	Figures []struct {
		What   string    `json:"what"`
		Unit   string    `json:"unit"`
		Rounds []float64 `json:"rounds"`
		Ratios []float64 `json:"ratios"`
	} `json:"figures"`
}

// bench runs a bench command, and gives what it writes.
func runBench(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append([]string{"bench"}, args...)...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err = cmd.Run()
	return out.String(), log.String(), err
}

// TestBenchLoad runs the commands that make load, with few clients: that they
// work over each transport, and find nothing lost. What they measure is not
// looked at.
func TestBenchLoad(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("unavailable: load, it is generated on Linux only")
	}
	for _, step := range []struct {
		args string
		want []string // figures, in order; those with a ratio end with a star
	}{
		{"floor --clients 20 --broadcasts 2 --messages 40 --batch 10", []string{
			"write to each of 20 sockets", "accept and upgrade, 20 connections", "POST to one of 20 sockets", "the same in batches, 20 sockets",
			"memory of a connection, 20 clients",
		}},
		{"idle --clients 10 --settle 12ms --broadcasts 2 --transports websocket,sse,stream,poll,tcp", nil},
		{"fanout --clients 20,30 --broadcasts 4 --burst 2 --ack --transports websocket", []string{
			"floor, websocket, 20 clients", "websocket, 20 clients*", "websocket, 20 clients, bursts of 2*",
			"floor, websocket, 20 clients, acknowledged", "websocket, 20 clients, acknowledged*", "websocket, 20 clients, acknowledged, bursts of 2*",
			"floor, websocket, 30 clients", "websocket, 30 clients*", "websocket, 30 clients, bursts of 2*",
			"floor, websocket, 30 clients, acknowledged", "websocket, 30 clients, acknowledged*", "websocket, 30 clients, acknowledged, bursts of 2*",
		}},
		{"fanout --clients 10 --broadcasts 2 --transports sse,stream,tcp --ttl 0 --slow 1 --flood 20", []string{
			"floor, sse, 10 clients", "sse, 10 clients*", "floor, stream, 10 clients", "stream, 10 clients*", "floor, tcp, 10 clients", "tcp, 10 clients*",
			"websocket, 10 clients, p99 beside 1 that read", "websocket, 10 clients, p99 beside 1 that do not*", "memory of the server at most",
		}},
		{"unicast --clients 20 --messages 60 --durable", []string{
			"floor, POST to one socket", "POST /v1/messages*", "POST /v1/messages, speed",
			"rows only", "POST /v1/messages, durable*", "rows only, speed", "POST /v1/messages, durable, speed*",
		}},
		{"connect --clients 20 --transports websocket,tcp", []string{
			"floor, accept and upgrade", "websocket, connected*", "floor, accept and upgrade", "tcp, connected*",
		}},
		{"mixed --clients 20 --broadcasts 2 --messages 40 --connects 5", []string{
			"delivery, p50", "delivery, p99", "delivery, most", "processor time of a delivery, with all else",
		}},
	} {
		t.Run(strings.Fields(step.args)[0], func(t *testing.T) {
			t.Parallel()
			out, log, err := runBench(t, append(strings.Fields(step.args), "--rounds", "1", "--rest", "1ms", "--json")...)
			if err != nil {
				t.Fatalf("%v\n%s%s", err, out, log)
			}
			var report loadReport
			if err := json.Unmarshal([]byte(out), &report); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			var got []string
			for _, f := range report.Figures {
				if len(f.Rounds) != 1 || f.Unit == "" || len(f.Ratios) > 1 {
					t.Errorf("a figure of one round is %+v", f)
				}
				got = append(got, f.What+strings.Repeat("*", len(f.Ratios)))
			}
			if want := step.want; want != nil && strings.Join(got, "\n") != strings.Join(want, "\n") || len(got) == 0 {
				t.Errorf("got figures\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

// TestBenchLoadSaysWhatIsWrong: no figure is given if clients were refused, and
// the command says which and why.
func TestBenchLoadSaysWhatIsWrong(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("unavailable: load, it is generated on Linux only")
	}
	out, log, err := runBench(t, "fanout", "--clients", "8", "--rounds", "1", "--set", "live.connections=5")
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || out != "" {
		t.Fatalf("%v, printed %q", err, out)
	}
	if !strings.Contains(log, "client ") || !strings.Contains(log, "websocket, 8 clients") {
		t.Errorf("it does not say what is wrong: %s", log)
	}
}

// TestBenchAgainst runs other products beside Herald.
func TestBenchAgainst(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("unavailable: load, it is generated on Linux only")
	}
	for _, name := range []string{"mosquitto", "nchan"} {
		t.Run(name, func(t *testing.T) {
			for _, command := range []string{"fanout --clients 10 --broadcasts 2", "idle --clients 10 --settle 12ms"} {
				out, log, err := runBench(t, append(strings.Fields(command), "--rounds", "1", "--rest", "1ms", "--against", name)...)
				if strings.Contains(log, "is not installed") {
					t.Skipf("unavailable: %s, its Debian package is not installed", name)
				}
				if err != nil || !strings.Contains(out, "\n"+name+", ") {
					t.Errorf("%s: %v\n%s%s", command, err, out, log)
				}
			}
		})
	}
}
