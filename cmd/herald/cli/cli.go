// Package cli is the command line of Herald: flags, output and exit codes. It
// decides nothing about messages; what it does is done by internal/server and
// by the SDKs in client and client/device.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/server"
	"github.com/herald-push/herald/internal/version"
)

// Node is a running server, as the commands dev and serve see it.
type Node interface {
	Run(ctx context.Context) error
	Close() error
	URL() string
	Fresh() bool
	Admin() api.Admin
}

// World is what commands touch outside themselves, so that tests can stand in
// for it. [System] is the real one.
type World struct {
	In       io.Reader
	Out, Err io.Writer
	Environ  []string
	// Color allows escape sequences on Out.
	Color bool
	// Self is how a user runs this program, e.g. "herald".
	Self string
	OS   string
	Now  func() time.Time
	// LAN is the machine's address on the local network.
	LAN func() (string, error)
	// Open and Administer are those of internal/server.
	Open       func(ctx context.Context, cfg config.Config, log *slog.Logger) (Node, error)
	Administer func(ctx context.Context, cfg config.Config) (api.Admin, func() error, error)
	// Secrets is AdministerSecrets of internal/server.
	Secrets func(ctx context.Context, cfg config.Config) (api.SecretAdmin, func() error, error)
	// Health asks the server that runs on a data folder whether it is ready.
	Health func(ctx context.Context, folder string) error
	// Ready returns when the server at a URL answers.
	Ready func(ctx context.Context, url string) error
}

// System is the real world.
func System() World {
	w := World{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.Environ(), Self: version.Program(), OS: runtime.GOOS, Now: time.Now, LAN: lanAddress, Ready: ready}
	w.Open = func(ctx context.Context, cfg config.Config, log *slog.Logger) (Node, error) {
		s, err := server.Open(ctx, cfg, log)
		if err != nil {
			return nil, err // not a Node that holds a nil pointer
		}
		return s, nil
	}
	w.Administer, w.Secrets, w.Health = server.Administer, server.AdministerSecrets, server.Health
	info, err := os.Stdout.Stat()
	w.Color = err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return w
}

// lanAddress asks the routing table which address is used towards the outside.
// No packet is sent: UDP has no handshake.
func lanAddress() (string, error) {
	c, err := new(net.Dialer).DialContext(context.Background(), "udp4", "192.0.2.1:9")
	if err != nil {
		return "", errors.New("this machine has no address on a network")
	}
	defer c.Close()
	host, _, err := net.SplitHostPort(c.LocalAddr().String())
	return host, err
}

func ready(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	client := &http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/livez", nil)
		if err != nil {
			return err
		}
		if resp, err := client.Do(req); err == nil {
			resp.Body.Close()
			return nil
		}
		if !pause(ctx, 20*time.Millisecond) {
			return fmt.Errorf("the server at %s does not answer: %w", url, ctx.Err())
		}
	}
}

// pause waits, and reports whether ctx still goes on.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// command is one run of the program.
type command struct {
	World
	data string // --data: the data folder
}

// env gives an environment variable.
func (c *command) env(name string) string {
	for _, e := range c.Environ {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return ""
}

// folder is the data folder: flag, environment, default.
func (c *command) folder() string {
	if c.data != "" {
		return c.data
	}
	if v := c.env("HERALD_DATA"); v != "" {
		return v
	}
	return config.Default().Data
}

func (c *command) printf(format string, args ...any) { fmt.Fprintf(c.Out, format, args...) }
func (c *command) notef(format string, args ...any)  { fmt.Fprintf(c.Err, format, args...) }

// bold marks text where the output can show it.
func (c *command) bold(s string) string {
	if !c.Color {
		return s
	}
	return "\x1b[1m" + s + "\x1b[0m"
}

// Main runs one command and gives its exit code.
func Main(ctx context.Context, args []string, w World) int {
	c := &command{World: w}
	root := c.root()
	root.SetArgs(append([]string{}, args...)) // cobra takes those of the process for nil
	root.SetOut(w.Out)
	root.SetErr(w.Err)
	at, err := root.ExecuteContextC(ctx)
	return c.exit(at, err)
}

func (c *command) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "herald",
		Short: "A self-hosted message push platform",
		Long: "Herald pushes messages to devices, keeps them for those that are away, and shows what became of each.\n\n" +
			"Begin with \"herald dev\"; then, in a second terminal, \"herald listen\" and \"herald push Hello\".",
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	root.PersistentFlags().StringVar(&c.data, "data", "", "data folder (default ./herald-data, or $HERALD_DATA)")
	root.AddCommand(c.devCommand(), c.serveCommand(), c.pushCommand(), c.listenCommand(), c.messageCommand(), c.messagesCommand(), c.withdrawCommand(), c.pauseCommand(), c.resumeCommand(), c.stopCommand(),
		c.approveCommand(), c.rejectCommand(), c.attemptsCommand(), c.deadCommand(),
		c.reportCommand(), c.deliveriesCommand(), c.timelineCommand(),
		c.scheduleCommand(), c.publishCommand(), c.topicsCommand(), c.retainedCommand(), c.sessionsCommand(), c.webhookCommand(), c.credentialCommand(), c.segmentCommand(), c.fileCommand(), c.templateCommand(), c.routeCommand(), c.tagCommand(), c.aliasCommand(),
		c.keyCommand(), c.auditCommand(), c.appCommand(), c.groupCommand(), c.secretsCommand(), c.backupCommand(), c.restoreCommand(), c.migrateStoreCommand(),
		c.benchCommand(), c.simCommand(), c.configCommand(), c.doctorCommand(), c.healthCommand(), c.versionCommand())
	return root
}

// does makes a function the work of a command. Its errors are failures of the
// command; all others that cobra answers are mistakes in the usage.
func does(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := f(cmd.Context(), args); err != nil {
			return &failure{err}
		}
		return nil
	}
}

// group makes a command that only has commands below it.
func group(use, short string, below ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		var names []string
		for _, b := range below {
			names = append(names, b.Name())
		}
		return fmt.Errorf("name a command: %s", strings.Join(names, ", "))
	}}
	g.AddCommand(below...)
	return g
}
