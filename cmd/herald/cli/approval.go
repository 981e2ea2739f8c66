package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
)

func (c *command) approveCommand() *cobra.Command {
	return c.messageChange(&cobra.Command{
		Use:   "approve ID",
		Short: "Let a message go that another key has sent and that waits for that",
		Long: "Let a message go that is for more devices than one key may send to (\"herald app set --approval-above\"). The key has to be\n" +
			"another one than the sender's; the master secret counts as one.",
	}, (*client.Client).Approve)
}

func (c *command) rejectCommand() *cobra.Command {
	var reason string
	cmd := c.messageChange(&cobra.Command{Use: "reject ID", Short: "End a message that waits to be approved"},
		func(cl *client.Client, ctx context.Context, id herald.MessageID) (client.MessageView, error) {
			return cl.Reject(ctx, id, reason)
		})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the sender")
	return cmd
}
