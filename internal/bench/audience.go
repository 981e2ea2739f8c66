package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
)

// AudienceRun measures what audiences cost on a seeded folder. Accepting
// messages adds to the folder what the retention keeps for 30 days.
type AudienceRun struct {
	Folder  string
	Program string // that serves
	Out     io.Writer
	// Settle is how long the server is left alone before its memory is read.
	Settle time.Duration
	// Estimates, Pushes, Dense and Changes are how many of each are made, and
	// Returns is how many devices connect.
	Estimates, Pushes, Dense, Changes, Returns int
}

// audienceBench is one run.
type audienceBench struct {
	AudienceRun
	seeded Seeded
	p      Population
	server *process
	client *client.Client
	http   *http.Client // of it
}

// Audience measures and prints.
func Audience(ctx context.Context, r AudienceRun) (err error) {
	seeded, err := ReadSeeded(r.Folder)
	if err != nil {
		return err
	}
	b := &audienceBench{AudienceRun: r, seeded: seeded, p: seeded.Population()}
	if b.server, err = serve(ctx, r.Program, r.Folder, r.Out); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.server.stop()) }()
	b.http = manyCallers()
	defer b.http.CloseIdleConnections()
	b.client, err = client.New(b.server.url, client.MasterSecret(string(seeded.AppKey), seeded.MasterSecret), client.Options{Tries: 1, HTTPClient: b.http})
	if err != nil {
		return err
	}
	b.printf("%d devices, %d alive; %d tags, %d small tags; %d live messages\n", seeded.Devices, seeded.Alive, seeded.Tags, seeded.SmallTags, seeded.Messages)
	b.printf("%-34s %v\n", "ready after", b.server.ready.Round(10*time.Millisecond))
	if err := b.rest(ctx); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{b.estimates, b.returns, b.reads, b.pushes, b.dense, b.tags, b.aliases} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	b.printMemory("memory at the end")
	return nil
}

func (b *audienceBench) printf(format string, args ...any) { fmt.Fprintf(b.Out, format, args...) }

// rest lets the server settle and reads its memory.
func (b *audienceBench) rest(ctx context.Context) error {
	b.printMemory("memory when ready")
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(b.Settle):
	}
	b.printMemory(fmt.Sprintf("memory %v later", b.Settle))
	return nil
}

func (b *audienceBench) printMemory(what string) {
	if m := b.server.memory(); m.ok {
		b.printf("%-34s %d MiB resident, %d MiB at most\n", what, m.resident>>20, m.peak>>20)
	} else {
		b.printf("%-34s not told by this system\n", what)
	}
}

// timed calls f n times and gives how long each call took.
func timed(n int, f func(i int) error) ([]time.Duration, error) {
	out := make([]time.Duration, 0, n)
	for i := range n {
		begun := time.Now()
		if err := f(i); err != nil {
			return nil, err
		}
		out = append(out, time.Since(begun))
	}
	return out, nil
}

// quantile gives the value below which a share of a list lies.
func quantile(list []time.Duration, share float64) time.Duration {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(list))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

func (b *audienceBench) report(what string, list []time.Duration) {
	round := func(share float64) time.Duration { return quantile(list, share).Round(10 * time.Microsecond) }
	b.printf("%-34s p50 %v, p99 %v, most %v (%d calls)\n", what, round(0.5), round(0.99), round(1), len(list))
}

func (b *audienceBench) estimates(ctx context.Context) error {
	list, err := timed(b.Estimates, func(i int) error {
		_, err := b.client.Estimate(ctx, b.p.Expression(i))
		return err
	})
	b.report("estimate, nested expression", list)
	if err != nil {
		return err
	}
	list, err = timed(min(b.Estimates, 100), func(int) error {
		_, err := b.client.Estimate(ctx, herald.Audience{All: true})
		return err
	})
	b.report("estimate, all", list)
	return err
}

// reads measures what has to find the sets of a device, or names among many.
func (b *audienceBench) reads(ctx context.Context) error {
	r := b.p.stream(ofExpression, 1<<41)
	list, err := timed(200, func(int) error {
		_, err := b.client.Device(ctx, b.living(&r))
		return err
	})
	b.report("GET a device with its tags", list)
	if err != nil {
		return err
	}
	cursor := ""
	list, err = timed(20, func(int) error {
		page, err := b.client.Tags(ctx, "", cursor, 50)
		cursor = page.NextCursor
		return err
	})
	b.report("GET a page of tags", list)
	return err
}

// living draws a device that is not removed.
func (b *audienceBench) living(r *random) herald.RegistrationID {
	for {
		o := herald.Ordinal(r.below(b.p.Devices))
		if !b.p.Profile(o).Dead {
			return b.p.RegistrationID(o)
		}
	}
}

func (b *audienceBench) send(ctx context.Context, a herald.Audience) error {
	ttl := 60 * time.Second
	_, err := b.client.Send(ctx, client.Message{
		Audience: a, Notification: &herald.Notification{Title: "Bench", Body: "A message of usual length, about nothing."}, TTL: &ttl,
	})
	return err
}

// one sends to one random device: the smallest durable write of a message.
func (b *audienceBench) one(ctx context.Context, r *random) error {
	return b.send(ctx, herald.Audience{RegistrationIDs: []herald.RegistrationID{b.living(r)}})
}

// pushes alternates between one device and all, so that both see the same
// disk.
func (b *audienceBench) pushes(ctx context.Context) error {
	r := b.p.stream(ofExpression, 1<<42)
	var one, all []time.Duration
	for range b.Pushes {
		for _, x := range []struct {
			to *[]time.Duration
			f  func(int) error
		}{
			{&one, func(int) error { return b.one(ctx, &r) }},
			{&all, func(int) error { return b.send(ctx, herald.Audience{All: true}) }},
		} {
			list, err := timed(1, x.f)
			if err != nil {
				return err
			}
			*x.to = append(*x.to, list...)
		}
	}
	b.report("accept, one device", one)
	b.report("accept, all", all)
	b.printf("%-34s %v\n", "all over one device, p50", (quantile(all, 0.5) - quantile(one, 0.5)).Round(10*time.Microsecond))
	return nil
}

// dense sends to dense audiences one after the other, while another caller
// sends to single devices, and compares the latter with how it is alone.
func (b *audienceBench) dense(ctx context.Context) error {
	if b.Dense == 0 {
		return nil
	}
	r, others := b.p.stream(ofExpression, 1<<43), watchTheft()
	alone, err := timed(max(200, b.Pushes), func(int) error { return b.one(ctx, &r) })
	b.report("another caller, alone", alone)
	if err != nil {
		return err
	}
	before, _ := others.next()
	stop, ended := make(chan struct{}), make(chan error, 1)
	var beside []time.Duration
	go func() {
		for {
			select {
			case <-stop:
				ended <- nil
				return
			default:
			}
			list, err := timed(1, func(int) error { return b.one(ctx, &r) })
			if err != nil {
				ended <- err
				return
			}
			beside = append(beside, list...)
		}
	}()
	list, err := timed(b.Dense, func(i int) error { return b.send(ctx, b.p.Dense(i)) })
	close(stop)
	err = errors.Join(err, <-ended)
	during, told := others.next()
	b.report("accept, dense expression", list)
	b.report("another caller, beside them", beside)
	b.printf("%-34s %v\n", "its p99 grew by", (quantile(beside, 0.99) - quantile(alone, 0.99)).Round(10*time.Microsecond))
	b.printf("%-34s %s\n", "processors that others had", both(before, during, told))
	return err
}
