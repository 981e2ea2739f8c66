package cli

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client/device"
	"github.com/herald-push/herald/internal/version"
)

// listenFlags are the flags of listen.
type listenFlags struct {
	json, presence bool
	once           int
	topics         []string
}

func (c *command) listenCommand() *cobra.Command {
	var t targetFlags
	var f listenFlags
	cmd := &cobra.Command{
		Use:   "listen",
		Short: "Be a device, and print what arrives",
		Long: "Register this terminal as a device and print what arrives, until Ctrl-C. It stays the same device at the next call.\n" +
			"With --topic it prints what is published to these topics as well.",
		Args: cobra.NoArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			if f.once < 0 {
				return usage("Write for example --once 1.", "--once %d is negative", f.once)
			}
			if f.presence && len(f.topics) == 0 {
				return usage("Name a topic with --topic.", "--presence is about topics")
			}
			if err := filterArgs(f.topics...); err != nil {
				return err
			}
			target, err := c.target(t)
			if err != nil {
				return err
			}
			if !target.appKey.Valid() {
				return configuration(herald.Errorf(herald.CodeInvalidRequest, "Give --app-key or HERALD_APP_KEY: 24 characters of 0-9 and a-z.", "no valid app key is known"))
			}
			store := device.Memory()
			if target.stored {
				store = listenStore{c.folder()}
			}
			dev, err := device.Register(ctx, device.Options{URL: target.url, AppKey: target.appKey, Store: store,
				Platform: platform(c.OS), AppVersion: "herald " + version.Version()})
			if err != nil {
				return err
			}
			if err := dev.Subscribe(asTopics(f.topics)...); err != nil {
				return usage("Name fewer topics.", "%s", err)
			}
			return c.listen(ctx, dev, f)
		}),
	}
	cmd.Flags().BoolVar(&f.json, "json", false, "print one JSON object per line")
	cmd.Flags().IntVar(&f.once, "once", 0, "stop after this many messages and publications")
	cmd.Flags().StringArrayVar(&f.topics, "topic", nil, "subscribe to a topic; may be repeated")
	cmd.Flags().BoolVar(&f.presence, "presence", false, "print how many devices are subscribed to the topics")
	addTarget(cmd, &t, false)
	return cmd
}

func platform(goos string) herald.Platform {
	switch goos {
	case "linux":
		return herald.PlatformLinux
	case "darwin":
		return herald.PlatformMacOS
	case "windows":
		return herald.PlatformWindows
	}
	return herald.PlatformOther
}

// listen prints what arrives until ctx ends or so many messages have come.
func (c *command) listen(ctx context.Context, dev *device.Device, f listenFlags) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var mu sync.Mutex // guards the order of what is printed
	seen := 0
	connected := false
	// more counts what arrives, on the one goroutine that it arrives on.
	more := func() bool {
		if f.once > 0 && seen >= f.once {
			return false
		}
		if seen++; seen == f.once {
			stop()
		}
		return true
	}
	h := device.Handler{
		OnMessage: func(_ context.Context, m device.Message) error {
			if !more() {
				return errors.New("enough") // comes again at the next call
			}
			mu.Lock()
			defer mu.Unlock()
			if f.json {
				return c.printJSON(lineOf(m))
			}
			c.printArrived(m)
			return nil
		},
		OnWithdraw: func(_ context.Context, id herald.MessageID) {
			mu.Lock()
			defer mu.Unlock()
			if f.json {
				_ = c.printJSON(arrived{Type: "withdraw", ID: id})
				return
			}
			c.printf("%s  withdrawn  id %s\n", c.Now().Format("15:04:05"), id)
		},
		OnTopic: func(_ context.Context, p device.Publication) {
			if more() {
				mu.Lock()
				defer mu.Unlock()
				c.printHeard(p, f.json)
			}
		},
		OnState: func(s device.State) {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case s.Phase == device.Connected && !connected:
				connected = true
				c.notef("connected as %s; Ctrl-C stops\n", dev.ID())
			case s.Phase == device.Connected:
				c.notef("connected again\n")
			case s.Phase == device.Waiting:
				c.notef("not connected: %s; again in %s\n", oneLine(s.Err.Error()), s.Retry.Round(100*time.Millisecond))
			}
		},
		OnProblem: func(e *herald.Error) {
			mu.Lock()
			defer mu.Unlock()
			c.report(e)
		},
	}
	if f.presence {
		h.OnPresence = func(_ context.Context, t herald.Topic, n int64) {
			mu.Lock()
			defer mu.Unlock()
			c.printPresence(t, n, f.json)
		}
	}
	return dev.Listen(ctx, h)
}

// arrived is one line of listen --json.
type arrived struct {
	Type         string               `json:"type"`
	ID           herald.MessageID     `json:"id"`
	Time         time.Time            `json:"time,omitzero"`
	Expires      time.Time            `json:"expires,omitzero"`
	Priority     herald.Priority      `json:"priority,omitempty"`
	Notification *herald.Notification `json:"notification,omitempty"`
	Data         json.RawMessage      `json:"data,omitempty"`
	CollapseKey  string               `json:"collapse_key,omitempty"`
}

func lineOf(m device.Message) arrived {
	return arrived{Type: "message", ID: m.ID, Time: m.Time, Expires: m.Expires, Priority: m.Priority,
		Notification: m.Notification, Data: m.Data, CollapseKey: m.CollapseKey}
}

// printArrived prints a message under the time at which it was sent.
func (c *command) printArrived(m device.Message) {
	const indent = "          "
	lead := m.Time.In(c.Now().Location()).Format("15:04:05") + "  "
	line := func(s string) {
		c.printf("%s%s\n", lead, s)
		lead = indent
	}
	if n := m.Notification; n != nil {
		if n.Title != "" {
			line(c.bold(clean(n.Title, indent)))
		}
		if n.Body != "" {
			line(clean(n.Body, indent))
		}
	}
	if len(m.Data) > 0 {
		line("data " + oneLine(string(m.Data)))
	}
	line("id " + m.ID.String())
}
