package api

import (
	"maps"
	"slices"
	"strings"

	"github.com/herald-push/herald"
)

// maxLanguages is how many languages a message or a template may have.
const maxLanguages = 50

// validLanguages checks what differs by language.
func validLanguages(at string, languages map[string]herald.Notification) error {
	if len(languages) > maxLanguages {
		return herald.Invalid(at, "Send several messages, each with an audience of some languages.", "%d languages are more than %d", len(languages), maxLanguages)
	}
	seen := map[string]string{}
	for _, tag := range slices.Sorted(maps.Keys(languages)) {
		if err := validTag(at, tag, seen); err != nil {
			return err
		}
		over := languages[tag]
		if err := validOverride(at+"."+tag, &over); err != nil {
			return err
		}
	}
	return nil
}

// validTag checks the form of a language tag (RFC 5646, section 2.1: subtags of
// 1 to 8 letters and digits, the first one of letters), and that no other one
// is the same but for the case of letters.
func validTag(at, tag string, seen map[string]string) error {
	if !isTag(tag) {
		return herald.Invalid(at, "Write a BCP 47 tag such as en, zh-CN or zh-Hant-TW.", "%.40q is not a language", tag)
	}
	lower := strings.ToLower(tag)
	if other, twice := seen[lower]; twice {
		return herald.Invalid(at, "Keep one of them.", "%s and %s are the same language", other, tag)
	}
	seen[lower] = tag
	return nil
}

func isTag(tag string) bool {
	if len(tag) > 35 {
		return false
	}
	for i, part := range strings.Split(tag, "-") {
		if len(part) < 1 || len(part) > 8 {
			return false
		}
		for _, c := range []byte(part) {
			letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
			if !letter && (i == 0 || c < '0' || c > '9') {
				return false
			}
		}
	}
	return true
}
