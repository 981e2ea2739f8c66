package herald_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-push/herald"
)

// id is a well-formed registration ID.
const id = "06o2j5c9k40000abcduv"

func ptr[T any](v T) *T { return &v }

func TestAudienceJSON(t *testing.T) {
	tests := []struct {
		name, in string
		want     herald.Audience
	}{
		{"all", `"all"`, herald.Audience{All: true}},
		{"all with space around", " \n\"all\"\t", herald.Audience{All: true}},
		{"registration IDs", `{"registration_ids":["` + id + `"]}`, herald.Audience{RegistrationIDs: []herald.RegistrationID{id}}},
		{"aliases", `{"aliases":["anna","本"]}`, herald.Audience{Aliases: []herald.Alias{"anna", "本"}}},
		{"tags", `{"tags":["a"],"tags_and":["b"],"tags_not":["c"]}`, herald.Audience{Tags: []herald.Tag{"a"}, TagsAnd: []herald.Tag{"b"}, TagsNot: []herald.Tag{"c"}}},
		{"profile", `{"platforms":["web"],"languages":["zh"],"app_versions":["1.0"]}`,
			herald.Audience{Platforms: []herald.Platform{"web"}, Languages: []string{"zh"}, AppVersions: []string{"1.0"}}},
		{"active", `{"active_within_days":7}`, herald.Audience{ActiveWithinDays: 7}},
		{"online", `{"online":true}`, herald.Audience{Online: ptr(true)}},
		{"not online", `{"online":false}`, herald.Audience{Online: ptr(false)}},
		{"nested", `{"and":["all",{"or":[{"tags":["a"]}]}],"not":{"tags":["b"]}}`, herald.Audience{
			And: []herald.Audience{{All: true}, {Or: []herald.Audience{{Tags: []herald.Tag{"a"}}}}},
			Not: &herald.Audience{Tags: []herald.Tag{"b"}},
		}},
		{"not all", `{"not":"all"}`, herald.Audience{Not: &herald.Audience{All: true}}},
		{"empty lists are members", `{"tags":[],"aliases":[],"or":[],"platforms":["web"]}`,
			herald.Audience{Tags: []herald.Tag{}, Aliases: []herald.Alias{}, Or: []herald.Audience{}, Platforms: []herald.Platform{"web"}}},
		{"a topic", `{"topic":"chat/7","tags":["a"]}`, herald.Audience{Topic: "chat/7", Tags: []herald.Tag{"a"}}},
		{"known by name", `{"segments":[],"files":["f"]}`, herald.Audience{Segments: []string{}, Files: []herald.FileID{"f"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got herald.Audience
			if err := json.Unmarshal([]byte(tt.in), &got); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Fatal(d)
			}
			again := roundTrip(t, got)
			if d := cmp.Diff(got, again); d != "" {
				t.Errorf("written and read again it differs:\n%s", d)
			}
		})
	}
}

func roundTrip(t *testing.T, a herald.Audience) (out herald.Audience) {
	t.Helper()
	b, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatalf("%s is written and not read: %v", b, err)
	}
	return out
}

func TestAudienceJSONRefused(t *testing.T) {
	for _, tt := range []struct{ name, in, says string }{
		{"another string", `"everybody"`, "is not an audience"},
		{"capitals", `"All"`, "is not an audience"},
		{"list", `["a"]`, "a string or an object"},
		{"number", `1`, "a string or an object"},
		{"null", `null`, "a string or an object"},
		{"true", `true`, "a string or an object"},
		{"unknown member", `{"tag":["a"]}`, "tag"},
		{"unknown member below", `{"and":[{"not":{"tag":["a"]}}]}`, "tag"},
		{"wrong type", `{"tags":"a"}`, "tags"},
		{"wrong element", `{"tags":[1]}`, "tags"},
		{"string below", `{"and":["some"]}`, `"some" is not an audience`},
		{"null below", `{"or":[null]}`, "a string or an object"},
		{"empty topic", `{"tags":["a"],"topic":""}`, "topic: is empty"},
		{"empty topic below", `{"or":[{"topic":""}]}`, "topic: is empty"},
		{"list of topics", `{"topic":["a"]}`, "topic"},
		{"fraction", `{"active_within_days":1.5}`, "active_within_days"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var a herald.Audience
			err := a.UnmarshalJSON([]byte(tt.in))
			var e *herald.Error
			if !errors.As(err, &e) || e.Code != herald.CodeInvalidRequest || e.Remedy == "" || !strings.Contains(e.Error(), tt.says) {
				t.Errorf("got %#v, want an invalid_request that says %q", err, tt.says)
			}
		})
	}
	for _, in := range []string{``, ` `, `"all`, `{`, `{"tags":["a"]} {}`, `"all" 1`} {
		var a herald.Audience
		if err := a.UnmarshalJSON([]byte(in)); err == nil {
			t.Errorf("%q is read as %+v", in, a)
		}
	}
}

func many[T any](n int, v T) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = v
	}
	return out
}

// nested puts an audience under n nots.
func nested(n int, a herald.Audience) herald.Audience {
	for range n {
		a = herald.Audience{Not: &herald.Audience{And: a.And, Not: a.Not, Tags: a.Tags, Aliases: a.Aliases}}
	}
	return a
}

func TestAudienceValidate(t *testing.T) {
	vip := herald.Audience{Tags: []herald.Tag{"vip"}}
	tests := []struct {
		name  string
		a     herald.Audience
		field string // "" is valid
	}{
		{"all", herald.Audience{All: true}, ""},
		{"a tag", vip, ""},
		{"nothing", herald.Audience{}, "audience"},
		{"nothing below", herald.Audience{Or: []herald.Audience{vip, {}}}, "audience.or[1]"},
		{"empty lists that name nobody", herald.Audience{Tags: []herald.Tag{}, Aliases: []herald.Alias{}, RegistrationIDs: []herald.RegistrationID{},
			Platforms: []herald.Platform{}, Languages: []string{}, AppVersions: []string{}, Or: []herald.Audience{}}, ""},
		{"no tags_and", herald.Audience{TagsAnd: []herald.Tag{}}, "audience.tags_and"},
		{"no tags_not", herald.Audience{TagsNot: []herald.Tag{}}, "audience.tags_not"},
		{"no and", herald.Audience{And: []herald.Audience{}}, "audience.and"},
		{"name of a segment", herald.Audience{Segments: []string{"s", ""}}, "audience.segments[1]"},
		{"many segments", herald.Audience{Segments: slices.Repeat([]string{"s"}, herald.MaxSaved+1)}, "audience.segments"},
		{"ID of a file", herald.Audience{Files: []herald.FileID{"f"}, Tags: vip.Tags}, "audience.files[0]"},
		{"many files", herald.Audience{Files: slices.Repeat([]herald.FileID{"00000000000000000001"}, herald.MaxSaved+1)}, "audience.files"},
		{"a topic", herald.Audience{Topic: "chat/7"}, ""},
		{"a filter", herald.Audience{Topic: "chat/+"}, "audience.topic"},
		{"a reserved topic below", herald.Audience{Not: &herald.Audience{Topic: "$SYS"}}, "audience.not.topic"},
		{"a long topic below", herald.Audience{Or: []herald.Audience{vip, {Topic: herald.Topic(strings.Repeat("x", 257))}}}, "audience.or[1].topic"},
		{"a registration ID", herald.Audience{RegistrationIDs: []herald.RegistrationID{id}}, ""},
		{"no registration ID", herald.Audience{RegistrationIDs: []herald.RegistrationID{id, "x"}}, "audience.registration_ids[1]"},
		{"a platform", herald.Audience{Platforms: herald.Platforms}, ""},
		{"no platform", herald.Audience{Platforms: []herald.Platform{"WEB"}}, "audience.platforms[0]"},
		{"empty alias", herald.Audience{Aliases: []herald.Alias{""}}, "audience.aliases[0]"},
		{"long tag", herald.Audience{Tags: []herald.Tag{herald.Tag(strings.Repeat("x", 129))}}, "audience.tags[0]"},
		{"longest tag", herald.Audience{Tags: []herald.Tag{herald.Tag(strings.Repeat("x", 128))}}, ""},
		{"tag with a line break", herald.Audience{TagsNot: []herald.Tag{"a", "b\n"}}, "audience.tags_not[1]"},
		{"tag that is not UTF-8", herald.Audience{TagsAnd: []herald.Tag{"\xff"}}, "audience.tags_and[0]"},
		{"language with DEL", herald.Audience{Languages: []string{"z\x7f"}}, "audience.languages[0]"},
		{"empty version", herald.Audience{AppVersions: []string{"1", ""}}, "audience.app_versions[1]"},
		{"one day", herald.Audience{ActiveWithinDays: 1}, ""},
		{"two days", herald.Audience{ActiveWithinDays: 2}, "audience.active_within_days"},
		{"minus one day", herald.Audience{ActiveWithinDays: -1}, "audience.active_within_days"},
		{"1,000 tags", herald.Audience{Tags: many[herald.Tag](1000, "a")}, ""},
		{"1,001 tags", herald.Audience{Tags: many[herald.Tag](1001, "a")}, "audience.tags"},
		{"1,001 tags_and", herald.Audience{TagsAnd: many[herald.Tag](1001, "a")}, "audience.tags_and"},
		{"1,001 tags_not", herald.Audience{TagsNot: many[herald.Tag](1001, "a")}, "audience.tags_not"},
		{"1,001 aliases", herald.Audience{Aliases: many[herald.Alias](1001, "a")}, "audience.aliases"},
		{"1,001 IDs", herald.Audience{RegistrationIDs: many[herald.RegistrationID](1001, id)}, "audience.registration_ids"},
		{"1,001 languages", herald.Audience{Languages: many(1001, "zh")}, "audience.languages"},
		{"1,001 versions", herald.Audience{AppVersions: many(1001, "1")}, "audience.app_versions"},
		{"eight levels", nested(8, vip), ""},
		{"nine levels", nested(9, vip), "audience" + strings.Repeat(".not", 9)},
		{"100 objects", herald.Audience{Or: many(99, vip)}, ""},
		{"101 objects", herald.Audience{Or: many(100, vip)}, "audience.or[99]"},
		{"101 objects in two lists", herald.Audience{And: many(50, vip), Or: many(50, vip)}, "audience.or[49]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 5 { // the same member is told each time
				err := tt.a.Validate()
				if tt.field == "" {
					if err != nil {
						t.Fatal(err)
					}
					continue
				}
				var e *herald.Error
				if !errors.As(err, &e) || e.Code != herald.CodeInvalidRequest || e.Field != tt.field || e.Remedy == "" {
					t.Fatalf("got %#v, want an invalid_request about %s", err, tt.field)
				}
			}
		})
	}
}

func TestByAlias(t *testing.T) {
	anna := herald.Audience{Aliases: []herald.Alias{"anna"}}
	vip := herald.Audience{Tags: []herald.Tag{"vip"}}
	not := func(a herald.Audience) herald.Audience { return herald.Audience{Not: &a} }
	for _, tt := range []struct {
		name string
		a    herald.Audience
		want bool
	}{
		{"all", herald.Audience{All: true}, false},
		{"a tag", vip, false},
		{"an alias", anna, true},
		{"in and", herald.Audience{And: []herald.Audience{vip, anna}}, true},
		{"in or", herald.Audience{Or: []herald.Audience{vip, {And: []herald.Audience{anna}}}}, true},
		{"under not", not(anna), false},
		{"in or under not", not(herald.Audience{Or: []herald.Audience{anna}}), false},
		{"under two nots", not(not(anna)), true},
		{"under three nots", not(not(not(anna))), false},
		{"beside a not", herald.Audience{Aliases: anna.Aliases, Not: &vip}, true},
		{"beside an alias under not", herald.Audience{Or: []herald.Audience{not(anna), anna}}, true},
	} {
		if got := tt.a.ByAlias(); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// FuzzAudience: what is read can be written and read again, is the same then,
// and Validate says the same of it.
func FuzzAudience(f *testing.F) {
	for _, s := range []string{
		`"all"`, `{"tags":["vip"]}`, `{"tags":[],"platforms":["web"]}`, `{"and":["all",{"or":[{"tags":["a"]}]}],"not":{"aliases":["b"]}}`,
		`{"registration_ids":["` + id + `"],"online":false}`, `{"active_within_days":30,"languages":["zh-CN"]}`, `{"not":null}`, `{"or":[null]}`,
		`{"tags":["a"],"tags":["b"]}`, `{"TAGS":["\ud800"]}`, `{"segments":["s"],"files":[],"topic":""}`, `{}`, `[]`, `"x"`, strings.Repeat(`{"not":`, 70),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var a herald.Audience
		if err := json.Unmarshal(in, &a); err != nil {
			return
		}
		again := roundTrip(t, a)
		if d := cmp.Diff(a, again); d != "" {
			t.Fatalf("%s: written and read again it differs:\n%s", in, d)
		}
		if got, want := fmt.Sprint(again.Validate()), fmt.Sprint(a.Validate()); got != want {
			t.Fatalf("%s: valid says %s, then %s", in, want, got)
		}
		if got, want := again.ByAlias(), a.ByAlias(); got != want {
			t.Fatalf("%s: by alias %v, then %v", in, want, got)
		}
	})
}

func TestValidName(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		ok       bool
	}{
		{"a letter", "a", true},
		{"a space", " ", true},
		{"punctuation", `.:*#+>/"\`, true},
		{"Chinese", "用户", true},
		{"U+0080", "\u0080", true},
		{"128 bytes", strings.Repeat("ab", 64), true},
		{"129 bytes in 43 characters", strings.Repeat("用", 43), false},
		{"empty", "", false},
		{"not UTF-8", "a\xc3", false},
		{"a surrogate", "\xed\xa0\x80", false},
		{"NUL", "a\x00", false},
		{"U+001F", "\x1f", false},
		{"DEL", "\x7f", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := herald.ValidName("alias", tt.in)
			if tt.ok {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var e *herald.Error
			if !errors.As(err, &e) || e.Field != "alias" || e.Code != herald.CodeInvalidRequest || e.Remedy == "" {
				t.Errorf("got %#v", err)
			}
		})
	}
}
