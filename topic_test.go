package herald_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-push/herald"
)

// wantTopicError wants no error, or one about the field that says something.
func wantTopicError(t *testing.T, err error, field, says string) {
	t.Helper()
	if says == "" {
		if err != nil {
			t.Errorf("got %v", err)
		}
		return
	}
	var e *herald.Error
	if !errors.As(err, &e) || e.Code != herald.CodeInvalidRequest || e.Field != field || e.Remedy == "" || !strings.Contains(e.Message, says) {
		t.Errorf("got %#v, want an invalid_request about %s that says %q", err, field, says)
	}
}

func TestValidTopic(t *testing.T) {
	for _, tt := range []struct{ name, in, says string }{
		{"one level", "chat", ""},
		{"levels", "chat/room 7/typing", ""},
		{"empty levels", "/a//b/", ""},
		{"a slash", "/", ""},
		{"Chinese", "聊天/用户", ""},
		{"braces", "a/{registration_id}", ""},
		{"a name like a reserved one", "heralds/a", ""},
		{"a reserved word further on", "a/herald/$b", ""},
		{"256 bytes", strings.Repeat("x", 256), ""},
		{"16 levels", strings.Repeat("a/", 15) + "a", ""},
		{"empty", "", "is empty"},
		{"257 bytes", strings.Repeat("x", 257), "257 bytes"},
		{"87 characters of 3 bytes", strings.Repeat("用", 87), "261 bytes"},
		{"17 levels", strings.Repeat("a/", 16) + "a", "17 levels"},
		{"17 empty levels", strings.Repeat("/", 16), "17 levels"},
		{"not UTF-8", "a\xff", "UTF-8"},
		{"a surrogate", "\xed\xa0\x80", "UTF-8"},
		{"NUL", "a\x00", "control"},
		{"a line break", "a\nb", "control"},
		{"DEL", "a\x7f", "control"},
		{"a C1 control", "a\u0085", "control"},
		{"no-break space", "a\u00a0", ""},
		{"dollar", "$SYS/uptime", "reserved"},
		{"herald", "herald", "reserved"},
		{"below herald", "herald/push", "reserved"},
		{"herald and a slash", "herald/", "reserved"},
		{"plus", "chat/+", "wildcard"},
		{"hash", "#", "wildcard"},
		{"plus in a level", "a+b", "wildcard"},
	} {
		t.Run(tt.name, func(t *testing.T) { wantTopicError(t, herald.ValidTopic("topic", tt.in), "topic", tt.says) })
	}
}

func TestValidTopicFilter(t *testing.T) {
	for _, tt := range []struct{ name, in, says string }{
		{"a name", "chat/7", ""},
		{"everything", "#", ""},
		{"any level", "+", ""},
		{"any levels", "+/+/c", ""},
		{"below", "chat/#", ""},
		{"both", "+/chat/+/#", ""},
		{"the device", "device/{registration_id}/state", ""},
		{"the device alone", "{registration_id}", ""},
		{"empty levels", "//", ""},
		{"16 levels", strings.Repeat("+/", 15) + "#", ""},
		{"empty", "", "is empty"},
		{"257 bytes", strings.Repeat("x", 257), "257 bytes"},
		{"17 levels", strings.Repeat("+/", 16) + "#", "17 levels"},
		{"not UTF-8", "\xff/+", "UTF-8"},
		{"a tab", "a\t/+", "control"},
		{"reserved", "herald/+", "reserved"},
		{"dollar", "$share/g/a", "reserved"},
		{"levels after the hash", "a/#/b", "levels after #"},
		{"hash and a slash", "#/", "levels after #"},
		{"two hashes", "#/#", "levels after #"},
		{"hash in a level", "a/b#", "within a level"},
		{"plus in a level", "a+/b", "within a level"},
		{"two plus", "a/++", "within a level"},
		{"the alias", "user/{alias}/#", ""},
		{"another placeholder", "a/{tag}", "brace"},
		{"two placeholders in a level", "a/{alias}{alias}", "brace"},
		{"a placeholder in a level", "a/x{registration_id}", "brace"},
		{"half a placeholder", "a/{registration_id", "brace"},
		{"braces", "{}", "brace"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantTopicError(t, herald.ValidTopicFilter("publish[3]", tt.in), "publish[3]", tt.says)
		})
	}
}

func TestTopicMatch(t *testing.T) {
	const own = "{registration_id}"
	for _, tt := range []struct {
		filter herald.TopicFilter
		topic  herald.Topic
		id     herald.RegistrationID
		want   bool
	}{
		{"a", "a", "", true},
		{"a", "A", "", false},
		{"a", "b", "", false},
		{"a", "a/b", "", false},
		{"a/b", "a", "", false},
		{"a", "a/", "", false},
		{"a/", "a", "", false},
		{"a/", "a/", "", true},
		{"/a", "a", "", false},
		{"/a", "/a", "", true},
		{"a//b", "a//b", "", true},
		{"a//b", "a/b", "", false},
		{"chat", "chatter", "", false},

		{"+", "a", "", true},
		{"+", "a/b", "", false},
		{"+", "/a", "", false},
		{"+/+", "/a", "", true},
		{"/+", "/a", "", true},
		{"a/+", "a/b", "", true},
		{"a/+", "a/", "", true}, // an empty level is a level
		{"a/+", "a", "", false},
		{"a/+", "a/b/c", "", false},
		{"a/+/c", "a/b/c", "", true},
		{"a/+/c", "a//c", "", true},
		{"a/+/c", "a/b/d", "", false},
		{"+/+", "a", "", false},

		{"#", "a", "", true},
		{"#", "a/b/c", "", true},
		{"#", "/", "", true},
		{"a/#", "a", "", true},
		{"a/#", "a/", "", true},
		{"a/#", "a/b/c", "", true},
		{"a/#", "ab", "", false},
		{"a/#", "b/a", "", false},
		{"a/b/#", "a", "", false},
		{"a/b/#", "a/b", "", true},
		{"+/#", "a", "", true},
		{"+/#", "a/b/c", "", true},
		{"a/+/#", "a", "", false},
		{"a/+/#", "a/b", "", true},
		{"/#", "/a", "", true},
		{"/#", "a", "", false},

		{"d/" + own, "d/" + id, id, true},
		{"d/" + own, "d/06o2j5c9k40000abcduu", id, false},
		{"d/" + own, "d/" + id, "", false},
		{"d/" + own, "d/", "", false},
		{"d/" + own, "d/", id, false},
		{"d/" + own, "d", id, false},
		{"d/" + own + "/#", "d/" + id, id, true},
		{"d/" + own + "/#", "d/" + id + "/a/b", id, true},
		{"+/" + own + "/x", "q/" + id + "/x", id, true},
		{own, id, id, true},
		// A level that reads like the placeholder is that text and nothing more.
		{"d/" + own, "d/" + own, id, false},
		{"d/" + own, "d/" + own, "", false},
		{"d/+", "d/" + own, id, true},
		{"d/#", "d/" + own, "", true},
	} {
		if err := herald.ValidTopic("topic", string(tt.topic)); err != nil {
			t.Errorf("%q is no topic: %v", tt.topic, err)
		}
		if err := herald.ValidTopicFilter("filter", string(tt.filter)); err != nil {
			t.Errorf("%q is no filter: %v", tt.filter, err)
		}
		if got := tt.filter.Match(tt.topic, tt.id, ""); got != tt.want {
			t.Errorf("%q and %q of %q: %v, want %v", tt.filter, tt.topic, tt.id, got, tt.want)
		}
	}
}

// naiveMatch compares level by level, as MQTT 5.0 section 4.7.1 puts it.
func naiveMatch(filter, topic []string, id, alias string) bool {
	if len(filter) == 0 {
		return len(topic) == 0
	}
	if filter[0] == "#" {
		return true // also for no level at all: its parent
	}
	if len(topic) == 0 {
		return false
	}
	level := false
	switch filter[0] {
	case "+":
		level = true
	case "{registration_id}":
		level = id != "" && topic[0] == id
	case "{alias}":
		level = alias != "" && !strings.ContainsAny(alias, "/+#") && topic[0] == alias
	default:
		level = topic[0] == filter[0]
	}
	return level && naiveMatch(filter[1:], topic[1:], id, alias)
}

// FuzzTopicMatch holds Match to a naive reference, and rules of one filter to
// Match.
func FuzzTopicMatch(f *testing.F) {
	for _, s := range [][4]string{
		{"a/#", "a", "", ""}, {"#", "a/b", "x", ""}, {"+/b", "a/b", "", ""}, {"a//+", "a//", "", ""}, {"d/{registration_id}", "d/x", "x", ""},
		{"d/{registration_id}/#", "d/{registration_id}", "{registration_id}", ""}, {"+/+/#", "/", "", ""}, {"/#", "/", "", ""}, {"a/b", "a/b/c", "", ""},
		{"u/{alias}", "u/anna", "x", "anna"}, {"u/{alias}/#", "u/a/b", "x", "a/b"}, {"{alias}", "+", "x", "+"},
	} {
		f.Add(s[0], s[1], s[2], s[3])
	}
	f.Fuzz(func(t *testing.T, filter, topic, id, alias string) {
		if herald.ValidTopicFilter("filter", filter) != nil || herald.ValidTopic("topic", topic) != nil {
			return
		}
		own, bound := herald.RegistrationID(id), herald.Alias(alias)
		got := herald.TopicFilter(filter).Match(herald.Topic(topic), own, bound)
		if want := naiveMatch(strings.Split(filter, "/"), strings.Split(topic, "/"), id, alias); got != want {
			t.Fatalf("%q and %q of %q: %v, want %v", filter, topic, id, got, want)
		}
		rules := herald.TopicRules{Subscribe: []herald.TopicFilter{"none", herald.TopicFilter(filter)}}
		if topic != "none" && rules.Allow(herald.TopicSubscribe, herald.Topic(topic), own, bound) != got {
			t.Fatalf("rules say another thing of %q and %q", filter, topic)
		}
	})
}

// FuzzValidTopic: a name is a filter that chooses itself, and "#" chooses every
// name.
func FuzzValidTopic(f *testing.F) {
	for _, s := range []string{"", "a", "a/b", "$a", "herald/x", "a/+", "\xff", "a\u0085", "{registration_id}/a", strings.Repeat("/", 16)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if herald.ValidTopic("topic", s) != nil {
			return
		}
		if !herald.TopicFilter("#").Match(herald.Topic(s), "", "") {
			t.Fatalf("# does not choose %q", s)
		}
		if herald.ValidTopicFilter("filter", s) == nil && !strings.Contains(s, "{") && !herald.TopicFilter(s).Match(herald.Topic(s), "", "") {
			t.Fatalf("%q does not choose itself", s)
		}
	})
}

func TestTopicRules(t *testing.T) {
	type filters = []herald.TopicFilter
	rules := func(subscribe, publish filters) herald.TopicRules {
		return herald.TopicRules{Subscribe: subscribe, Publish: publish}
	}
	for _, tt := range []struct {
		name               string
		rules              herald.TopicRules
		topic              herald.Topic
		subscribe, publish bool
	}{
		{"the default", herald.TopicRules{}, "a", true, false},
		{"nothing", rules(filters{}, filters{}), "a", false, false},
		{"everything", rules(filters{"#"}, filters{"#"}), "a/b", true, true},
		{"only publish", rules(filters{}, filters{"a"}), "a", false, true},
		{"another topic", rules(filters{"b"}, filters{"c"}), "a", false, false},
		{"any of them", rules(filters{"b", "a"}, filters{"c", "+"}), "a", true, true},
		{"its own", rules(filters{"d/{registration_id}"}, filters{"d/{registration_id}"}), "d/" + id, true, true},
		{"another's", rules(filters{"d/{registration_id}"}, filters{"d/{registration_id}"}), "d/x", false, false},
		{"its user's", rules(filters{"u/{alias}"}, filters{"u/{alias}/#"}), "u/anna", true, true},
		{"another user's", rules(filters{"u/{alias}"}, filters{"u/{alias}/#"}), "u/ben", false, false},
		{"a filter", rules(filters{"a/#"}, filters{"#"}), "a/+", true, false},
		{"a filter of which a rule covers a part", rules(filters{"a", "a/b"}, filters{"#"}), "a/#", false, false},
		{"a filter under the default", herald.TopicRules{}, "#", true, false},
		{"shared", rules(filters{"a/#"}, filters{}), "$share/g/a/+", true, false},
		{"shared of another topic", rules(filters{"a/#"}, filters{}), "$share/a/b", false, false},
		{"shared of nothing", rules(filters{"a/#"}, filters{"#"}), "$share/a", false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.rules.Allow(herald.TopicSubscribe, tt.topic, id, "anna"); got != tt.subscribe {
				t.Errorf("subscribe: %v", got)
			}
			if got := tt.rules.Allow(herald.TopicPublish, tt.topic, id, "anna"); got != tt.publish {
				t.Errorf("publish: %v", got)
			}
			if got := tt.rules.Allow("", tt.topic, id, "anna"); got && !tt.publish {
				t.Error("an unknown verb is allowed what publish is not")
			}
			if err := tt.rules.Validate("topics"); err != nil {
				t.Errorf("not valid: %v", err)
			}
			// In the record the default and an empty list stay apart.
			b, err := json.Marshal(tt.rules)
			if err != nil {
				t.Fatal(err)
			}
			var again herald.TopicRules
			if err := json.Unmarshal(b, &again); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.rules, again); d != "" {
				t.Errorf("%s: written and read again it differs:\n%s", b, d)
			}
		})
	}
}

func TestTopicRulesRefused(t *testing.T) {
	type filters = []herald.TopicFilter
	var many filters
	for i := range 101 {
		many = append(many, herald.TopicFilter(fmt.Sprint("t/", i)))
	}
	for _, tt := range []struct {
		name        string
		rules       herald.TopicRules
		field, says string
	}{
		{"subscribe", herald.TopicRules{Subscribe: filters{"a", "#", "a/#/b"}}, "topics.subscribe[2]", "levels after #"},
		{"publish", herald.TopicRules{Subscribe: filters{"a"}, Publish: filters{""}}, "topics.publish[0]", "is empty"},
		{"100 filters", herald.TopicRules{Publish: many[:100]}, "", ""},
		{"101 filters", herald.TopicRules{Publish: many}, "topics.publish", "101 filters"},
		{"101 filters to subscribe", herald.TopicRules{Subscribe: many}, "topics.subscribe", "101 filters"},
	} {
		t.Run(tt.name, func(t *testing.T) { wantTopicError(t, tt.rules.Validate("topics"), tt.field, tt.says) })
	}
}
