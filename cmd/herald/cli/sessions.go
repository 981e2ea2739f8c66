package cli

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
)

func (c *command) sessionsCommand() *cobra.Command {
	var t targetFlags
	var asJSON, end bool
	var device string
	cmd := &cobra.Command{
		Use:   "sessions [CLIENT...]",
		Short: "Show sessions over MQTT that outlive their connections",
		Long: `Show the persistent sessions of an app, or those of the client IDs named, with their subscriptions and how much waits for
them; with --end end those, whose clients have to be away.`,
		Example: `  herald sessions --device 06dbnqfs00v8k3m1p2r4
  herald sessions pump-7
  herald sessions --end pump-7`,
		RunE: does(func(ctx context.Context, args []string) error {
			switch {
			case len(args) > 0 && device != "":
				return usage("Leave out --device.", "client IDs and --device contradict each other")
			case end && len(args) == 0:
				return usage("Name the client IDs.", "--end is about sessions by client ID")
			}
			cl, err := c.client(t)
			if err != nil {
				return err
			}
			if end {
				return c.endSessions(ctx, cl, args)
			}
			list, err := listSessions(ctx, cl, args, herald.RegistrationID(device))
			if err != nil {
				return err
			}
			if asJSON {
				return c.printJSON(list)
			}
			return c.printSessions(list)
		}),
	}
	cmd.Flags().StringVar(&device, "device", "", "only sessions of the device with this registration ID")
	cmd.Flags().BoolVar(&end, "end", false, "end the sessions")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addTarget(cmd, &t, true)
	return cmd
}

func (c *command) endSessions(ctx context.Context, cl *client.Client, clients []string) error {
	for _, s := range clients {
		if err := cl.EndSession(ctx, s); err != nil {
			return err
		}
		c.printf("the session of %s has ended\n", oneLine(s))
	}
	return nil
}

// listSessions shows sessions by client ID, or lists all pages of a device or of
// the app.
func listSessions(ctx context.Context, cl *client.Client, clients []string, device herald.RegistrationID) ([]client.Session, error) {
	if len(clients) > 0 {
		return eachNamed(clients, func(s string) (client.Session, error) { return cl.Session(ctx, s) })
	}
	return allPages(func(cursor string) ([]client.Session, string, error) {
		page, err := cl.Sessions(ctx, device, cursor, herald.MaxPageSize)
		return page.Sessions, page.NextCursor, err
	})
}

func (c *command) printSessions(list []client.Session) error {
	if len(list) == 0 {
		c.printf("There are none. A client of MQTT 5.0 keeps its session with a session expiry interval, one before it without clean session.\n")
		return nil
	}
	w := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CLIENT\tDEVICE\tENDS\tWAITING\tDROPPED\tSUBSCRIPTIONS")
	for _, s := range list {
		ends, waiting, filters := "connected", "", ""
		if !s.Connected {
			ends = s.EndsAt.In(c.Now().Location()).Format(time.DateTime)
		}
		if s.Waiting != nil {
			waiting = fmt.Sprint(*s.Waiting)
		}
		for i, sub := range s.Subscriptions {
			if i > 0 {
				filters += ", "
			}
			filters += fmt.Sprintf("%s (%d)", oneLine(sub.Filter), sub.QoS)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\n", oneLine(s.ClientID), s.RegistrationID, ends, waiting, s.Dropped, filters)
	}
	return w.Flush()
}
