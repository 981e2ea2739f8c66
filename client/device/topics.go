package device

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/herald-push/herald"
)

// Publication is what somebody published to a topic that the device is
// subscribed to.
type Publication struct {
	Topic herald.Topic
	Time  time.Time
	From  herald.RegistrationID // the device that published; "" for an app server
	Data  []byte                // JSON; nil if there are Bytes
	// Bytes are what a client over MQTT or an app server published that is not
	// text. What is text is Data, as a JSON string unless it is JSON itself.
	Bytes       []byte
	ContentType string            // as its publisher said; "" if it said nothing
	Properties  map[string]string // user properties of a client over MQTT
	// Retained says that it was published before, and kept for who subscribes later.
	Retained bool
}

// Errors of Publish.
var (
	// ErrNotConnected says that there is no connection now; a publication does
	// not wait for one.
	ErrNotConnected = errors.New("device: not connected")
	// ErrBusy says that more is being published than the connection takes; this
	// one was not.
	ErrBusy = errors.New("device: publishing faster than the connection takes")
)

// maxSaid is how many publications wait for the connection.
const maxSaid = 64

// Subscribe subscribes to topics, or to filters such as chat/+ and news/#, at
// most 100 in all, now and at every connection from now on. It does not wait. What is published reaches
// Handler.OnTopic; with Handler.OnPresence the device is also told how many are
// subscribed to a topic, which filters do not have. What the server refuses is reported to Handler.OnProblem, and
// forgotten.
func (d *Device) Subscribe(topics ...herald.Topic) error {
	for _, t := range topics {
		if err := herald.ValidSubscription("topic", string(t)); err != nil {
			return fmt.Errorf("device: topic %.60q: %w", string(t), err)
		}
	}
	d.mu.Lock()
	list := slices.Clone(d.topics)
	for _, t := range topics {
		if !slices.Contains(list, t) {
			list = append(list, t)
		}
	}
	if len(list) > herald.MaxTopics {
		d.mu.Unlock()
		return fmt.Errorf("device: %d topics are more than %d", len(list), herald.MaxTopics)
	}
	d.topics = list
	d.mu.Unlock()
	d.signalTopics()
	return nil
}

// Unsubscribe ends subscriptions. It does not wait, so a publication may still
// come.
func (d *Device) Unsubscribe(topics ...herald.Topic) {
	d.dropTopics(topics)
	d.signalTopics()
}

func (d *Device) dropTopics(topics []herald.Topic) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.topics = slices.DeleteFunc(slices.Clone(d.topics), func(t herald.Topic) bool { return slices.Contains(topics, t) })
}

// wanted gives the topics that the device is to be subscribed to.
func (d *Device) wanted() []herald.Topic {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.topics // replaced as a whole when it changes
}

func (d *Device) signalTopics() {
	select {
	case d.resubscribe <- struct{}{}:
	default:
	}
}

// Publish hands data, any JSON value, to who is subscribed to a topic at this
// moment. It does not wait, and nothing is kept: without a connection it is
// ErrNotConnected, and a connection that breaks may take it along. The app has
// to allow the topic; a refusal is reported to Handler.OnProblem.
func (d *Device) Publish(t herald.Topic, data []byte) error {
	if err := herald.ValidTopic("topic", string(t)); err != nil {
		return fmt.Errorf("device: topic %.60q: %w", string(t), err)
	}
	if !json.Valid(data) {
		return errors.New("device: the data to publish is not JSON")
	}
	frame, err := encode(clientFrame{Type: "publish", Topic: t, Data: data})
	if err != nil {
		return err
	}
	if len(frame) > herald.MaxFrameBytes {
		return fmt.Errorf("device: a publication of %d bytes is larger than %d", len(frame), herald.MaxFrameBytes)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.say == nil {
		return ErrNotConnected
	}
	select {
	case d.say <- frame:
		return nil
	default:
		return ErrBusy
	}
}

// speaks makes a session the one that publications go to; nil ends that.
func (d *Device) speaks(say chan []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.say = say
}

// encode writes a frame. Unlike json.Marshal it leaves <, > and & as they are,
// so that data is no larger than the caller made it.
func encode(f clientFrame) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(f); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// subscriptions are those of one session, as far as the server was told.
type subscriptions struct {
	told []herald.Topic
	// asked holds the topics of each frame that the server may still refuse,
	// by its ref.
	asked map[string][]herald.Topic
	refs  int
	alone []herald.Topic // to be asked for again, one after the other
}

// subscribe tells the server what has changed since it was told last.
func (s *session) subscribe(ctx context.Context) error {
	want := s.l.d.wanted()
	gone := slices.DeleteFunc(slices.Clone(s.subs.told), func(t herald.Topic) bool { return slices.Contains(want, t) })
	for _, part := range parts(gone) {
		if err := s.write(ctx, clientFrame{Type: "unsubscribe", Topics: part}); err != nil {
			return err
		}
	}
	added := slices.DeleteFunc(slices.Clone(want), func(t herald.Topic) bool { return slices.Contains(s.subs.told, t) })
	for _, part := range parts(added) {
		if err := s.ask(ctx, part); err != nil {
			return err
		}
	}
	s.subs.told = slices.Clone(want)
	return nil
}

// ask subscribes to topics with one frame, which the server takes or refuses as
// a whole.
func (s *session) ask(ctx context.Context, topics []herald.Topic) error {
	s.subs.refs++
	ref := strconv.Itoa(s.subs.refs)
	if s.subs.asked == nil {
		s.subs.asked = map[string][]herald.Topic{}
	}
	s.subs.asked[ref] = topics
	return s.write(ctx, clientFrame{Type: "subscribe", Topics: topics, Presence: s.l.h.OnPresence != nil, Ref: ref})
}

// answered takes the answer to a frame of ours, or an error about none. Where
// one topic of several was refused, each is asked for alone, so that the others
// are not lost with it.
func (s *session) answered(ctx context.Context, f serverFrame) error {
	subs := &s.subs
	topics := subs.asked[f.Ref]
	delete(subs.asked, f.Ref)
	switch {
	case f.Type != "error":
	case len(topics) > 1:
		subs.alone = append(subs.alone, topics...)
	default:
		subs.told = slices.DeleteFunc(subs.told, func(t herald.Topic) bool { return slices.Contains(topics, t) })
		s.l.d.dropTopics(topics)
		s.problem(f.problem())
	}
	for len(subs.alone) > 0 {
		t := subs.alone[0]
		if subs.alone = subs.alone[1:]; slices.Contains(subs.told, t) {
			return s.ask(ctx, []herald.Topic{t}) // the next one after its answer
		}
	}
	return nil
}

// topical turns a frame about a topic into what the handler takes, if it does.
func (l *listening) topical(f serverFrame) (in incoming, wanted bool) {
	in.topic = f.publication()
	if f.Type == "presence" {
		in.presence = &f.Devices
		return in, l.h.OnPresence != nil
	}
	return in, l.h.OnTopic != nil
}

// parts splits topics so that a frame stays below what a server takes: with
// every byte escaped a name has six times its length.
func parts(topics []herald.Topic) (out [][]herald.Topic) {
	size := 0
	for _, t := range topics {
		if size += 6*len(t) + 3; size > herald.MaxFrameBytes-256 || len(out) == 0 {
			out, size = append(out, nil), 6*len(t)+3
		}
		out[len(out)-1] = append(out[len(out)-1], t)
	}
	return out
}

// sayRest writes the publications that still wait.
func (s *session) sayRest(ctx context.Context) error {
	for {
		select {
		case frame := <-s.say:
			if err := s.writeBytes(ctx, frame); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}
