package cli

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/config"
)

func (c *command) appCommand() *cobra.Command {
	return group("app", "Make and list apps, on the machine of the server; show and change one", c.appCreate(), c.appList(), c.appRotate(), c.appShow(), c.appSet(), c.jwtCommand())
}

// administer opens the administration of the configured data folder.
func (c *command) administer(ctx context.Context, f serverFlags, work func(config.Config, api.Admin) error) error {
	cfg, err := c.load(f, nil)
	if err != nil {
		return err
	}
	admin, done, err := c.Administer(ctx, cfg)
	if err != nil {
		return err
	}
	err = work(cfg, admin)
	if e := done(); err == nil && e != nil {
		err = e
	}
	return err
}

func (c *command) appCreate() *cobra.Command {
	var f serverFlags
	var asJSON, store bool
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make an app and print its keys, this once",
		Args:  cobra.ExactArgs(1),
		RunE: does(func(ctx context.Context, args []string) error {
			return c.administer(ctx, f, func(cfg config.Config, admin api.Admin) error {
				app, err := admin.CreateApp(ctx, api.NewApp{Name: args[0]})
				if err != nil {
					return err
				}
				if err := c.printSecrets(app, "made", asJSON); err != nil || !store {
					return err
				}
				return c.storeContext(cfg, app, asJSON)
			})
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&store, "context", false, "let push and listen use this app from now on")
	f.add(cmd, true)
	return cmd
}

func (c *command) storeContext(cfg config.Config, app api.AppSecrets, quiet bool) error {
	x := cliContext{URL: cfg.Server.PublicURL, AppKey: app.AppKey, MasterSecret: app.MasterSecret}
	if x.URL == "" {
		x.URL = localURL("http://" + cfg.Server.HTTP)
	}
	if err := x.write(cfg.Data); err != nil {
		return err
	}
	if !quiet {
		c.printf("\nherald push and herald listen use this app now, at %s.\n", x.URL)
	}
	return nil
}

func (c *command) appList() *cobra.Command {
	return listCommand(c, "List the apps", api.Admin.ListApps, c.printApps)
}

// listCommand lists what there is of a kind, on the machine of the server.
func listCommand[T any](c *command, short string, list func(api.Admin, context.Context) ([]T, error), show func([]T) error) *cobra.Command {
	var f serverFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: short, Args: cobra.NoArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			return c.administer(ctx, f, func(_ config.Config, admin api.Admin) error {
				all, err := list(admin, ctx)
				if err != nil {
					return err
				}
				if !asJSON {
					return show(all)
				}
				if all == nil {
					all = []T{}
				}
				return c.printJSON(all)
			})
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	f.add(cmd, true)
	return cmd
}

func (c *command) printApps(apps []api.AppSummary) error {
	if len(apps) == 0 {
		c.printf("There is no app yet. Make one with: %s app create NAME\n", c.Self)
		return nil
	}
	w := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "APP KEY\tDEVICES\tMADE\tNAME")
	for _, a := range apps {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", a.AppKey, a.Devices, c.local(a.CreatedAt), oneLine(a.Name))
	}
	return w.Flush()
}

func (c *command) appRotate() *cobra.Command {
	var f serverFlags
	var asJSON bool
	var keep time.Duration
	cmd := &cobra.Command{
		Use:   "rotate KEY",
		Short: "Give an app a new master secret; the old one is refused at once, or after --keep",
		Args:  cobra.ExactArgs(1),
		RunE: does(func(ctx context.Context, args []string) error {
			key := herald.AppKey(args[0])
			if !key.Valid() {
				return usage("Use a key that \"herald app list\" prints: 24 characters of 0-9 and a-z.", "%.40q is not an app key", args[0])
			}
			return c.administer(ctx, f, func(cfg config.Config, admin api.Admin) error {
				app, err := admin.RotateApp(ctx, key, keep)
				if err != nil {
					return err
				}
				// The context would hold a secret that is refused from now on.
				x, err := readContext(cfg.Data)
				if err == nil && x.AppKey == key {
					x.MasterSecret = app.MasterSecret
					err = x.write(cfg.Data)
				}
				if err != nil {
					c.notef("herald: the CLI context keeps the old secret: %s\n", oneLine(err.Error()))
				}
				return c.printSecrets(app, "has a new master secret", asJSON)
			})
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().DurationVar(&keep, "keep", 0, "for how long the old secret stays good, at most 720h")
	f.add(cmd, true)
	return cmd
}

func (c *command) printSecrets(app api.AppSecrets, what string, asJSON bool) error {
	if asJSON {
		return c.printJSON(app)
	}
	c.printf("App %q %s.\n\n  app key        %s\n  master secret  %s\n", app.Name, what, app.AppKey, app.MasterSecret)
	if app.JWTSecret != "" {
		c.printf("  JWT secret     %s\n", app.JWTSecret)
	}
	c.printf("\nThe secrets are shown this once. Keep them like passwords.\n")
	return nil
}
