package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	simwebpush "github.com/herald-push/herald/internal/sim/webpush"
)

func (c *command) simWebPush() *cobra.Command {
	var f simFlags
	var key string
	cmd := c.simFlagsOf(&cobra.Command{
		Use:   "webpush",
		Short: "Play the push service of a browser",
		Long: "Serve a push service for Web Push until Ctrl-C, with its checks of signatures, headers and bodies. The subscription of a\n" +
			"browser, and that of one that is gone, are written to the folder; what the browser gets is decrypted and printed.",
		RunE: does(func(ctx context.Context, _ []string) error { return c.playWebPush(ctx, f, key) }),
	}, &f)
	cmd.Flags().StringVar(&key, "public-key", "", "VAPID public key that the browser subscribes with (default any may send to it)")
	return cmd
}

func (c *command) playWebPush(ctx context.Context, f simFlags, key string) error {
	if len(f.gone) > 0 {
		return usage("Use the file gone.json in the folder.", "--gone names no browser: their subscriptions are made here")
	}
	service := simwebpush.New(simwebpush.Config{})
	return c.play(ctx, "webpush", f, service, func(folder, address string) error {
		service.SetURL(address)
		u, err := url.Parse(address)
		if err != nil {
			return err
		}
		c.printf("  url           %s\n  services      %s\n", address, u.Hostname())
		for _, name := range []string{"subscription", "gone"} {
			b, err := service.Subscribe(key)
			if err != nil {
				return err
			}
			text, err := json.Marshal(b)
			if err != nil {
				return err
			}
			path := filepath.Join(folder, name+".json")
			if err := os.WriteFile(path, text, 0o600); err != nil {
				return err
			}
			c.printf("  %-13s %s\n", name, path)
			if name == "gone" {
				service.Remove(b.Endpoint)
			}
		}
		return nil
	}, func() {
		for _, p := range service.Taken() {
			c.printf("%s  %s  %s\n", short(p.Endpoint), cmp.Or(p.Urgency, "normal"), readPush(service, p))
		}
	})
}

// readPush gives what the browser reads, or why it cannot.
func readPush(service *simwebpush.Service, p simwebpush.Push) string {
	b := service.Browser(p.Endpoint)
	switch {
	case len(p.Body) == 0:
		return "without a message"
	case b == nil:
		return fmt.Sprintf("%d bytes for another browser", len(p.Body))
	}
	text, err := b.Open(p.Body)
	if err != nil {
		return "cannot be read: " + err.Error()
	}
	return string(text)
}
