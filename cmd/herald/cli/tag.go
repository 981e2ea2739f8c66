package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
)

func (c *command) tagCommand() *cobra.Command {
	return group("tag", "Put tags on devices", c.tagChange(true), c.tagChange(false), c.tagList())
}

func (c *command) tagChange(add bool) *cobra.Command {
	var f savedFlags
	var files []string
	cmd := &cobra.Command{
		Use:     "add TAG [DEVICE...]",
		Short:   "Put a tag on devices",
		Example: "  herald tag add vip 06o2j5c9k40000abcduv\n  herald tag add november --file customers.csv",
		Args:    cobra.MinimumNArgs(1),
	}
	if !add {
		cmd.Use, cmd.Short, cmd.Example = "remove TAG [DEVICE...]", "Take a tag off devices", "  herald tag remove november --file customers.csv"
	}
	c.savedCommand(cmd, &f, func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
		if len(args) == 1 && len(files) == 0 {
			return nil, nil, usage("Name devices by registration ID, or a list with --file.", "no device is named")
		}
		ids, err := c.fileIDs(ctx, cl, files)
		if err != nil {
			return nil, nil, err
		}
		var named []herald.RegistrationID
		for _, s := range args[1:] {
			named = append(named, herald.RegistrationID(s))
		}
		m := client.TagMembers{Members: client.Members{Add: named}, AddFiles: ids}
		if !add {
			m = client.TagMembers{Members: client.Members{Remove: named}, RemoveFiles: ids}
		}
		v, err := cl.ChangeTagByFiles(ctx, herald.Tag(args[0]), m)
		return v, func() error {
			n, what := v.Added, "now with"
			if !add {
				n, what = v.Removed, "now without"
			}
			c.printf("%s %s tag %s\n", devices(n), what, oneLine(args[0]))
			for _, id := range v.Unknown {
				c.printf("  nobody has the registration ID %s\n", oneLine(string(id)))
			}
			return nil
		}, err
	})
	cmd.Flags().StringArrayVar(&files, "file", nil, "the devices of an uploaded list, by its id, or of a list to upload, by its path; may be repeated")
	return cmd
}

func (c *command) tagList() *cobra.Command {
	var f savedFlags
	var prefix string
	cmd := c.savedCommand(&cobra.Command{Use: "list", Short: "List tags with the number of their devices", Args: cobra.NoArgs}, &f,
		func(ctx context.Context, cl *client.Client, _ []string) (any, func() error, error) {
			list, err := pages(func(cursor string) ([]client.Tag, string, error) {
				p, err := cl.Tags(ctx, prefix, cursor, herald.MaxPageSize)
				return p.Tags, p.NextCursor, err
			})
			return list, func() error {
				if len(list) == 0 {
					c.printf("No device has a tag. Put one on some: %s tag add TAG DEVICE...\n", c.Self)
					return nil
				}
				rows := [][]string{{"TAG", "DEVICES"}}
				for _, t := range list {
					rows = append(rows, []string{string(t.Tag), fmt.Sprint(t.Devices)})
				}
				return c.printRows(rows)
			}, err
		})
	cmd.Flags().StringVar(&prefix, "prefix", "", "only tags that begin with this")
	return cmd
}
