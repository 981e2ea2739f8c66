package api

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

const (
	// bindSlice is how many bindings are one operation: no other writer waits
	// longer than bindWorkers of these take.
	bindSlice = 2000
	// bindWorkers is how many slices of a list are under way: the names of one
	// are looked up while another is written.
	bindWorkers = 2
)

// binder makes many bindings, slice by slice in the order of the registration
// IDs. It is that in which the devices lie in the record, so that each slice
// changes few pages; a list in another order would rewrite most of the record
// again and again.
type binder struct {
	s     *Devices
	app   herald.AppKey
	text  []byte // IDs and aliases, one after the other
	lines []bindLine
	out   BindAnswer
}

// bindLine is a binding; a million of them are held without pointers.
type bindLine struct {
	key   [2]uint64 // the order of its ID
	line  int64
	at    uint32 // of the ID in text; the alias follows it
	alias uint32 // its length
}

func newBinder(s *Devices, app herald.AppKey) *binder {
	return &binder{s: s, app: app, out: BindAnswer{Errors: []BindError{}}}
}

func (b *binder) add(line int64, x record.Binding) {
	b.lines = append(b.lines, bindLine{orderOf(x.ID), line, uint32(len(b.text)), uint32(len(x.Alias))})
	b.text = append(append(b.text, x.ID...), x.Alias...)
}

// orderOf packs the 20 characters of a registration ID, each of which stands for
// five bits, so that two numbers are compared in place of text.
func orderOf(id herald.RegistrationID) (key [2]uint64) {
	for i := range len(id) {
		c := id[i] - '0'
		if c > 9 {
			c = id[i] - 'a' + 10
		}
		half := &key[i*2/len(id)]
		*half = *half<<5 | uint64(c)
	}
	return key
}

func (b *binder) refuse(line int64, detail string) {
	if b.out.Refused++; len(b.out.Errors) < maxBindErrors {
		b.out.Errors = append(b.out.Errors, BindError{line, detail})
	}
}

func (b *binder) id(l bindLine) []byte { return b.text[l.at : l.at+herald.RegistrationIDLen] }

func (b *binder) binding(l bindLine) record.Binding {
	end := l.at + herald.RegistrationIDLen
	return record.Binding{ID: herald.RegistrationID(b.id(l)), Alias: herald.Alias(b.text[end : end+l.alias])}
}

// bind makes all bindings. Those that found their alias full are tried once
// more, because a later one may have made room.
func (b *binder) bind(ctx context.Context) (BindAnswer, error) {
	if len(b.lines) > bindSlice { // else it is one commit, in the order of the list
		slices.SortFunc(b.lines, func(x, y bindLine) int {
			return cmp.Or(cmp.Compare(x.key[0], y.key[0]), cmp.Compare(x.key[1], y.key[1]), cmp.Compare(x.line, y.line))
		})
	}
	full, err := b.slices(ctx, b.lines)
	if err == nil && len(full) > 0 {
		slices.SortFunc(full, func(x, y bindLine) int { return cmp.Compare(x.line, y.line) })
		full, err = b.retry(ctx, full)
	}
	for _, l := range full {
		b.refuse(l.line, fmt.Sprintf("the alias %.40q is bound to %d devices already", string(b.binding(l).Alias), herald.MaxDevicesByAlias))
	}
	slices.SortFunc(b.out.Errors, func(x, y BindError) int { return cmp.Compare(x.Line, y.Line) })
	return b.out, err
}

// bindDone is what became of a slice.
type bindDone struct {
	lines []bindLine
	bound record.Bound
	err   error
}

// slices makes bindings that are in the order of their devices. Two slices that
// have a device in common are not under way at once.
func (b *binder) slices(ctx context.Context, lines []bindLine) (full []bindLine, err error) {
	done, running := make(chan bindDone, bindWorkers), 0
	wait := func() {
		d := <-done
		running--
		full, err = append(full, b.count(d)...), errors.Join(err, d.err)
	}
	for len(lines) > 0 && err == nil {
		n := min(bindSlice, len(lines))
		part := lines[:n]
		for running == bindWorkers {
			wait()
		}
		running++
		go func() {
			d := bindDone{lines: part}
			d.bound, d.err = b.slice(ctx, part)
			done <- d
		}()
		if lines = lines[n:]; len(lines) > 0 && bytes.Equal(b.id(part[n-1]), b.id(lines[0])) {
			for running > 0 {
				wait()
			}
		}
	}
	for running > 0 {
		wait()
	}
	return full, err
}

// retry makes bindings one slice after the other.
func (b *binder) retry(ctx context.Context, lines []bindLine) (full []bindLine, err error) {
	for part := range slices.Chunk(lines, bindSlice) {
		d := bindDone{lines: part}
		d.bound, err = b.slice(ctx, part)
		if full = append(full, b.count(d)...); err != nil {
			return full, err
		}
	}
	return full, nil
}

func (b *binder) slice(ctx context.Context, lines []bindLine) (record.Bound, error) {
	list := make([]record.Binding, len(lines))
	for i, l := range lines {
		list[i] = b.binding(l)
	}
	return b.s.bind(ctx, b.app, list, false)
}

// count adds what became of a slice to the answer, and gives the lines whose
// alias is full.
func (b *binder) count(d bindDone) (full []bindLine) {
	for i, o := range d.bound.Outcomes {
		switch o {
		case record.BindDone:
			b.out.Bound++
		case record.BindUnchanged:
			b.out.Unchanged++
		case record.BindUnknown:
			b.out.Unknown++
		case record.BindFull:
			full = append(full, d.lines[i])
		}
	}
	return full
}
