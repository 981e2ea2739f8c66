package cli

import (
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
)

func (c *command) pauseCommand() *cobra.Command {
	return c.messageChange(&cobra.Command{Use: "pause ID", Short: "Keep a message that goes out over time from going to anybody more"}, (*client.Client).PauseMessage)
}

func (c *command) resumeCommand() *cobra.Command {
	return c.messageChange(&cobra.Command{Use: "resume ID", Short: "Let a paused message go on where it was"}, (*client.Client).ResumeMessage)
}

func (c *command) stopCommand() *cobra.Command {
	return c.messageChange(&cobra.Command{Use: "stop ID", Short: "End a message for those whom it was not released to"}, (*client.Client).StopMessage)
}

// printRelease prints how far a message is that goes out over time.
func (c *command) printRelease(v client.MessageView) {
	r := v.Release
	if r == nil {
		return
	}
	c.printf("  released to %d of %s", r.Released, devices(r.Devices))
	switch {
	case r.Stopped:
		c.printf(", stopped")
	case v.Paused:
		c.printf(", paused")
	case r.NextAt != nil:
		c.printf(", next %s", c.local(*r.NextAt))
	}
	c.printf("\n")
}

// pushRelease puts into a message how it is to be released over time.
func pushRelease(m *client.Message, f pushFlags) error {
	m.QuietHours = f.quiet
	if f.local != "" {
		at, err := herald.ParseLocal(f.local)
		if err != nil {
			return usage("Write for example 2026-12-24T18:00:00.", "--local-time %s is not a local time", f.local)
		}
		m.SendAtLocal = at
	}
	if f.spread == "" {
		return nil
	}
	m.Spread = &herald.Spread{}
	if n, ok := strings.CutSuffix(f.spread, "/s"); ok {
		rate, err := strconv.ParseInt(n, 10, 64)
		if err != nil || rate < 1 {
			return usage("Write for example 10m, or 100/s.", "--spread %s is not a number of devices a second", f.spread)
		}
		m.Spread.PerSecond = rate
		return nil
	}
	d, err := time.ParseDuration(f.spread)
	if err != nil || d < time.Second {
		return usage("Write for example 10m, or 100/s.", "--spread %s is not a duration of a second or more", f.spread)
	}
	m.Spread.Over = int64(d / time.Second)
	return nil
}
