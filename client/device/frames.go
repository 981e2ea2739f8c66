package device

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/herald-push/herald"
)

// clientFrame is a frame to the server.
type clientFrame struct {
	Type  string               `json:"type"`
	IDs   []herald.MessageID   `json:"ids,omitempty"`
	Event herald.DeliveryState `json:"event,omitempty"`

	// subscribe, unsubscribe, publish
	Topics   []herald.Topic  `json:"topics,omitempty"`
	Presence bool            `json:"presence,omitempty"`
	Topic    herald.Topic    `json:"topic,omitempty"`
	Data     json.RawMessage `json:"data,omitempty"`
	Ref      string          `json:"ref,omitempty"`
}

// serverFrame holds the members of every frame from the server; those that a
// type does not have stay zero, and unknown ones are ignored.
type serverFrame struct {
	Type string `json:"type"`

	// welcome
	RegistrationID herald.RegistrationID `json:"registration_id"`
	Token          string                `json:"token"`
	Heartbeat      int64                 `json:"heartbeat"` // seconds
	Timeout        int64                 `json:"timeout"`

	// message, withdraw
	ID           herald.MessageID     `json:"id"`
	Cursor       string               `json:"cursor"`
	Time         time.Time            `json:"time"`
	Expires      time.Time            `json:"expires"`
	Priority     herald.Priority      `json:"priority"`
	Notification *herald.Notification `json:"notification"`
	Data         json.RawMessage      `json:"data"`
	CollapseKey  string               `json:"collapse_key"`

	// topic, presence
	Topic   herald.Topic          `json:"topic"`
	From    herald.RegistrationID `json:"from"`
	Devices int64                 `json:"devices"`

	Base64      []byte            `json:"base64"`
	ContentType string            `json:"content_type"`
	Properties  map[string]string `json:"properties"`
	Retained    bool              `json:"retained"`

	// the answer to a frame of ours
	Ref string `json:"ref"`

	// error
	Code   herald.Code `json:"code"`
	Detail string      `json:"detail"`
	Remedy string      `json:"remedy"`
	Field  string      `json:"field"`

	// reconnect
	AfterMS int64 `json:"after_ms"`
}

// parseFrame reads a frame from the server.
func parseFrame(b []byte) (serverFrame, error) {
	var f serverFrame
	if err := json.Unmarshal(b, &f); err != nil {
		return serverFrame{}, fmt.Errorf("device: a frame of the server cannot be read: %w", err)
	}
	if f.Type == "" {
		return serverFrame{}, errors.New("device: a frame of the server has no type")
	}
	if (f.Type == "message" || f.Type == "withdraw") && f.ID <= 0 {
		return serverFrame{}, fmt.Errorf("device: a %s of the server has no id", f.Type)
	}
	if (f.Type == "topic" || f.Type == "presence") && f.Topic == "" {
		return serverFrame{}, fmt.Errorf("device: a %s of the server names no topic", f.Type)
	}
	return f, nil
}

func (f serverFrame) problem() *herald.Error {
	return &herald.Error{Code: f.Code, Message: f.Detail, Remedy: f.Remedy, Field: f.Field}
}

func (f serverFrame) publication() *Publication {
	return &Publication{Topic: f.Topic, Time: f.Time, From: f.From, Data: []byte(f.Data),
		Bytes: f.Base64, ContentType: f.ContentType, Properties: f.Properties, Retained: f.Retained}
}

func (f serverFrame) message() Message {
	m := Message{ID: f.ID, Time: f.Time, Expires: f.Expires, Priority: f.Priority, Notification: f.Notification,
		CollapseKey: f.CollapseKey, Stored: f.Cursor != ""}
	if len(f.Data) > 0 {
		m.Data = []byte(f.Data)
	}
	return m
}
