package record

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/herald-push/herald"
)

// WalkEvents shows the events that AppendEvents wrote, one after the other and
// in their order. A report walks millions of them, most of one device, so that
// nothing is made for each: the members of a small set come in list, which is
// used again, and Set is nil then. each must keep neither.
func WalkEvents(b []byte, each func(e *Event, list []uint32)) error {
	r := reader{b: b}
	words := map[string]string{} // states and ways are few, and are shared
	word := func() string {
		text := r.bytes()
		w, ok := words[string(text)]
		if !ok {
			w = string(text)
			words[w] = w
		}
		return w
	}
	var e Event
	var list []uint32
	for len(r.b) > 0 && r.err == nil {
		r.version()
		for n := r.count(); n > 0 && r.err == nil; n-- {
			e.Msg, e.State = herald.MessageID(r.uvarint()), herald.DeliveryState(word())
			e.Time = time.UnixMilli(r.varint()).UTC()
			e.Via, e.Detail, e.Set = word(), word(), nil
			if len(r.b) > 0 && r.b[0] == setAsList {
				r.byte()
				list = r.listInto(list[:0])
			} else {
				list, e.Set = list[:0], r.set()
			}
			if r.err == nil {
				each(&e, list)
			}
		}
	}
	if r.err != nil {
		return fmt.Errorf("record: walking events: %w", r.err)
	}
	return nil
}

// listInto is list with a slice that is used again.
func (r *reader) listInto(out []uint32) []uint32 {
	last, n := uint64(0), r.count()
	for out = slices.Grow(out, int(n)); n > 0 && r.err == nil; n-- {
		more := r.uvarint()
		if more > 1<<32-1-last {
			r.fail(errors.New("record: an ordinal is past 2^32"))
			break
		}
		last += more
		out = append(out, uint32(last))
	}
	return out
}
