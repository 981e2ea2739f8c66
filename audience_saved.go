package herald

import "fmt"

// FileID names an uploaded list of devices or aliases: 20 characters of
// [0-9a-v], as a registration ID has them.
type FileID string

// Valid reports whether the ID has the form of a file's.
func (id FileID) Valid() bool { return RegistrationID(id).Valid() }

// Limits of what an expression names beside itself.
const (
	// MaxSaved is how many segments, and how many files, one expression may
	// use; segments that are used by segments count.
	MaxSaved = 100
	// MaxSegmentDepth is how many segments may stand within each other.
	MaxSegmentDepth = 8
)

// ValidateSegment checks an expression that is to be saved as a segment. It may
// not name a topic or a file: a segment is kept until it is deleted, where a
// topic is a name that clients choose for the moment, and a file ends 30 days
// after its last use. Both may stand beside the segment in the audience of a
// message.
func (a *Audience) ValidateSegment() error {
	if err := a.Validate(); err != nil {
		return err
	}
	return a.lasting("audience")
}

func (a *Audience) lasting(at string) error {
	if a.Topic != "" {
		return Invalid(at+".topic", "Name the topic beside the segment in the audience of the message.", "a segment may not name a topic")
	}
	if a.Files != nil {
		return Invalid(at+".files", "Put a tag on the devices of the file, and name the tag.", "a segment may not name a file, because a file is deleted some time after its last use")
	}
	for _, l := range []struct {
		name string
		list []Audience
	}{{"and", a.And}, {"or", a.Or}} {
		for i := range l.list {
			if err := l.list[i].lasting(fmt.Sprintf("%s.%s[%d]", at, l.name, i)); err != nil {
				return err
			}
		}
	}
	if a.Not != nil {
		return a.Not.lasting(at + ".not")
	}
	return nil
}

// validateSaved checks the names of segments and files, but for what
// validateNames has checked.
func (a *Audience) validateSaved(at string) error {
	for i, id := range a.Files {
		if !id.Valid() {
			return Invalid(fmt.Sprintf("%s.files[%d]", at, i), "Use the id that POST /v1/files answered.", "%.40q is not the ID of a file", string(id))
		}
	}
	for name, n := range map[string]int{"segments": len(a.Segments), "files": len(a.Files)} {
		if n > MaxSaved {
			return Invalid(at+"."+name, "Save an expression of them as a segment, or send several messages.", "%d values are more than %d", n, MaxSaved)
		}
	}
	return nil
}

// Walk calls f for the expression and for every one within it. positive tells
// whether what the one names is chosen: under a not it is left out, under two
// of them it is chosen again.
func (a *Audience) Walk(f func(a *Audience, positive bool)) { a.walk(f, true) }

func (a *Audience) walk(f func(*Audience, bool), positive bool) {
	f(a, positive)
	for _, l := range [][]Audience{a.And, a.Or} {
		for i := range l {
			l[i].walk(f, positive)
		}
	}
	if a.Not != nil {
		a.Not.walk(f, !positive)
	}
}
