package cli

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/systemd"
)

// serverFlags are the flags of commands that read the server's configuration.
type serverFlags struct {
	file                       string
	http, tcp, mqtt, ops, logs string
	set                        []string
}

func (f *serverFlags) add(cmd *cobra.Command, file bool) {
	if file {
		cmd.Flags().StringVar(&f.file, "config", "", "configuration file (YAML); see \"herald config defaults\"")
	}
	cmd.Flags().StringVar(&f.http, "http", "", "address of the API and the pages (server.http)")
	cmd.Flags().StringVar(&f.tcp, "tcp", "", "address of raw TCP (server.tcp)")
	cmd.Flags().StringVar(&f.mqtt, "mqtt", "", "address of MQTT (server.mqtt)")
	cmd.Flags().StringVar(&f.ops, "ops", "", "address of metrics and administration (server.ops)")
	cmd.Flags().StringVar(&f.logs, "log-level", "", "debug, info, warn or error (log.level)")
	cmd.Flags().StringArrayVar(&f.set, "set", nil, "any other key, as key=value; may be repeated")
}

// load reads the configuration: base, file, environment, flags.
func (c *command) load(f serverFlags, base *config.Config) (config.Config, error) {
	flags := map[string]string{}
	for _, s := range f.set {
		key, value, found := strings.Cut(s, "=")
		if !found {
			return config.Config{}, usage("Write for example --set live.heartbeat=30s.", "--set %s has no =", s)
		}
		flags[key] = value
	}
	for key, value := range map[string]string{"data": c.data, "server.http": f.http, "server.tcp": f.tcp, "server.mqtt": f.mqtt, "server.ops": f.ops, "log.level": f.logs} {
		if value != "" {
			flags[key] = value
		}
	}
	cfg, err := config.Load(config.Sources{Base: base, File: f.file, Environ: c.Environ, Flags: flags})
	return cfg, configuration(err)
}

// newLogger makes the log that a configuration asks for.
func newLogger(w io.Writer, l config.Log) *slog.Logger {
	var level slog.Level
	if level.UnmarshalText([]byte(l.Level)) != nil {
		level = slog.LevelInfo // Validate has refused every other name
	}
	o := &slog.HandlerOptions{Level: level}
	if l.Format == "text" {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}

// openError says what an error of opening a server means for the exit code.
func openError(err error) error {
	var e *herald.Error
	if errors.As(err, &e) {
		switch e.Code {
		case herald.CodeInvalidRequest, herald.CodeForbidden:
			return configuration(err)
		}
		return &coded{ExitFailure, err}
	}
	return err
}

func (c *command) serveCommand() *cobra.Command {
	var f serverFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a server",
		Long: "Run a server. Flags override the environment (HERALD_SERVER__HTTP for server.http), the environment overrides the\n" +
			"file. It logs to standard error. SIGTERM or Ctrl-C stops it in order; a second one at once.",
		Args: cobra.NoArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			cfg, err := c.load(f, nil)
			if err != nil {
				return err
			}
			log := newLogger(c.Err, cfg.Log)
			for _, w := range cfg.Warnings() {
				log.Warn(w)
			}
			node, err := c.Open(ctx, cfg, log)
			if err != nil {
				return openError(err)
			}
			return c.run(ctx, node, cfg, func() { log.Info("listening", "url", node.URL()) })
		}),
	}
	f.add(cmd, true)
	return cmd
}

// run runs a server until ctx ends, and calls serving when it answers. With a
// public URL it does not ask: that leads through a proxy, which may not be up.
// A service manager, if there is one, is told what happens.
func (c *command) run(ctx context.Context, node Node, cfg config.Config, serving func()) error {
	notifier, err := systemd.Open(c.Environ, os.Getpid())
	if err != nil {
		return errors.Join(err, node.Close())
	}
	defer func() { _ = notifier.Close() }() // nothing waits in it
	told := &manager{Notifier: notifier, node: node, note: c.notef}
	defer told.work.Wait()
	rctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	running, over := context.WithCancel(context.WithoutCancel(ctx))
	defer over()
	go func() { ended <- node.Run(rctx) }()
	answered := make(chan error, 1)
	var asking sync.WaitGroup
	asking.Go(func() {
		if cfg.Server.PublicURL != "" {
			answered <- nil
			return
		}
		answered <- c.Ready(rctx, localURL(node.URL()))
	})
	defer asking.Wait()
	defer stop()
	select {
	case err := <-ended:
		return err
	case err := <-answered:
		if err != nil && ctx.Err() == nil {
			stop()
			return errors.Join(err, <-ended)
		}
		if err == nil {
			serving()
			told.ready(running)
		}
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		told.stopping(cfg)
		return <-ended
	}
}
