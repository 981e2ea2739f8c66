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

// Be in a room: hear what others publish, see how many are there, and say hello.
func ExampleDevice_Subscribe() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	dev, err := device.Register(ctx, device.Options{URL: "http://127.0.0.1:7700", AppKey: "the app's 24 characters!"})
	if err != nil {
		panic(err)
	}
	if err := dev.Subscribe("chat/7"); err != nil {
		panic(err)
	}
	err = dev.Listen(ctx, device.Handler{
		OnTopic: func(_ context.Context, p device.Publication) {
			fmt.Println(p.Topic, p.From, string(p.Data))
		},
		OnPresence: func(_ context.Context, t herald.Topic, devices int64) {
			fmt.Println(devices, "in", t)
		},
		OnState: func(s device.State) {
			if s.Phase == device.Connected {
				// The app has to allow the topic for publishing.
				_ = dev.Publish("chat/7", []byte(`{"text": "Hello"}`))
			}
		},
	})
	if err != nil {
		panic(err)
	}
}
