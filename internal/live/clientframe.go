package live

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/herald-push/herald"
)

// ClientFrame is a frame of the session protocol from a client.
type ClientFrame struct {
	Type   string
	Token  string
	Cursor string
	Ack    AckMode
	IDs    []herald.MessageID
	Upto   string
	Event  herald.DeliveryState

	Topics   []herald.Topic
	Topic    herald.Topic
	Data     json.RawMessage
	Presence bool
	Retained bool // what is kept of the topics is wanted too
	Ref      string
}

// ErrNotFrame means that the bytes are not one JSON object, or too many. The
// connection is closed with [CloseProtocol].
var ErrNotFrame = errors.New("live: that is not a frame")

// members lists what each type of client frame may have beside its type.
var members = map[string][]string{
	"hello": {"token", "cursor", "ack"},
	"ack":   {"ids", "upto"},
	"event": {"event", "ids"},
	"ping":  {},
	"pong":  {},

	"subscribe":   {"topics", "presence", "retained", "ref"},
	"unsubscribe": {"topics", "ref"},
	"publish":     {"topic", "data", "ref"},
}

// maxRef bounds the name that a client gives to what it asks.
const maxRef = 64

// ParseClientFrame reads a frame. The error is [ErrNotFrame], or a
// *herald.Error that names the member at fault, for an error frame; then the
// frame has its Ref, if that could be read.
//
// It is strict where encoding/json is lenient: names are compared in their
// case, a member may come once, and text must be UTF-8.
func ParseClientFrame(b []byte) (ClientFrame, error) {
	var f ClientFrame
	if len(b) > herald.MaxFrameBytes {
		return f, ErrNotFrame
	}
	if f.IDs = plainAck(b); f.IDs != nil {
		f.Type = "ack"
		return f, nil
	}
	return parseClientFrame(b)
}

// ParseReceipt reads what a client publishes about messages over a protocol with
// topics: the frame "event" of the session protocol, with its type or without. The
// errors are those of [ParseClientFrame].
func ParseReceipt(b []byte) (ClientFrame, error) {
	f := ClientFrame{Type: "event"}
	if len(b) > herald.MaxFrameBytes || !utf8.Valid(b) {
		return f, ErrNotFrame
	}
	raw, err := object(b)
	if err != nil {
		return f, err
	}
	// What is written for the other transports is the same frame.
	if err := text(raw, "type", &f.Type); err != nil {
		return f, err
	} else if f.Type != "event" {
		return f, herald.Invalid("type", `Write "event", or leave it out.`, "%.40q is no receipt", f.Type)
	}
	for name := range raw {
		if name != "type" && !slices.Contains(members["event"], name) {
			return f, herald.Invalid(short(name), "Leave it out. A receipt has event, ids.", "a receipt has no such member")
		}
	}
	return f, f.fill(raw)
}

func parseClientFrame(b []byte) (ClientFrame, error) {
	var f ClientFrame
	if !utf8.Valid(b) {
		return f, ErrNotFrame
	}
	raw, err := object(b)
	if err != nil {
		return f, err
	}
	if err := f.readRef(raw); err != nil {
		return f, err
	}
	if err := text(raw, "type", &f.Type); err != nil {
		return f, err
	}
	allowed, known := members[f.Type]
	if !known {
		return f, herald.Invalid("type", "Use hello, ack, event, subscribe, unsubscribe, publish, ping or pong.", "%.40q is not a type of frame", f.Type)
	}
	for name := range raw {
		if name != "type" && !slices.Contains(allowed, name) {
			return f, herald.Invalid(short(name), "Leave it out. "+f.Type+" has "+listOf(allowed)+".", "a frame of type %s has no such member", f.Type)
		}
	}
	return f, f.fill(raw)
}

func (f *ClientFrame) fill(raw map[string]json.RawMessage) error {
	var ack, event string
	for _, m := range []struct {
		name string
		to   *string
	}{{"token", &f.Token}, {"cursor", &f.Cursor}, {"ack", &ack}, {"upto", &f.Upto}, {"event", &event}} {
		if err := text(raw, m.name, m.to); err != nil {
			return err
		}
	}
	f.Ack, f.Event = AckMode(ack), herald.DeliveryState(event)
	_, hasIDs := raw["ids"]
	_, hasUpto := raw["upto"]
	if err := f.readIDs(raw["ids"]); err != nil {
		return err
	}
	switch {
	case f.Type == "hello" && f.Token == "":
		return herald.Invalid("token", "Send the device token that POST /v1/devices answered.", "is missing")
	case ack != "" && f.Ack != AckEach && f.Ack != AckUpto:
		return herald.Invalid("ack", "Write each or upto.", "%.40q is not a way to acknowledge", ack)
	case f.Type == "ack" && hasIDs == hasUpto:
		return herald.Invalid("ids", "Name ids, or upto, and not both.", "an ack has either ids or upto")
	case f.Type == "event" && !hasIDs:
		return herald.Invalid("ids", "Name at least one message.", "is missing")
	}
	return f.fillTopics(raw)
}

func (f *ClientFrame) readIDs(raw json.RawMessage) error {
	if raw == nil {
		return nil
	}
	const remedy = `Write a list of 1 to 1,000 message IDs as strings, e.g. ["245870126268416001"].`
	var list []string
	if raw[0] != '[' || json.Unmarshal(raw, &list) != nil {
		return herald.Invalid("ids", remedy, "is not a list of strings")
	}
	if len(list) == 0 || len(list) > herald.MaxIDsPerCall {
		return herald.Invalid("ids", remedy, "has %d entries", len(list))
	}
	f.IDs = make([]herald.MessageID, len(list))
	for i, s := range list {
		id, err := herald.ParseMessageID(s)
		if err != nil {
			return herald.Invalid("ids", remedy, "%.24q is not a message ID", s)
		}
		f.IDs[i] = id
	}
	return nil
}

// text reads a member that is a string, if it is there.
func text(raw map[string]json.RawMessage, name string, to *string) error {
	v, ok := raw[name]
	if !ok {
		return nil
	}
	if v[0] != '"' || json.Unmarshal(v, to) != nil {
		return herald.Invalid(name, "Write a string.", "is not a string")
	}
	return nil
}

// short cuts a name that a client made up, for an answer.
func short(name string) string {
	if name == "" {
		return `""`
	}
	if len(name) > 64 {
		return strings.ToValidUTF8(name[:64], "") + "…"
	}
	return name
}

func listOf(names []string) string {
	if len(names) == 0 {
		return "no other members"
	}
	return strings.Join(names, ", ")
}

// maxEarly is how many frames may come between a hello and the welcome.
const maxEarly = 16

// Receive acts on a frame of the session protocol from the client, for the
// transports that carry it.
func (s *Session) Receive(b []byte) {
	if len(b) <= herald.MaxFrameBytes && s.acknowledged(plainAck(b)) {
		return
	}
	s.receive(b)
}

func (s *Session) receive(b []byte) {
	f, err := ParseClientFrame(b)
	if errors.Is(err, ErrNotFrame) {
		s.Close(Reason{CloseProtocol, "a frame is one JSON object of at most 16 KiB"})
		return
	}
	if f.Type != "hello" && f.Type != "ping" && f.Type != "pong" {
		switch s.hold(b) {
		case heldFrame:
			return
		case tooEarly:
			s.Close(Reason{CloseProtocol, "the first frame must be hello"})
			return
		case afterEarly:
			s.takeEarly()
		}
	}
	s.obey(f, err)
}

// obey acts on a frame that was parsed, or says what is wrong with it.
func (s *Session) obey(f ClientFrame, err error) {
	if err == nil {
		err = s.act(f)
	}
	if e := (*herald.Error)(nil); errors.As(err, &e) {
		s.Refuse(e, f.Ref)
	}
}

func (s *Session) act(f ClientFrame) error {
	var err *herald.Error
	switch f.Type {
	case "hello":
		return s.Hello(Hello{Token: f.Token, Cursor: f.Cursor, Ack: f.Ack})
	case "ack":
		if f.Upto != "" || f.IDs == nil {
			err = s.AckUpto(f.Upto)
		} else {
			err = s.Ack(f.IDs)
		}
	case "event":
		err = s.Event(f.Event, f.IDs)
	case "subscribe":
		if err = s.Subscribe(f.Topics, f.Presence, f.Ref); err == nil && f.Retained {
			s.sendRetained(f.Topics)
		}
	case "unsubscribe":
		err = s.Unsubscribe(f.Topics, f.Ref)
	case "publish":
		err = s.Publish(f.Topic, f.Data, f.Ref)
	case "ping":
		if s.waiting() {
			s.Close(Reason{CloseProtocol, "the first frame must be hello"})
			return nil
		}
		s.Pong()
	}
	if err != nil {
		return err
	}
	return nil
}

func (s *Session) waiting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == stateWaiting
}

type holding uint8

const (
	goOn      holding = iota
	heldFrame         // kept until the session is open
	tooEarly
	afterEarly // the session is open, and those that were kept come first
)

// hold keeps a frame that comes while the token is being checked: the client
// has said who it is, and cannot know how far the server has come.
func (s *Session) hold(b []byte) holding {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.state == stateWaiting, s.state == stateOpening && len(s.task.early) >= maxEarly:
		return tooEarly
	case s.state == stateOpening:
		s.task.early = append(s.task.early, bytes.Clone(b))
		return heldFrame
	case !s.settled && s.state != stateClosed:
		return afterEarly
	}
	return goOn
}

// takeEarly acts on the frames that were held, and gives the state. The worker
// that has opened the session calls it, and whoever brings a further frame
// before that: frames are acted on in the order in which they came.
func (s *Session) takeEarly() state {
	s.mu.Lock()
	t := s.task
	s.mu.Unlock()
	if t != nil { // nil only after all has been taken
		t.settling.Lock()
		defer t.settling.Unlock()
		s.mu.Lock()
		list := t.early
		t.early = nil
		s.mu.Unlock()
		for _, b := range list {
			s.obey(ParseClientFrame(b))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settled = true
	s.rest()
	return s.state
}
