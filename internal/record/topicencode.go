package record

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
)

// Flags of the body of a topic entry: which of its parts are there.
const (
	topicRetain = 1 << iota
	topicData
	topicPayload
	topicProps
	topicFormat
	topicCorrelation
)

// AppendTopicBody writes what of an entry is not a column of its own: QoS,
// retain, content and properties.
func AppendTopicBody(b []byte, e *TopicEntry) []byte {
	flags := byte(0)
	set := func(flag byte, on bool) {
		if on {
			flags |= flag
		}
	}
	set(topicRetain, e.Retain)
	set(topicData, e.Data != nil)
	set(topicPayload, e.Payload != nil)
	set(topicProps, e.Props != nil)
	set(topicFormat, e.Props != nil && e.Props.PayloadFormat != nil)
	set(topicCorrelation, e.Props != nil && e.Props.CorrelationData != nil)
	b = append(b, encodingVersion, flags, e.QoS)
	if e.Data != nil {
		b = appendBytes(b, e.Data)
	}
	if e.Payload != nil {
		b = appendBytes(b, e.Payload)
	}
	if p := e.Props; p != nil {
		b = appendTopicProps(b, p)
	}
	return b
}

func appendTopicProps(b []byte, p *TopicProps) []byte {
	if p.PayloadFormat != nil {
		b = append(b, *p.PayloadFormat)
	}
	b = appendString(b, p.ContentType)
	b = appendString(b, p.ResponseTopic)
	if p.CorrelationData != nil {
		b = appendBytes(b, p.CorrelationData)
	}
	b = binary.AppendUvarint(b, uint64(len(p.User)))
	for _, u := range p.User {
		b = appendString(appendString(b, u.Name), u.Value)
	}
	return b
}

func appendBytes(b, v []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

// ParseTopicBody reads it into an entry, which then points into the bytes.
func ParseTopicBody(b []byte, e *TopicEntry) error {
	r := reader{b: b}
	r.version()
	flags := r.byte()
	e.Retain, e.QoS = flags&topicRetain != 0, r.byte()
	if flags&topicData != 0 {
		e.Data = r.some()
	}
	if flags&topicPayload != 0 {
		e.Payload = r.some()
	}
	if flags&topicProps != 0 {
		e.Props = r.topicProps(flags)
	}
	if r.err == nil && len(r.b) > 0 {
		r.fail(fmt.Errorf("record: %d bytes follow a topic entry", len(r.b)))
	}
	return r.err
}

// some is bytes that are not nil.
func (r *reader) some() []byte {
	if b := r.bytes(); b != nil {
		return b
	}
	return []byte{}
}

func (r *reader) topicProps(flags byte) *TopicProps {
	p := &TopicProps{}
	if flags&topicFormat != 0 {
		format := r.byte()
		p.PayloadFormat = &format
	}
	p.ContentType, p.ResponseTopic = r.string(), r.string()
	if flags&topicCorrelation != 0 {
		p.CorrelationData = r.some()
	}
	for n := r.count(); n > 0 && r.err == nil; n-- {
		p.User = append(p.User, TopicPair{r.string(), r.string()})
	}
	return p
}

// TopicSessionData is what of a session is not a column of its own.
type TopicSessionData struct {
	Version  byte       `json:"v,omitempty"`
	Released []uint64   `json:"released,omitempty"`
	Done     []uint64   `json:"done,omitempty"`
	Unsent   uint64     `json:"unsent,omitempty"`
	Sent     uint64     `json:"sent,omitempty"` // what Unsent was when the connection began
	In       []uint16   `json:"in,omitempty"`
	Shared   bool       `json:"shared,omitempty"`  // it had a shared subscription
	Counted  uint64     `json:"counted,omitempty"` // position up to which Dropped counts
	Will     *TopicWill `json:"will,omitempty"`
}

// Encode writes it.
func (d *TopicSessionData) Encode() ([]byte, error) {
	b, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("record: writing a session: %w", err)
	}
	return b, nil
}

// ParseTopicSession reads it.
func ParseTopicSession(b []byte) (TopicSessionData, error) {
	var d TopicSessionData
	if err := json.Unmarshal(b, &d); err != nil {
		return d, fmt.Errorf("record: reading a session: %w", err)
	}
	return d, nil
}
