package herald

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Audience says who a message is for, as the sender puts it: everybody, or an
// expression. The members of an expression are joined by AND, the values
// within a member by OR. In JSON it is "all" or an object.
//
// A list that is present and empty names nobody, where an absent one (nil)
// says nothing; JSON keeps the two apart.
type Audience struct {
	All bool `json:"-"`

	RegistrationIDs  []RegistrationID `json:"registration_ids,omitzero"`
	Aliases          []Alias          `json:"aliases,omitzero"`
	Tags             []Tag            `json:"tags,omitzero"`     // any of
	TagsAnd          []Tag            `json:"tags_and,omitzero"` // all of
	TagsNot          []Tag            `json:"tags_not,omitzero"` // none of
	Platforms        []Platform       `json:"platforms,omitzero"`
	Languages        []string         `json:"languages,omitzero"` // "zh" includes "zh-CN"
	AppVersions      []string         `json:"app_versions,omitzero"`
	ActiveWithinDays int              `json:"active_within_days,omitempty"` // 1, 7 or 30
	Online           *bool            `json:"online,omitempty"`
	Topic            Topic            `json:"topic,omitempty"`   // subscribed to it now
	Segments         []string         `json:"segments,omitzero"` // any of these saved expressions
	Files            []FileID         `json:"files,omitzero"`    // any of these uploaded lists
	And              []Audience       `json:"and,omitzero"`
	Or               []Audience       `json:"or,omitzero"`
	Not              *Audience        `json:"not,omitempty"`
}

// Limits of an audience expression.
const (
	MaxAudienceDepth = 8   // nesting of and, or, not
	MaxAudienceNodes = 100 // objects in one expression
)

// MarshalJSON writes "all" or the object.
func (a Audience) MarshalJSON() ([]byte, error) {
	if a.All {
		return []byte(`"all"`), nil
	}
	type plain Audience
	return json.Marshal(plain(a))
}

// UnmarshalJSON reads "all" or the object. Members that it does not know are
// errors. What it reads is well-formed JSON of the right types; whether it
// makes sense is for [Audience.Validate] to say.
func (a *Audience) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	if len(b) > 0 && b[0] == '"' {
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		if s != "all" {
			return Invalid("audience", `Write "all", or an object such as {"tags":["vip"]}.`, "%.40q is not an audience", s)
		}
		*a = Audience{All: true}
		return nil
	}
	if len(b) == 0 || b[0] != '{' {
		return Invalid("audience", `Write "all", or an object such as {"tags":["vip"]}.`, "an audience is a string or an object")
	}
	type plain Audience
	var p struct {
		plain
		Topic *Topic `json:"topic"` // tells the empty from the absent
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		var inner *Error
		if errors.As(err, &inner) {
			return inner
		}
		return Invalid("audience", "See the list of members in the documentation of audience.", "%s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Invalid("audience", "Send one JSON value.", "text after the audience")
	}
	*a = Audience(p.plain)
	if p.Topic != nil {
		if *p.Topic == "" {
			// It would be ignored, and the message reach whom nobody meant.
			return ValidTopic("audience.topic", "")
		}
		a.Topic = *p.Topic
	}
	return nil
}

// Validate checks the expression against the limits. Whether the segments and
// files that it names exist is known only where it is evaluated. The error is
// an [*Error] whose Field leads to the member.
func (a *Audience) Validate() error {
	nodes := 0
	return a.validate("audience", 0, &nodes)
}

func (a *Audience) validate(at string, depth int, nodes *int) error {
	if *nodes++; *nodes > MaxAudienceNodes || depth > MaxAudienceDepth {
		return Invalid(at, "Name the people with a tag instead, or send several messages.",
			"the expression has more than %d objects or %d levels", MaxAudienceNodes, MaxAudienceDepth)
	}
	if a.All {
		return nil
	}
	if a.empty() {
		return Invalid(at, `Name at least one member, or write "all" for everybody.`, "the audience is empty")
	}
	for _, m := range []member{
		{"tags_and", a.TagsAnd != nil && len(a.TagsAnd) == 0}, {"tags_not", a.TagsNot != nil && len(a.TagsNot) == 0},
		{"and", a.And != nil && len(a.And) == 0},
	} {
		if m.is {
			// "All of nothing" is everybody, which nobody means who sends it.
			return Invalid(at+"."+m.name, `Leave the member out, or write "all" for everybody.`, "the list is empty")
		}
	}
	if err := a.validateNames(at); err != nil {
		return err
	}
	if a.Topic != "" {
		if err := ValidTopic(at+".topic", string(a.Topic)); err != nil {
			return err
		}
	}
	if d := a.ActiveWithinDays; d != 0 && d != 1 && d != 7 && d != 30 {
		return Invalid(at+".active_within_days", "Write 1, 7 or 30.", "%d is not a tier of activity", d)
	}
	for _, l := range []struct {
		name string
		list []Audience
	}{{"and", a.And}, {"or", a.Or}} {
		for i := range l.list {
			if err := l.list[i].validate(fmt.Sprintf("%s.%s[%d]", at, l.name, i), depth+1, nodes); err != nil {
				return err
			}
		}
	}
	if a.Not != nil {
		return a.Not.validate(at+".not", depth+1, nodes)
	}
	return nil
}

// member is a member of an expression and whether something is so of it.
type member struct {
	name string
	is   bool
}

// empty reports whether no member is present. A list that is present and empty
// counts as a member: it names nobody. (Where it would name everybody it is
// refused by validate.)
func (a *Audience) empty() bool {
	return a.RegistrationIDs == nil && a.Aliases == nil && a.Tags == nil && a.TagsAnd == nil && a.TagsNot == nil &&
		a.Platforms == nil && a.Languages == nil && a.AppVersions == nil && a.ActiveWithinDays == 0 && a.Online == nil &&
		a.Topic == "" && a.Segments == nil && a.Files == nil && a.And == nil && a.Or == nil && a.Not == nil
}

func (a *Audience) validateNames(at string) error {
	for i, id := range a.RegistrationIDs {
		if !id.Valid() {
			return Invalid(fmt.Sprintf("%s.registration_ids[%d]", at, i), "A registration ID has 20 characters of 0-9 and a-v; use the one that POST /v1/devices answered.", "%.40q is not a registration ID", string(id))
		}
	}
	for i, p := range a.Platforms {
		if !p.Valid() {
			return Invalid(fmt.Sprintf("%s.platforms[%d]", at, i), "Use one of: "+platformList()+".", "%.40q is not a platform", string(p))
		}
	}
	if err := firstError(
		validNames(at, "aliases", a.Aliases), validNames(at, "tags", a.Tags), validNames(at, "tags_and", a.TagsAnd),
		validNames(at, "tags_not", a.TagsNot), validNames(at, "languages", a.Languages), validNames(at, "app_versions", a.AppVersions),
		validNames(at, "segments", a.Segments),
		fewNames(at, "aliases", a.Aliases), fewNames(at, "tags", a.Tags), fewNames(at, "tags_and", a.TagsAnd),
		fewNames(at, "tags_not", a.TagsNot), fewNames(at, "languages", a.Languages), fewNames(at, "app_versions", a.AppVersions),
		fewNames(at, "segments", a.Segments), fewNames(at, "registration_ids", a.RegistrationIDs),
	); err != nil {
		return err
	}
	return a.validateSaved(at)
}

// validNames checks the names of a list.
func validNames[S ~string](at, list string, names []S) error {
	for i, v := range names {
		// The place is only written down where it is needed.
		if ValidName("", string(v)) != nil {
			return ValidName(fmt.Sprintf("%s.%s[%d]", at, list, i), string(v))
		}
	}
	return nil
}

// fewNames checks how many names a list has.
func fewNames[S ~string](at, list string, names []S) error {
	if len(names) > MaxIDsPerCall {
		return Invalid(at+"."+list, "Send several messages, or tag the devices and name the tag.", "%d values are more than %d", len(names), MaxIDsPerCall)
	}
	return nil
}

func firstError(list ...error) error {
	for _, err := range list {
		if err != nil {
			return err
		}
	}
	return nil
}

// ByAlias reports whether the expression chooses devices by alias anywhere, and
// so is meant for whoever was bound then. An alias under a not chooses nobody,
// under two of them it does again.
func (a *Audience) ByAlias() bool { return a.byAlias(true) }

func (a *Audience) byAlias(positive bool) bool {
	if a.Aliases != nil && positive || a.Not != nil && a.Not.byAlias(!positive) {
		return true
	}
	for _, l := range [][]Audience{a.And, a.Or} {
		for i := range l {
			if l[i].byAlias(positive) {
				return true
			}
		}
	}
	return false
}

// Valid reports whether the platform is one of [Platforms].
func (p Platform) Valid() bool {
	for _, q := range Platforms {
		if p == q {
			return true
		}
	}
	return false
}

// ValidName checks a name that users choose (alias, tag, key): 1 to
// [MaxNameBytes] bytes of UTF-8 without control characters.
func ValidName(field, s string) error {
	switch {
	case s == "":
		return Invalid(field, "Leave it out, or give it a value.", "is empty")
	case len(s) > MaxNameBytes:
		return Invalid(field, "Shorten it; a hash of it will do.", "%d bytes are more than %d", len(s), MaxNameBytes)
	case !utf8.ValidString(s):
		return Invalid(field, "Send UTF-8.", "is not UTF-8")
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return Invalid(field, "Remove line breaks, tabs and other control characters.", "has a control character")
	}
	return nil
}

func asStrings[S ~string](list []S) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

func platformList() string { return strings.Join(asStrings(Platforms), ", ") }
