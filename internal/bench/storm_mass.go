package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// mass is the devices of a storm that come back, in a process of their own. They
// stand for devices elsewhere, whose work is not done by the processors of the
// server; so that process gives way to every other.
type mass struct{ *child }

type massCommand struct {
	Host    string
	Tokens  []string // of the devices
	Pending int      // messages that wait for each
	Dials   int      // connections that are being opened at once
}

type massAnswer struct {
	Delivered, Twice int
	Error            string
}

func startMass(ctx context.Context, s *storm) (mass, error) {
	c, err := startChild(ctx, &Load{Program: s.Program, Log: s.Out, behind: true, starting: &sync.Mutex{}}, ofMass)
	return mass{c}, err
}

// run has devices come back, and returns when they have got what waits for
// them. They stay, and acknowledge, until end.
func (m mass) run(ctx context.Context, list []*stormDevice, pending, dials int) error {
	c := massCommand{Host: list[0].host, Tokens: make([]string, len(list)), Pending: pending, Dials: dials}
	for i, d := range list {
		c.Tokens[i] = d.token
	}
	_, err := m.say(ctx, c)
	return err
}

// end has them leave, and tells what they got.
func (m mass) end(ctx context.Context) (massAnswer, error) { return m.say(ctx, massCommand{}) }

func (m mass) say(ctx context.Context, c massCommand) (a massAnswer, err error) {
	if err := m.ask(ctx, c, &a); err != nil {
		return a, err
	}
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}

// runMass is such a process.
func runMass(in io.Reader, out io.Writer) error {
	from, to := json.NewDecoder(in), json.NewEncoder(out)
	var c massCommand
	if err := from.Decode(&c); err != nil {
		return fmt.Errorf("bench: reading what devices are to do: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	over := make(chan error, 1)
	go func() { // the command to end, or the end of who gives it
		var c massCommand
		over <- from.Decode(&c)
		stop()
	}()
	var wg sync.WaitGroup
	devices := make([]*stormDevice, len(c.Tokens))
	failed, dials := make(chan error, len(devices)), make(chan struct{}, max(c.Dials, 1))
	for i, token := range c.Tokens {
		d := &stormDevice{token: token, host: c.Host, want: c.Pending, done: make(chan struct{}), got: map[string]bool{}}
		devices[i] = d
		wg.Go(func() { d.run(ctx, dials, failed) })
	}
	var a massAnswer
	if err := await(ctx, devices, failed); err != nil {
		a.Error = err.Error()
	}
	if err := to.Encode(a); err != nil {
		return err
	}
	err := <-over
	wg.Wait()
	if err != nil {
		return fmt.Errorf("bench: reading that devices are to leave: %w", err)
	}
	for _, d := range devices {
		a.Delivered += len(d.got)
		a.Twice += d.twice
	}
	return to.Encode(a)
}
