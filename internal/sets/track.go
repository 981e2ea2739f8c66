package sets

import "slices"

// block gives the block of an ordinal; nil if no tracked set has a member in
// its slab.
func (x *Index) block(o uint32) *[]uint32 {
	slab := int(o >> 16)
	if slab >= len(x.pages) || x.pages[slab] == nil {
		return nil
	}
	return &x.pages[slab][o&(SlabSize-1)>>blockBits]
}

// blockToWrite makes the page of a block where it is missing.
func (x *Index) blockToWrite(o uint32) *[]uint32 {
	slab := int(o >> 16)
	if more := slab + 1 - len(x.pages); more > 0 {
		x.pages = append(x.pages, make([]*page, more)...)
	}
	if x.pages[slab] == nil {
		x.pages[slab] = new(page)
	}
	return x.block(o)
}

// reference is one tracked set in one block of a slab.
type reference struct {
	block  uint16
	number uint32
}

// buildBlocks makes all blocks anew. It goes slab by slab, because to visit
// ten million blocks in the order of the sets is slow.
func (x *Index) buildBlocks() {
	var slabs [][]reference
	for number, n := range x.all {
		if n == nil || !n.tracked {
			continue
		}
		for i, o := range n.list {
			if i > 0 && o>>blockBits == n.list[i-1]>>blockBits {
				continue
			}
			if more := int(o>>16) + 1 - len(slabs); more > 0 {
				slabs = append(slabs, make([][]reference, more)...)
			}
			slabs[o>>16] = append(slabs[o>>16], reference{uint16(o & (SlabSize - 1) >> blockBits), uint32(number)})
		}
	}
	x.pages = make([]*page, len(slabs))
	for slab, list := range slabs {
		if len(list) > 0 {
			x.pages[slab] = newPage(list)
			slabs[slab] = nil
		}
	}
}

// newPage sorts the sets of a slab by block. The blocks share one array.
func newPage(list []reference) *page {
	var ends [len(page{})]uint32 // first the counts, then where each block ends
	for _, r := range list {
		ends[r.block]++
	}
	sum := uint32(0)
	for i, n := range ends {
		ends[i] = sum
		sum += n
	}
	numbers := make([]uint32, sum)
	for _, r := range list {
		numbers[ends[r.block]] = r.number
		ends[r.block]++
	}
	p, from := new(page), uint32(0)
	for i, end := range ends {
		p[i] = numbers[from:end:end]
		from = end
	}
	return p
}

// track makes the blocks lead to a set that they do not lead to yet.
func (x *Index) track(number uint32, n *named) {
	n.tracked = true
	delete(x.wide, number)
	for i, o := range n.list {
		if i == 0 || o>>blockBits != n.list[i-1]>>blockBits {
			put(x.blockToWrite(o), number)
		}
	}
}

func (x *Index) untrack(number uint32, n *named) {
	if !n.tracked {
		return
	}
	n.tracked = false
	x.wide[number] = struct{}{}
	for _, o := range n.list {
		x.forget(number, o)
	}
}

// enter notes that a set has a member.
func (x *Index) enter(number, o uint32) {
	if b := x.blockToWrite(o); !slices.Contains(*b, number) {
		put(b, number)
	}
}

func put(b *[]uint32, number uint32) {
	if len(*b) == cap(*b) {
		// Most blocks come to about the same size: doubling would waste half.
		*b = append(make([]uint32, 0, len(*b)+len(*b)/8+4), *b...)
	}
	*b = append(*b, number)
}

// leave notes that a set has lost a member, perhaps the last one of its block.
func (x *Index) leave(number uint32, n *named, o uint32) {
	first := o >> blockBits << blockBits
	i, _ := slices.BinarySearch(n.list, first)
	if i == len(n.list) || n.list[i]>>blockBits != o>>blockBits {
		x.forget(number, o)
	}
}

func (x *Index) forget(number, o uint32) {
	b := x.block(o)
	if b == nil {
		return
	}
	if i := slices.Index(*b, number); i >= 0 {
		(*b)[i] = (*b)[len(*b)-1]
		*b = (*b)[:len(*b)-1]
	}
}
