package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
)

const clock = "2006-01-02 15:04:05"

func (c *command) printJSON(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	c.printf("%s\n", b)
	return nil
}

func (c *command) printSent(s client.Sent) {
	var who string
	switch {
	case s.Awaiting && s.Estimate != nil:
		who = "waits for another key to approve it, for about " + devices(*s.Estimate)
	case s.Target != nil:
		who = "for " + devices(*s.Target)
	case s.Estimate != nil:
		who = "scheduled, for about " + devices(*s.Estimate)
	default:
		who = "scheduled"
	}
	kept := "stored"
	if !s.Stored {
		kept = "not stored (TTL 0: only who is connected now)"
	}
	c.printf("message %s %s, %s\n", s.ID, who, kept)
	if s.Unknown > 0 {
		c.printf("  %d of the registration IDs and aliases are unknown\n", s.Unknown)
	}
	if s.Awaiting {
		c.printf("  with that key: %s approve %s\n", c.Self, s.ID)
	}
}

func devices(n int64) string {
	if n == 1 {
		return "1 device"
	}
	return fmt.Sprintf("%d devices", n)
}

// printCounts prints the funnel, and then every state with a device.
func (c *command) printCounts(v client.MessageView) {
	c.printf("message %s: %s\n", v.ID, v.State)
	if v.Counts == nil {
		return
	}
	n := v.Counts
	c.printf("  target %d, sent %d, received %d, displayed %d, clicked %d\n", n.Target, n.Sent, n.Received, n.Displayed, n.Clicked)
	var states []string
	for _, s := range append(append([]herald.DeliveryState{herald.StatePending}, herald.Progress[:]...), herald.Ends[:]...) {
		if count := n.States[s]; count > 0 {
			states = append(states, fmt.Sprintf("%s %d", s, count))
		}
	}
	if len(states) > 0 {
		c.printf("  now: %s\n", strings.Join(states, ", "))
	}
	c.printRelease(v)
}

func (c *command) messageCommand() *cobra.Command {
	var t targetFlags
	var trace string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "message ID",
		Short: "Show what became of a message",
		Args:  cobra.ExactArgs(1),
		RunE: does(func(ctx context.Context, args []string) error {
			id, cl, err := c.messageArgs(t, args[0])
			if err != nil {
				return err
			}
			if trace != "" {
				tr, err := cl.Trace(ctx, id, herald.RegistrationID(trace))
				if err != nil {
					return err
				}
				if asJSON {
					return c.printJSON(tr)
				}
				return c.printTrace(tr)
			}
			v, err := cl.Message(ctx, id)
			if err != nil {
				return err
			}
			if asJSON {
				return c.printJSON(v)
			}
			c.printMessage(v)
			return nil
		}),
	}
	cmd.Flags().StringVar(&trace, "trace", "", "show what happened on one device, by its registration ID")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addTarget(cmd, &t, true)
	return cmd
}

func (c *command) withdrawCommand() *cobra.Command {
	return c.messageChange(&cobra.Command{Use: "withdraw ID", Short: "Take a message back"}, (*client.Client).Withdraw)
}

// change is what a command does to a message.
type change func(*client.Client, context.Context, herald.MessageID) (client.MessageView, error)

// messageChange completes a command that changes a message and prints what
// became of it.
func (c *command) messageChange(cmd *cobra.Command, do change) *cobra.Command {
	var t targetFlags
	var asJSON bool
	cmd.Args = cobra.ExactArgs(1)
	cmd.RunE = does(func(ctx context.Context, args []string) error {
		id, cl, err := c.messageArgs(t, args[0])
		if err != nil {
			return err
		}
		v, err := do(cl, ctx, id)
		if err != nil {
			return err
		}
		if asJSON {
			return c.printJSON(v)
		}
		c.printCounts(v)
		return nil
	})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addTarget(cmd, &t, true)
	return cmd
}

func (c *command) messageArgs(t targetFlags, arg string) (herald.MessageID, *client.Client, error) {
	id, err := herald.ParseMessageID(arg)
	if err != nil {
		return 0, nil, usage("Use the number that \"herald push\" printed.", "%.40q is not a message ID", arg)
	}
	cl, err := c.client(t)
	return id, cl, err
}

func (c *command) printMessage(v client.MessageView) {
	c.printCounts(v)
	if n := v.Notification; n != nil {
		c.printf("  title: %s\n", oneLine(n.Title))
		if n.Body != "" {
			c.printf("  body: %s\n", oneLine(n.Body))
		}
	}
	if len(v.Data) > 0 {
		c.printf("  data: %s\n", oneLine(string(v.Data)))
	}
	if v.Route != nil {
		c.printf("  route: %s\n", routeText(v.Route))
	}
	c.printf("  accepted %s", c.local(v.AcceptedAt))
	if v.SendAtLocal != "" {
		c.printf(", due %s by the clock of each device", v.SendAtLocal)
	}
	if v.SendAt != nil {
		c.printf(", due %s", c.local(*v.SendAt))
	}
	if v.EndedAt != nil {
		c.printf(", ended %s\n", c.local(*v.EndedAt))
	} else {
		c.printf(", expires %s\n", c.local(v.ExpiresAt))
	}
}

func (c *command) printTrace(t client.Trace) error {
	c.printf("%s\n", oneLine(t.Summary))
	w := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	for _, s := range t.Steps {
		via := ""
		if s.Via != "" {
			via = "via " + oneLine(s.Via)
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", c.local(s.Time), oneLine(s.Event), via, oneLine(s.Text))
	}
	return w.Flush()
}

// local shows a time on the clock of who asked.
func (c *command) local(t time.Time) string { return t.In(c.Now().Location()).Format(clock) }
