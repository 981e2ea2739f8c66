package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald/client"
)

func (c *command) aliasCommand() *cobra.Command {
	return group("alias", "Bind devices to aliases", c.aliasImport())
}

func (c *command) aliasImport() *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{
		Use:   "import FILE",
		Short: "Give the devices of a CSV file their aliases",
		Long: "Give up to 1,000,000 devices their aliases: a CSV file with the columns registration_id and alias, which a first line\n" +
			"may name. An empty cell unbinds a device. The same file may be imported again.",
		Example: "  herald alias import people.csv",
		Args:    cobra.ExactArgs(1),
	}, &f, func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
		list, err := openList(args[0], "Name a CSV file of this machine.")
		if err != nil {
			return nil, nil, err
		}
		defer list.Close() //nolint:errcheck // it was only read
		v, err := cl.BindFile(ctx, list)
		return v, func() error {
			c.printf("%s changed, %d had their alias already, %d unknown, %d lines refused\n", devices(v.Bound), v.Unchanged, v.Unknown, v.Refused)
			for _, e := range v.Errors {
				c.printf("  line %d: %s\n", e.Line, oneLine(e.Detail))
			}
			if n := v.Refused - int64(len(v.Errors)); n > 0 {
				c.printf("  and %d more\n", n)
			}
			return nil
		}, err
	})
}
