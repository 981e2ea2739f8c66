package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
)

func (c *command) webhookCommand() *cobra.Command {
	return group("webhook", "Have the server call yours with what happens", c.webhookCreate(), c.webhookList(), c.webhookUpdate(), c.webhookDelete(),
		c.webhookRotate(), c.webhookTest(), c.webhookDeliveries(), c.webhookReplay(), c.webhookListen())
}

func (c *command) webhookCreate() *cobra.Command {
	var f savedFlags
	var spec client.WebhookSpec
	cmd := c.savedCommand(&cobra.Command{
		Use:   "create URL",
		Short: "Make a webhook",
		Long: "Have the server call URL with receipts, devices and ends of messages, from now on. The secret that is printed verifies\n" +
			"the requests; it is not shown again.",
		Example: `  herald webhook create https://shop.example/hooks/herald
  herald webhook create https://shop.example/hooks/herald --event 'receipt.*' --event device.removed`,
		Args: cobra.ExactArgs(1),
	}, &f, func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
		spec.URL = args[0]
		w, err := cl.CreateWebhook(ctx, spec)
		return w, func() error {
			c.printf("webhook %s for %s\n  secret %s\n  try it: %s webhook test %s\n", w.ID, strings.Join(w.Events, ", "), w.Secret, c.Self, w.ID)
			return nil
		}, err
	})
	cmd.Flags().StringArrayVar(&spec.Events, "event", nil, `type of event, or a family such as 'receipt.*'; may be repeated (default all)`)
	cmd.Flags().StringVar(&spec.Description, "description", "", "a note for people")
	cmd.Flags().StringVar(&spec.Secret, "signing-secret", "", "the secret that is to sign, whsec_… (default: the server makes one)")
	return cmd
}

func (c *command) webhookList() *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{Use: "list", Short: "List webhooks and how they stand", Args: cobra.NoArgs}, &f,
		func(ctx context.Context, cl *client.Client, _ []string) (any, func() error, error) {
			list, err := cl.Webhooks(ctx)
			return list, func() error {
				if len(list) == 0 {
					c.printf("There are no webhooks. Make one: %s webhook create URL\n", c.Self)
					return nil
				}
				rows := [][]string{{"WEBHOOK", "STATE", "WAITING", "EVENTS", "URL"}}
				for _, w := range list {
					rows = append(rows, []string{w.ID, w.State, strconv.FormatInt(w.Waiting, 10), strings.Join(w.Events, ","), w.URL})
				}
				if err := c.printRows(rows); err != nil {
					return err
				}
				for _, w := range list {
					c.printTrouble(w)
				}
				return nil
			}, err
		})
}

// printTrouble says what is wrong with a webhook, and what helps.
func (c *command) printTrouble(w client.Webhook) {
	switch {
	case w.State == "disabled":
		c.printf("%s is disabled: %s\n  go on where it stopped: %s webhook update %s --enable\n", w.ID, oneLine(w.Reason), c.Self, w.ID)
	case w.State == "failing" && w.FailingSince != nil:
		c.printf("%s fails since %s, %d times in a row\n  why: %s webhook deliveries %s\n", w.ID, c.stamp(*w.FailingSince), w.Failures, c.Self, w.ID)
	}
	if w.Dropped > 0 {
		c.printf("%s has missed %d events that are not kept any more\n", w.ID, w.Dropped)
	}
}

func (c *command) stamp(t time.Time) string { return t.In(c.Now().Location()).Format(time.DateTime) }

func (c *command) webhookUpdate() *cobra.Command {
	var f savedFlags
	var enable, disable bool
	var address, note string
	var events []string
	var cmd *cobra.Command
	cmd = c.savedCommand(&cobra.Command{
		Use: "update WEBHOOK", Short: "Change a webhook, stop it, or let it go on", Args: cobra.ExactArgs(1),
		Example: "  herald webhook update wh_4kq2tz7dgy3bn6mrwx5j1c8ahe --enable",
	}, &f, func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
		var u client.WebhookUpdate
		switch {
		case enable && disable:
			return nil, nil, usage("Give one of them.", "--enable and --disable contradict each other")
		case enable || disable:
			u.Disabled = &disable
		}
		if cmd.Flags().Changed("to") {
			u.URL = &address
		}
		if cmd.Flags().Changed("description") {
			u.Description = &note
		}
		if len(events) > 0 {
			u.Events = &events
		}
		w, err := cl.UpdateWebhook(ctx, args[0], u)
		return w, func() error {
			c.printf("webhook %s is %s; events %s, to %s\n", w.ID, w.State, strings.Join(w.Events, ", "), oneLine(w.URL))
			return nil
		}, err
	})
	cmd.Flags().BoolVar(&enable, "enable", false, "go on where it stopped")
	cmd.Flags().BoolVar(&disable, "disable", false, "send nothing until it is enabled")
	cmd.Flags().StringVar(&address, "to", "", "another address")
	cmd.Flags().StringVar(&note, "description", "", "another note")
	cmd.Flags().StringArrayVar(&events, "event", nil, "types of events in the place of those it had; may be repeated")
	return cmd
}

func (c *command) webhookDelete() *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{Use: "delete WEBHOOK", Short: "Delete a webhook", Args: cobra.ExactArgs(1)}, &f,
		func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
			return struct{}{}, func() error {
				c.printf("deleted webhook %s\n", oneLine(args[0]))
				return nil
			}, cl.DeleteWebhook(ctx, args[0])
		})
}

func (c *command) webhookRotate() *cobra.Command {
	var f savedFlags
	overlap := 24 * time.Hour
	cmd := c.savedCommand(&cobra.Command{
		Use: "rotate WEBHOOK", Short: "Give a webhook a new secret", Args: cobra.ExactArgs(1),
		Long: "Give a webhook a new secret. The one before goes on signing beside it for a time, so that nothing is refused meanwhile.",
	}, &f, func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
		w, err := cl.RotateWebhook(ctx, args[0], overlap)
		return w, func() error {
			c.printf("secret %s\n  the one before signs until %s\n", w.Secret, c.stamp(c.Now().Add(overlap)))
			return nil
		}, err
	})
	cmd.Flags().DurationVar(&overlap, "overlap", overlap, "how long the secret before goes on signing, at most 168h")
	return cmd
}

func (c *command) webhookTest() *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{Use: "test WEBHOOK", Short: "Send a test event now, and say what came of it", Args: cobra.ExactArgs(1)}, &f,
		func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
			d, err := cl.TestWebhook(ctx, args[0])
			if err == nil && d.State != "delivered" && !f.json {
				return nil, nil, herald.Errorf(herald.CodeConflict, "Look at the address and at the log of your server.", "the test event was not taken: %s", oneLine(d.Error))
			}
			return d, func() error {
				c.printf("taken: %d in %d ms\n", d.Status, d.DurationMS)
				return nil
			}, err
		})
}

func (c *command) webhookDeliveries() *cobra.Command {
	var f savedFlags
	limit := 20
	cmd := c.savedCommand(&cobra.Command{Use: "deliveries WEBHOOK", Short: "Show the last requests to a webhook", Args: cobra.ExactArgs(1)}, &f,
		func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
			if limit < 1 || limit > herald.MaxPageSize {
				return nil, nil, usage("Write a number from 1 to 1000.", "--limit %d is out of range", limit)
			}
			page, err := cl.WebhookDeliveries(ctx, args[0], "", limit)
			return page.Deliveries, func() error {
				if len(page.Deliveries) == 0 {
					c.printf("Nothing was sent yet. Try it: %s webhook test %s\n", c.Self, oneLine(args[0]))
					return nil
				}
				rows := [][]string{{"TIME", "DELIVERY", "STATE", "EVENTS", "TRIES", "ANSWER", "MS", "ERROR"}}
				for _, d := range page.Deliveries {
					answer := "-"
					if d.Status != 0 {
						answer = strconv.Itoa(d.Status)
					}
					rows = append(rows, []string{c.stamp(d.CreatedAt), d.ID, d.State, strconv.Itoa(d.Events), strconv.Itoa(d.Attempts), answer, fmt.Sprint(d.DurationMS), d.Error})
				}
				return c.printRows(rows)
			}, err
		})
	cmd.Flags().IntVar(&limit, "limit", limit, "how many")
	return cmd
}

func (c *command) webhookReplay() *cobra.Command {
	var f savedFlags
	var since string
	cmd := c.savedCommand(&cobra.Command{
		Use:   "replay WEBHOOK [DELIVERY]",
		Short: "Send a delivery again, or everything since a time",
		Example: `  herald webhook replay wh_4kq2tz7dgy3bn6mrwx5j1c8ahe evt_t5r3m9x2c7k4d8w6n1q0v5b2zj
  herald webhook replay wh_4kq2tz7dgy3bn6mrwx5j1c8ahe --since 2h
  herald webhook replay wh_4kq2tz7dgy3bn6mrwx5j1c8ahe --since 2026-11-21T08:00:00Z`,
		Args: cobra.RangeArgs(1, 2),
	}, &f, func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
		if (len(args) == 2) == (since != "") {
			return nil, nil, usage("Name a delivery, or give --since.", "one of both is needed")
		}
		if len(args) == 2 {
			w, err := cl.ReplayDelivery(ctx, args[0], args[1])
			return w, func() error {
				c.printf("%s is sent again\n", oneLine(args[1]))
				return nil
			}, err
		}
		at, err := c.pastTime(since)
		if err != nil {
			return nil, nil, err
		}
		w, err := cl.ReplayWebhook(ctx, args[0], at)
		return w, func() error {
			c.printf("everything since %s is sent again, as far as it is kept\n", c.stamp(at))
			return nil
		}, err
	})
	cmd.Flags().StringVar(&since, "since", "", "a time such as 2026-11-21T08:00:00Z, or how long ago, such as 2h")
	return cmd
}

// pastTime reads a time, or how long ago it was.
func (c *command) pastTime(s string) (time.Time, error) {
	if ago, err := time.ParseDuration(s); err == nil && ago >= 0 {
		return c.Now().Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return at, usage("Write it as 2026-11-21T08:00:00Z, or as 2h for two hours ago.", "%.40q is no time", s)
	}
	return at, nil
}
