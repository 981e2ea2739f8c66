package store

import "testing"

// A vendor may be told something that has the name of a fact.
func TestPlanned(t *testing.T) {
	for facts, want := range map[string]bool{
		"": false, `{}`: false, `{"planned":true}`: true, `{"category":"a","planned":true}`: true,
		`{"category":"\"planned\":true"}`: false, `{"vendors":{"fcm":{"planned":true}}}`: false, `{"planned":`: false,
	} {
		if got := planned([]byte(facts)); got != want {
			t.Errorf("%s: %v", facts, got)
		}
	}
}
