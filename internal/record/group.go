package record

import (
	"encoding/json"
	"time"

	"github.com/herald-push/herald"
)

// AppGroup is several apps that one caller may send to with one call.
type AppGroup struct {
	Key        herald.GroupKey `json:"-"`
	Name       string          `json:"name"`
	SecretHash []byte          `json:"secret_hash"` // SHA-256 of the secret
	// OldHash is that of the secret before it, which is good until OldUntil;
	// nil if there is none.
	OldHash  []byte          `json:"old_hash,omitempty"`
	OldUntil time.Time       `json:"old_until,omitzero"`
	Created  time.Time       `json:"created"`
	Apps     []herald.AppKey `json:"apps"` // in the order in which they were added
}

// GroupMessage is one call that sent to the apps of a group.
type GroupMessage struct {
	Group   herald.GroupKey  `json:"-"`
	ID      herald.MessageID `json:"-"`
	IdemKey string           `json:"-"` // the caller's; "" for none
	// Expires is when the row may be deleted.
	Expires time.Time     `json:"-"`
	Hash    []byte        `json:"hash"` // of the request
	Created time.Time     `json:"created"`
	Results []GroupResult `json:"results,omitempty"` // by app; none while it is being sent
}

// GroupResult is what came of a group message in one app: a message, or an
// error.
type GroupResult struct {
	App     herald.AppKey    `json:"app"`
	Message herald.MessageID `json:"message,omitempty"`
	Answer  json.RawMessage  `json:"answer,omitempty"` // as the app's own sender is answered
	Code    herald.Code      `json:"code,omitempty"`
	Text    string           `json:"text,omitempty"`
	Remedy  string           `json:"remedy,omitempty"`
	Field   string           `json:"field,omitempty"`
}
