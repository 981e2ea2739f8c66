package v1

import (
	"context"
	"net/http"

	"github.com/herald-push/herald/internal/api"
)

const (
	segmentFields  = `"name":"active-vips","audience":{"tags":["vip"],"active_within_days":7},"created_at":"2026-11-01T08:00:00Z","updated_at":"2026-11-21T09:30:00Z"`
	exampleSegment = `{` + segmentFields + `,"estimate":{"devices":120,"online":14,"unknown":0}}`
)

type segmentInput struct {
	Name string `path:"name" minLength:"1" maxLength:"128" doc:"The name, percent-encoded: / is %2F." example:"active-vips"`
}

type segmentListInput struct {
	Name   string   `query:"name" maxLength:"128" doc:"Only the segment of this name, with its estimate."`
	Cursor string   `query:"cursor" doc:"next_cursor of the page before."`
	Limit  pageSize `query:"limit" doc:"Segments on a page."`
}

// putReply is the output of an operation that has two good statuses: 201 if it
// made something, else 200.
type putReply[T any] struct {
	Status int
	Body   T
}

func put[T any](v T, created bool, err error) (*putReply[T], error) {
	switch {
	case err != nil:
		return nil, err
	case created:
		return &putReply[T]{http.StatusCreated, v}, nil
	}
	return &putReply[T]{http.StatusOK, v}, nil
}

// addSegments adds the operations on saved expressions.
func (a *API) addSegments() {
	register(a, operation{
		id: "putSegment", method: "PUT", path: "/v1/segments/{name}", tag: "Segments and files", summary: "Save an expression as a segment", status: http.StatusCreated, write: true,
		description: "Saves an audience under a name, or changes it. `{\"segments\": [\"a\", \"b\"]}` then means the devices in any of them, as they are when the audience is evaluated; a scheduled message takes them as they are when it falls due. " +
			"A segment may use others, at most 8 deep, and not itself; it may not name a topic or a file. An app has at most 1,000 segments, of at most 64 KiB each. Needs the scope `devices:write`.",
		body: api.SegmentRequest{}, example: `{"audience":{"tags":["vip"],"active_within_days":7}}`, answer: `{` + segmentFields + `}`,
	}, func(ctx context.Context, x *exchange, in *segmentInput) (*putReply[api.SegmentView], error) {
		req, err := decode[api.SegmentRequest](x)
		if err != nil {
			return nil, err
		}
		return put(a.service.Segments.Put(ctx, x.p, in.Name, req))
	})
	register(a, operation{
		id: "listSegments", method: "GET", path: "/v1/segments", tag: "Segments and files", summary: "List segments",
		description: "Shows segments in byte order of their names. Needs the scope `devices:read`.",
		answer:      `{"segments":[{` + segmentFields + `}]}`,
	}, func(ctx context.Context, x *exchange, in *segmentListInput) (*reply[api.SegmentPage], error) {
		limit, err := in.Limit.int()
		if err != nil {
			return nil, err
		}
		return answer(a.service.Segments.List(ctx, x.p, in.Name, in.Cursor, limit))
	})
	register(a, operation{
		id: "getSegment", method: "GET", path: "/v1/segments/{name}", tag: "Segments and files", summary: "Show a segment",
		description: "Shows a segment, and how many devices it comes to now. Needs the scope `devices:read`.",
		answer:      exampleSegment, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *segmentInput) (*reply[api.SegmentView], error) {
		return answer(a.service.Segments.Get(ctx, x.p, in.Name))
	})
	register(a, operation{
		id: "deleteSegment", method: "DELETE", path: "/v1/segments/{name}", tag: "Segments and files", summary: "Delete a segment", write: true,
		description: "Deletes a segment, unless another one uses it (409). Messages that were sent to it keep their targets; a scheduled one that names it waits until it is there again or its TTL ends. Needs the scope `devices:write`.",
		errors:      []int{http.StatusNotFound, http.StatusConflict},
	}, func(ctx context.Context, x *exchange, in *segmentInput) (*none, error) {
		return gone(a.service.Segments.Delete(ctx, x.p, in.Name))
	})
}
