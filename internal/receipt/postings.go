package receipt

import (
	"slices"
	"sync"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/sets"
)

// postings finds the small group messages that have a device in their target,
// without looking at each: one device in ten million is in few of them. For
// each slab it holds one list of blocks: the number of a message in two words,
// how many devices it has here, and the lower 16 bits of each, ascending.
// Whether a message still waits is for its cell to say.
type postings struct {
	slabs   map[sets.Slab][]uint16
	groups  []*group // by number; nil when it waits for nobody any more
	free    int      // how many are nil
	reserve func(bytes int64)

	mu    sync.Mutex                  // guards found: it is written while book.mu is held for reading
	found map[herald.Ordinal][]*group // what find gave, until something is added or removed
}

// mostFound is how many devices found remembers: one that connects asks again
// for each page.
const mostFound = 1024

const blockHead = 3

// add takes a message with its image.
func (p *postings) add(g *group, image *sets.Set) {
	if p.slabs == nil {
		p.slabs = map[sets.Slab][]uint16{}
	}
	p.changed()
	g.number = uint32(len(p.groups))
	p.groups = append(p.groups, g)
	ords := image.Ordinals()
	for len(ords) > 0 {
		slab := sets.SlabOf(ords[0])
		n := 1
		for n < len(ords) && sets.SlabOf(ords[n]) == slab {
			n++
		}
		list := append(p.slabs[slab], uint16(g.number>>16), uint16(g.number), uint16(n))
		for _, o := range ords[:n] {
			list = append(list, uint16(o))
		}
		p.reserve(2 * int64(cap(list)-cap(p.slabs[slab])))
		p.slabs[slab], ords = list, ords[n:]
	}
}

// find lists the messages that have a device, in no order. The list must not be
// changed.
func (p *postings) find(o herald.Ordinal) []*group {
	if len(p.groups) == p.free {
		return nil // there are none
	}
	p.mu.Lock()
	out, ok := p.found[o]
	p.mu.Unlock()
	if ok {
		return out
	}
	out = p.search(o)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found == nil || len(p.found) >= mostFound {
		p.found = map[herald.Ordinal][]*group{}
	}
	p.found[o] = out
	return out
}

// changed makes find search again; book.mu is held for writing.
func (p *postings) changed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.found = nil
}

func (p *postings) search(o herald.Ordinal) (out []*group) {
	for list := p.slabs[sets.SlabOf(o)]; len(list) > 0; {
		g, lows, rest := p.block(list)
		if g != nil {
			if _, ok := slices.BinarySearch(lows, uint16(o)); ok {
				out = append(out, g)
			}
		}
		list = rest
	}
	return out
}

// among gives to each the messages that have some of the devices of one slab,
// with those devices.
func (p *postings) among(slab sets.Slab, some *sets.Set, each func(*group, *sets.Set)) {
	ords := some.Ordinals()
	for list := p.slabs[slab]; len(list) > 0; {
		g, lows, rest := p.block(list)
		list = rest
		if g == nil {
			continue
		}
		var has *sets.Set
		if len(lows) < len(ords) {
			for _, low := range lows {
				if o := herald.Ordinal(slab)<<16 | herald.Ordinal(low); some.Contains(o) {
					has = with(has, o)
				}
			}
		} else {
			for _, o := range ords {
				if _, ok := slices.BinarySearch(lows, uint16(o)); ok {
					has = with(has, o)
				}
			}
		}
		if has != nil {
			each(g, has)
		}
	}
}

func (p *postings) block(list []uint16) (g *group, lows, rest []uint16) {
	n := blockHead + int(list[2])
	return p.groups[uint32(list[0])<<16|uint32(list[1])], list[blockHead:n], list[n:]
}

// remove forgets a message. When half of them are gone the lists are written
// anew.
func (p *postings) remove(g *group) {
	if int(g.number) >= len(p.groups) || p.groups[g.number] != g {
		return
	}
	p.changed()
	p.groups[g.number] = nil
	if p.free++; p.free <= len(p.groups)/2 {
		return
	}
	old := p.groups
	now := make([]*group, 0, len(old)-p.free)
	for _, g := range old {
		if g != nil {
			now = append(now, g)
		}
	}
	numbers := map[*group]uint32{}
	for i, g := range now {
		numbers[g] = uint32(i)
	}
	for slab, list := range p.slabs {
		var out []uint16
		for rest := list; len(rest) > 0; {
			var g *group
			var lows []uint16
			if g, lows, rest = p.block(rest); g != nil {
				n := numbers[g]
				out = append(append(out, uint16(n>>16), uint16(n), uint16(len(lows))), lows...)
			}
		}
		p.reserve(2 * int64(cap(out)-cap(list)))
		if p.slabs[slab] = out; out == nil {
			delete(p.slabs, slab)
		}
	}
	for g, n := range numbers {
		g.number = n
	}
	p.groups, p.free = now, 0
}
