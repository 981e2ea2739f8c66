package cli

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald/internal/egress"
	simtwilio "github.com/herald-push/herald/internal/sim/twilio"
)

func (c *command) simTwilio() *cobra.Command {
	var f simFlags
	from := "+15550001000"
	cmd := c.simFlagsOf(&cobra.Command{
		Use:   "twilio",
		Short: "Play Twilio's Messages API",
		Long: "Serve the Messages API of Twilio for one account until Ctrl-C, and print the texts that are taken. What became of each is\n" +
			"reported, signed, to the callback of the credential, as sent and then delivered; --gone names numbers that no telephone has.",
		RunE: does(func(ctx context.Context, _ []string) error { return c.playTwilio(ctx, f, from) }),
	}, &f)
	cmd.Flags().StringVar(&from, "from", from, "number of the account")
	return cmd
}

func (c *command) playTwilio(ctx context.Context, f simFlags, from string) error {
	const account, token = "AC00000000000000000000000000000000", "sim-auth-token" //nolint:gosec // of the simulator, no secret
	// The callback is one of this machine, or of whoever runs the simulator.
	reports, err := egress.New(egress.Config{Allow: []string{"loopback", "private"}, Ports: []string{"any"}, HTTP: true})
	if err != nil {
		return err
	}
	defer reports.Close()
	twilio := simtwilio.New(simtwilio.Config{Account: account, Token: token, From: from, Post: func(address string, header http.Header, body []byte) {
		if a, err := reports.Post(ctx, address, header, body); err != nil {
			c.notef("the report to %s failed: %v\n", address, err)
		} else if a.Status/100 != 2 {
			c.notef("the report to %s was answered %d\n", address, a.Status)
		}
	}})
	defer twilio.Close()
	for _, number := range f.gone {
		twilio.Remove(number, 30005) // reported later, as Twilio does
	}
	return c.play(ctx, "twilio", f, twilio, func(_, url string) error {
		c.printf("  url          %s\n  account_sid  %s\n  auth_token   %s\n  from         %s\n", url, account, token, from)
		return nil
	}, func() {
		for _, m := range twilio.Taken() {
			c.printf("%s  %s\n", m.To, m.Body)
		}
	})
}
