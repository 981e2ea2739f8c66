package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
)

// savedFlags are the flags that the commands on segments, files and tags share.
type savedFlags struct {
	target targetFlags
	json   bool
}

// savedCommand makes a command that asks a server and prints what it says: as
// JSON, or as show has it.
func (c *command) savedCommand(cmd *cobra.Command, f *savedFlags, ask func(ctx context.Context, cl *client.Client, args []string) (answer any, show func() error, err error)) *cobra.Command {
	cmd.RunE = does(func(ctx context.Context, args []string) error {
		cl, err := c.client(f.target)
		if err != nil {
			return err
		}
		answer, show, err := ask(ctx, cl, args)
		if err != nil {
			return err
		}
		if f.json {
			return c.printJSON(answer)
		}
		return show()
	})
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	addTarget(cmd, &f.target, true)
	return cmd
}

func (c *command) segmentCommand() *cobra.Command {
	return group("segment", "Save audiences under a name", c.segmentSet(), c.segmentList(), c.segmentShow(), c.segmentRemove())
}

func (c *command) segmentSet() *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{
		Use:   "set NAME AUDIENCE",
		Short: "Save an audience, as JSON",
		Long: "Save an audience under a name, in the place of what the name stood for. \"herald push --segment NAME\" means what is\n" +
			"saved at that time. An audience may use other segments.",
		Example: `  herald segment set vips '{"tags": ["vip"]}'
  herald segment set quiet-vips '{"segments": ["vips"], "not": {"active_within_days": 7}}'`,
		Args: cobra.ExactArgs(2),
	}, &f, func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
		var a herald.Audience
		if err := json.Unmarshal([]byte(args[1]), &a); err != nil {
			if herald.CodeOf(err) == "" {
				return nil, nil, usage(`Quote it for the shell, for example '{"tags": ["vip"]}'.`, "the audience is not JSON")
			}
			return nil, nil, &coded{ExitUsage, err}
		}
		if err := a.ValidateSegment(); err != nil {
			return nil, nil, &coded{ExitUsage, err}
		}
		s, err := cl.SetSegment(ctx, args[0], a)
		return s, func() error {
			c.printf("saved segment %s\n", oneLine(s.Name))
			return nil
		}, err
	})
}

func (c *command) segmentList() *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{Use: "list", Short: "List segments", Args: cobra.NoArgs}, &f,
		func(ctx context.Context, cl *client.Client, _ []string) (any, func() error, error) {
			list, err := pages(func(cursor string) ([]client.Segment, string, error) {
				p, err := cl.Segments(ctx, cursor, herald.MaxPageSize)
				return p.Segments, p.NextCursor, err
			})
			return list, func() error {
				if len(list) == 0 {
					c.printf("There are no segments. Save one: %s segment set NAME AUDIENCE\n", c.Self)
					return nil
				}
				rows := [][]string{{"SEGMENT", "CHANGED", "AUDIENCE"}}
				for _, s := range list {
					text, err := json.Marshal(s.Audience)
					if err != nil {
						return err
					}
					rows = append(rows, []string{s.Name, s.UpdatedAt.UTC().Format(time.DateTime), string(text)})
				}
				return c.printRows(rows)
			}, err
		})
}

func (c *command) segmentShow() *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{Use: "show NAME", Short: "Show a segment, and how many devices it has now", Args: cobra.ExactArgs(1)}, &f,
		func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
			s, err := cl.Segment(ctx, args[0])
			return s, func() error {
				text, err := json.Marshal(s.Audience)
				if err != nil {
					return err
				}
				c.printf("%s  %s\n", oneLine(s.Name), oneLine(string(text)))
				if s.Estimate != nil {
					c.printf("  now %s, %d of them connected\n", devices(s.Estimate.Devices), s.Estimate.Online)
				}
				return nil
			}, err
		})
}

func (c *command) segmentRemove() *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{Use: "rm NAME", Short: "Delete a segment that no other one uses", Args: cobra.ExactArgs(1)}, &f,
		func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
			return struct{}{}, func() error {
				c.printf("deleted segment %s\n", oneLine(args[0]))
				return nil
			}, cl.DeleteSegment(ctx, args[0])
		})
}

func (c *command) fileCommand() *cobra.Command {
	return group("file", "Upload lists of devices or aliases", c.fileUpload(), c.fileList(), c.fileShow(), c.fileRemove())
}

func (c *command) fileUpload() *cobra.Command {
	var f savedFlags
	var u client.Upload
	cmd := c.savedCommand(&cobra.Command{
		Use:   "upload PATH",
		Short: "Upload a list of up to 1,000,000 registration IDs or aliases",
		Long: "Upload a list: one value on a line, or a CSV file with a column registration_id or alias.\n" +
			"It means the devices that have these names now. It is deleted 30 days after its last use.",
		Example: `  herald file upload customers.csv
  herald file upload --of aliases november.txt`,
		Args: cobra.ExactArgs(1),
	}, &f, func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
		v, err := c.upload(ctx, cl, args[0], u)
		return v, func() error {
			c.printFile(v)
			c.printf("  send to it: %s push --file %s TEXT\n", c.Self, v.ID)
			return nil
		}, err
	})
	cmd.Flags().StringVar(&u.Of, "of", "", "what the lines are: registration_ids or aliases (default: as the header line says)")
	cmd.Flags().StringVar(&u.Name, "name", "", "your own name for the list (default: the name of the file)")
	cmd.Flags().BoolVar(&u.CSV, "csv", false, "the list is CSV (default: if its name ends in .csv)")
	return cmd
}

// upload uploads a file of this machine.
func (c *command) upload(ctx context.Context, cl *client.Client, path string, u client.Upload) (client.File, error) {
	list, err := openList(path, "Name a file of this machine, or the id of an uploaded one.")
	if err != nil {
		return client.File{}, err
	}
	defer list.Close() //nolint:errcheck // it was only read
	if u.Name == "" {
		u.Name = filepath.Base(path)
	}
	u.CSV = u.CSV || strings.EqualFold(filepath.Ext(path), ".csv")
	return cl.UploadFile(ctx, list, u)
}

// openList opens a file of this machine.
func openList(path, remedy string) (*os.File, error) {
	list, err := os.Open(path)
	if err != nil {
		var why *os.PathError
		if errors.As(err, &why) {
			err = why.Err
		}
		return nil, usage(remedy, "%s cannot be read: %v", path, err)
	}
	return list, nil
}

// fileIDs gives the IDs of files that are named by ID, or by the path of a list
// with a header line, which is uploaded.
func (c *command) fileIDs(ctx context.Context, cl *client.Client, names []string) (out []herald.FileID, err error) {
	for _, s := range names {
		id := herald.FileID(s)
		if !id.Valid() {
			f, err := c.upload(ctx, cl, s, client.Upload{})
			if err != nil {
				return nil, err
			}
			id = f.ID
		}
		out = append(out, id)
	}
	return out, nil
}

func (c *command) printFile(v client.File) {
	c.printf("%s  %s\n  %d lines of %s: %s, %d unknown, %d repeated\n", v.ID, oneLine(v.Name), v.Lines, v.Of, devices(v.Devices), v.Unknown, v.Duplicates)
}

func (c *command) fileList() *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{Use: "list", Short: "List uploaded lists, newest first", Args: cobra.NoArgs}, &f,
		func(ctx context.Context, cl *client.Client, _ []string) (any, func() error, error) {
			list, err := pages(func(cursor string) ([]client.File, string, error) {
				p, err := cl.Files(ctx, cursor, herald.MaxPageSize)
				return p.Files, p.NextCursor, err
			})
			return list, func() error {
				if len(list) == 0 {
					c.printf("There are no files. Upload one: %s file upload PATH\n", c.Self)
					return nil
				}
				rows := [][]string{{"ID", "NAME", "OF", "LINES", "DEVICES", "EXPIRES"}}
				for _, v := range list {
					rows = append(rows, []string{string(v.ID), v.Name, v.Of, fmt.Sprint(v.Lines), fmt.Sprint(v.Devices), v.ExpiresAt.UTC().Format(time.DateOnly)})
				}
				return c.printRows(rows)
			}, err
		})
}

func (c *command) fileShow() *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{Use: "show ID", Short: "Show what an uploaded list came to", Args: cobra.ExactArgs(1)}, &f,
		func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
			v, err := cl.File(ctx, herald.FileID(args[0]))
			return v, func() error {
				c.printFile(v)
				c.printf("  uploaded %s, deleted after %s if it is not used\n", v.CreatedAt.UTC().Format(time.DateTime), v.ExpiresAt.UTC().Format(time.DateOnly))
				return nil
			}, err
		})
}

func (c *command) fileRemove() *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{Use: "rm ID", Short: "Delete an uploaded list", Args: cobra.ExactArgs(1)}, &f,
		func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
			return struct{}{}, func() error {
				c.printf("deleted file %s\n", oneLine(args[0]))
				return nil
			}, cl.DeleteFile(ctx, herald.FileID(args[0]))
		})
}

// pages gathers what all pages of a list have.
func pages[T any](next func(cursor string) ([]T, string, error)) ([]T, error) {
	list := []T{}
	for cursor := ""; ; {
		more, after, err := next(cursor)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
		if cursor = after; cursor == "" {
			return list, nil
		}
	}
}

// printRows prints a table; what is in the cells cannot change the terminal.
func (c *command) printRows(rows [][]string) error {
	w := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i := range row {
			row[i] = oneLine(row[i])
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}
