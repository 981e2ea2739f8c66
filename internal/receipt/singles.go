package receipt

import (
	"slices"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// ReportOne queues an event of one device for each of some messages, as Report
// does. Most of what is reported comes so, and is the same of many devices: it
// is gathered here, so that a set is made for each message and not for each
// device. The first time stands for all. States that end a delivery are for
// Report.
func (l *Ledger) ReportOne(app herald.AppKey, o herald.Ordinal, what herald.DeliveryState, via string, at time.Time, ids ...herald.MessageID) {
	b := l.book(app)
	if b.toOne(ids) {
		// It is applied at once, or with others: there is nothing to gather.
		for _, id := range ids {
			l.Report(app, record.Event{Msg: id, State: what, Set: sets.New(o), Time: at, Via: via})
		}
		return
	}
	b.queueMu.Lock()
	defer b.queueMu.Unlock()
	for _, id := range ids {
		k := singleKey{id, what, via}
		if i, ok := b.single.find(k); ok {
			b.single.list[i].more = append(b.single.list[i].more, uint32(o))
		} else {
			b.single.begin(k, len(b.queue), o)
			b.queue = append(b.queue, record.Event{Msg: id, State: what, Time: at, Via: via})
		}
	}
	b.single.devices += len(ids)
	b.queued()
}

// toOne reports whether a message with TTL 0 to one device is among some.
func (b *book) toOne(ids []herald.MessageID) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if len(b.volatile) == 0 {
		return false
	}
	return slices.ContainsFunc(ids, func(id herald.MessageID) bool {
		g := b.volatile[id]
		return g != nil && g.msg.Target == 1
	})
}

// fewSingles is how many of them are looked through without a map.
const fewSingles = 16

// singles are events in a book's queue whose sets are not made yet.
type singles struct {
	list    []single
	places  chains  // in list; nil while that is short
	before  []int32 // of places
	last    int     // place of the event that was found last
	devices int
}

type singleKey struct {
	msg   herald.MessageID
	state herald.DeliveryState
	via   string
}

// single is an event with the devices that have reported it.
type single struct {
	key   singleKey
	at    int // in the queue
	first herald.Ordinal
	more  []uint32
}

// events is as how many events the devices count against the queue: one takes
// four bytes here.
func (s *singles) events() int { return s.devices / 16 }

func (s *singles) find(k singleKey) (i int, ok bool) {
	if s.last < len(s.list) && s.list[s.last].key == k {
		return s.last, true
	}
	if s.places != nil {
		i = s.places.find(k.msg, s.before, func(i int) bool { return s.list[i].key == k })
	} else {
		i = slices.IndexFunc(s.list, func(e single) bool { return e.key == k })
	}
	if i >= 0 {
		s.last = i
	}
	return i, i >= 0
}

func (s *singles) begin(k singleKey, at int, o herald.Ordinal) {
	s.last = len(s.list)
	s.list = append(s.list, single{key: k, at: at, first: o})
	switch {
	case s.places != nil:
		s.before = s.places.add(k.msg, s.before)
	case len(s.list) > fewSingles:
		s.places = make(chains, 2*len(s.list))
		for i := range s.list {
			s.before = s.places.add(s.list[i].key.msg, s.before)
		}
	}
}

// take gives them away.
func (s *singles) take() []single {
	out := s.list
	*s = singles{}
	return out
}

// setsOf gives the events in a queue their sets. Those that one device reported
// together share one, which nobody changes.
func setsOf(list []single, queue []record.Event) {
	var self *sets.Set
	of := herald.Ordinal(0)
	for i := range list {
		s := &list[i]
		if len(s.more) == 0 {
			if self == nil || of != s.first {
				self, of = sets.New(s.first), s.first
			}
			queue[s.at].Set = self
			continue
		}
		slices.Sort(s.more)
		set := sets.New(s.first)
		set.AddMany(s.more)
		queue[s.at].Set = set
	}
}
