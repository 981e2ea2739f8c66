package live

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestBounded(t *testing.T) {
	for _, waits := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			ctx := within(t.Context(), time.Second)
			defer ctx.end()
			if by, ok := ctx.Deadline(); !ok || time.Until(by) != time.Second || ctx.Err() != nil {
				t.Fatalf("ends in %s, %v; %v", time.Until(by), ok, ctx.Err())
			}
			if waits {
				<-ctx.Done()
			} else {
				time.Sleep(time.Second)
			}
			if err := ctx.Err(); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("after its time: %v", err)
			}
			<-ctx.Done()
		})
	}
	outer, cancel := context.WithCancel(t.Context())
	ctx, idle := within(outer, time.Hour), within(outer, time.Hour)
	child, stop := context.WithCancel(ctx)
	defer stop()
	cancel()
	<-child.Done()
	if !errors.Is(ctx.Err(), context.Canceled) || !errors.Is(idle.Err(), context.Canceled) {
		t.Errorf("cancelled from outside: %v, %v", ctx.Err(), idle.Err())
	}
	ctx.end()
	idle.end()
	soon, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if by, _ := within(soon, time.Hour).Deadline(); time.Until(by) > time.Minute {
		t.Error("ends later than what it is within")
	}
}
