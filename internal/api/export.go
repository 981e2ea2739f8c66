package api

import (
	"context"
	"iter"

	"github.com/herald-push/herald"
)

// EachMessage lists what List does, without pages.
func (s *Messages) EachMessage(ctx context.Context, p Principal, state herald.MessageState, cursor string) (iter.Seq2[[]MessageView, error], error) {
	return pages(func(cursor string) ([]MessageView, string, error) {
		page, err := s.List(ctx, p, state, cursor, exported)
		return page.Messages, page.NextCursor, err
	}, cursor)
}

// Each lists what List does, without pages.
func (s *Devices) Each(ctx context.Context, p Principal, q DeviceQuery) (iter.Seq2[[]DeviceView, error], error) {
	return pages(func(cursor string) ([]DeviceView, string, error) {
		q.Cursor, q.Limit = cursor, exported
		page, err := s.List(ctx, p, q)
		return page.Devices, page.NextCursor, err
	}, q.Cursor)
}

// pages reads page after page. The first is read at once: it tells whether the
// call is right.
func pages[T any](read func(cursor string) ([]T, string, error), cursor string) (iter.Seq2[[]T, error], error) {
	first, next, err := read(cursor)
	if err != nil {
		return nil, err
	}
	return func(yield func([]T, error) bool) {
		list, next := first, next
		for yield(list, nil) && next != "" {
			var err error
			if list, next, err = read(next); err != nil {
				yield(nil, err)
				return
			}
		}
	}, nil
}
