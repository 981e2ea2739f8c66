package api

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"time"
	"unicode/utf8"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
)

// Limits of a publication.
const (
	// MaxPublicationBytes is how large the data of a publication may be, as JSON
	// without spaces. A frame of a client has about as much room for it.
	MaxPublicationBytes = 16 << 10
	// maxPayloadBytes is how many bytes a text or binary payload has at most.
	maxPayloadBytes = herald.MaxMessageBytes
	maxContentType  = 256
	maxExpiresIn    = 1<<32 - 1 // seconds; as MQTT 5.0 section 3.3.2.3.3 has it
)

// PublishRequest is the body of POST /v1/publish.
type PublishRequest struct {
	Topic       herald.Topic    `json:"topic" minLength:"1" maxLength:"256" doc:"Levels joined by /, at most 16; no + and #. Names that begin with $ or herald/ are reserved."`
	Data        json.RawMessage `json:"data,omitempty" doc:"Any JSON value, at most 16 KiB as JSON. Give this, text or base64."`
	Text        *string         `json:"text,omitempty" doc:"In place of data: a payload that is this text, at most 32 KiB. Clients over MQTT get it as it stands, others as JSON if it is a JSON text, else as a string."`
	Base64      *string         `json:"base64,omitempty" doc:"In place of data: a payload of any bytes, at most 32 KiB, in base64. Clients other than those over MQTT get base64 too, unless it is text."`
	ContentType string          `json:"content_type,omitempty" maxLength:"256" doc:"What kind of content it is, for those who receive it, such as text/csv."`
	Retain      bool            `json:"retain,omitempty" doc:"Keeps it for who subscribes to the topic later, in place of what was kept there. With an empty text nothing is kept of the topic any more."`
	QoS         int             `json:"qos,omitempty" minimum:"0" maximum:"1" doc:"1: it is also stored for sessions over MQTT that persist and subscribe to the topic with a QoS above 0."`
	ExpiresIn   *int64          `json:"expires_in,omitempty" minimum:"1" maximum:"4294967295" doc:"After so many seconds it is neither delivered nor kept any more. Default: it does not expire."`
}

// PublishAnswer says what became of a publication.
type PublishAnswer struct {
	Topic   herald.Topic `json:"topic"`
	Devices int64        `json:"devices" doc:"Devices that were subscribed, and so were handed it."`
}

// Publish hands data to who is subscribed to a topic now. When it answers, what
// was to be kept or stored is.
func (s *Topics) Publish(ctx context.Context, p Principal, r PublishRequest) (PublishAnswer, error) {
	if err := mayPublish(p); err != nil {
		return PublishAnswer{}, err
	}
	if err := herald.ValidTopic("topic", string(r.Topic)); err != nil {
		return PublishAnswer{}, err
	}
	if p.Kind == Device {
		if err := s.mayUse(ctx, p, r.Topic); err != nil {
			return PublishAnswer{}, err
		}
	}
	// An app server is nobody: its principal has no device.
	pub := live.Publication{Topic: r.Topic, From: p.Device, Time: s.c.Now().UTC()}
	if err := r.fill(&pub); err != nil {
		return PublishAnswer{}, err
	}
	type end struct {
		devices int
		err     error
	}
	done := make(chan end, 1)
	s.c.Subscriptions.PublishThen(p.App, pub, func(devices int, err error) { done <- end{devices, err} })
	select {
	case e := <-done:
		return PublishAnswer{Topic: r.Topic, Devices: int64(e.devices)}, e.err
	case <-ctx.Done():
		return PublishAnswer{}, ctx.Err()
	}
}

// fill checks what is published and how.
func (r *PublishRequest) fill(p *live.Publication) (err error) {
	switch {
	case r.Data != nil && (r.Text != nil || r.Base64 != nil), r.Text != nil && r.Base64 != nil:
		return herald.Invalid("data", "Give one of data, text and base64.", "there is more than one content")
	case r.Text != nil:
		p.Payload = []byte(*r.Text)
		err = validPayload("text", p.Payload)
	case r.Base64 != nil:
		if p.Payload, err = base64.StdEncoding.DecodeString(*r.Base64); err != nil {
			return herald.Invalid("base64", "Encode it as RFC 4648 section 4 says, with padding.", "is not base64")
		}
		err = validPayload("base64", p.Payload)
	default:
		p.Data, err = publication(r.Data)
	}
	switch {
	case err != nil:
		return err
	case len(r.ContentType) > maxContentType || !utf8.ValidString(r.ContentType) || bytes.ContainsFunc([]byte(r.ContentType), func(c rune) bool { return c < ' ' || c == 0x7f }):
		return herald.Invalid("content_type", "Write a media type, such as text/csv.", "is longer than %d bytes or has control characters", maxContentType)
	case r.QoS < 0 || r.QoS > 1:
		return herald.Invalid("qos", "Write 0 or 1.", "%d is neither 0 nor 1", r.QoS)
	case r.ExpiresIn != nil && (*r.ExpiresIn < 1 || *r.ExpiresIn > maxExpiresIn):
		return herald.Invalid("expires_in", "Give seconds, or leave it out.", "%d is not between 1 and %d", *r.ExpiresIn, int64(maxExpiresIn))
	}
	p.Retain, p.QoS = r.Retain, byte(r.QoS)
	if r.ContentType != "" {
		p.Props = &live.PublicationProps{ContentType: r.ContentType}
	}
	if r.ExpiresIn != nil {
		p.Expires = p.Time.Add(time.Duration(*r.ExpiresIn) * time.Second)
	}
	return nil
}

func validPayload(field string, b []byte) error {
	if len(b) <= maxPayloadBytes {
		return nil
	}
	e := herald.Errorf(herald.CodeTooLarge, "Send an address from which the app fetches the rest.", "%d bytes are more than %d", len(b), maxPayloadBytes)
	e.Field = field
	return e
}

// mayUse asks the rules of the app about a device, whose alias is read only if
// they name it.
func (s *Topics) mayUse(ctx context.Context, p Principal, t herald.Topic) error {
	var alias herald.Alias
	if s.c.Registry.UseAlias(p.App) {
		d, err := s.c.Registry.Device(ctx, p.App, p.Device)
		if err != nil {
			return err
		}
		alias = d.Alias
	}
	return s.c.Registry.MayUseTopic(p.App, p.Device, alias, herald.TopicPublish, t)
}

// mayPublish checks who publishes; which topics a device may publish to is for
// the settings of its app to say.
func mayPublish(p Principal) error {
	switch p.Kind {
	case Device:
		return nil
	case Page:
		return herald.Errorf(herald.CodeForbidden, "Use the device token that POST /v1/devices answered.", "a page token is not for topics")
	}
	return p.may(ScopeSend)
}

// publication checks the data of a publication and gives it without spaces.
func publication(data json.RawMessage) (json.RawMessage, error) {
	if len(data) == 0 {
		return nil, herald.Invalid("data", "Give any JSON value, or text, or base64.", "is missing")
	}
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		return nil, herald.Invalid("data", "Send any JSON value.", "is not JSON")
	}
	if b.Len() > MaxPublicationBytes {
		e := herald.Errorf(herald.CodeTooLarge, "Send an address from which the app fetches the rest.", "%d bytes as JSON are more than %d", b.Len(), MaxPublicationBytes)
		e.Field = "data"
		return nil, e
	}
	return b.Bytes(), nil
}
