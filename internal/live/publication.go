package live

import (
	"encoding/json"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// Publication is what is published to a topic: for who is subscribed at that
// moment and, with a QoS above 0, for sessions that persist.
type Publication struct {
	Topic herald.Topic
	From  herald.RegistrationID // the device that published; "" for an app server
	Data  json.RawMessage       // any JSON value; see Payload
	Time  time.Time             // zero means now

	// Payload are bytes as they were published over MQTT; nil if a JSON value
	// was published, and then the payload over MQTT is Data as it stands.
	Payload  []byte
	QoS      byte              // 0 to 2, as published
	Retain   bool              // as published: it is kept for who subscribes later
	Retained bool              // it was kept, and is sent because of a new subscription
	Expires  time.Time         // it is not delivered after; zero: never
	Props    *PublicationProps // nil for none
	Client   string            // client ID of the session over MQTT that published; "" for none
	Pos      herald.Pos        // in the log of the app; 0 if it is not stored
	// Shares says which client got it, for each shared group that matches.
	Shares []Share
	// In is the packet ID of a publication with QoS 2 by a session that persists,
	// which the topic log has to note with it: see record.TopicEntry. 0 for none.
	In uint16

	json []byte // what TopicJSON gives; shared
}

// What a publication has from the topic log, which stores it.
type (
	// PublicationProps are properties that reach subscribers as they are.
	PublicationProps = record.TopicProps
	// UserProperty is one of the properties that users name themselves.
	UserProperty = record.TopicPair
	// Share says which session of a shared group got a publication.
	Share = record.TopicShare
)

// expired reports whether it is too late to deliver it.
func (p *Publication) expired(now time.Time) bool {
	return !p.Expires.IsZero() && !now.Before(p.Expires)
}

// Outgoing is a publication with its frames, each made once. What goes to many
// sessions and to those that poll is one of these.
type Outgoing struct {
	Publication
	number uint64        // among the recent ones of the app; 0 if it is not kept
	size   int           // of its JSON, if it is kept
	at     time.Duration // when, by the hub's clock
	chosen []choice      // for shared groups

	mu   sync.Mutex
	made []madeFrame // few: one for each transport; the platform is not used
	kind []kindFrame // few: those of Frame
}

// kindFrame is a frame that Outgoing.Frame made.
type kindFrame struct {
	kind  uint32
	frame Frame
}

// Frame gives the frame of a kind, made by the first that asks for it. What a
// kind is, the one protocol knows that asks for frames in this way. make must
// not ask for another frame.
func (o *Outgoing) Frame(kind uint32, make func() Frame) Frame {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.kind {
		if o.kind[i].kind == kind {
			return o.kind[i].frame
		}
	}
	f := make()
	o.kind = append(o.kind, kindFrame{kind, f})
	return f
}

// frame gives the frame of a transport.
func (o *Outgoing) frame(t Transport) Frame {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.made {
		if o.made[i].transport == t {
			return o.made[i].frame
		}
	}
	o.text()
	f := t.Publication(o.Publication)
	o.made = append(o.made, madeFrame{transport: t, frame: f})
	return f
}

// text writes the publication as JSON, once; o.mu is held.
func (o *Outgoing) text() []byte {
	if o.json == nil {
		o.json = TopicJSON(o.Publication)
	}
	return o.json
}

// length is how many bytes it has as JSON.
func (o *Outgoing) length() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.text())
}

// Subscriber is an add-on of a Conn that decides itself how it is sent a
// publication: it is called in place of Conn.Send. The conns of a transport
// either all have it or none has.
type Subscriber interface {
	// Published is called once per publication and session, with those filters of
	// the session that match, and with those of its shared subscriptions for which
	// it was chosen, as they were subscribed ($share/<group>/<filter>). The lists
	// are the caller's. It never blocks; ErrFull means that the publication is
	// dropped for this session.
	Published(o *Outgoing, filters []herald.TopicFilter, groups []string) error
	// ClientID names the session in the choices of shared groups.
	ClientID() string
	// Accepts reports whether a publication to a shared group would be taken now.
	Accepts(o *Outgoing) bool
}

// Revoked is an add-on of a Conn that is told in its own way that a subscription
// ended because the rules of its app do not allow it any more. It must not block.
type Revoked interface {
	Revoked(filter string, why *herald.Error)
}

// topicFrame is a publication in the session protocol, as most are.
type topicFrame struct {
	Type  string                `json:"type"`
	Topic herald.Topic          `json:"topic"`
	Time  string                `json:"time"`
	From  herald.RegistrationID `json:"from,omitempty"`
	Data  json.RawMessage       `json:"data"`
}

// fullTopicFrame is one with what few have. To write the members that are not
// there takes time as well.
type fullTopicFrame struct {
	Type        string                `json:"type"`
	Topic       herald.Topic          `json:"topic"`
	Time        string                `json:"time"`
	From        herald.RegistrationID `json:"from,omitempty"`
	Data        json.RawMessage       `json:"data,omitempty"`
	Base64      []byte                `json:"base64,omitempty"` // in place of data
	ContentType string                `json:"content_type,omitempty"`
	Properties  map[string]string     `json:"properties,omitempty"`
	Retained    bool                  `json:"retained,omitempty"`
}

// TopicJSON writes a publication as a frame of the session protocol, on one
// line. What a hub publishes is written once, and the bytes are shared.
func TopicJSON(p Publication) []byte {
	if p.json != nil {
		return p.json
	}
	if p.Data != nil && p.Payload == nil && p.Props == nil && !p.Retained {
		return slices.Clip(line(topicFrame{Type: "topic", Topic: p.Topic, Time: stamp(p.Time), From: p.From, Data: p.Data}))
	}
	f := fullTopicFrame{Type: "topic", Topic: p.Topic, Time: stamp(p.Time), From: p.From, Retained: p.Retained}
	switch {
	case p.Payload != nil:
		f.Data, f.Base64 = PayloadJSON(p.Payload)
	case p.Data != nil:
		f.Data = p.Data
	default:
		f.Data = json.RawMessage("null")
	}
	if p.Props != nil {
		f.ContentType = p.Props.ContentType
		for _, u := range p.Props.User {
			if f.Properties == nil {
				f.Properties = make(map[string]string, len(p.Props.User))
			}
			f.Properties[u.Name] = u.Value
		}
	}
	return slices.Clip(line(f))
}

// PayloadJSON gives bytes that were published over MQTT as a member of a frame:
// a JSON text as it stands, other text as a JSON string, and what is not text
// for base64.
func PayloadJSON(b []byte) (data json.RawMessage, bytes []byte) {
	switch {
	case !utf8.Valid(b):
		return nil, b
	case json.Valid(b):
		return b, nil
	}
	return line(string(b)), nil
}
