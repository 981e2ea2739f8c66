package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
)

// StormRun measures what it costs when many devices come back at once, each
// with messages that wait for it. It makes the data folder itself.
type StormRun struct {
	Folder  string // empty, or not there yet
	Program string // that serves
	Out     io.Writer
	// Devices come back; for each wait Pending messages, half of them to it
	// alone, and half to everybody.
	Devices, Pending int
	// Connected devices are there all the time, and are sent Rate messages a
	// second, each to one of them.
	Connected, Rate int
	// Dials is how many connections are being opened at once. More wait in the
	// generator, which has to share the machine.
	Dials int
	// Calm is how long those are measured before the others come.
	Calm time.Duration
}

// StormResult is what a run found. Times that it waited on are in the text that
// it prints.
type StormResult struct {
	Delivered int           // distinct messages that the devices got
	Twice     int           // copies beyond the first
	Wall      time.Duration // from the first connection to the last message
	CPU       time.Duration // of the server, until all was counted; 0 where the system does not tell
	Clients   time.Duration // of the devices that came back; 0 likewise
	Before    time.Duration // p99 from sending to arrival, at a connected device
	During    time.Duration
	// StolenBefore and StolenDuring are what part of the processors' time the
	// machine below gave to others; Told is false where that is not known.
	StolenBefore, StolenDuring float64
	Told                       bool
}

const (
	stormCallers  = 64 // that register at once
	batchCallers  = 4  // that send batches at once
	stormProbeTTL = time.Minute
	stormTTL      = 6 * time.Hour
	// baseDevices never connect. They make a message to all one to a group
	// however few come back.
	baseDevices = 2000
)

// storm is one run.
type storm struct {
	StormRun
	seeded Seeded
	server *process
	mass   mass
	client *client.Client
	http   *http.Client
	body   string // of the messages
	groups []herald.MessageID
	result StormResult
}

// manyCallers gives an HTTP client that keeps a connection for each of many
// callers.
func manyCallers() *http.Client {
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 2 * stormCallers}}
}

// Check refuses what makes no storm.
func (r *StormRun) Check() error {
	switch {
	case r.Devices < 1 || r.Devices > 1e6:
		return herald.Invalid("devices", "Give 1 to 1000000.", "%d devices cannot come back", r.Devices)
	case r.Pending < 2 || r.Pending%2 != 0 || r.Pending > herald.MaxPending:
		return herald.Invalid("pending", fmt.Sprintf("Give an even number of at most %d.", herald.MaxPending), "%d messages are no two halves", r.Pending)
	case r.Connected < 1 || r.Rate < 1:
		return herald.Invalid("connected", "Give at least 1 connected device and 1 message a second.", "there is nobody to measure")
	}
	return nil
}

// Storm measures and prints. It fails if a message did not arrive.
func Storm(ctx context.Context, r StormRun) (out StormResult, err error) {
	if err := r.Check(); err != nil {
		return out, err
	}
	s := &storm{StormRun: r, http: manyCallers()}
	defer s.http.CloseIdleConnections()
	s.body = "It left the warehouse this morning and should reach you tomorrow. " + strings.Repeat("Thank you. ", 3)
	s.seeded, err = Seed(ctx, Seeding{Folder: r.Folder, Population: Population{Seed: 1, Devices: baseDevices, Tags: 20, Now: time.Now()}})
	if err != nil {
		return out, err
	}
	if s.server, err = serve(ctx, r.Program, r.Folder, r.Out, "--set", "limits.address_connections=0", "--set", "limits.address_rate=0"); err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, s.server.stop()) }()
	s.client, err = client.New(s.server.url, client.MasterSecret(string(s.seeded.AppKey), s.seeded.MasterSecret),
		client.Options{Tries: 1, HTTPClient: s.http})
	if err != nil {
		return out, err
	}
	err = s.run(ctx)
	return s.result, err
}

func (s *storm) printf(format string, args ...any) { fmt.Fprintf(s.Out, format, args...) }

func (s *storm) run(ctx context.Context) error {
	devices := make([]*stormDevice, s.Devices+s.Connected)
	took, err := share(len(devices), stormCallers, func(i int) (err error) {
		devices[i], err = s.register(ctx, i)
		return err
	})
	if err != nil {
		return err
	}
	s.printf("%-34s %d in %v\n", "devices registered", len(devices), took.Round(time.Millisecond))
	away, here := devices[:s.Devices], devices[s.Devices:]
	if err := s.wait(ctx, away); err != nil {
		return err
	}
	return s.blow(ctx, away, here)
}

// register makes a device.
func (s *storm) register(ctx context.Context, i int) (*stormDevice, error) {
	return register(ctx, s.http, s.server.url, s.seeded, fmt.Sprintf("storm-%d-%d", i, time.Now().UnixNano()))
}

func (s *storm) message(to herald.Audience) client.Message {
	return client.Message{
		Audience: to, Notification: &herald.Notification{Title: "Your order has shipped", Body: s.body}, TTL: client.TTL(stormTTL),
	}
}

// wait sends what is to wait for devices: one message after the other to each of
// them, many in a call, because how fast they are accepted is not measured here.
func (s *storm) wait(ctx context.Context, away []*stormDevice) error {
	half := s.Pending / 2
	for range half {
		sent, err := s.client.Send(ctx, s.message(herald.Audience{All: true}))
		if err != nil {
			return err
		}
		s.groups = append(s.groups, sent.ID)
	}
	calls := (len(away) + client.MaxBatch - 1) / client.MaxBatch // for one to each
	took, err := share(half*calls, batchCallers, func(i int) error {
		from := i % calls * client.MaxBatch
		part := away[from:min(from+client.MaxBatch, len(away))]
		list := make([]client.Message, len(part))
		for i, d := range part {
			list[i] = s.message(herald.Audience{RegistrationIDs: []herald.RegistrationID{d.id}})
		}
		results, err := s.client.SendBatch(ctx, list)
		for _, r := range results {
			err = errors.Join(err, r.Err)
		}
		return err
	})
	if err == nil {
		s.printf("%-34s %d to all, %d to one device each in %v\n", "messages accepted", half, len(away)*half, took.Round(time.Millisecond))
	}
	return err
}

// blow has the devices come back.
func (s *storm) blow(ctx context.Context, away, here []*stormDevice) (err error) {
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	failed := make(chan error, len(here)+1)
	p := &probes{}
	for _, d := range here {
		d.probes, d.want = p, s.Pending/2 // those to all
		d.done = make(chan struct{})
		wg.Go(func() { d.run(ctx, nil, failed) })
	}
	if err := await(ctx, here, failed); err != nil {
		return err
	}
	if s.mass, err = startMass(ctx, s); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.mass.stop()) }()
	wg.Go(func() { s.probe(ctx, here, failed) })
	others := watchTheft()
	select {
	case <-time.After(s.Calm):
	case <-ctx.Done():
		return ctx.Err()
	}
	s.result.Before = p.take()
	s.result.StolenBefore, _ = others.next()
	used, begun := s.server.cpu(), time.Now()
	came := make(chan error, 1)
	wg.Go(func() { came <- s.mass.run(ctx, away, s.Pending, s.Dials) })
	select {
	case err = <-came:
	case err = <-failed:
	}
	if err != nil {
		return err
	}
	s.result.Wall = time.Since(begun)
	s.result.During = p.take()
	s.result.StolenDuring, s.result.Told = others.next()
	if err := s.counted(ctx); err != nil {
		return err
	}
	if now := s.server.cpu(); now > 0 {
		s.result.CPU, s.result.Clients = now-used, s.mass.cpu()
	}
	got, err := s.mass.end(ctx)
	if err != nil {
		return err
	}
	s.result.Delivered, s.result.Twice = got.Delivered, got.Twice
	s.print()
	if want := len(away) * s.Pending; s.result.Delivered != want {
		return fmt.Errorf("bench: %d messages were delivered, want %d", s.result.Delivered, want)
	}
	return nil
}

// await waits until devices have all that waits for them.
func await(ctx context.Context, list []*stormDevice, failed <-chan error) error {
	for _, d := range list {
		select {
		case <-d.done:
		case err := <-failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// counted waits until the server has counted that the messages to all were
// received.
func (s *storm) counted(ctx context.Context) error {
	for _, id := range s.groups {
		for {
			m, err := s.client.Message(ctx, id)
			if err != nil {
				return err
			}
			if m.Counts != nil && m.Counts.Received >= int64(s.Devices+s.Connected) {
				break
			}
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

func (s *storm) print() {
	r, ms := s.result, time.Millisecond
	s.printf("%-34s %d of %d, %d of them twice\n", "delivered", r.Delivered, s.Devices*s.Pending, r.Twice)
	s.printf("%-34s %v\n", "from the first connection to all", r.Wall.Round(ms))
	if r.CPU > 0 {
		s.printf("%-34s %v, %v a device\n", "processor time of the server", r.CPU.Round(ms), (r.CPU / time.Duration(s.Devices)).Round(time.Microsecond))
		s.printf("%-34s %v, which gave way to the server\n", "processor time of the devices", r.Clients.Round(ms))
	} else {
		s.printf("%-34s not told by this system\n", "processor time of the server")
	}
	s.printf("%-34s p99 %v before, %v during: %.1f times\n", "to those who were connected", r.Before.Round(ms/100), r.During.Round(ms/100),
		float64(r.During)/float64(max(r.Before, 1)))
	s.printf("%-34s %s\n", "processors that others had", both(r.StolenBefore, r.StolenDuring, r.Told))
	if m := s.server.memory(); m.ok {
		s.printf("%-34s %d MiB at most\n", "memory of the server", m.peak>>20)
	}
}

// StormFolder makes a folder for a run that was not given one.
func StormFolder() (path string, remove func() error, err error) {
	path, err = os.MkdirTemp("", "herald-storm-")
	return path, func() error { return os.RemoveAll(path) }, err
}
