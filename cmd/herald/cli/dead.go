package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
)

func (c *command) deadCommand() *cobra.Command {
	return group("dead", "See who was not reached by a vendor and is not tried again", c.deadList(),
		c.deadChange(&cobra.Command{
			Use:   "retry",
			Short: "Have vendors be asked again, as long as the message's TTL lasts",
			Long: "Have vendors be asked again for those whom a message has not come to by another way meanwhile, as long as its TTL\n" +
				"lasts. Mend the cause first: a credential, the options of the message.",
			Example: `  herald dead retry --vendor apns --code rejected/BadTopic
  herald dead retry --message 245870126268416001`,
		}, "vendors are asked again for %d\n", (*client.Client).RetryDeadLetters),
		c.deadChange(&cobra.Command{
			Use:     "discard",
			Short:   "Have dead letters be listed no more",
			Example: `  herald dead discard --message 245870126268416001`,
		}, "%d discarded\n", (*client.Client).DiscardDeadLetters))
}

func (c *command) deadList() *cobra.Command {
	var f savedFlags
	var limit int
	cmd := c.savedCommand(&cobra.Command{
		Use:   "list",
		Short: "List who was not reached, by message, step, vendor and cause",
		Args:  cobra.NoArgs,
	}, &f, func(ctx context.Context, cl *client.Client, _ []string) (any, func() error, error) {
		if limit < 1 || limit > herald.MaxPageSize {
			return nil, nil, usage("Give 1 to 1000.", "--limit %d is out of range", limit)
		}
		list, err := cl.DeadLetters(ctx, limit)
		if list == nil {
			list = []client.DeadLetter{}
		}
		return list, func() error {
			if len(list) == 0 {
				c.printf("There are no dead letters.\n")
				return nil
			}
			rows := [][]string{{"MESSAGE", "STEP", "VENDOR", "OUTCOME", "COUNT", "LAST", "CODE"}}
			for _, d := range list {
				rows = append(rows, []string{d.MessageID.String(), strconv.Itoa(d.Step), string(d.Vendor), d.Outcome, strconv.FormatInt(d.Count, 10), c.local(d.LastAt), dash(d.Code)})
			}
			if err := c.printRows(rows); err != nil {
				return err
			}
			c.printf("why: %s attempts MESSAGE\n", c.Self)
			return nil
		}, err
	})
	cmd.Flags().IntVar(&limit, "limit", 100, "how many rows of the record to look at, the newest, up to 1000")
	return cmd
}

// deadChange completes a command that does something to dead letters.
func (c *command) deadChange(cmd *cobra.Command, done string, do func(*client.Client, context.Context, client.DeadLetterQuery) (int64, error)) *cobra.Command {
	var f savedFlags
	var message, vendor, code string
	var step int
	cmd.Args = cobra.NoArgs
	c.savedCommand(cmd, &f, func(ctx context.Context, cl *client.Client, _ []string) (any, func() error, error) {
		q := client.DeadLetterQuery{Vendor: herald.Vendor(vendor), Code: code}
		if message != "" {
			id, err := herald.ParseMessageID(message)
			if err != nil {
				return nil, nil, usage("Use a number that \"herald dead list\" printed.", "--message %.40q is not a message ID", message)
			}
			q.MessageID = id
		}
		if cmd.Flags().Changed("step") {
			if step < 0 || step >= herald.MaxRouteSteps {
				return nil, nil, usage("Steps count from 0.", "--step %d is no step of a route", step)
			}
			q.Step = &step
		}
		// An empty name is a variable that was not set, and must not mean all.
		if q.MessageID == 0 && q.Vendor == "" && q.Code == "" {
			return nil, nil, usage("Give --message, --vendor or --code, as \"herald dead list\" shows them.", "nothing is named")
		}
		n, err := do(cl, ctx, q)
		return map[string]int64{"count": n}, func() error {
			c.printf(done, n)
			return nil
		}, err
	})
	fl := cmd.Flags()
	fl.StringVar(&message, "message", "", "only those of a message")
	fl.IntVar(&step, "step", 0, "only those of a step of its route, from 0")
	fl.StringVar(&vendor, "vendor", "", "only those of a vendor")
	fl.StringVar(&code, "code", "", "only those with a code, as the list shows it")
	return cmd
}
