package mqtt_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/live/mqtt"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/retained"
	"github.com/herald-push/herald/internal/store/sqlite"
	"github.com/herald-push/herald/internal/topiclog"
)

// twoSteps is a method of enhanced authentication that asks for the token in the
// second step.
const twoSteps = "two-steps"

type twoStepper struct{}

func (twoStepper) Authenticate(_ context.Context, memory any, data []byte) (mqtt.Step, error) {
	if memory == nil {
		return mqtt.Step{Memory: true, Data: []byte("and the token?")}, nil
	}
	if string(data) == "wrong" {
		return mqtt.Step{}, herald.Errorf(herald.CodeUnauthorized, "Send the token.", "that is no token")
	}
	return mqtt.Step{Token: string(data)}, nil
}

// serveConformance serves MQTT on a port, with a record on disk for what is
// stored and for sessions, and devices in memory.
func serveConformance(t *testing.T) server {
	t.Helper()
	world := livetest.NewWorld()
	world.Rule(herald.TopicRules{Publish: []herald.TopicFilter{"#"}})
	var hub *live.Hub
	var topics *topiclog.Log
	db, err := sqlite.Open(t.Context(), sqlite.Config{
		Path:     filepath.Join(t.TempDir(), "herald.db"),
		OnTopics: func(app herald.AppKey, moves []record.TopicMove) { topics.OnTopics(app, moves) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.CreateApp(t.Context(), record.App{Key: livetest.App, Name: "app", SecretHash: []byte("x"), Created: time.Now()}); err != nil {
		t.Fatal(err)
	}
	topics = topiclog.New(topiclog.Config{
		Store: db, Apps: func() []herald.AppKey { return []herald.AppKey{livetest.App} },
		OnWill: func(_ context.Context, app herald.AppKey, _ string, w record.TopicWill) error {
			e := w.Entry
			if e.Time = time.Now(); w.Expiry > 0 {
				e.Expires = e.Time.Add(time.Duration(w.Expiry) * time.Second)
			}
			done := make(chan error, 1)
			hub.PublishThen(app, live.PublicationOf(&e), func(_ int, err error) { done <- err })
			return <-done
		},
	})
	kept := retained.New(retained.Config{Store: db})
	hub = live.NewHub(live.Options{
		Directory: world, Backlog: world, Receipts: world, TopicLog: topics, Retained: kept, PublishRate: 1 << 20,
	})
	l, err := live.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	broker := mqtt.New(mqtt.Config{Sessions: topics, Authenticators: map[string]mqtt.Authenticator{twoSteps: twoStepper{}}})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	run := func(f func() error) {
		running.Go(func() {
			if err := f(); err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	run(func() error { return hub.Run(context.Background()) })
	run(func() error { return live.Serve(ctx, l, hub, broker.Raw()) })
	run(func() error { return topics.Run(ctx) })
	run(func() error { kept.Run(ctx); return nil })
	t.Cleanup(func() {
		hub.Close()
		stop()
		running.Wait()
		topics.Close()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return server{l.Addr().String(), joins(world)}
}
