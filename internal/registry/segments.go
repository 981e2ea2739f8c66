package registry

import (
	"context"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// SegmentStore keeps saved expressions, with what they were before.
type SegmentStore interface {
	// PutAudienceSegment writes the next version of a segment, or that it is
	// deleted (Audience nil), at the next log position, which it gives.
	PutAudienceSegment(ctx context.Context, app herald.AppKey, s record.AudienceSegment) (herald.Pos, error)
	// AudienceSegment finds a segment as it was at a log position; not_found
	// if there was none.
	AudienceSegment(ctx context.Context, app herald.AppKey, name string, at herald.Pos) (record.AudienceSegment, error)
	// AudienceSegments lists the segments that there are now and whose names
	// come after one, in byte order, at most limit.
	AudienceSegments(ctx context.Context, app herald.AppKey, after string, limit int) ([]record.AudienceSegment, error)
}

// Limits of segments.
const (
	MaxSegments     = 1000     // of an app
	MaxSegmentBytes = 64 << 10 // of one, as JSON
)

// now is a log position after every other.
const now herald.Pos = math.MaxInt64

// Segment finds a segment as it is now.
func (r *Registry) Segment(ctx context.Context, key herald.AppKey, name string) (record.AudienceSegment, error) {
	s, err := r.store.AudienceSegment(ctx, key, name, now)
	if herald.CodeOf(err) == herald.CodeNotFound {
		err = segmentNotFound(name)
	}
	return s, err
}

func segmentNotFound(name string) error {
	return herald.Errorf(herald.CodeNotFound, "GET /v1/segments lists the segments of the app.", "there is no segment %.140q", name)
}

// Segments lists segments whose names come after one, in byte order.
func (r *Registry) Segments(ctx context.Context, key herald.AppKey, after string, limit int) ([]record.AudienceSegment, error) {
	return r.store.AudienceSegments(ctx, key, after, limit)
}

// PutSegment saves an expression, and tells whether the name is new. What is
// saved already takes no new version. Names of segments in it have to exist,
// and no segment may come to use itself, or to stand too deep.
func (r *Registry) PutSegment(ctx context.Context, key herald.AppKey, name string, a herald.Audience) (s record.AudienceSegment, created bool, err error) {
	app, err := r.App(key)
	if err != nil {
		return s, false, err
	}
	text, err := json.Marshal(a)
	if err != nil {
		return s, false, herald.Invalid("audience", "Send an audience as of a message.", "is not JSON")
	}
	if len(text) > MaxSegmentBytes {
		e := herald.Errorf(herald.CodeTooLarge, "Put a tag on the devices, and name the tag.", "%d bytes as JSON are more than %d", len(text), MaxSegmentBytes)
		e.Field = "audience"
		return s, false, e
	}
	app.change.Lock() // what is checked here must hold when it is written
	defer app.change.Unlock()
	all, err := r.allSegments(ctx, key)
	if err != nil {
		return s, false, err
	}
	old, there := all[name]
	if there {
		before, err := json.Marshal(old.Audience)
		if err == nil && string(before) == string(text) {
			return old, false, nil
		}
	} else if len(all) >= MaxSegments {
		return s, false, herald.Errorf(herald.CodeLimitReached, "Delete segments that are not used any more.", "an app has at most %d segments", MaxSegments)
	}
	at := r.now().UTC()
	s = record.AudienceSegment{Name: name, Audience: &a, Created: at, Updated: at}
	if there {
		s.Created = old.Created
	}
	all[name] = s
	if err := checkSegments(all, name); err != nil {
		return s, false, err
	}
	s.Pos, err = r.store.PutAudienceSegment(ctx, key, s)
	return s, !there, err
}

func (r *Registry) allSegments(ctx context.Context, key herald.AppKey) (map[string]record.AudienceSegment, error) {
	list, err := r.store.AudienceSegments(ctx, key, "", MaxSegments+1)
	all := make(map[string]record.AudienceSegment, len(list))
	for _, s := range list {
		all[s.Name] = s
	}
	return all, err
}

// checkSegments checks a segment that is to be saved, and all those that would
// be changed by it.
func checkSegments(all map[string]record.AudienceSegment, name string) error {
	find := func(name string) (*herald.Audience, error) {
		if s, ok := all[name]; ok {
			return s.Audience, nil
		}
		return nil, segmentNotFound(name)
	}
	if _, err := expand(all[name].Audience, name, find); err != nil {
		return err
	}
	for _, other := range slices.Sorted(maps.Keys(all)) {
		if other == name {
			continue
		}
		if _, err := expand(all[other].Audience, other, find); err != nil {
			return herald.Invalid("audience.segments", "Write out what the inner segments say, or take one off.", "the segment %.140q, which uses this one, would not work any more: %s", other, err.Error())
		}
	}
	return nil
}

// DeleteSegment deletes a segment that no other one uses.
func (r *Registry) DeleteSegment(ctx context.Context, key herald.AppKey, name string) error {
	app, err := r.App(key)
	if err != nil {
		return err
	}
	app.change.Lock()
	defer app.change.Unlock()
	all, err := r.allSegments(ctx, key)
	if err != nil {
		return err
	}
	old, ok := all[name]
	if !ok {
		return segmentNotFound(name)
	}
	var users []string
	for _, s := range all {
		if slices.Contains(SegmentsOf(s.Audience), name) {
			users = append(users, s.Name)
		}
	}
	if len(users) > 0 {
		slices.Sort(users)
		text := strings.Join(users[:min(len(users), 10)], ", ")
		return herald.Errorf(herald.CodeConflict, "Change or delete the segments that use it first.", "the segment is used by %d others: %s", len(users), text)
	}
	_, err = r.store.PutAudienceSegment(ctx, key, record.AudienceSegment{Name: name, Created: old.Created, Updated: r.now().UTC()})
	return err
}

// SegmentsOf lists the segments that an expression names itself, each once.
func SegmentsOf(a *herald.Audience) []string {
	var out []string
	a.Walk(func(x *herald.Audience, _ bool) { out = append(out, x.Segments...) })
	slices.Sort(out)
	return slices.Compact(out)
}

// Expand gives every segment that an expression uses, those within segments
// too, as they were at a log position.
func (r *Registry) Expand(ctx context.Context, key herald.AppKey, a *herald.Audience, at herald.Pos) (map[string]*herald.Audience, error) {
	uses := false
	a.Walk(func(x *herald.Audience, _ bool) { uses = uses || len(x.Segments) > 0 })
	if !uses {
		return nil, nil
	}
	return expand(a, "", func(name string) (*herald.Audience, error) {
		s, err := r.store.AudienceSegment(ctx, key, name, at)
		if herald.CodeOf(err) == herald.CodeNotFound {
			err = segmentNotFound(name)
		}
		return s.Audience, err
	})
}

// expand finds what an expression uses. from is the segment that it is, if it
// is one.
func expand(a *herald.Audience, from string, find func(string) (*herald.Audience, error)) (map[string]*herald.Audience, error) {
	e := expansion{find: find, found: map[string]*herald.Audience{}, depth: map[string]int{}}
	if from != "" {
		e.path = []string{from}
	}
	_, err := e.below(a)
	return e.found, err
}

type expansion struct {
	find  func(string) (*herald.Audience, error)
	found map[string]*herald.Audience
	depth map[string]int // of what was gone through: levels of segments, itself included
	path  []string       // from the outermost segment to this one
}

// below goes through the segments that an expression names and gives how many
// levels of them there are.
func (e *expansion) below(a *herald.Audience) (deepest int, err error) {
	refuse := func(format string, args ...any) error {
		return herald.Invalid("audience.segments", "Write out what the inner segments say, or take one off.", format, args...)
	}
	for _, name := range SegmentsOf(a) {
		if slices.Contains(e.path, name) {
			return 0, refuse("the segment %.140q would use itself: %s", name, strings.Join(append(e.path, name), " uses "))
		}
		d, known := e.depth[name]
		if !known {
			if len(e.found) >= herald.MaxSaved {
				return 0, refuse("it comes to more than %d segments", herald.MaxSaved)
			}
			inner, err := e.find(name)
			if herald.CodeOf(err) == herald.CodeNotFound {
				return 0, herald.Invalid("audience.segments", "Save it first with PUT /v1/segments/{name}, or check the name.", "there is no segment %.140q", name)
			}
			if err != nil {
				return 0, err
			}
			if len(e.path) >= herald.MaxSegmentDepth {
				return 0, refuse("segments stand within each other more than %d deep", herald.MaxSegmentDepth)
			}
			e.found[name] = inner
			e.path = append(e.path, name)
			d, err = e.below(inner)
			e.path = e.path[:len(e.path)-1]
			if err != nil {
				return 0, err
			}
			d++
			e.depth[name] = d
		}
		if len(e.path)+d > herald.MaxSegmentDepth {
			return 0, refuse("segments stand within each other more than %d deep", herald.MaxSegmentDepth)
		}
		deepest = max(deepest, d)
	}
	return deepest, nil
}

// position is where the index of an app stands.
func (a *App) position() (pos herald.Pos) {
	a.Index.View(func(v sets.View) { pos = v.Pos() })
	return pos
}
