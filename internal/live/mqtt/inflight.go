package mqtt

import (
	"cmp"
	"slices"
	"sync"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/record"
)

// stage is what a packet with an identifier, sent to the client, waits for.
//
//	push, QoS 1:  PUBLISH -> stageAck -> PUBACK
//	QoS 2:        PUBLISH -> stageRec -> PUBREC -> stageNoted -> PUBREL -> stageComp -> PUBCOMP
//
// stageNoted is passed through only by what is in the topic log: that PUBREC came
// is durable before PUBREL goes out.
type stage uint8

const (
	stageAck stage = iota + 1
	stageRec
	stageNoted
	stageComp
)

// flight is one packet that was sent and that the client has not acknowledged
// to the end.
type flight struct {
	id    uint16 // 0 in a slot that is free
	stage stage
	what  cargo
	seq   uint32 // order of sending
	// ref is the message of a push; of a publication the position in the topic log
	// if the record is told what becomes of it, and else 0.
	ref int64
	// share is kept only of what another member of a shared group gets if the
	// client goes without an acknowledgement.
	share *share
}

// cargo is what a flight carries.
type cargo uint8

const (
	ofPublication cargo = iota
	ofMessage           // a push
	ofNotice            // that a push was withdrawn
)

func cargoOf(kind record.ReleaseKind) cargo {
	if kind == record.ReleaseWithdraw {
		return ofNotice
	}
	return ofMessage
}

// share is a publication to shared groups of which this session is a member.
type share struct {
	out    *live.Outgoing
	groups []string // as they were subscribed: $share/<group>/<filter>
}

// pos is where it stands in the topic log, if the record is told about it.
func (f *flight) pos() herald.Pos {
	if f.what != ofPublication {
		return 0
	}
	return herald.Pos(f.ref)
}

// inflight holds flights by packet identifier: a table with open addressing,
// because identifiers mostly follow each other, so that each stands in the slot
// of its own number. While nothing is in flight there is no table.
type inflight struct {
	slots *[]flight // nil while it is empty; the length is a power of two
	n     int
	seq   uint32
}

// smallTable is the size with which a table begins, and of those that are kept
// for the next that needs one. A fan-out to many sessions makes one for each.
const smallTable = 8

var smallTables = sync.Pool{New: func() any { s := make([]flight, smallTable); return &s }}

// find gives the flight with an identifier, nil if there is none. The pointer is
// good until the next add or remove.
func (t *inflight) find(id uint16) *flight {
	if t.n == 0 {
		return nil
	}
	s := *t.slots
	mask := len(s) - 1
	for i := int(id) & mask; s[i].id != 0; i = (i + 1) & mask {
		if s[i].id == id {
			return &s[i]
		}
	}
	return nil
}

// add takes a flight whose identifier is free.
func (t *inflight) add(f flight) {
	switch {
	case t.slots == nil:
		t.slots = smallTables.Get().(*[]flight)
	case 4*(t.n+1) > 3*len(*t.slots):
		t.grow()
	}
	t.seq++
	f.seq = t.seq
	t.put(f)
	t.n++
}

func (t *inflight) put(f flight) {
	s := *t.slots
	mask := len(s) - 1
	i := int(f.id) & mask
	for s[i].id != 0 {
		i = (i + 1) & mask
	}
	s[i] = f
}

func (t *inflight) grow() {
	old := t.slots
	s := make([]flight, 2*len(*old))
	t.slots = &s
	for _, f := range *old {
		if f.id != 0 {
			t.put(f)
		}
	}
	recycle(old)
}

// recycle keeps a small table for the next that needs one.
func recycle(s *[]flight) {
	if len(*s) == smallTable {
		clear(*s)
		smallTables.Put(s)
	}
}

// remove takes a flight out, and the table with the last one.
func (t *inflight) remove(id uint16) {
	f := t.find(id)
	if f == nil {
		return
	}
	if t.n--; t.n == 0 {
		recycle(t.slots)
		t.slots = nil
		return
	}
	// What follows without a gap, and would not be found behind one, moves up.
	s := *t.slots
	mask := len(s) - 1
	hole := int(id) & mask
	for s[hole].id != id {
		hole = (hole + 1) & mask
	}
	for i := (hole + 1) & mask; s[i].id != 0; i = (i + 1) & mask {
		if home := int(s[i].id) & mask; (i-home)&mask >= (i-hole)&mask {
			s[hole] = s[i]
			hole = i
		}
	}
	s[hole] = flight{}
}

// list gives the flights in the order in which they were sent.
func (t *inflight) list() []flight {
	if t.n == 0 {
		return nil
	}
	out := make([]flight, 0, t.n)
	for _, f := range *t.slots {
		if f.id != 0 {
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b flight) int { return cmp.Compare(a.seq, b.seq) })
	return out
}

// lowest gives the lowest position in the topic log whose delivery has not come
// as far as the record has to know; 0 if there is none.
func (t *inflight) lowest() (low herald.Pos) {
	if t.n == 0 {
		return 0
	}
	for i := range *t.slots {
		f := &(*t.slots)[i]
		if pos := f.pos(); f.id != 0 && pos != 0 && f.stage != stageComp && (low == 0 || pos < low) {
			low = pos
		}
	}
	return low
}

// clear forgets everything.
func (t *inflight) clear() {
	if t.slots != nil {
		recycle(t.slots)
	}
	t.slots, t.n = nil, 0
}

// free gives an identifier that is not in flight, beginning with one.
func (t *inflight) free(from uint16) uint16 {
	for from == 0 || t.find(from) != nil {
		from++
	}
	return from
}
