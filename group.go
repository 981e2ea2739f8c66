package herald

import "strings"

// GroupKey is the public name of a group of apps: "group-" and 24 characters
// of [0-9a-z], so that it is never taken for the key of an app.
type GroupKey string

const groupPrefix = "group-"

// Valid reports whether the key has the form of a group key.
func (k GroupKey) Valid() bool {
	rest, ok := strings.CutPrefix(string(k), groupPrefix)
	return ok && hasForm(rest, AppKeyLen, base36)
}

// NewGroupKey makes a random group key.
func NewGroupKey() GroupKey { return GroupKey(groupPrefix + randomString(AppKeyLen, base36)) }
