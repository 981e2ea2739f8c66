package cli

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald/internal/bench"
)

// loadFlags are the flags of the bench commands that make load.
type loadFlags struct {
	bench.Load
	json bool
	set  []string
}

func (f *loadFlags) add(cmd *cobra.Command) {
	g := cmd.Flags()
	g.IntVar(&f.Rounds, "rounds", 5, "rounds that count, in turns with those of the floor")
	g.IntVar(&f.Payload, "payload", 256, "bytes of a payload")
	g.IntVar(&f.Parallel, "parallel", 64, "connections that are being opened at once")
	g.DurationVar(&f.Nap, "nap", time.Millisecond, "how long the clients sleep when there is nothing to read; 0 wakes them for each message")
	g.DurationVar(&f.Rest, "rest", 300*time.Millisecond, "how long a server has after each round, which counts")
	g.BoolVar(&f.json, "json", false, "write the report as JSON")
}

// Whether a load command starts a server that can be set up.
const (
	alone  = false
	serves = true
)

// loadCommand makes a command of a run, whose load the common flags set up.
func (c *command) loadCommand(cmd *cobra.Command, load **bench.Load, server bool, run func(ctx context.Context) (*bench.Report, error)) *cobra.Command {
	f := &loadFlags{}
	*load = &f.Load
	cmd.Args, cmd.RunE = cobra.NoArgs, c.measure(f, run)
	f.add(cmd)
	if server {
		cmd.Flags().StringArrayVar(&f.set, "set", nil, "a key of the server's configuration, as key=value; may be repeated")
	}
	return cmd
}

func againstFlag(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "against", "", "another product, too: mosquitto, mosquitto-persistent or nchan")
}

// measure makes a function that gives a report the work of a command. Of a run
// that fails, what was measured before is shown.
func (c *command) measure(f *loadFlags, run func(ctx context.Context) (*bench.Report, error)) func(*cobra.Command, []string) error {
	return does(func(ctx context.Context, _ []string) (err error) {
		if f.Program, err = os.Executable(); err != nil {
			return err
		}
		f.Log, f.Progress = c.Err, c.progress()
		for _, s := range f.set {
			f.Serve = append(f.Serve, "--set", s)
		}
		report, failed := run(ctx)
		switch {
		case report == nil || len(report.Figures) == 0:
			return failed
		case failed != nil:
			report.Notes = append(report.Notes, "This is not all: the run failed after these figures.")
		}
		if f.json {
			return errors.Join(failed, report.JSON(c.Out))
		}
		return errors.Join(failed, report.Text(c.Out))
	})
}

// benchChild is a process that a load command starts.
func (c *command) benchChild() *cobra.Command {
	return &cobra.Command{
		Use: "child KIND", Short: "Be a process of a load command", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: does(func(_ context.Context, args []string) error { return bench.Child(args[0], c.Out) }),
	}
}

func (c *command) benchFloor() *cobra.Command {
	r := bench.FloorRun{}
	cmd := c.loadCommand(&cobra.Command{
		Use:   "floor",
		Short: "Measure the bare server that all ratios are to",
		Long: "Start a bare server, one thread on epoll without sessions, and measure its processor time for a frame written to\n" +
			"each connection, for accepting and upgrading a connection, and for a POST that is passed on to one connection,\n" +
			"one a request and in batches. Linux only.",
	}, &r.Load, alone, func(ctx context.Context) (*bench.Report, error) { return bench.Floor(ctx, &r) })
	g := cmd.Flags()
	g.IntSliceVar(&r.Clients, "clients", []int{10_000}, "numbers of clients")
	g.IntVar(&r.Broadcasts, "broadcasts", 10, "messages to all in a round")
	g.IntVar(&r.Messages, "messages", 20_000, "messages to one client in a round")
	g.IntVar(&r.Batch, "batch", 1000, "messages in a batch")
	g.IntVar(&r.Posters, "posters", 8, "connections that send")
	return cmd
}

func (c *command) benchFanout() *cobra.Command {
	r := bench.FanoutRun{}
	cmd := c.loadCommand(&cobra.Command{
		Use:   "fanout",
		Short: "Measure what a delivery of a message to all costs",
		Long: "Start a server for each transport and number of clients, connect them, and send messages to all of them. The figure\n" +
			"is the processor time of the server for one delivery, sending and everything behind it included, and its ratio\n" +
			"to that of the floor in the same round. It is only given if every client got every message, once, in order and\n" +
			"whole. Linux only.",
	}, &r.Load, serves, func(ctx context.Context) (*bench.Report, error) { return bench.Fanout(ctx, &r) })
	g := cmd.Flags()
	g.IntSliceVar(&r.Clients, "clients", []int{10_000}, "numbers of clients")
	g.StringSliceVar(&r.Transports, "transports", []string{"websocket"}, "some of websocket, sse, stream, tcp, mqtt")
	g.IntVar(&r.Broadcasts, "broadcasts", 10, "messages in a round, each when all have got the last")
	g.IntVar(&r.Burst, "burst", 1, "messages that are sent at a time")
	g.BoolVar(&r.Ack, "ack", false, "also with clients that acknowledge, over websocket, tcp and mqtt; the receipts are counted")
	g.IntVar(&r.Slow, "slow", 0, "also beside so many clients that do not read: p99 to the others")
	g.IntVar(&r.Flood, "flood", 500, "messages of 16 KiB to each of those in a round")
	g.IntVar(&r.TTL, "ttl", 21600, "seconds that a message may wait; 0 are not kept")
	againstFlag(cmd, &r.Against)
	return cmd
}

func (c *command) benchIdle() *cobra.Command {
	r := bench.IdleRun{}
	cmd := c.loadCommand(&cobra.Command{
		Use:   "idle",
		Short: "Measure what a connection costs that nothing is sent to",
		Long: "Start a server for each transport, register devices, connect and disconnect them all, and connect them again. The\n" +
			"memory of a connection is what the resident memory of the server has grown by since none was connected, divided\n" +
			"by their number: after a rest, and after a rest that follows messages to all. The processor time is that of the\n" +
			"first rest, and is compared with twice what the floor takes to write the heartbeats. The transports are measured\n" +
			"at once. Linux only.",
	}, &r.Load, serves, func(ctx context.Context) (*bench.Report, error) { return bench.Idle(ctx, &r) })
	g := cmd.Flags()
	g.IntSliceVar(&r.Clients, "clients", []int{10_000}, "numbers of clients")
	g.StringSliceVar(&r.Transports, "transports", []string{"websocket"}, "some of websocket, sse, stream, poll, tcp, mqtt")
	g.DurationVar(&r.Settle, "settle", 60*time.Second, "how long the server rests before its memory is read")
	g.IntVar(&r.Broadcasts, "broadcasts", 13, "messages to all before it is read again")
	againstFlag(cmd, &r.Against)
	return cmd
}

func (c *command) benchUnicast() *cobra.Command {
	r := bench.UnicastRun{}
	cmd := c.loadCommand(&cobra.Command{
		Use:   "unicast",
		Short: "Measure what a message to one connected device costs",
		Long: "Start a server, connect devices, and send messages to one of them each over connections that are kept, the next when\n" +
			"the last was answered. The figure is the processor time of the server for one message, from the request to the\n" +
			"socket of the device, and its ratio to that of the floor, which passes on a POST. Messages have a TTL of 0.\n" +
			"Linux only.",
	}, &r.Load, serves, func(ctx context.Context) (*bench.Report, error) { return bench.Unicast(ctx, &r) })
	g := cmd.Flags()
	g.IntVar(&r.Clients, "clients", 10_000, "number of clients")
	g.StringVar(&r.Transport, "transport", "websocket", "websocket, sse, stream, tcp or mqtt")
	g.IntVar(&r.Messages, "messages", 20_000, "messages in a round")
	g.IntVar(&r.Posters, "posters", 8, "connections that send")
	g.IntVar(&r.Batch, "batch", 0, "also in batches of so many")
	g.BoolVar(&r.Durable, "durable", false, "also messages that are stored")
	g.IntVar(&r.Recipients, "recipients", 0, "clients that get messages, in turns; 0 are all")
	return cmd
}

func (c *command) benchConnect() *cobra.Command {
	r := bench.ConnectRun{}
	cmd := c.loadCommand(&cobra.Command{
		Use:   "connect",
		Short: "Measure what a device that connects costs",
		Long: "Start a server for each transport, register devices, and connect all of them in each round. Nothing waits for them.\n" +
			"The figure is the processor time of the server from the connection to the open session, and its ratio to what\n" +
			"the floor takes to accept and upgrade. Linux only.",
	}, &r.Load, serves, func(ctx context.Context) (*bench.Report, error) { return bench.Connect(ctx, &r) })
	g := cmd.Flags()
	g.IntVar(&r.Clients, "clients", 10_000, "number of clients")
	g.StringSliceVar(&r.Transports, "transports", []string{"websocket"}, "some of websocket, sse, stream, tcp, mqtt")
	againstFlag(cmd, &r.Against)
	return cmd
}

func (c *command) benchMQTT() *cobra.Command {
	r := bench.MQTTRun{}
	cmd := c.loadCommand(&cobra.Command{
		Use:   "mqtt",
		Short: "Measure publications over MQTT",
		Long: "Start a server, connect devices over MQTT, and publish: to a topic to which all of them are subscribed, with each QoS,\n" +
			"and with QoS 1 to topics of one of them each, over connections each of which has some publications under way. The\n" +
			"figure is the processor time of the server for one delivery, and its ratio to that of Mosquitto, with which the\n" +
			"same clients do the same in the same rounds, with and without persistence. Linux only.",
	}, &r.Load, serves, func(ctx context.Context) (*bench.Report, error) { return bench.MQTT(ctx, &r) })
	g := cmd.Flags()
	g.IntSliceVar(&r.Clients, "clients", []int{10_000}, "numbers of clients")
	g.IntSliceVar(&r.QoS, "qos", []int{0, 1, 2}, "of the publications to all, and of the subscriptions")
	g.IntVar(&r.Broadcasts, "broadcasts", 10, "publications to all in a round, each when all have got the last")
	g.IntVar(&r.Messages, "messages", 20_000, "publications to one in a round; 0 are none")
	g.IntVar(&r.Posters, "posters", 8, "connections that publish those")
	g.IntVar(&r.Window, "window", 10, "publications that each of them has under way")
	g.BoolVar(&r.Kept, "kept", true, "also to sessions that are kept")
	g.BoolVar(&r.WebSocket, "websocket", true, "beside those to all, a message that is not kept over WebSocket")
	g.StringVar(&r.Against, "against", "", "another product, too: mosquitto")
	return cmd
}

func (c *command) benchMixed() *cobra.Command {
	r := bench.MixedRun{}
	cmd := c.loadCommand(&cobra.Command{
		Use:   "mixed",
		Short: "Measure how long messages take while everything happens at once",
		Long: "Start a server and connect devices, which acknowledge what they get. In each round messages go to all and to one\n" +
			"each, and other devices connect, all at once. The figure is the time from sending to arrival. Linux only.",
	}, &r.Load, serves, func(ctx context.Context) (*bench.Report, error) { return bench.Mixed(ctx, &r) })
	g := cmd.Flags()
	g.IntVar(&r.Clients, "clients", 5000, "number of clients")
	g.StringVar(&r.Transport, "transport", "websocket", "websocket or tcp")
	g.IntVar(&r.Broadcasts, "broadcasts", 5, "messages to all in a round")
	g.IntVar(&r.Messages, "messages", 5000, "messages to one in a round")
	g.IntVar(&r.Posters, "posters", 8, "connections that send those")
	g.IntVar(&r.Connects, "connects", 1000, "devices that connect in a round")
	return cmd
}
