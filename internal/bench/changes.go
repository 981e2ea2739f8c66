package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
)

// Callers at once, and devices in one call, while changes in bulk are measured.
const (
	tagCallers   = 4
	tagsInCall   = herald.MaxIDsPerCall
	aliasCallers = 64
)

// share runs n calls by some callers, and gives how long all of them took.
func share(n, callers int, f func(i int) error) (time.Duration, error) {
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		next  int
		first error
	)
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		if first != nil || next == n {
			return 0, false
		}
		next++
		return next - 1, true
	}
	begun := time.Now()
	for range callers {
		wg.Go(func() {
			for i, more := take(); more; i, more = take() {
				if err := f(i); err != nil {
					mu.Lock()
					first = err
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return time.Since(begun), first
}

// tags puts one tag on many devices, a thousand random ones with each call,
// and asks who has it after the last.
func (b *audienceBench) tags(ctx context.Context) error {
	if b.Changes == 0 {
		return nil
	}
	r := b.p.stream(ofExpression, 1<<44)
	calls := make([]client.Members, max(1, b.Changes/tagsInCall))
	for i := range calls {
		for range tagsInCall {
			calls[i].Add = append(calls[i].Add, b.living(&r))
		}
	}
	tag := herald.Tag(fmt.Sprintf("bench-%d", time.Now().UnixMilli()))
	took, err := share(len(calls), tagCallers, func(i int) error {
		_, err := b.client.ChangeTag(ctx, tag, calls[i])
		return err
	})
	if err != nil {
		return err
	}
	n := len(calls) * tagsInCall
	e, err := b.client.Estimate(ctx, herald.Audience{Tags: []herald.Tag{tag}})
	b.printf("%-34s %.0f/s (%d in %v, %d devices have it now)\n", "tags put on devices, in bulk", float64(n)/took.Seconds(), n,
		took.Round(time.Millisecond), e.Devices)
	return err
}

// aliases binds devices to aliases of their own, each with a call.
func (b *audienceBench) aliases(ctx context.Context) error {
	n := b.Changes / 10
	if n == 0 {
		return nil
	}
	r := b.p.stream(ofExpression, 1<<45)
	ids := make([]herald.RegistrationID, n)
	for i := range ids {
		ids[i] = b.living(&r)
	}
	run := time.Now().UnixMilli()
	took, err := share(n, aliasCallers, func(i int) error {
		alias := herald.Alias(fmt.Sprintf("bench-%d-%d", run, i))
		_, err := b.client.UpdateDevice(ctx, ids[i], client.DeviceUpdate{Alias: &alias})
		return err
	})
	b.printf("%-34s %.0f/s (%d in %v)\n", "devices bound to aliases", float64(n)/took.Seconds(), n, took.Round(time.Millisecond))
	return err
}
