package herald

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of topics.
const (
	MaxTopicBytes  = 256 // of a topic's name, and of a filter
	MaxTopicLevels = 16  // parts between slashes
	MaxTopics      = 100 // subscribed by one session
	MaxTopicRules  = 100 // filters in each list of TopicRules
)

// Topic is the name of a channel within an app: levels joined by "/", as in
// MQTT (MQTT 5.0 section 4.7), e.g. "chat/room 7". Names that begin with "$" or
// "herald/", and "herald" itself, are reserved.
type Topic string

// ValidTopic checks the name of a topic; the field is for the error.
func ValidTopic(field, s string) error {
	if err := validLevels(field, s); err != nil {
		return err
	}
	if strings.ContainsAny(s, "+#") {
		return Invalid(field, "Name one topic: this version subscribes to names, not to filters.", "%.60q has a wildcard", s)
	}
	return nil
}

// validLevels checks what names and filters have in common.
func validLevels(field, s string) error {
	switch {
	case s == "":
		return Invalid(field, "Give it a name, such as chat/7.", "is empty")
	case len(s) > MaxTopicBytes:
		return Invalid(field, "Shorten it.", "%d bytes are more than %d", len(s), MaxTopicBytes)
	case !utf8.ValidString(s):
		return Invalid(field, "Send UTF-8.", "is not UTF-8")
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }):
		return Invalid(field, "Remove line breaks, tabs and other control characters.", "has a control character")
	case strings.Count(s, "/") >= MaxTopicLevels:
		return Invalid(field, "Use fewer slashes.", "%d levels are more than %d", strings.Count(s, "/")+1, MaxTopicLevels)
	case s[0] == '$' || s == "herald" || strings.HasPrefix(s, "herald/"):
		return Invalid(field, "Begin the name with another word.", "names that begin with $ or herald/ are reserved")
	}
	return nil
}

// TopicFilter chooses topics: a name in which the level "+" stands for any one
// level, a last level "#" for any number of them (MQTT 5.0 section 4.7.1), the
// level "{registration_id}" for the registration ID of the device that asks, and
// "{alias}" for its alias.
type TopicFilter string

// ownID and ownAlias are the levels that stand for who asks.
const (
	ownID    = "{registration_id}"
	ownAlias = "{alias}"
)

// ValidTopicFilter checks a filter; the field is for the error.
func ValidTopicFilter(field, s string) error {
	if err := validLevels(field, s); err != nil {
		return err
	}
	levels := strings.Split(s, "/")
	for i, l := range levels {
		switch {
		case l == "#" && i < len(levels)-1:
			return Invalid(field, "Put # at the end: it stands for all levels that follow.", "%.60q has levels after #", s)
		case l != "+" && l != "#" && strings.ContainsAny(l, "+#"):
			return Invalid(field, "Let a wildcard be a whole level, as in chat/+ or chat/#.", "%.60q has a wildcard within a level", s)
		case l != ownID && l != ownAlias && strings.ContainsAny(l, "{}"):
			return Invalid(field, "The only placeholders are {registration_id} and {alias}, each as a whole level.", "%.60q has a brace", s)
		}
	}
	return nil
}

// Match reports whether the filter chooses a topic for a device. For who is no
// device (id is empty), or has no alias, the placeholder chooses nothing.
func (f TopicFilter) Match(t Topic, id RegistrationID, alias Alias) bool {
	return !strings.ContainsAny(string(t), "+#") && f.Covers(string(t), id, alias)
}

// isLevel reports whether a level of a filter that is no wildcard stands for a
// level of a topic.
func isLevel(want, have string, id RegistrationID, alias Alias) bool {
	switch want {
	case ownID:
		return id != "" && have == string(id)
	case ownAlias:
		return alias.isLevel() && have == string(alias)
	}
	return want == have
}

// isLevel reports whether an alias can be a level of a topic. One with a slash
// would be several, and lead its device to what is below the level of another
// alias; "+" and "#" would lead it to everybody's.
func (a Alias) isLevel() bool { return a != "" && !strings.ContainsAny(string(a), "/+#") }

// Covers reports whether the filter chooses, for a device, every topic that a
// subscription chooses: a name, or a filter with wildcards, in which braces mean
// nothing.
func (f TopicFilter) Covers(subscription string, id RegistrationID, alias Alias) bool {
	if subscription == "#" {
		subscription = "+/#" // the same, because a topic has at least one level
	}
	filter := string(f)
	for {
		want, moreWanted, wantMore := strings.Cut(filter, "/")
		if want == "#" {
			return true
		}
		have, moreHere, haveMore := strings.Cut(subscription, "/")
		if have == "#" {
			return false // it chooses any number of levels, and the filter does not
		}
		if want != "+" && (have == "+" || !isLevel(want, have, id, alias)) {
			return false
		}
		if !wantMore || !haveMore {
			return wantMore == haveMore || wantMore && moreWanted == "#"
		}
		filter, subscription = moreWanted, moreHere
	}
}

// TopicVerb is what somebody wants to do with a topic.
type TopicVerb string

// The verbs.
const (
	TopicSubscribe TopicVerb = "subscribe"
	TopicPublish   TopicVerb = "publish"
)

// TopicRules say which topics the devices of an app may use. A list that is
// absent (nil) is its default: devices may subscribe to every topic and publish
// to none. An empty list allows nothing.
type TopicRules struct {
	Subscribe []TopicFilter `json:"subscribe,omitzero"`
	Publish   []TopicFilter `json:"publish,omitzero"`
}

// Allow reports whether a device may do something with a topic. What it wants
// to subscribe to may be a filter, which one rule has to cover, and may be
// shared ($share/group/filter, MQTT 5.0 section 4.8.2), where the filter counts.
func (r TopicRules) Allow(v TopicVerb, t Topic, id RegistrationID, alias Alias) bool {
	list := r.Publish
	if v == TopicSubscribe {
		if list = r.Subscribe; list == nil {
			return true
		}
		_, filter := SplitShare(string(t))
		t = Topic(filter)
	} else if strings.ContainsAny(string(t), "+#") {
		return false // nobody publishes to a filter
	}
	for _, f := range list {
		if f.Covers(string(t), id, alias) {
			return true
		}
	}
	return false
}

// UseAlias reports whether the rules name the alias of the device that asks.
func (r TopicRules) UseAlias() bool {
	for _, list := range [][]TopicFilter{r.Subscribe, r.Publish} {
		for _, f := range list {
			if strings.Contains(string(f), ownAlias) {
				return true
			}
		}
	}
	return false
}

// Validate checks the filters; the error is an [*Error] whose Field leads to
// the filter.
func (r TopicRules) Validate(field string) error {
	for _, l := range []struct {
		name string
		list []TopicFilter
	}{{".subscribe", r.Subscribe}, {".publish", r.Publish}} {
		if len(l.list) > MaxTopicRules {
			return Invalid(field+l.name, "Join several topics under one filter, such as chat/#.", "%d filters are more than %d", len(l.list), MaxTopicRules)
		}
		for i, f := range l.list {
			if err := ValidTopicFilter(fmt.Sprintf("%s%s[%d]", field, l.name, i), string(f)); err != nil {
				return err
			}
		}
	}
	return nil
}
