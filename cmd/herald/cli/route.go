package cli

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
	"github.com/herald-push/herald/internal/strict"
)

func (c *command) routeCommand() *cobra.Command {
	return group("route", "Save the ways by which messages go to people", c.routeSet(), c.routeList(), c.routeShow(), c.routeRemove())
}

func (c *command) routeSet() *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{
		Use:   "set NAME FILE",
		Short: "Save a route, from a file of JSON or from the input (-)",
		Long: "Save a route under a name, in the place of what was there. Messages that name no route take the one called default. " +
			"Messages that were accepted with what was there keep it.",
		Example: `  echo '{"steps": [{"channel": "live"}, {"channel": "sms", "after": "1m"}]}' | herald route set urgent -
  herald push --route urgent --alias ann "Your code is 1234"`,
		Args: cobra.ExactArgs(2),
	}, &f, func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
		route, err := c.readRoute(args[1])
		if err != nil {
			return nil, nil, err
		}
		r, err := cl.SetRoute(ctx, args[0], route)
		return r, func() error {
			c.printf("saved route %s, %d steps\n", oneLine(r.Name), len(r.Steps))
			return nil
		}, err
	})
}

// readRoute reads the steps of a route from a file, or from the input (-).
func (c *command) readRoute(file string) (r herald.Route, err error) {
	text, err := c.readInput(file)
	if err != nil {
		return r, err
	}
	if err := strict.Decode(text, &r); err != nil {
		remedy := `Write for example {"steps": [{"channel": "live"}, {"channel": "sms", "after": "1m"}]}.`
		var e *herald.Error
		if errors.As(err, &e) && e.Field != "" {
			remedy = e.Remedy
		}
		return r, usage(remedy, "the route is not JSON of its form: %s", err.Error())
	}
	return r, nil
}

// pushRoute is what --route names: what ends with .json, and the input, are steps
// of this message alone.
func (c *command) pushRoute(given string) (*herald.RouteUse, error) {
	switch {
	case given == "":
		return nil, nil
	case given != "-" && !strings.EqualFold(filepath.Ext(given), ".json"):
		return &herald.RouteUse{Name: given}, nil
	}
	r, err := c.readRoute(given)
	if err != nil {
		return nil, err
	}
	if len(r.Steps) == 0 {
		return nil, usage(`Write for example {"steps": [{"channel": "live"}]}.`, "the route has no steps")
	}
	return &herald.RouteUse{Steps: r.Steps}, nil
}

func (c *command) routeList() *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{Use: "list", Short: "List routes", Args: cobra.NoArgs}, &f,
		func(ctx context.Context, cl *client.Client, _ []string) (any, func() error, error) {
			list, err := cl.Routes(ctx)
			if list == nil {
				list = []client.Route{}
			}
			return list, func() error {
				if len(list) == 0 {
					c.printf("There are no routes. Save one: %s route set NAME FILE\n", c.Self)
					return nil
				}
				rows := [][]string{{"ROUTE", "STEPS", "CHANGED", "WAYS"}}
				for _, r := range list {
					rows = append(rows, []string{r.Name, strconv.Itoa(len(r.Steps)), r.UpdatedAt.UTC().Format(time.DateTime), waysOf(r.Route)})
				}
				return c.printRows(rows)
			}, err
		})
}

// waysOf shows a route in a line: "live, vendor apns, sms after 1m".
func waysOf(r herald.Route) string {
	ways := make([]string, len(r.Steps))
	for i, s := range r.Steps {
		ways[i] = string(s.Channel)
		if s.Vendor != "" {
			ways[i] += " " + string(s.Vendor)
		}
		if s.After > 0 {
			ways[i] += " after " + s.After.String()
		}
	}
	return strings.Join(ways, ", ")
}

// routeText shows the route of a message in a line.
func routeText(r *client.MessageRoute) string {
	if r.Name == "" {
		return waysOf(r.Route)
	}
	return oneLine(r.Name) + " (" + waysOf(r.Route) + ")"
}

func (c *command) routeShow() *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{Use: "show NAME", Short: "Show a route", Args: cobra.ExactArgs(1)}, &f,
		func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
			r, err := cl.Route(ctx, args[0])
			return r, func() error { return c.printJSON(r.Route) }, err
		})
}

func (c *command) routeRemove() *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{Use: "remove NAME", Aliases: []string{"rm"}, Short: "Delete a route", Args: cobra.ExactArgs(1)}, &f,
		func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
			return struct{}{}, func() error {
				c.printf("deleted route %s\n", oneLine(args[0]))
				return nil
			}, cl.DeleteRoute(ctx, args[0])
		})
}
