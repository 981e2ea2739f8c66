package record

import (
	"encoding/json"
	"time"

	"github.com/herald-push/herald"
)

// Template is a content with variables, in one or several languages.
type Template struct {
	Name    string    `json:"-"`
	Version int64     `json:"-"` // 1, and one more with each change
	Created time.Time `json:"-"`
	Updated time.Time `json:"-"`
	// Language is the one of Contents that devices with none of them get.
	Language string                         `json:"language"`
	Contents map[string]herald.Notification `json:"contents"`
	Data     json.RawMessage                `json:"data,omitempty"` // the same in all languages
	Defaults map[string]string              `json:"defaults,omitempty"`
}

// TemplateVersion says from which template a message was made.
type TemplateVersion struct {
	ID      string `json:"id"`
	Version int64  `json:"version"`
}
