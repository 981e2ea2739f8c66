package packet

import (
	"strings"
	"unicode/utf8"
)

// ValidTopicName reports whether s may be the name of a topic by the rules of
// MQTT 5.0 section 4.7 alone: what else the server asks of names is not its
// concern.
func ValidTopicName(s string) bool {
	return validName(s) && !strings.ContainsAny(s, "+#")
}

// validName is what names and filters have in common (MQTT-4.7.3-1 to -3).
func validName(s string) bool {
	return s != "" && len(s) <= 0xFFFF && utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}

// ValidFilter reports whether s may be a topic filter, shared ones included, by
// the rules of MQTT alone.
func ValidFilter(s string) bool {
	if strings.HasPrefix(s, sharePrefix) {
		_, inner, ok := SplitShare(s)
		return ok && utf8.ValidString(s) && len(s) <= 0xFFFF && validLevels(inner)
	}
	return validLevels(s)
}

// validLevels checks the wildcards (MQTT-4.7.1-1 and -2): each is a whole level,
// and "#" is the last one.
func validLevels(s string) bool {
	if !validName(s) {
		return false
	}
	for i := range len(s) {
		switch s[i] {
		case '#':
			if i != len(s)-1 || i > 0 && s[i-1] != '/' {
				return false
			}
		case '+':
			if i > 0 && s[i-1] != '/' || i < len(s)-1 && s[i+1] != '/' {
				return false
			}
		}
	}
	return true
}

const sharePrefix = "$share/"

// SplitShare takes "$share/<group>/<filter>" apart (MQTT 5.0 section 4.8.2). ok
// is false if the filter is not shared, and also if it begins like one that is
// and lacks a part (ValidFilter tells).
func SplitShare(filter string) (group, inner string, ok bool) {
	rest, ok := strings.CutPrefix(filter, sharePrefix)
	if !ok {
		return "", "", false
	}
	group, inner, ok = strings.Cut(rest, "/")
	if !ok || group == "" || inner == "" || strings.ContainsAny(group, "+#\x00") {
		return "", "", false
	}
	return group, inner, true
}
