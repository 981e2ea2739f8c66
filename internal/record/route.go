package record

import (
	"time"

	"github.com/herald-push/herald"
)

// NamedRoute is a route that an app has saved.
type NamedRoute struct {
	App  herald.AppKey `json:"-"`
	Name string        `json:"-"`
	herald.Route
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}
