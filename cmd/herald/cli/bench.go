package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald/internal/bench"
)

func (c *command) benchCommand() *cobra.Command {
	return group("bench", "Make data of full size, and measure what a server does with it", c.benchSeed(), c.benchAudience(), c.benchStorm(),
		c.benchFloor(), c.benchIdle(), c.benchFanout(), c.benchUnicast(), c.benchConnect(), c.benchMQTT(), c.benchMixed(), c.benchChild())
}

// progress tells on standard error how far a long command is.
func (c *command) progress() *bench.Progress {
	p := &bench.Progress{Out: c.Err, Now: c.Now}
	if f, ok := c.Err.(*os.File); ok {
		info, err := f.Stat()
		p.Terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

func (c *command) benchSeed() *cobra.Command {
	s := bench.Seeding{}
	cmd := &cobra.Command{
		Use:   "seed",
		Short: "Make a data folder with many devices, tags and messages",
		Long: "Make a data folder with one app of many devices: six of ten with an alias, eight of the common tags each (few are\n" +
			"frequent, most are rare), four platforms, twenty versions, one in ten removed; tags of ten devices each; and live\n" +
			"messages to about half of the devices, received by half of those. The same --seed makes the same, but for times.\n" +
			"The folder must be empty; start a server on it with \"herald serve --data DIR\". Ten million devices take about\n" +
			"4 GiB.",
		Args: cobra.NoArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			s.Folder, s.Progress, s.Population.Now = c.folder(), c.progress(), c.Now()
			begun := c.Now()
			out, err := bench.Seed(ctx, s)
			if err != nil {
				return err
			}
			// So that push and listen work on the folder without flags.
			x := cliContext{AppKey: out.AppKey, MasterSecret: out.MasterSecret}
			if err := x.write(s.Folder); err != nil {
				return err
			}
			c.printf("%d devices (%d alive), %d tags, %d messages in %v\n\n  app key        %s\n  master secret  %s\n",
				out.Devices, out.Alive, out.Tags+out.SmallTags, out.Messages, c.Now().Sub(begun).Round(1e8), out.AppKey, out.MasterSecret)
			return nil
		}),
	}
	f := cmd.Flags()
	f.IntVar(&s.Population.Devices, "devices", 1_000_000, "number of devices")
	f.IntVar(&s.Population.Tags, "tags", 200, "number of common tags")
	f.IntVar(&s.Population.SmallTags, "small-tags", 0, fmt.Sprintf("number of tags with %d devices each", bench.SmallTagSize))
	f.IntVar(&s.Messages, "messages", 200, "number of live messages to about half of the devices")
	f.IntVar(&s.Sparse, "sparse", 0, "number of live messages to few devices")
	f.Uint64Var(&s.Population.Seed, "seed", 1, "what the data follows from")
	return cmd
}

func (c *command) benchAudience() *cobra.Command {
	r := bench.AudienceRun{}
	cmd := &cobra.Command{
		Use:   "audience",
		Short: "Measure starting, estimating and accepting on a seeded folder",
		Long: "Start a server on a folder that \"herald bench seed\" made, and measure when it is ready, its memory, estimates of\n" +
			"random expressions, and accepting messages to one device, to all, and to dense audiences. The messages stay in\n" +
			"the folder.",
		Args: cobra.NoArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			program, err := os.Executable()
			if err != nil {
				return err
			}
			r.Folder, r.Program, r.Out = c.folder(), program, c.Out
			return bench.Audience(ctx, r)
		}),
	}
	f := cmd.Flags()
	f.DurationVar(&r.Settle, "settle", 60*time.Second, "how long the server rests before its memory is read")
	f.IntVar(&r.Estimates, "estimates", 1000, "number of random expressions")
	f.IntVar(&r.Pushes, "pushes", 200, "number of messages to one device, and to all")
	f.IntVar(&r.Changes, "changes", 100_000, "number of tags put on devices; a tenth as many are bound to aliases")
	f.IntVar(&r.Returns, "returns", 100, "number of devices that connect, and were away for all messages")
	f.IntVar(&r.Dense, "dense", 100, "number of messages to dense audiences")
	return cmd
}

func (c *command) benchStorm() *cobra.Command {
	r := bench.StormRun{}
	cmd := &cobra.Command{
		Use:   "storm",
		Short: "Measure many devices that come back at once",
		Long: "Start a server on a new data folder, let messages wait for many devices, half of them to each alone and half to all,\n" +
			"and let all devices connect at once. Measure when everything is delivered, the processor time of the server, and\n" +
			"how long messages to devices that were connected already take before and meanwhile, and what part of the processors\n" +
			"other machines on the same hardware had. This process and the server need a file descriptor for each device.",
		Args: cobra.NoArgs,
		RunE: does(func(ctx context.Context, _ []string) (err error) {
			r.Out = c.Out
			if r.Program, err = os.Executable(); err != nil {
				return err
			}
			folder, remove, err := bench.StormFolder()
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, remove()) }()
			r.Folder = folder
			_, err = bench.Storm(ctx, r)
			return err
		}),
	}
	f := cmd.Flags()
	f.IntVar(&r.Devices, "devices", 19_000, "number of devices that come back")
	f.IntVar(&r.Pending, "pending", 20, "number of messages that wait for each")
	f.IntVar(&r.Connected, "connected", 100, "number of devices that are connected all the time")
	f.IntVar(&r.Rate, "rate", 100, "messages a second to those")
	f.IntVar(&r.Dials, "dials", 64, "number of connections that are being opened at once")
	f.DurationVar(&r.Calm, "calm", 10*time.Second, "how long those are measured before the others come")
	return cmd
}
