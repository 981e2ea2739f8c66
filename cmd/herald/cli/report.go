package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
)

func (c *command) reportCommand() *cobra.Command {
	var t targetFlags
	var bucket string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "report MESSAGE",
		Short: "Show how far a message came: in all, by platform, over time",
		Long: "Show how many devices were sent a message, received, displayed and clicked it: in all, by channel, by\n" +
			"platform and over time. What nobody can know is told as unknown: a device that has not acknowledged a\n" +
			"message may have it all the same.",
		Example: "  herald report 245870126268416001 --bucket hour",
		Args:    cobra.ExactArgs(1),
		RunE: does(func(ctx context.Context, args []string) error {
			if bucket != "" && bucket != "minute" && bucket != "hour" && bucket != "day" {
				return usage("Write --bucket minute, hour or day, or leave it out.", "%.20q is not a bucket", bucket)
			}
			id, cl, err := c.messageArgs(t, args[0])
			if err != nil {
				return err
			}
			r, err := cl.Report(ctx, id, bucket)
			if err != nil {
				return err
			}
			if asJSON {
				return c.printJSON(r)
			}
			return c.printReport(r)
		}),
	}
	cmd.Flags().StringVar(&bucket, "bucket", "", "step of the timeline: minute, hour or day (default: one that suits)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addTarget(cmd, &t, true)
	return cmd
}

func (c *command) deliveriesCommand() *cobra.Command {
	var t targetFlags
	var format, state, platform string
	cmd := &cobra.Command{
		Use:   "deliveries MESSAGE",
		Short: "List the devices of a message with what became of it on each",
		Long: "List every device of a message with its state there, why, and when. With --format the list is written\n" +
			"as it is read, however long it is; if it breaks off the exit code is not 0, and what was written is not\n" +
			"the whole.",
		Example: "  herald deliveries 245870126268416001 --state expired\n" +
			"  herald deliveries 245870126268416001 --format csv > deliveries.csv",
		Args: cobra.ExactArgs(1),
		RunE: does(func(ctx context.Context, args []string) error {
			if f := client.Format(format); f != "" && f != client.CSV && f != client.NDJSON {
				return usage("Write --format csv or ndjson, or leave it out.", "%.20q is not a format", format)
			}
			id, cl, err := c.messageArgs(t, args[0])
			if err != nil {
				return err
			}
			q := client.DeliveryQuery{State: herald.DeliveryState(state), Platform: herald.Platform(platform)}
			if format != "" {
				return cl.ExportDeliveries(ctx, id, q, client.Format(format), c.Out)
			}
			return c.printDeliveries(ctx, cl, id, q)
		}),
	}
	cmd.Flags().StringVar(&format, "format", "", "write csv or ndjson instead of text")
	cmd.Flags().StringVar(&state, "state", "", "only devices on which it stands like this, e.g. pending or expired")
	cmd.Flags().StringVar(&platform, "platform", "", "only devices on this platform, or unknown")
	addTarget(cmd, &t, true)
	return cmd
}

func (c *command) timelineCommand() *cobra.Command {
	var t targetFlags
	var limit int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "timeline DEVICE",
		Short: "Show what happened to a device, newest first",
		Long:  "Show the messages for a device, by its registration ID, with what became of each. Messages are kept for\n30 days after their end.",
		Args:  cobra.ExactArgs(1),
		RunE: does(func(ctx context.Context, args []string) error {
			id := herald.RegistrationID(args[0])
			if !id.Valid() {
				return usage("Use the one that the device got when it registered.", "%.40q is not a registration ID", args[0])
			}
			if limit < 1 || limit > herald.MaxPageSize {
				return usage("Write --limit 1 to 1000.", "%d is not a number of items", limit)
			}
			cl, err := c.client(t)
			if err != nil {
				return err
			}
			out, err := cl.DeviceTimeline(ctx, id, "", limit)
			// A page may have nothing, and more may follow.
			for err == nil && len(out.Items) < limit && out.NextCursor != "" {
				var more client.DeviceTimeline
				more, err = cl.DeviceTimeline(ctx, id, out.NextCursor, limit-len(out.Items))
				out.Items, out.NextCursor = append(out.Items, more.Items...), more.NextCursor
			}
			if err != nil {
				return err
			}
			if asJSON {
				return c.printJSON(out)
			}
			return c.printTimeline(out)
		}),
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "how many items to show")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addTarget(cmd, &t, true)
	return cmd
}

// share is a rate for people.
func share(rate *float64) string {
	if rate == nil {
		return "unknown"
	}
	return fmt.Sprintf("%.1f %%", 100**rate)
}

// bar shows a number beside the largest one.
func bar(n, most int64) string {
	if most == 0 {
		return ""
	}
	return strings.Repeat("#", int((20*n+most-1)/most))
}

func (c *command) printReport(r client.Report) error {
	c.printf("message %s: %s, accepted %s\n", r.MessageID, oneLine(string(r.State)), c.local(r.AcceptedAt))
	f := r.Funnel
	if f == nil {
		c.printf("  who it is for is decided when it is due\n")
		return nil
	}
	w := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\n  STEP\tDEVICES\tRATE\tUNKNOWN\t\n  target\t%d\t\t\t%s\n", f.Target, bar(f.Target, f.Target))
	for _, s := range []struct {
		name       string
		n, unknown int64
		rate       *float64
	}{
		{"sent", f.Sent, 0, f.Rates.Sent}, {"received", f.Received, f.Unknown.Received, f.Rates.Received},
		{"displayed", f.Displayed, f.Unknown.Displayed, f.Rates.Displayed}, {"clicked", f.Clicked, f.Unknown.Clicked, f.Rates.Clicked},
	} {
		n := fmt.Sprint(s.n)
		if s.rate == nil && s.unknown > 0 {
			n = "?" // nobody has reported any, which is not the same as none
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\n", s.name, n, share(s.rate), some(s.unknown), bar(s.n, f.Target))
	}
	if len(r.Platforms) > 0 {
		fmt.Fprint(w, "\n  PLATFORM\tTARGET\tSENT\tRECEIVED\tDISPLAYED\tCLICKED\n")
	}
	for _, p := range r.Platforms {
		fmt.Fprintf(w, "  %s\t%d\t%s\t%s\t%s\t%s\n", oneLine(string(p.Platform)), p.Target,
			share(p.Rates.Sent), share(p.Rates.Received), share(p.Rates.Displayed), share(p.Rates.Clicked))
	}
	if len(r.Channels) > 0 {
		fmt.Fprint(w, "\n  CHANNEL\tDEVICES\n")
	}
	for _, ch := range r.Channels {
		var by []string
		for _, name := range slices.Sorted(maps.Keys(ch.Transports)) {
			by = append(by, fmt.Sprintf("%s %d", oneLine(name), ch.Transports[name]))
		}
		name := ch.Channel
		if name == "none" {
			name = "not sent"
		}
		fmt.Fprintf(w, "  %s\t%d\t%s\n", oneLine(name), ch.Devices, strings.Join(by, ", "))
	}
	if line := r.Timeline; line != nil && len(line.Buckets) > 0 {
		fmt.Fprintf(w, "\n  TIME (BY %s)\tSENT\tRECEIVED\tDISPLAYED\tCLICKED\n", strings.ToUpper(oneLine(line.Bucket)))
		for _, b := range line.Buckets {
			if b.Steps != (client.Steps{}) {
				fmt.Fprintf(w, "  %s\t%d\t%d\t%d\t%d\n", c.local(b.Time)[:16], b.Sent, b.Received, b.Displayed, b.Clicked)
			}
		}
		if u := line.Unknown; u != (client.Steps{}) {
			fmt.Fprintf(w, "  unknown\t%d\t%d\t%d\t%d\n", u.Sent, u.Received, u.Displayed, u.Clicked)
		}
	}
	return w.Flush()
}

// some is a number, or nothing for none.
func some(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func (c *command) printDeliveries(ctx context.Context, cl *client.Client, id herald.MessageID, q client.DeliveryQuery) error {
	n := int64(0)
	for d, err := range cl.EachDelivery(ctx, id, q) {
		if err != nil {
			return err
		}
		who := string(d.RegistrationID)
		if who == "" {
			who = "(removed)"
		}
		if d.Alias != "" {
			who += " (" + oneLine(string(d.Alias)) + ")"
		}
		c.printf("%s  %s  %s\n  %s\n", oneLine(who), oneLine(string(d.Platform)), c.bold(oneLine(string(d.State))), oneLine(d.Reason))
		n++
	}
	c.printf("%s\n", devices(n))
	return nil
}

func (c *command) printTimeline(t client.DeviceTimeline) error {
	c.printf("device %s, last seen %s\n", oneLine(string(t.RegistrationID)), c.local(t.SeenAt))
	for _, item := range t.Items {
		if item.Kind != "message" {
			c.printf("%s  %s\n", c.local(item.Time), oneLine(item.Text))
			continue
		}
		title := ""
		if item.Title != "" {
			title = "  " + oneLine(item.Title)
		}
		c.printf("%s  message %s  %s%s\n  %s\n", c.local(item.Time), item.MessageID, c.bold(oneLine(string(item.State))), title, oneLine(item.Text))
	}
	if t.NextCursor != "" {
		c.printf("There may be more; --limit shows it.\n")
	}
	c.printf("Messages that ended before %s are forgotten.\n", c.local(t.KeptSince))
	return nil
}
