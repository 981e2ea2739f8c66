package courier

import (
	"encoding/json"
	"fmt"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/record"
)

// content makes what a provider is given: for each platform and language once.
type content struct {
	base     provider.Message
	all      herald.Content
	speaks   func(herald.Ordinal) string
	platform func(herald.Ordinal) herald.Platform
	made     map[variant]*provider.Message
}

type variant struct {
	platform herald.Platform
	language string
}

// stepOf gives the step of the route that an errand is of; nil if it is not known.
func (c *Courier) stepOf(m *record.Message, step int) *herald.RouteStep {
	route := herald.DefaultRoute()
	if m.Facts != nil && m.Facts.Route != nil {
		route = *m.Facts.Route
	}
	if step < 0 || step >= len(route.Steps) {
		return nil
	}
	return &route.Steps[step]
}

func (c *Courier) contentOf(m *record.Message, e *record.Errand) (*content, error) {
	out := &content{all: m.Content, made: map[variant]*provider.Message{}}
	if m.Content.Notification == nil && m.Content.Data == nil && len(m.Body) > 0 {
		if err := json.Unmarshal(m.Body, &out.all); err != nil {
			return nil, fmt.Errorf("courier: reading the body of message %s: %w", m.ID, err)
		}
	}
	out.base = provider.Message{ID: m.ID, App: m.App, CollapseKey: m.CollapseKey, Priority: m.Priority, Expires: m.Expires()}
	if m.Facts != nil {
		out.base.Options = m.Facts.Vendors[e.Vendor]
	}
	if s := c.stepOf(m, e.Step); s != nil {
		if s.Notification != nil {
			out.all.Notification = s.Notification
		}
		if s.Options != nil {
			out.base.Options = s.Options
		}
	}
	if e.Owner != record.OwnerDevice || c.c.Directory == nil {
		return out, nil
	}
	if tags := out.all.LanguageTags(); tags != nil {
		out.speaks = c.c.Directory.Languages(m.App, tags)
	}
	if len(out.all.DiffersOn()) > 0 {
		out.platform = c.c.Directory.Platforms(m.App)
	}
	return out, nil
}

// of gives the message for an owner.
func (c *content) of(o herald.Ordinal) *provider.Message {
	var v variant
	if c.speaks != nil {
		v.language = c.speaks(o)
	}
	if c.platform != nil {
		v.platform = c.platform(o)
	}
	m := c.made[v]
	if m == nil {
		own := c.base
		own.Once = new(provider.Once)
		own.Content, _ = c.all.In(v.platform, v.language)
		m = &own
		c.made[v] = m
	}
	return m
}
