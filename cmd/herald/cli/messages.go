package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
)

// titleShown is how much of a title a line of the list has, in characters.
const titleShown = 40

func (c *command) messagesCommand() *cobra.Command {
	var f savedFlags
	var state string
	var limit int
	cmd := c.savedCommand(&cobra.Command{
		Use:   "messages",
		Short: "List messages, newest first",
		Example: `  herald messages
  herald messages --state awaiting_approval`,
		Args: cobra.NoArgs,
	}, &f, func(ctx context.Context, cl *client.Client, _ []string) (any, func() error, error) {
		if limit < 1 || limit > herald.MaxPageSize {
			return nil, nil, usage("Give 1 to 1000.", "--limit %d is out of range", limit)
		}
		page, err := cl.Messages(ctx, client.MessageQuery{State: herald.MessageState(state), Limit: limit})
		return page, func() error {
			if len(page.Messages) == 0 {
				c.printf("There are no such messages.\n")
				return nil
			}
			rows := [][]string{{"MESSAGE", "STATE", "ACCEPTED", "TARGET", "RECEIVED", "TITLE"}}
			for _, m := range page.Messages {
				rows = append(rows, messageRow(m))
			}
			if err := c.printRows(rows); err != nil {
				return err
			}
			if page.NextCursor != "" {
				c.printf("There are more: give a larger --limit.\n")
			}
			return nil
		}, err
	})
	cmd.Flags().StringVar(&state, "state", "", "only scheduled, awaiting_approval, sending, done, withdrawn, expired, replaced or rejected ones")
	cmd.Flags().IntVar(&limit, "limit", 20, "how many, up to 1000")
	return cmd
}

func messageRow(m client.MessageView) []string {
	target, received, title := "-", "-", "(data)"
	if m.Counts != nil {
		target, received = strconv.FormatInt(m.Counts.Target, 10), strconv.FormatInt(m.Counts.Received, 10)
	}
	if n := m.Notification; n != nil {
		if title = n.Title; title == "" {
			title = n.Body
		}
		if r := []rune(title); len(r) > titleShown {
			title = string(r[:titleShown-1]) + "…"
		}
		title = strconv.QuoteToGraphic(title) // a line break stays on the line
	}
	return []string{m.ID.String(), string(m.State), m.AcceptedAt.UTC().Format(clock), target, received, title}
}
