package mqtt_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/live/mqtt"
	"github.com/herald-push/herald/internal/live/mqtt/mqtttest"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/wire/packet"
)

// full is a Retained that has no room.
type full struct{}

func (full) Keep(_ herald.AppKey, _ *record.TopicEntry, then func(error)) {
	then(herald.Errorf(herald.CodeStorageUnavailable, "Try again later.", "the disk is full"))
}

func (full) Match(context.Context, herald.AppKey, herald.TopicFilter, func(*record.TopicEntry) bool) error {
	return nil
}

// TestConformanceFailure shows what a client learns of a failure of the server
// that may pass: over 5.0 a code, before it the end of the connection.
func TestConformanceFailure(t *testing.T) {
	world := livetest.NewWorld()
	world.Rule(herald.TopicRules{Publish: []herald.TopicFilter{"#"}})
	hub := live.NewHub(live.Options{Directory: world, Backlog: world, Receipts: world, Retained: full{}})
	l, err := live.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range []func() error{
		func() error { return hub.Run(context.Background()) },
		func() error { return live.Serve(ctx, l, hub, mqtt.New(mqtt.Config{}).Raw()) },
	} {
		running.Go(func() {
			if err := run(); err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		hub.Close()
		stop()
		running.Wait()
	})
	join := joins(world)
	for _, v := range all {
		t.Run(versionNames[v], func(t *testing.T) {
			s := &stage{T: t, v: v, on: server{l.Addr().String(), join}, prefix: "f" + versionNames[v], logins: map[string]login{}}
			for _, q := range []packet.QoS{1, 2} {
				c := s.client("a")
				m := mqtttest.Message(s.topic("a"), "x", q)
				m.Retain = true
				if v < packet.V5 {
					m.ID = 1
					c.Send(&m)
					c.ExpectClosed()
				} else if code := c.Publish(m); !code.Failed() {
					t.Errorf("QoS %d: %v", q, code)
				}
			}
		})
	}
}
