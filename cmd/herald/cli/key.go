package cli

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald/client"
)

func (c *command) keyCommand() *cobra.Command {
	return group("key", "Make, replace and bound the API keys of an app", c.keyList(), c.keyCreate(), c.keySet(), c.keyRotate(), c.keyRemove())
}

func (c *command) keyList() *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{
		Use:   "list",
		Short: "List the keys, oldest first, without their secrets",
		Args:  cobra.NoArgs,
	}, &f, func(ctx context.Context, cl *client.Client, _ []string) (any, func() error, error) {
		keys, err := cl.Keys(ctx)
		return keys, func() error { return c.printKeys(keys) }, err
	})
}

func (c *command) printKeys(keys []client.APIKey) error {
	if len(keys) == 0 {
		c.printf("There is no key yet. Make one with: %s key create NAME SCOPE...\n", c.Self)
		return nil
	}
	w := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tSCOPES\tLAST USED\tEXPIRES\tOLD SECRET UNTIL\tNETWORKS")
	when := func(t time.Time) string {
		if t.IsZero() {
			return "never"
		}
		return c.local(t)
	}
	for _, k := range keys {
		old, networks := "-", "any"
		if !k.OldSecretUntil.IsZero() {
			old = c.local(k.OldSecretUntil)
		}
		if len(k.Networks) > 0 {
			networks = strings.Join(k.Networks, " ")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, oneLine(k.Name), strings.Join(k.Scopes, " "), when(k.LastUsedAt), when(k.ExpiresAt), old, networks)
	}
	return w.Flush()
}

func (c *command) keyCreate() *cobra.Command {
	var f savedFlags
	var k client.NewKey
	var expires time.Duration
	cmd := c.savedCommand(&cobra.Command{
		Use:     "create NAME SCOPE...",
		Short:   "Make a key and print it, this once",
		Example: "  herald key create newsletter messages:send --network 203.0.113.0/24 --expires 2160h",
		Args:    cobra.MinimumNArgs(2),
	}, &f, func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
		k.Name, k.Scopes = args[0], args[1:]
		if expires < 0 {
			return nil, nil, usage("Write how long the key is to be good, such as 2160h.", "--expires: %v is past", expires)
		}
		if expires > 0 {
			k.ExpiresAt = c.Now().Add(expires).UTC()
		}
		made, err := cl.CreateKey(ctx, k)
		return made, func() error { return c.printKey(made) }, err
	})
	cmd.Flags().StringSliceVar(&k.Networks, "network", nil, "address or network (CIDR) from which it may be used; may be repeated (default any)")
	cmd.Flags().DurationVar(&expires, "expires", 0, "how long it is good (default for ever)")
	return cmd
}

func (c *command) printKey(k client.SecretKey) error {
	c.printf("%s\n\nThe key is shown this once. Keep it like a password.\n", k.Key)
	if !k.OldSecretUntil.IsZero() {
		c.printf("The one before it is good until %s.\n", c.local(k.OldSecretUntil))
	}
	return nil
}

func (c *command) keySet() *cobra.Command {
	var f savedFlags
	var name string
	var scopes, networks []string
	var expires time.Duration
	var anywhere bool
	cmd := &cobra.Command{
		Use:   "set ID",
		Short: "Change what a key may do, from where and until when; its secret stays",
		Args:  cobra.ExactArgs(1),
	}
	c.savedCommand(cmd, &f, func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
		var u client.KeyUpdate
		set := cmd.Flags().Changed
		switch {
		case set("network") && anywhere:
			return nil, nil, usage("Give one of the two.", "--network and --anywhere contradict each other")
		case set("expires") && expires <= 0:
			return nil, nil, usage("Write how long the key is to be good from now on, or delete it.", "--expires: %v is past", expires)
		}
		if set("name") {
			u.Name = &name
		}
		if set("scope") {
			u.Scopes = &scopes
		}
		if set("network") || anywhere {
			u.Networks = &networks
		}
		if anywhere {
			u.Networks = &[]string{}
		}
		if set("expires") {
			at := c.Now().Add(expires).UTC()
			u.ExpiresAt = &at
		}
		k, err := cl.UpdateKey(ctx, args[0], u)
		return k, func() error { return c.printKeys([]client.APIKey{k}) }, err
	})
	cmd.Flags().StringVar(&name, "name", "", "its name")
	cmd.Flags().StringSliceVar(&scopes, "scope", nil, "all that it may do from now on; may be repeated")
	cmd.Flags().StringSliceVar(&networks, "network", nil, "all addresses and networks (CIDR) from which it may be used from now on; may be repeated")
	cmd.Flags().BoolVar(&anywhere, "anywhere", false, "let it be used from any address")
	cmd.Flags().DurationVar(&expires, "expires", 0, "how long it is good from now on")
	return cmd
}

func (c *command) keyRotate() *cobra.Command {
	var f savedFlags
	var keep time.Duration
	cmd := c.savedCommand(&cobra.Command{
		Use:   "rotate ID",
		Short: "Give a key a new secret and print it, this once; the old one stays good for a while",
		Args:  cobra.ExactArgs(1),
	}, &f, func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
		k, err := cl.RotateKey(ctx, args[0], keep)
		return k, func() error { return c.printKey(k) }, err
	})
	cmd.Flags().DurationVar(&keep, "keep", 24*time.Hour, "for how long the old secret stays good, at most 720h; 0 refuses it at once")
	return cmd
}

func (c *command) keyRemove() *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{
		Use:   "delete ID",
		Short: "Delete a key; it is refused at once",
		Args:  cobra.ExactArgs(1),
	}, &f, func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
		return struct{}{}, func() error {
			c.printf("deleted key %s\n", oneLine(args[0]))
			return nil
		}, cl.DeleteKey(ctx, args[0])
	})
}
