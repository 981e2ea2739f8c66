package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
)

func (c *command) scheduleCommand() *cobra.Command {
	return group("schedule", "Send messages at times: once, again and again, by a cron expression", c.scheduleCreate(), c.scheduleList(), c.scheduleShow(),
		c.scheduleChange("pause", "Pause a schedule: what falls due meanwhile is left out", (*client.Client).PauseSchedule),
		c.scheduleChange("resume", "Let a schedule go on with its next occurrence", (*client.Client).ResumeSchedule),
		c.scheduleRun(),
		c.scheduleChange("skip", "Leave out the next occurrence", (*client.Client).SkipSchedule),
		c.scheduleNext(), c.scheduleDelete())
}

func (c *command) scheduleCreate() *cobra.Command {
	var f savedFlags
	var m pushFlags
	var s client.ScheduleSpec
	var preview bool
	var grace time.Duration
	var cmd *cobra.Command
	cmd = c.savedCommand(&cobra.Command{
		Use:   "create NAME [TEXT]",
		Short: "Make a schedule",
		Long: "Send a message at the times that --at, --unit or --cron say. Times are those of --zone. The devices are chosen\n" +
			"when it is due. --preview shows the times, and makes nothing.",
		Example: `  herald schedule create reminder "It begins at 10" --at 2026-12-01T09:00:00 --zone Asia/Shanghai --tag staff
  herald schedule create report "The week in figures" --unit week --weekday mon --time 09:00 --zone Asia/Shanghai
  herald schedule create rent --title "Rent" --unit month --day 1 --day -1 --time 08:00 --zone recipient
  herald schedule create check "Still there?" --cron '*/30 9-17 * * mon-fri' --preview`,
		Args: cobra.RangeArgs(1, 2),
	}, &f, func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
		s.Name = args[0]
		if preview {
			list, err := cl.PreviewSchedule(ctx, s.Trigger, s.Zone, 0)
			return list, func() error { return c.printOccurrences(list) }, err
		}
		var err error
		if s.Message, err = c.pushMessage(m, args[1:]); err != nil {
			return nil, nil, err
		}
		if cmd.Flags().Changed("grace") {
			s.Grace = &grace
		}
		v, err := cl.CreateSchedule(ctx, s)
		return v, func() error {
			c.printSchedule(v)
			c.printf("  what became of it: %s schedule show %s\n", c.Self, v.ID)
			return nil
		}, err
	})
	fl := cmd.Flags()
	fl.StringVar(&s.Trigger.At, "at", "", "once, at this time: 2026-12-01T09:00:00 in the zone, or with an offset")
	fl.StringVar(&s.Trigger.Unit, "unit", "", "again and again: day, week or month")
	fl.IntVar(&s.Trigger.Every, "every", 0, "every so many units (default 1)")
	fl.StringVar(&s.Trigger.Time, "time", "", "with --unit: the time of day, 09:00 or 09:00:30")
	fl.StringArrayVar(&s.Trigger.Weekdays, "weekday", nil, "with --unit week: mon to sun; may be repeated")
	fl.IntSliceVar(&s.Trigger.Days, "day", nil, "with --unit month: 1 to 31, or -1 for the last; may be repeated")
	fl.StringVar(&s.Trigger.Cron, "cron", "", "a cron expression of 5 fields")
	fl.StringVar(&s.Trigger.Start, "start", "", "nothing occurs before (default now)")
	fl.StringVar(&s.Trigger.End, "end", "", "nothing occurs after (default no end)")
	fl.StringVar(&s.Zone, "zone", "", "time zone, e.g. Asia/Shanghai; or recipient: at each device's own local time (default UTC)")
	fl.StringVar(&s.Missed, "missed", "", "what no server was there for: once (the last runs, late) or skip (default once)")
	fl.DurationVar(&grace, "grace", 0, "how late is not missed (default 1m)")
	fl.BoolVar(&s.Paused, "paused", false, "make it, and let it wait for \"schedule resume\"")
	fl.BoolVar(&preview, "preview", false, "show when it would occur, and make nothing")
	fl.StringVar(&m.title, "title", "", "title (the TEXT is the title unless --title is given; then it is the body)")
	fl.StringVar(&m.body, "body", "", "body")
	fl.StringVar(&m.data, "data-json", "", "data for the app, as JSON")
	fl.BoolVar(&m.all, "to-all", false, "send to all devices; the default if nobody is named")
	fl.StringArrayVar(&m.aliases, "alias", nil, "send to an alias; may be repeated")
	fl.StringArrayVar(&m.tags, "tag", nil, "send to devices with a tag; may be repeated (any of)")
	fl.StringArrayVar(&m.devices, "device", nil, "send to a registration ID; may be repeated")
	fl.StringArrayVar(&m.segments, "segment", nil, "send to a segment; may be repeated (any of)")
	fl.StringVar(&m.ttl, "ttl", "", "how long each message may wait, e.g. 90s, 1h (default 24h)")
	fl.StringVar(&m.priority, "priority", "", "low, normal or high")
	fl.StringVar(&m.collapse, "collapse-key", "", "each message replaces the one before where that was not received")
	fl.StringVar(&m.idem, "idempotency-key", "", "makes the call repeatable for 24 hours")
	return cmd
}

func (c *command) scheduleList() *cobra.Command {
	var f savedFlags
	var state string
	cmd := c.savedCommand(&cobra.Command{Use: "list", Short: "List schedules", Args: cobra.NoArgs}, &f,
		func(ctx context.Context, cl *client.Client, _ []string) (any, func() error, error) {
			list, err := pages(func(cursor string) ([]client.Schedule, string, error) {
				p, err := cl.Schedules(ctx, herald.ScheduleState(state), cursor, herald.MaxPageSize)
				return p.Schedules, p.NextCursor, err
			})
			return list, func() error {
				if len(list) == 0 {
					c.printf("There are no schedules. Make one: %s schedule create NAME TEXT --cron EXPRESSION\n", c.Self)
					return nil
				}
				rows := [][]string{{"SCHEDULE", "STATE", "NEXT", "WHEN", "NAME"}}
				for _, s := range list {
					next := "-"
					if s.NextAt != nil {
						next = s.NextAt.UTC().Format(time.RFC3339)
					}
					rows = append(rows, []string{s.ID.String(), string(s.State), next, when(s.Trigger, s.Zone), s.Name})
				}
				return c.printRows(rows)
			}, err
		})
	cmd.Flags().StringVar(&state, "state", "", "only active, paused or ended ones")
	return cmd
}

// when says in a few words when a trigger occurs.
func when(t client.Trigger, zone string) string {
	var s string
	switch {
	case t.At != "":
		s = t.At
	case t.Cron != "":
		s = t.Cron
	default:
		s = t.Unit
		if t.Every > 1 {
			s = fmt.Sprintf("%d %ss", t.Every, t.Unit)
		}
		s = "every " + s
		if days := strings.Trim(fmt.Sprint(t.Days), "[]"); days != "" {
			s += " on " + strings.ReplaceAll(days, " ", ",")
		}
		if len(t.Weekdays) > 0 {
			s += " on " + strings.Join(t.Weekdays, ",")
		}
		s += " at " + t.Time
	}
	return s + " (" + zone + ")"
}

func (c *command) printSchedule(s client.Schedule) {
	c.printf("schedule %s %q is %s: %s\n", s.ID, s.Name, s.State, oneLine(when(s.Trigger, s.Zone)))
	if s.NextAt != nil {
		c.printf("  next at %s\n", s.NextAt.UTC().Format(time.RFC3339))
	}
	if s.Estimate != nil {
		c.printf("  now for %s\n", devices(*s.Estimate))
	}
}

func (c *command) printRun(r client.ScheduleRun) {
	text := fmt.Sprintf("%s  %s", r.Occurrence.UTC().Format(time.RFC3339), r.State)
	if r.Manual {
		text += ", by hand"
	}
	if r.Missed > 0 {
		text += fmt.Sprintf(", %d before it were missed", r.Missed)
	}
	if r.MessageID != 0 {
		text += "  message " + r.MessageID.String()
	}
	if r.Reason != "" {
		text += ": " + r.Reason + ". " + r.Remedy
	}
	c.printf("  %s\n", oneLine(text))
}

// scheduleArg reads the ID of a schedule.
func scheduleArg(arg string) (herald.ScheduleID, error) {
	id, err := herald.ParseMessageID(arg)
	if err != nil {
		return 0, usage("Use the number that \"herald schedule list\" prints.", "%.40q is not a schedule ID", arg)
	}
	return id, nil
}

func (c *command) scheduleShow() *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{Use: "show SCHEDULE", Short: "Show a schedule and what became of it", Args: cobra.ExactArgs(1)}, &f,
		func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
			id, err := scheduleArg(args[0])
			if err != nil {
				return nil, nil, err
			}
			s, err := cl.Schedule(ctx, id)
			return s, func() error {
				c.printSchedule(s)
				c.printf("  sends %s\n", oneLine(string(s.Message)))
				for _, r := range s.LastRuns {
					c.printRun(r)
				}
				return nil
			}, err
		})
}

// scheduleChange makes a command that changes a schedule and shows it.
func (c *command) scheduleChange(verb, short string, do func(*client.Client, context.Context, herald.ScheduleID) (client.Schedule, error)) *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{Use: verb + " SCHEDULE", Short: short, Args: cobra.ExactArgs(1)}, &f,
		func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
			id, err := scheduleArg(args[0])
			if err != nil {
				return nil, nil, err
			}
			s, err := do(cl, ctx, id)
			return s, func() error {
				c.printSchedule(s)
				return nil
			}, err
		})
}

func (c *command) scheduleRun() *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{Use: "run SCHEDULE", Short: "Send the message of a schedule now", Args: cobra.ExactArgs(1)}, &f,
		func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
			id, err := scheduleArg(args[0])
			if err != nil {
				return nil, nil, err
			}
			r, err := cl.RunSchedule(ctx, id, "")
			return r, func() error {
				c.printf("message %s\n  who received it: %s message %s\n", r.MessageID, c.Self, r.MessageID)
				return nil
			}, err
		})
}

func (c *command) scheduleNext() *cobra.Command {
	var f savedFlags
	count := 10
	cmd := c.savedCommand(&cobra.Command{Use: "next SCHEDULE", Short: "List when a schedule occurs next", Args: cobra.ExactArgs(1)}, &f,
		func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
			id, err := scheduleArg(args[0])
			if err != nil {
				return nil, nil, err
			}
			list, err := cl.NextOccurrences(ctx, id, count)
			return list, func() error { return c.printOccurrences(list) }, err
		})
	cmd.Flags().IntVar(&count, "count", count, "how many, 1 to 100")
	return cmd
}

func (c *command) printOccurrences(list []client.Occurrence) error {
	if len(list) == 0 {
		c.printf("It does not occur: it is paused, or has ended.\n")
		return nil
	}
	rows := [][]string{{"UTC", "LOCAL"}}
	for _, o := range list {
		rows = append(rows, []string{o.At.UTC().Format(time.RFC3339), o.Local})
	}
	return c.printRows(rows)
}

func (c *command) scheduleDelete() *cobra.Command {
	var f savedFlags
	return c.savedCommand(&cobra.Command{Use: "delete SCHEDULE", Short: "Delete a schedule; its messages stay", Args: cobra.ExactArgs(1)}, &f,
		func(ctx context.Context, cl *client.Client, args []string) (any, func() error, error) {
			id, err := scheduleArg(args[0])
			if err != nil {
				return nil, nil, err
			}
			return struct{}{}, func() error {
				c.printf("deleted schedule %s\n", id)
				return nil
			}, cl.DeleteSchedule(ctx, id)
		})
}
