package mqtt

import (
	"context"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/wire/packet"
)

// will is what is published when a client is gone without a word (MQTT 5.0
// section 3.1.2.5).
type will struct {
	packet.Will
	hub *live.Hub
}

// newWill copies a will, because a packet holds more than that.
func newWill(w *packet.Will, hub *live.Hub) *will {
	if w == nil {
		return nil
	}
	out := &will{Will: *w, hub: hub}
	p := &out.Props
	out.Topic, out.Payload = strings.Clone(w.Topic), append([]byte{}, w.Payload...)
	if p.CorrelationData != nil {
		p.CorrelationData = append([]byte{}, p.CorrelationData...)
	}
	return out
}

// entry is the will as it is published at a time.
func (w *will) entry(d live.Device, client string, now time.Time) record.TopicEntry {
	e := record.TopicEntry{
		Topic: herald.Topic(w.Topic), From: d.ID, Client: client, QoS: byte(w.QoS), Retain: w.Retain,
		Time: now, Payload: w.Payload,
	}
	if s := w.Props.MessageExpiry; s != nil && !now.IsZero() {
		e.Expires = now.Add(time.Duration(*s) * time.Second)
	}
	p := record.TopicProps{
		PayloadFormat: w.Props.PayloadFormat, ContentType: w.Props.ContentType,
		ResponseTopic: w.Props.ResponseTopic, CorrelationData: w.Props.CorrelationData,
	}
	for _, u := range w.Props.User {
		p.User = append(p.User, record.TopicPair(u))
	}
	if p.PayloadFormat != nil || p.ContentType != "" || p.ResponseTopic != "" || p.CorrelationData != nil || p.User != nil {
		e.Props = &p
	}
	return e
}

// departed is told that the client of a claim is gone. Its will is published, at
// once or when its delay or the session ends (MQTT-3.1.3-9), unless the client did
// not want that or goes on with another connection. Only a session that is in the
// record can outlive its connection, so it is the record that waits for the delay.
func (w *will) departed(c *conn, how departure, graceful bool) {
	delay := min(w.Props.WillDelay, c.claim.expiry)
	later := delay > 0 && how != replaced
	if later && how == byItself && !graceful {
		return
	}
	if c.claim.kept {
		c.broker().config.Sessions.Change(c.claim.app, c.claim.client, record.TopicSessionChange{NoWill: true}, nil)
	}
	if !graceful && !later {
		d, _ := c.session.Device() // with the alias that it has now
		w.publish(c.claim, d)
	}
}

// publish publishes a will, if its device may still do that.
func (w *will) publish(cl *claim, d live.Device) {
	e := w.entry(cl.device, cl.client, time.Now())
	if w.hub.MayUse(d, herald.TopicPublish, e.Topic) != nil {
		return
	}
	w.hub.PublishThen(cl.app, live.PublicationOf(&e), func(int, error) {})
}

// keepWill puts the will of a session that is in the record there, in place of
// that of an earlier connection.
func (c *conn) keepWill(ctx context.Context, had bool) error {
	cl := c.claim
	change := record.TopicSessionChange{NoWill: cl.will == nil}
	switch {
	case cl.will != nil:
		change.Will = &record.TopicWill{Entry: cl.will.entry(cl.device, cl.client, time.Time{}), Delay: cl.will.Props.WillDelay}
		if s := cl.will.Props.MessageExpiry; s != nil {
			change.Will.Expiry = *s
		}
	case !had:
		return nil
	}
	done := make(chan error, 1)
	c.broker().config.Sessions.Change(cl.app, cl.client, change, func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
