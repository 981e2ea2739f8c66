package cli

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/doctor"
	"github.com/herald-push/herald/internal/edge/certs"
	"github.com/herald-push/herald/internal/server"
)

func (c *command) configCommand() *cobra.Command {
	return group("config", "Check and explain the configuration", c.configCheck(), c.configDefaults())
}

func (c *command) configCheck() *cobra.Command {
	var f serverFlags
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check a configuration file and the environment",
		Args:  cobra.MaximumNArgs(1),
		RunE: does(func(_ context.Context, args []string) error {
			if len(args) == 1 {
				if f.file != "" {
					return usage("Leave one of them out.", "a file is named twice")
				}
				f.file = args[0]
			}
			cfg, err := c.load(f, nil)
			if err != nil {
				return err
			}
			warnings := cfg.Warnings()
			if cfg.TLS.Cert != "" {
				_, more, err := certs.Check(cfg.TLS.Cert, cfg.TLS.Key, c.Now())
				if err != nil {
					return configuration(err)
				}
				warnings = append(warnings, more...)
			}
			for _, w := range warnings {
				c.printf("warning: %s\n", w)
			}
			what := "the configuration"
			if f.file != "" {
				what = oneLine(f.file)
			}
			c.printf("%s is valid\n", what)
			return nil
		}),
	}
	f.add(cmd, true)
	return cmd
}

func (c *command) configDefaults() *cobra.Command {
	return &cobra.Command{
		Use:   "defaults",
		Short: "Print a configuration file with every key, its meaning and its default",
		Args:  cobra.NoArgs,
		RunE: does(func(context.Context, []string) error {
			c.printf("%s", config.Defaults())
			return nil
		}),
	}
}

func (c *command) doctorCommand() *cobra.Command {
	var f serverFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check whether this machine is fit to run a server",
		Args:  cobra.NoArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			cfg, err := c.load(f, nil)
			if err != nil {
				return err
			}
			return c.examine(slices.Concat(doctor.Run(ctx, cfg, doctor.Machine()), server.ExamineStore(ctx, cfg.Store), server.ExamineSecrets(ctx, cfg), server.ExamineCredentials(ctx, cfg)), asJSON)
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	f.add(cmd, true)
	return cmd
}

func (c *command) healthCommand() *cobra.Command {
	var file string
	var within time.Duration
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask the server of a data folder whether it is ready",
		Long: "Ask the server that runs on the data folder, on this machine, whether it is ready: a durable write went well and it\n" +
			"does not drain. It exits with 0 if so and with 4 if not, as the health check of a container wants it.",
		Args: cobra.NoArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			cfg, err := c.load(serverFlags{file: file}, nil)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(ctx, within)
			defer cancel()
			if err := c.Health(ctx, cfg.Data); err != nil {
				return err
			}
			c.printf("ready\n")
			return nil
		}),
	}
	cmd.Flags().StringVar(&file, "config", "", "configuration file of the server, which names its data folder")
	cmd.Flags().DurationVar(&within, "timeout", 6*time.Second, "how long to wait for the answer")
	return cmd
}

// examine prints findings; a failure among them fails the command.
func (c *command) examine(findings []doctor.Finding, asJSON bool) error {
	failed := false
	for _, f := range findings {
		failed = failed || f.State == doctor.Failure
	}
	if asJSON {
		if err := c.printJSON(findings); err != nil {
			return err
		}
	} else {
		for _, f := range findings {
			c.printf("%-8s %-12s %s\n", f.State, f.Check, oneLine(f.Text))
			if f.Remedy != "" {
				c.printf("%-8s %-12s %s\n", "", "", oneLine(f.Remedy))
			}
		}
	}
	if failed {
		return errors.New("at least one check failed")
	}
	return nil
}
