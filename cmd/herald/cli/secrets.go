package cli

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald/internal/api"
)

func (c *command) secretsCommand() *cobra.Command {
	return group("secrets", "Show and replace the keys that seal secrets, on the machine of the server",
		c.secretsList(), c.secretsRotate(), c.secretsReseal(), c.secretsForget())
}

// secretsWork makes a command of something to be done with the keys of the
// configured data folder, whether or not a server runs on it.
func (c *command) secretsWork(cmd *cobra.Command, work func(ctx context.Context, admin api.SecretAdmin, args []string, asJSON bool) error) *cobra.Command {
	var f serverFlags
	var asJSON bool
	cmd.RunE = does(func(ctx context.Context, args []string) error {
		cfg, err := c.load(f, nil)
		if err != nil {
			return err
		}
		admin, done, err := c.Secrets(ctx, cfg)
		if err != nil {
			return openError(err)
		}
		err = work(ctx, admin, args, asJSON)
		if e := done(); err == nil && e != nil {
			err = e
		}
		return err
	})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	f.add(cmd, true)
	return cmd
}

func (c *command) secretsList() *cobra.Command {
	return c.secretsWork(&cobra.Command{
		Use:   "list",
		Short: "List the keys, and how many secrets each has sealed",
		Args:  cobra.NoArgs,
	}, func(ctx context.Context, admin api.SecretAdmin, _ []string, asJSON bool) error {
		keys, err := admin.SecretKeys(ctx)
		if err != nil {
			return err
		}
		return c.printSecretKeys(keys, asJSON)
	})
}

func (c *command) printSecretKeys(keys []api.SecretKey, asJSON bool) error {
	if asJSON {
		return c.printJSON(keys)
	}
	w := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KEY\tFROM\tDOES\tSECRETS")
	for _, k := range keys {
		from, does := k.From, "opens"
		switch {
		case k.Seals:
			does = "seals"
		case from == "":
			from, does = "-", "is missing"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\n", oneLine(k.ID), oneLine(from), does, k.Secrets)
	}
	return w.Flush()
}

func (c *command) secretsRotate() *cobra.Command {
	return c.secretsWork(&cobra.Command{
		Use:   "rotate",
		Short: "Put a new key before the others and seal every secret anew with it",
		Long: "Put a new key before the others, in the file that secrets.key_file names or in secrets.key of the data folder, and seal\n" +
			"every secret anew with it. The server may run. The keys before stay in the file, so that older backups can be opened;\n" +
			"\"herald secrets list\" tells which has sealed nothing any more.",
		Args: cobra.NoArgs,
	}, func(ctx context.Context, admin api.SecretAdmin, _ []string, asJSON bool) error {
		if _, err := admin.RotateSecrets(ctx); err != nil {
			return err
		}
		return c.reseal(ctx, admin, asJSON)
	})
}

func (c *command) secretsReseal() *cobra.Command {
	return c.secretsWork(&cobra.Command{
		Use:   "reseal",
		Short: "Read the keys again, and seal anew what others than the first have sealed",
		Long: "Read the keys again from where they come from, and seal anew, step by step, what others than the first have sealed.\n" +
			"It may be interrupted and repeated, and the server may run; it does the same at each start.",
		Args: cobra.NoArgs,
	}, func(ctx context.Context, admin api.SecretAdmin, _ []string, asJSON bool) error {
		return c.reseal(ctx, admin, asJSON)
	})
}

// reseal makes all steps, and shows the keys then.
func (c *command) reseal(ctx context.Context, admin api.SecretAdmin, asJSON bool) error {
	sealed := 0
	for after := ""; ; {
		step, err := admin.ResealSecrets(ctx, after)
		if err != nil {
			return err
		}
		sealed += step.Sealed
		if step.Next == "" {
			break
		}
		after = step.Next
		if !asJSON && ctx.Err() == nil {
			c.notef("%d sealed anew so far\n", sealed)
		}
	}
	keys, err := admin.SecretKeys(ctx)
	if err != nil {
		return err
	}
	if !asJSON {
		c.printf("%d secrets were sealed anew.\n\n", sealed)
	}
	return c.printSecretKeys(keys, asJSON)
}

func (c *command) secretsForget() *cobra.Command {
	return c.secretsWork(&cobra.Command{
		Use:   "forget KEY",
		Short: "Drop the secrets that a lost key has sealed; for ever",
		Long: "Drop the secrets that a key has sealed which is lost for good, so that the server starts again. What they were for does\n" +
			"not work until its owner sets new ones, such as with \"herald webhook rotate\". The key is named as \"herald secrets list\" does.",
		Args: cobra.ExactArgs(1),
	}, func(ctx context.Context, admin api.SecretAdmin, args []string, asJSON bool) error {
		n, err := admin.ForgetSecrets(ctx, args[0])
		if err != nil {
			return err
		}
		if asJSON {
			return c.printJSON(map[string]int{"dropped": n})
		}
		c.printf("%d secrets were dropped.\n", n)
		return nil
	})
}
