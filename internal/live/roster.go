package live

import (
	"slices"

	"github.com/herald-push/herald"
)

// rosterBlock is how many devices stand together in a roster at most.
const rosterBlock = 256

// roster finds the newest session of each device that is online, by ordinal. It
// is a list of blocks in ascending order: a set of devices, which is walked in
// that order too, meets their sessions one after the other, and it takes less
// than half of the memory of a map.
type roster struct{ parts []rosterPart }

// rosterPart is a block; it is never empty.
type rosterPart struct {
	ords  []herald.Ordinal // ascending
	heads []*Session       // as many
}

// part gives the place of the block in which a device is, if it is in any; -1
// if it is below them all.
func (r *roster) part(o herald.Ordinal) int {
	low, high := 0, len(r.parts)
	for low < high {
		if middle := (low + high) / 2; r.parts[middle].ords[0] <= o {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low - 1
}

// get gives the newest session of a device; nil for none.
func (r *roster) get(o herald.Ordinal) *Session {
	if i := r.part(o); i >= 0 {
		p := &r.parts[i]
		if j, found := slices.BinarySearch(p.ords, o); found {
			return p.heads[j]
		}
	}
	return nil
}

// put makes a session the newest of its device.
func (r *roster) put(o herald.Ordinal, s *Session) {
	if len(r.parts) == 0 {
		r.parts = []rosterPart{{[]herald.Ordinal{o}, []*Session{s}}}
		return
	}
	i := max(r.part(o), 0)
	p := &r.parts[i]
	j, found := slices.BinarySearch(p.ords, o)
	switch {
	case found:
		p.heads[j] = s
	case len(p.ords) < rosterBlock:
		p.ords, p.heads = slices.Insert(p.ords, j, o), slices.Insert(p.heads, j, s)
	case j == rosterBlock && i == len(r.parts)-1:
		// Those that registered one after the other fill each block.
		r.parts = append(r.parts, rosterPart{[]herald.Ordinal{o}, []*Session{s}})
	default:
		r.split(i)
		r.put(o, s)
	}
}

// split makes two blocks of one that is full.
func (r *roster) split(i int) {
	p := &r.parts[i]
	const half = rosterBlock / 2
	upper := rosterPart{slices.Clone(p.ords[half:]), slices.Clone(p.heads[half:])}
	clear(p.heads[half:])
	p.ords, p.heads = p.ords[:half], p.heads[:half]
	r.parts = slices.Insert(r.parts, i+1, upper)
}

// remove takes a device out.
func (r *roster) remove(o herald.Ordinal) {
	i := r.part(o)
	if i < 0 {
		return
	}
	p := &r.parts[i]
	j, found := slices.BinarySearch(p.ords, o)
	if !found {
		return
	}
	p.ords, p.heads = slices.Delete(p.ords, j, j+1), slices.Delete(p.heads, j, j+1)
	if len(p.ords) == 0 {
		r.parts = slices.Delete(r.parts, i, i+1)
		return
	}
	if i+1 < len(r.parts) && len(p.ords)+len(r.parts[i+1].ords) <= rosterBlock/2 {
		next := r.parts[i+1]
		p.ords, p.heads = append(p.ords, next.ords...), append(p.heads, next.heads...)
		r.parts = slices.Delete(r.parts, i+1, i+2)
	}
}

// collect appends the sessions of those of some devices, which are given in
// ascending order, that are here: a device's sessions one after the other.
func (r *roster) collect(ords []uint32, into []*Session) []*Session {
	if len(r.parts) == 0 {
		return into
	}
	i, j := -1, 0
	for _, n := range ords {
		o := herald.Ordinal(n)
		if i < 0 || o > r.parts[i].ords[len(r.parts[i].ords)-1] {
			if i, j = r.part(o), 0; i < 0 {
				continue
			}
		}
		p := &r.parts[i]
		if j >= len(p.ords) {
			continue // between this block and the next
		}
		if p.ords[j] != o { // mostly it is the next one
			k, found := slices.BinarySearch(p.ords[j:], o)
			if j += k; !found {
				continue
			}
		}
		for s := p.heads[j]; s != nil; s = s.older {
			into = append(into, s)
		}
		j++
	}
	return into
}

// each walks all sessions.
func (r *roster) each(f func(*Session)) {
	for i := range r.parts {
		for _, s := range r.parts[i].heads {
			for ; s != nil; s = s.older {
				f(s)
			}
		}
	}
}
