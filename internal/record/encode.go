package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/sets"
)

// The first byte of what this file writes is its version.
const encodingVersion = 1

// Small sets are written as a list of differences, larger ones as a bitmap:
// ten members, spread over ten million, take 32 bytes as a list and 108 as a
// bitmap.
const (
	setAsList   = 0
	setAsBitmap = 1
	listBelow   = 128
)

// eventSize is about what an event of one device takes.
const eventSize = 48

// errShort says that the bytes end too early.
var errShort = errors.New("record: encoding ends too early")

// AppendEvents writes events for a row of the receipt log.
func AppendEvents(b []byte, events []Event) ([]byte, error) {
	b = append(slices.Grow(b, eventSize*len(events)), encodingVersion)
	b = binary.AppendUvarint(b, uint64(len(events)))
	for i := range events {
		var err error
		if b, err = appendEvent(b, &events[i]); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func appendEvent(b []byte, e *Event) ([]byte, error) {
	b = binary.AppendUvarint(b, uint64(e.Msg))
	b = appendString(b, string(e.State))
	b = binary.AppendVarint(b, e.Time.UnixMilli())
	b = appendString(b, e.Via)
	b = appendString(b, e.Detail)
	return appendSet(b, e.Set)
}

// EventList is what AppendEvents writes, event by event: to gather the events
// themselves takes more memory. The zero value is empty.
type EventList struct {
	n    uint64
	list []byte
}

// Add puts an event behind the others. With an error nothing has changed.
func (l *EventList) Add(e *Event) error {
	list, err := appendEvent(l.list, e)
	if err != nil {
		return err
	}
	l.n, l.list = l.n+1, list
	return nil
}

// Len is how many bytes the events take.
func (l *EventList) Len() int { return len(l.list) }

// Append writes the events, for ParseEvents.
func (l *EventList) Append(b []byte) []byte {
	b = append(slices.Grow(b, 1+binary.MaxVarintLen64+len(l.list)), encodingVersion)
	return append(binary.AppendUvarint(b, l.n), l.list...)
}

// ParseEvents reads what AppendEvents wrote, once or several times in a row.
func ParseEvents(b []byte) ([]Event, error) {
	r := reader{b: b}
	var out []Event
	for len(r.b) > 0 && r.err == nil {
		r.version()
		for n := r.count(); n > 0 && r.err == nil; n-- {
			e := Event{Msg: herald.MessageID(r.uvarint()), State: herald.DeliveryState(r.string())}
			e.Time = time.UnixMilli(r.varint()).UTC()
			e.Via, e.Detail = r.string(), r.string()
			e.Set = r.set()
			out = append(out, e)
		}
	}
	return out, r.err
}

// AppendChanges writes set changes for a row of the set log.
func AppendChanges(b []byte, changes []SetChange) ([]byte, error) {
	b = append(b, encodingVersion)
	b = binary.AppendUvarint(b, uint64(len(changes)))
	for _, c := range changes {
		b = appendString(b, c.Set)
		flag := byte(0)
		if c.Remove {
			flag = 1
		}
		b = append(b, flag)
		var err error
		if b, err = appendSet(b, c.Ords); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// ParseChanges reads what AppendChanges wrote.
func ParseChanges(b []byte) ([]SetChange, error) {
	r := reader{b: b}
	r.version()
	var out []SetChange
	for n := r.count(); n > 0 && r.err == nil; n-- {
		c := SetChange{Set: r.string()}
		flag := r.byte()
		if flag > 1 {
			r.fail(fmt.Errorf("record: %d is not a kind of change", flag))
		}
		c.Remove, c.Ords = flag == 1, r.set()
		out = append(out, c)
	}
	if r.err == nil && len(r.b) > 0 {
		r.err = fmt.Errorf("record: %d bytes follow the changes", len(r.b))
	}
	return out, r.err
}

// AppendSet writes one set, as a list below 128 members, else as a bitmap.
func AppendSet(b []byte, s *sets.Set) ([]byte, error) { return appendSet(b, s) }

// ParseSet reads what AppendSet wrote; nothing may follow it.
func ParseSet(b []byte) (*sets.Set, error) {
	r := reader{b: b}
	s := r.set()
	if r.err == nil && len(r.b) > 0 {
		r.err = fmt.Errorf("record: %d bytes follow the set", len(r.b))
	}
	return s, r.err
}

// SetHas reports whether a set that AppendSet wrote has an ordinal, without
// making the set: it is for bytes whose checksum is right.
func SetHas(b []byte, o herald.Ordinal) (has bool, err error) {
	err = inSet(b, func(list []uint32) {
		has = slices.Contains(list, uint32(o))
	}, func(bits []byte) (err error) {
		has, err = sets.Has(bits, o)
		return err
	})
	return has && err == nil, err
}

// setWord is SetHas for 64 ordinals in a row, from the first bit on.
func setWord(b []byte, first herald.Ordinal) (word uint64, err error) {
	err = inSet(b, func(list []uint32) {
		for _, o := range list {
			if i := o - uint32(first); i < 64 {
				word |= 1 << i
			}
		}
	}, func(bits []byte) (err error) {
		word, err = sets.Word(bits, first)
		return err
	})
	return word, err
}

// inSet gives one of the two what a set is that AppendSet wrote.
func inSet(b []byte, aList func([]uint32), aBitmap func([]byte) error) error {
	r := reader{b: b}
	switch kind := r.byte(); {
	case r.err != nil:
	case kind == setAsList:
		aList(r.list())
	case kind == setAsBitmap:
		bits := r.bytes()
		if r.err == nil {
			r.err = aBitmap(bits)
		}
	default:
		r.fail(fmt.Errorf("record: %d is not a kind of set", kind))
	}
	if r.err == nil && len(r.b) > 0 {
		r.err = fmt.Errorf("record: %d bytes follow the set", len(r.b))
	}
	return r.err
}

func appendSet(b []byte, s *sets.Set) ([]byte, error) {
	if n := s.Len(); n < listBelow {
		b = append(b, setAsList)
		b = binary.AppendUvarint(b, uint64(n))
		last := herald.Ordinal(0)
		for o := range s.All() {
			b = binary.AppendUvarint(b, uint64(o-last))
			last = o
		}
		return b, nil
	}
	size := s.BinarySize()
	b = append(slices.Grow(b, 1+binary.MaxVarintLen64+size), setAsBitmap)
	b = binary.AppendUvarint(b, uint64(size))
	return s.AppendBinary(b)
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// reader takes values off a byte slice; after the first error it gives zeros.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

func (r *reader) version() {
	if v := r.byte(); r.err == nil && v != encodingVersion {
		r.fail(fmt.Errorf("record: encoding version %d is not known to this release of Herald", v))
	}
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail(errShort)
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail(errShort)
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail(errShort)
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads the number of things that follow, of at least a byte each, so
// that a wrong number cannot ask for memory.
func (r *reader) count() uint64 {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.fail(errShort)
		return 0
	}
	return n
}

func (r *reader) bytes() []byte {
	n := r.count()
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) string() string { return string(r.bytes()) }

// list reads the members of a small set.
func (r *reader) list() []uint32 { return r.listInto(nil) }

func (r *reader) set() *sets.Set {
	s := sets.New()
	switch kind := r.byte(); {
	case r.err != nil:
	case kind == setAsList:
		s.AddMany(r.list())
	case kind == setAsBitmap:
		if err := s.UnmarshalBinary(r.bytes()); err != nil {
			r.fail(err)
		}
	default:
		r.fail(fmt.Errorf("record: %d is not a kind of set", kind))
	}
	return s
}
