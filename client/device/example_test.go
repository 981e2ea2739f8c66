package device_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client/device"
)

// Receive messages until Ctrl-C, as the same device each time.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	dev, err := device.Register(ctx, device.Options{
		URL:      "http://127.0.0.1:7700",
		AppKey:   "the app's 24 characters!",
		Platform: herald.PlatformLinux,
		Store:    device.File("herald.json"),
	})
	if err != nil {
		panic(err)
	}
	err = dev.Listen(ctx, device.Handler{
		OnMessage: func(ctx context.Context, m device.Message) error {
			if m.Notification != nil {
				fmt.Println(m.Notification.Title, m.Notification.Body)
			}
			dev.Displayed(m.ID)
			return nil // acknowledged
		},
	})
	if err != nil {
		panic(err)
	}
}
