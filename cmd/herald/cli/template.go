package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
)

func (c *command) templateCommand() *cobra.Command {
	return group("template", "Save contents with variables, in several languages", c.templateSet(), c.templateList(), c.templateShow(), c.templateRender(), c.templateRemove())
}

func (c *command) templateSet() *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{
		Use:   "set NAME FILE",
		Short: "Save a template, from a file of JSON or from the input (-)",
		Long:  "Save a template under a name, in the place of what was there. Messages that were made from that stay as they are.",
		Example: `  echo '{"language": "en", "contents": {"en": {"title": "Hello {{name}}"}}}' | herald template set hello -
  herald push --template hello --value name=Ann`,
		Args: cobra.ExactArgs(2),
	}, &f, func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
		text, err := c.readInput(args[1])
		if err != nil {
			return nil, nil, err
		}
		var spec client.TemplateSpec
		if err := json.Unmarshal(text, &spec); err != nil {
			return nil, nil, usage(`Write for example {"language": "en", "contents": {"en": {"title": "Hello {{name}}"}}}.`, "the template is not JSON of its form")
		}
		t, err := cl.SetTemplate(ctx, args[0], spec)
		return t, func() error {
			c.printf("saved template %s, version %d\n", oneLine(t.Name), t.Version)
			return nil
		}, err
	})
}

// readInput reads a small file; - is the input.
func (c *command) readInput(name string) ([]byte, error) {
	if name != "-" {
		f, err := os.Open(name)
		if errors.Is(err, os.ErrNotExist) {
			return nil, usage("Check the name, or write - for the input.", "there is no file %s", name)
		}
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(io.LimitReader(f, herald.MaxRequestBytes))
		return text, errors.Join(err, f.Close())
	}
	return io.ReadAll(io.LimitReader(c.In, herald.MaxRequestBytes))
}

func (c *command) templateList() *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{Use: "list", Short: "List templates", Args: cobra.NoArgs}, &f,
		func(ctx context.Context, cl *client.Client, _ []string) (any, func() error, error) {
			list, err := pages(func(cursor string) ([]client.Template, string, error) {
				p, err := cl.Templates(ctx, cursor, herald.MaxPageSize)
				return p.Templates, p.NextCursor, err
			})
			return list, func() error {
				if len(list) == 0 {
					c.printf("There are no templates. Save one: %s template set NAME FILE\n", c.Self)
					return nil
				}
				rows := [][]string{{"TEMPLATE", "VERSION", "CHANGED", "VARIABLES"}}
				for _, t := range list {
					rows = append(rows, []string{t.Name, strconv.FormatInt(t.Version, 10), t.UpdatedAt.UTC().Format(time.DateTime), strings.Join(t.Variables, " ")})
				}
				return c.printRows(rows)
			}, err
		})
}

func (c *command) templateShow() *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{Use: "show NAME", Short: "Show a template", Args: cobra.ExactArgs(1)}, &f,
		func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
			t, err := cl.Template(ctx, args[0])
			return t, func() error { return c.printJSON(t.TemplateSpec) }, err
		})
}

func (c *command) templateRender() *cobra.Command {
	var f savedFlags
	var values []string
	var language string
	cmd := c.savedCommand(&cobra.Command{Use: "render NAME", Short: "Show what a message made from a template would say", Args: cobra.ExactArgs(1)}, &f,
		func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
			given, err := pairs(values)
			if err != nil {
				return nil, nil, err
			}
			r, err := cl.RenderTemplate(ctx, args[0], given, language)
			return r, func() error { return c.printJSON(r) }, err
		})
	cmd.Flags().StringArrayVar(&values, "value", nil, "NAME=VALUE of a variable; may be repeated")
	cmd.Flags().StringVar(&language, "language", "", "one language; default: all of them")
	return cmd
}

// pairs reads NAME=VALUE.
func pairs(list []string) (map[string]string, error) {
	out := map[string]string{}
	for _, s := range list {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return nil, usage("Write NAME=VALUE, for example name=Ann.", "--value %.40q is not the value of a variable", s)
		}
		out[name] = value
	}
	return out, nil
}

func (c *command) templateRemove() *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{Use: "rm NAME", Short: "Delete a template", Args: cobra.ExactArgs(1)}, &f,
		func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
			return struct{}{}, func() error {
				c.printf("deleted template %s\n", oneLine(args[0]))
				return nil
			}, cl.DeleteTemplate(ctx, args[0])
		})
}
