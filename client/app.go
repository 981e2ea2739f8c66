package client

import (
	"context"
	"net/http"
	"time"

	"github.com/herald-push/herald"
)

// App is the app that the credentials belong to.
type App struct {
	AppKey        herald.AppKey `json:"app_key"`
	Name          string        `json:"name"`
	CreatedAt     time.Time     `json:"created_at"`
	DeviceAliases bool          `json:"device_aliases"` // devices may claim an alias
	DeviceTags    bool          `json:"device_tags"`    // devices may change their own tags
	Origins       []string      `json:"origins"`        // web origins that may connect; empty means any
	// Topics are the rules about topics as they work, defaults included.
	Topics   herald.TopicRules `json:"topics"`
	Approval ApprovalRule      `json:"approval"`
	Caps     []CapRule         `json:"caps"`
	Devices  int64             `json:"devices"`
	Online   int64             `json:"online"`
	// QuietHours is nil if there are none. TimeZone is that of devices that name
	// none.
	QuietHours *herald.QuietHours `json:"quiet_hours,omitempty"`
	TimeZone   string             `json:"time_zone"`
}

// AppUpdate changes the app. What is nil stays as it is.
type AppUpdate struct {
	Name          *string   `json:"name,omitempty"`
	DeviceAliases *bool     `json:"device_aliases,omitempty"`
	DeviceTags    *bool     `json:"device_tags,omitempty"`
	Origins       *[]string `json:"origins,omitempty"`
	// Topics: a list that is nil stays as it is; an empty one that is not nil
	// allows nothing, and {"#"} everything.
	Topics herald.TopicRules `json:"topics,omitzero"`
	// QuietHours: the zero value means that there are none.
	QuietHours *herald.QuietHours `json:"quiet_hours,omitempty"`
	TimeZone   *string            `json:"time_zone,omitempty"`
	Approval   *ApprovalRule      `json:"approval,omitempty"`
	// Caps are all frequency caps from now on.
	Caps *[]CapRule `json:"caps,omitempty"`
}

// CapRule says that a device gets at most Max messages of a category within so
// many seconds. Where it has had as many, a message ends at once as rejected.
type CapRule struct {
	Category string `json:"category"`
	Max      int64  `json:"max"`
	Per      int64  `json:"per"`
}

// App shows the app. It needs the master secret.
func (c *Client) App(ctx context.Context) (App, error) {
	var out App
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/app", into: &out})
	return out, err
}

// UpdateApp changes the settings of the app. It needs the master secret.
func (c *Client) UpdateApp(ctx context.Context, u AppUpdate) (App, error) {
	var out App
	err := c.do(ctx, call{method: http.MethodPatch, path: "/v1/app", body: u, into: &out})
	return out, err
}
