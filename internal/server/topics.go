package server

import (
	"context"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/telemetry"
	"github.com/herald-push/herald/internal/topiclog"
)

var ( // what the hub and MQTT ask of the topic log
	_ live.TopicLog      = (*topiclog.Log)(nil)
	_ live.TopicSessions = (*topiclog.Log)(nil)
)

// openTopics makes the topic log, which works from here on: the hub comes after
// it, and is closed before.
func (s *Server) openTopics() {
	s.topics = topiclog.New(topiclog.Config{
		Store: s.store, Apps: s.registry.Apps, Now: faults.Now, Log: s.log,
		TTL: s.cfg.MQTT.LogTTL, Waiting: s.cfg.MQTT.MaxWaiting, OnWill: s.publishWill,
	})
}

// publishWill publishes the will of a session that was away for its delay, if
// its device may still publish there, and waits until it is durable.
func (s *Server) publishWill(ctx context.Context, app herald.AppKey, _ string, w record.TopicWill) error {
	e := w.Entry
	d, err := s.registry.Device(ctx, app, e.From)
	if err == nil {
		err = s.registry.MayUseTopic(app, d.ID, d.Alias, herald.TopicPublish, e.Topic)
	}
	if code := herald.CodeOf(err); code == herald.CodeForbidden || code == herald.CodeNotFound {
		return nil // the device may not, or is gone
	}
	if err != nil {
		return err
	}
	if e.Time = faults.Now(); w.Expiry > 0 {
		e.Expires = e.Time.Add(time.Duration(w.Expiry) * time.Second)
	}
	done := make(chan error, 1)
	s.hub.PublishThen(app, live.PublicationOf(&e), func(_ int, err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// topicFigures gives the figures of the topic log for the metrics.
func (s *Server) topicFigures() telemetry.Topics {
	f := s.topics.Stats()
	return telemetry.Topics{Appended: f.Appended, Pending: f.Pending, Dropped: f.Dropped, Refused: f.Refused}
}
