package api

import (
	"context"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
)

// SegmentRequest is the body of PUT /v1/segments/{name}.
type SegmentRequest struct {
	Audience herald.Audience `json:"audience" doc:"What the segment stands for. It may use other segments, and online; not a topic or a file."`
}

// SegmentView is a segment as its app sees it.
type SegmentView struct {
	Name      string          `json:"name"`
	Audience  herald.Audience `json:"audience"`
	CreatedAt time.Time       `json:"created_at"`
	UpdatedAt time.Time       `json:"updated_at"`
	// Estimate is absent in lists.
	Estimate *Estimate `json:"estimate,omitempty" doc:"What it comes to now. Absent in lists."`
}

// SegmentPage is one page of segments, in byte order.
type SegmentPage struct {
	Segments   []SegmentView `json:"segments"`
	NextCursor string        `json:"next_cursor,omitempty"`
}

// Segments manages saved expressions.
type Segments struct{ c Config }

func segmentView(s record.AudienceSegment) SegmentView {
	return SegmentView{Name: s.Name, Audience: *s.Audience, CreatedAt: s.Created, UpdatedAt: s.Updated}
}

// Put saves an expression under a name, and tells whether the name is new.
func (s *Segments) Put(ctx context.Context, p Principal, name string, r SegmentRequest) (SegmentView, bool, error) {
	if err := p.may(ScopeDevicesWrite); err != nil {
		return SegmentView{}, false, err
	}
	if err := herald.ValidName("name", name); err != nil {
		return SegmentView{}, false, err
	}
	if err := r.Audience.ValidateSegment(); err != nil {
		return SegmentView{}, false, err
	}
	row, created, err := s.c.Registry.PutSegment(ctx, p.App, name, r.Audience)
	if err != nil {
		return SegmentView{}, false, err
	}
	return segmentView(row), created, nil
}

// Get shows a segment with what it comes to now.
func (s *Segments) Get(ctx context.Context, p Principal, name string) (SegmentView, error) {
	if err := p.may(ScopeDevicesRead); err != nil {
		return SegmentView{}, err
	}
	row, err := s.c.Registry.Segment(ctx, p.App, name)
	if err != nil {
		return SegmentView{}, err
	}
	v := segmentView(row)
	e, err := estimate(ctx, s.c, p.App, herald.Audience{Segments: []string{name}})
	v.Estimate = &e
	return v, err
}

// List shows segments. With a name it shows that one, or none.
func (s *Segments) List(ctx context.Context, p Principal, name, cursor string, limit int) (SegmentPage, error) {
	if err := p.may(ScopeDevicesRead); err != nil {
		return SegmentPage{}, err
	}
	limit, err := pageSize(limit)
	if err != nil {
		return SegmentPage{}, err
	}
	page := SegmentPage{Segments: []SegmentView{}}
	if name != "" {
		v, err := s.Get(ctx, p, name)
		switch herald.CodeOf(err) {
		case "":
			page.Segments = append(page.Segments, v)
		case herald.CodeNotFound:
			err = nil
		}
		return page, err
	}
	list, err := s.c.Registry.Segments(ctx, p.App, cursor, limit+1)
	if len(list) > limit {
		list = list[:limit]
		page.NextCursor = list[limit-1].Name
	}
	for _, row := range list {
		page.Segments = append(page.Segments, segmentView(row))
	}
	return page, err
}

// Delete deletes a segment that no other one uses.
func (s *Segments) Delete(ctx context.Context, p Principal, name string) error {
	if err := p.may(ScopeDevicesWrite); err != nil {
		return err
	}
	return s.c.Registry.DeleteSegment(ctx, p.App, name)
}

// expanded gives what the segments of a message's audience stood for when it
// was evaluated; nil if it names none, or is not evaluated yet.
func (s *Messages) expanded(ctx context.Context, m *record.Message) (map[string]herald.Audience, error) {
	if m.Target < 0 || len(registry.SegmentsOf(&m.Audience)) == 0 {
		return nil, nil
	}
	found, err := s.c.Registry.Expand(ctx, m.App, &m.Audience, m.EvalPos)
	out := make(map[string]herald.Audience, len(found))
	for name, a := range found {
		out[name] = *a
	}
	return out, err
}
