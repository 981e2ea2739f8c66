package herald

import "strings"

// MaxSubscriptions is how many filters one session over MQTT subscribes to.
const MaxSubscriptions = 1000

// ValidSubscription checks what a session subscribes to: the name of a topic,
// or a filter with wildcards. Braces mean nothing in it. The field is for the
// error.
func ValidSubscription(field, s string) error {
	if err := validLevels(field, s); err != nil {
		return err
	}
	for rest, more := s, true; more; {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		switch {
		case level == "#" && more:
			return Invalid(field, "Put # at the end: it stands for all levels that follow.", "%.60q has levels after #", s)
		case level != "+" && level != "#" && strings.ContainsAny(level, "+#"):
			return Invalid(field, "Let a wildcard be a whole level, as in chat/+ or chat/#.", "%.60q has a wildcard within a level", s)
		}
	}
	return nil
}

// HasWildcard reports whether a filter chooses more than the topic of its name.
func (f TopicFilter) HasWildcard() bool {
	s := string(f)
	return s == "+" || strings.HasSuffix(s, "#") || strings.HasSuffix(s, "/+") || strings.HasPrefix(s, "+/") || strings.Contains(s, "/+/")
}

// Selects reports whether a subscription to the filter gets what is published
// to a topic. Other than for [TopicFilter.Match], braces mean nothing.
func (f TopicFilter) Selects(t Topic) bool {
	filter, topic := string(f), string(t)
	if filter == topic {
		return true
	}
	for {
		want, moreWanted, wantMore := strings.Cut(filter, "/")
		if want == "#" {
			return true
		}
		have, moreHere, haveMore := strings.Cut(topic, "/")
		if want != "+" && want != have {
			return false
		}
		if !wantMore || !haveMore {
			// "chat/#" selects "chat" too.
			return wantMore == haveMore || wantMore && moreWanted == "#"
		}
		filter, topic = moreWanted, moreHere
	}
}

// sharePrefix begins a shared subscription (MQTT 5.0 section 4.8.2).
const sharePrefix = "$share/"

// SplitShare takes a shared subscription, $share/<group>/<filter>, apart. For
// any other the group is empty and the filter is all of it. It checks nothing.
func SplitShare(s string) (group string, filter TopicFilter) {
	rest, shared := strings.CutPrefix(s, sharePrefix)
	if !shared {
		return "", TopicFilter(s)
	}
	group, inner, _ := strings.Cut(rest, "/")
	return group, TopicFilter(inner)
}

// ValidShared checks a subscription that may be shared. The name of a group has
// at least one character and none of "/", "+", "#" (MQTT-4.8.2-1, MQTT-4.8.2-2).
func ValidShared(field, s string) error {
	if !strings.HasPrefix(s, sharePrefix) {
		return ValidSubscription(field, s)
	}
	group, filter := SplitShare(s)
	switch {
	case group == "" || strings.ContainsAny(group, "+#"):
		return Invalid(field, "Write $share/<group>/<filter>, with a group without + and #.", "%.60q names no group", s)
	case len(group) > MaxTopicBytes:
		return Invalid(field, "Shorten it.", "the group has %d bytes, more than %d", len(group), MaxTopicBytes)
	}
	if err := ValidTopic(field, group); err != nil {
		return err
	}
	return ValidSubscription(field, string(filter))
}

// MaxRetained is how many retained publications an app has by default.
const MaxRetained = 10_000
