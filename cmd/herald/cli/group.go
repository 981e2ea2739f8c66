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

func (c *command) groupCommand() *cobra.Command {
	return group("group", "Make and change groups of apps, on the machine of the server", c.groupCreate(), c.groupList(),
		c.groupChange("add", "Add apps to a group", func(apps []herald.AppKey) api.GroupChange { return api.GroupChange{Add: apps} }),
		c.groupChange("remove", "Take apps out of a group", func(apps []herald.AppKey) api.GroupChange { return api.GroupChange{Remove: apps} }),
		c.groupRotate(), c.groupDelete())
}

func (c *command) groupCreate() *cobra.Command {
	var f serverFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a group with no app in it and print its key and secret, this once",
		Args:  cobra.ExactArgs(1),
		RunE: does(func(ctx context.Context, args []string) error {
			return c.administer(ctx, f, func(_ config.Config, admin api.Admin) error {
				g, err := admin.CreateGroup(ctx, args[0])
				if err != nil {
					return err
				}
				return c.printGroupSecret(g, "made", asJSON)
			})
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	f.add(cmd, true)
	return cmd
}

func (c *command) printGroupSecret(g api.GroupSecrets, what string, asJSON bool) error {
	if asJSON {
		return c.printJSON(g)
	}
	c.printf("Group %q %s.\n\n  group key  %s\n  secret     %s\n\nThe secret is shown this once. Keep it like a password.\n", g.Name, what, g.GroupKey, g.Secret)
	return nil
}

func (c *command) groupList() *cobra.Command {
	return listCommand(c, "List the groups with their apps", api.Admin.ListGroups, c.printGroups)
}

func (c *command) printGroups(groups []api.GroupSummary) error {
	if len(groups) == 0 {
		c.printf("There is no group yet. Make one with: %s group create NAME\n", c.Self)
		return nil
	}
	w := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "GROUP KEY\tMADE\tNAME\tAPPS")
	for _, g := range groups {
		apps := "none"
		for i, app := range g.Apps {
			if i == 0 {
				apps = string(app)
			} else {
				apps += " " + string(app)
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", g.GroupKey, c.local(g.CreatedAt), oneLine(g.Name), apps)
	}
	return w.Flush()
}

func groupKey(s string) (herald.GroupKey, error) {
	key := herald.GroupKey(s)
	if !key.Valid() {
		return "", usage("Use a key that \"herald group list\" prints: group- and 24 characters of 0-9 and a-z.", "%.40q is not a group key", s)
	}
	return key, nil
}

func (c *command) groupChange(verb, short string, change func([]herald.AppKey) api.GroupChange) *cobra.Command {
	var f serverFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   verb + " GROUP-KEY APP-KEY...",
		Short: short,
		Args:  cobra.MinimumNArgs(2),
		RunE: does(func(ctx context.Context, args []string) error {
			key, err := groupKey(args[0])
			if err != nil {
				return err
			}
			var apps []herald.AppKey
			for _, s := range args[1:] {
				app := herald.AppKey(s)
				if !app.Valid() {
					return usage("Use a key that \"herald app list\" prints: 24 characters of 0-9 and a-z.", "%.40q is not an app key", s)
				}
				apps = append(apps, app)
			}
			return c.administer(ctx, f, func(_ config.Config, admin api.Admin) error {
				g, err := admin.ChangeGroup(ctx, key, change(apps))
				if err != nil {
					return err
				}
				if asJSON {
					return c.printJSON(g)
				}
				return c.printGroups([]api.GroupSummary{g})
			})
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	f.add(cmd, true)
	return cmd
}

func (c *command) groupRotate() *cobra.Command {
	var f serverFlags
	var asJSON bool
	var keep time.Duration
	cmd := &cobra.Command{
		Use:   "rotate GROUP-KEY",
		Short: "Give a group a new secret; the old one is refused at once, or after --keep",
		Args:  cobra.ExactArgs(1),
		RunE: does(func(ctx context.Context, args []string) error {
			key, err := groupKey(args[0])
			if err != nil {
				return err
			}
			return c.administer(ctx, f, func(_ config.Config, admin api.Admin) error {
				g, err := admin.RotateGroup(ctx, key, keep)
				if err != nil {
					return err
				}
				return c.printGroupSecret(g, "has a new secret", asJSON)
			})
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().DurationVar(&keep, "keep", 0, "for how long the old secret stays good, at most 720h")
	f.add(cmd, true)
	return cmd
}

func (c *command) groupDelete() *cobra.Command {
	var f serverFlags
	cmd := &cobra.Command{
		Use:   "delete GROUP-KEY",
		Short: "Delete a group; its apps, and what was sent to them, stay",
		Args:  cobra.ExactArgs(1),
		RunE: does(func(ctx context.Context, args []string) error {
			key, err := groupKey(args[0])
			if err != nil {
				return err
			}
			return c.administer(ctx, f, func(_ config.Config, admin api.Admin) error {
				if err := admin.DeleteGroup(ctx, key); err != nil {
					return err
				}
				c.printf("Deleted the group %s.\n", key)
				return nil
			})
		}),
	}
	f.add(cmd, true)
	return cmd
}
