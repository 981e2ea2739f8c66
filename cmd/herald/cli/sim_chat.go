package cli

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"

	"github.com/spf13/cobra"

	simdingtalk "github.com/herald-push/herald/internal/sim/dingtalk"
	simwebhook "github.com/herald-push/herald/internal/sim/webhook"
)

func (c *command) simDingTalk() *cobra.Command {
	var f simFlags
	var keywords []string
	perMinute := 20
	cmd := c.simFlagsOf(&cobra.Command{
		Use:   "dingtalk",
		Short: "Play a chat room of DingTalk and its robot",
		Long: "Serve the custom robot of a room until Ctrl-C, with its checks of token, signature, speed and keywords, and with its answers.\n" +
			"One message too many within a minute, and it takes none for ten. What the room is shown is printed. It has no use for --gone.",
		RunE: does(func(ctx context.Context, _ []string) error { return c.playDingTalk(ctx, f, keywords, perMinute) }),
	}, &f)
	cmd.Flags().StringArrayVar(&keywords, "keyword", nil, "a text must have one of these; may be repeated")
	cmd.Flags().IntVar(&perMinute, "per-minute", perMinute, "how many messages the room takes")
	return cmd
}

func (c *command) playDingTalk(ctx context.Context, f simFlags, keywords []string, perMinute int) error {
	if perMinute < 1 {
		return usage("Write for example --per-minute 20.", "--per-minute %d is less than 1", perMinute)
	}
	token, secret := hex.EncodeToString(random(32)), "SEC"+hex.EncodeToString(random(32))
	room := simdingtalk.New(simdingtalk.Config{Token: token, Secret: secret, Keywords: keywords, PerMinute: perMinute})
	return c.play(ctx, "dingtalk", f, room, func(_, url string) error {
		c.printf("  url           %s\n  access_token  %s\n  secret        %s\n", url, token, secret)
		for _, k := range keywords {
			c.printf("  keyword       %s\n", k)
		}
		return nil
	}, func() {
		for _, p := range room.Taken() {
			c.printf("%s\n", p.Body)
		}
	})
}

func (c *command) simWebhook() *cobra.Command {
	var f simFlags
	return c.simFlagsOf(&cobra.Command{
		Use:   "webhook",
		Short: "Play an app server that gets messages by webhook",
		Long: "Take messages signed as Standard Webhooks 1.0 until Ctrl-C, each once, and print them. What --gone names is the \"to\" of an\n" +
			"address that is answered 410.",
		RunE: does(func(ctx context.Context, _ []string) error { return c.playWebhook(ctx, f) }),
	}, &f)
}

func (c *command) playWebhook(ctx context.Context, f simFlags) error {
	secret := "whsec_" + base64.StdEncoding.EncodeToString(random(32))
	receiver := simwebhook.New(simwebhook.Config{Secret: secret})
	for _, to := range f.gone {
		receiver.Remove(to)
	}
	return c.play(ctx, "webhook", f, receiver, func(_, url string) error {
		c.printf("  url      %s\n  secret   %s\n", url, secret)
		return nil
	}, func() {
		for _, d := range receiver.Taken() {
			c.printf("%s  %s\n", d.ID, d.Body)
		}
	})
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}
