package herald

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// RouteUse is what a message says of its route: the name of one that the app has
// saved, or the steps themselves. In JSON it is a string or an object.
type RouteUse struct {
	Name string `json:"-"`

	Steps []RouteStep `json:"steps" minItems:"1" maxItems:"8" doc:"The ways, in the order in which they are tried."`
}

// MarshalJSON writes the name or the object.
func (r RouteUse) MarshalJSON() ([]byte, error) {
	if r.Name != "" {
		return json.Marshal(r.Name)
	}
	return json.Marshal(Route{Steps: r.Steps})
}

// UnmarshalJSON reads a name or an object. Members that it does not know are
// errors. Whether the steps make sense is for [Route.Validate] to say.
func (r *RouteUse) UnmarshalJSON(b []byte) error {
	const remedy = `Write the name of a route, or an object such as {"steps":[{"channel":"live"}]}.`
	b = bytes.TrimSpace(b)
	if len(b) > 0 && b[0] == '"' {
		var name string
		if err := json.Unmarshal(b, &name); err != nil {
			return err
		}
		if name == "" {
			return Invalid("route", remedy, "the name is empty")
		}
		*r = RouteUse{Name: name}
		return nil
	}
	if len(b) == 0 || b[0] != '{' {
		return Invalid("route", remedy, "a route is a string or an object")
	}
	var route Route
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&route); err != nil {
		var inner *Error
		if errors.As(err, &inner) {
			return inner
		}
		return Invalid("route", remedy, "%s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Invalid("route", "Send one JSON value.", "text after the route")
	}
	*r = RouteUse{Steps: route.Steps}
	return nil
}
