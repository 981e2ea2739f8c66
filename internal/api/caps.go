package api

import (
	"fmt"
	"slices"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// CapRule says how many messages of a category a device gets within a time.
type CapRule struct {
	Category string `json:"category" minLength:"1" maxLength:"128" doc:"Of messages, as their senders name it."`
	Max      int64  `json:"max" minimum:"1" maximum:"100" doc:"So many at most."`
	Per      int64  `json:"per" minimum:"60" maximum:"2592000" doc:"Within so many seconds."`
}

// Limits of frequency caps.
const (
	maxCaps   = 20 // rules of an app
	maxCap    = 100
	minCapPer = 60
)

func validCaps(rules []CapRule) error {
	if len(rules) > maxCaps {
		return herald.Invalid("caps", "Join categories.", "%d rules are more than %d", len(rules), maxCaps)
	}
	for i, r := range rules {
		at := fmt.Sprintf("caps[%d]", i)
		if err := herald.ValidName(at+".category", r.Category); err != nil {
			return err
		}
		if r.Max < 1 || r.Max > maxCap {
			return herald.Invalid(at+".max", "Give 1 to 100.", "%d messages is out of range", r.Max)
		}
		if r.Per < minCapPer || r.Per > int64(herald.TraceRetention/time.Second) {
			return herald.Invalid(at+".per", "Give 60 to 2592000 seconds (30 days).", "%d seconds is out of range", r.Per)
		}
		if slices.Contains(rules[:i], r) {
			return herald.Invalid(at, "Remove it.", "the rule is there twice")
		}
	}
	return nil
}

// setCaps gives the rules of the record. A rule that was there keeps its time.
func setCaps(old []record.CapRule, rules []CapRule, now time.Time) []record.CapRule {
	var out []record.CapRule
	for _, r := range rules {
		n := record.CapRule{Category: r.Category, Max: r.Max, Seconds: r.Per, Since: now.UTC().Truncate(time.Millisecond)}
		for _, o := range old {
			if o.Category == n.Category && o.Max == n.Max && o.Seconds == n.Seconds {
				n.Since = o.Since
			}
		}
		out = append(out, n)
	}
	return out
}

func capViews(rules []record.CapRule) []CapRule {
	out := []CapRule{}
	for _, r := range rules {
		out = append(out, CapRule{r.Category, r.Max, r.Seconds})
	}
	return out
}

// mayBeCapped refuses a message of a category with a cap that is not kept: what
// devices have had of such messages nobody could count.
func (s *Messages) mayBeCapped(app herald.AppKey, m *herald.Message, category string) error {
	if m.TTL > 0 {
		return nil
	}
	a, err := s.c.Registry.App(app)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(a.Row().Settings.Caps, func(r record.CapRule) bool { return r.Category == category }) {
		return herald.Invalid("ttl", "Give it a ttl above 0, or another category.", "the category %.140q has a frequency cap, which cannot count messages with TTL 0", category)
	}
	return nil
}
