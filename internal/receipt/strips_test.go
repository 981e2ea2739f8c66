package receipt_test

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// stripped lets nothing stay in memory, and has bundles made at once.
var stripped = limits{small: -1, inline: 1, bytes: 1, bundle: 1}

// striped is some messages to some devices of three slabs, and for whom they wait.
type striped struct {
	*world
	list []*record.Message
	ords []herald.Ordinal
	want map[herald.Ordinal][]herald.MessageID
}

func newStriped(t *testing.T, memory limits, messages int) *striped {
	t.Helper()
	s := &striped{world: newWorldWith(t, t.TempDir(), memory), want: map[herald.Ordinal][]herald.MessageID{}}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range herald.Ordinal(24) {
		s.ords = append(s.ords, i%3*65_536+i*100)
	}
	slices.Sort(s.ords)
	for range messages {
		to := slices.DeleteFunc(slices.Clone(s.ords), func(herald.Ordinal) bool { return r.IntN(3) == 0 })
		m := s.message(group, 0, to...)
		s.list = append(s.list, m)
		for _, o := range to {
			s.want[o] = append(s.want[o], m.ID)
		}
	}
	return s
}

// received has devices acknowledge a message; so many of a slab that its cells
// are taken into memory, or each by itself.
func (s *striped) received(m *record.Message, ords ...herald.Ordinal) {
	s.t.Helper()
	s.apply(m, herald.StateReceived, ords...)
	for _, o := range ords {
		s.want[o] = slices.DeleteFunc(s.want[o], func(id herald.MessageID) bool { return id == m.ID })
	}
}

func (s *striped) bundle() { s.t.Helper(); s.must(s.ledger.Bundle(context.Background())) }
func (s *striped) fold()   { s.t.Helper(); s.must(s.ledger.Fold(context.Background(), true)) }

// check looks at what waits for all devices, and how often chunks were read for
// that: never, or at all.
func (s *striped) check(when string, chunks bool) {
	s.t.Helper()
	s.faulty.readings()
	for _, o := range s.ords {
		if got := s.waiting(o); fmt.Sprint(got) != fmt.Sprint(s.want[o]) {
			s.t.Errorf("%s: for device %d wait %v, want %v", when, o, got, s.want[o])
		}
	}
	if n := s.faulty.readings(); (n > 0) != chunks {
		s.t.Errorf("%s: chunks were read %d times", when, n)
	}
}

// bundles gives of each slab how many messages each bundle has.
func (s *striped) bundles() string {
	s.t.Helper()
	out := map[int][]int{}
	list, err := s.db.Bundles(context.Background(), app)
	s.must(err)
	for _, n := range list {
		out[int(n.Slab)] = append(out[int(n.Slab)], len(n.Msgs))
	}
	return fmt.Sprint(out)
}

// Who waits is read from strips alone, whatever is reported, folded and lost from
// memory; where a chunk was replaced, it knows better.
func TestStrips(t *testing.T) {
	for name, inline := range map[string]int{"targets in chunks": 1, "images in rows": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			memory := stripped
			memory.inline = inline
			s := newStriped(t, memory, 70)
			defer s.end(false)
			s.check("without strips", true)
			s.bundle()
			if got := s.bundles(); got != "map[0:[64 6] 1:[64 6] 2:[64 6]]" {
				t.Errorf("the bundles are %s", got)
			}
			s.check("with strips", false)
			s.restart(false)
			s.check("after a restart", false)

			for i, o := range s.ords {
				s.received(s.list[i], o)
				s.received(s.list[69-i], o)
			}
			s.check("reported", false)
			s.fold()
			s.check("folded", false)
			s.restart(false)
			s.check("folded, after a restart", false)

			for _, m := range s.list[30:40] {
				s.received(m, s.ords[:8]...) // all of a slab
			}
			s.fold()
			s.check("chunks were replaced", true)
			s.restart(true)
			s.check("chunks were replaced, after a crash", true)
			for _, m := range s.list[30:40] {
				s.received(m, s.ords[8]) // of another slab, whose strips still know
			}
			s.fold()
			s.restart(false)
			s.check("chunks of one slab were replaced", true)
			s.ords = s.ords[8:]
			s.restart(false)
			s.check("the other slabs", false)
		})
	}
}

// A bundle of which too much had to be looked up is made anew.
func TestStripsMadeAnew(t *testing.T) {
	s := newStriped(t, stripped, 60)
	defer s.end(false)
	s.bundle()
	for i, m := range s.list {
		s.received(m, s.ords[i%3*8:i%3*8+7]...) // one of the slab still has it waiting
	}
	for round := range 40 {
		s.fold()
		for _, o := range s.ords {
			s.waiting(o)
		}
		s.apply(s.list[round], herald.StateDisplayed, s.ords[round%3*8]) // so that nothing of before is remembered
	}
	s.fold()
	s.check("stale", true)
	s.bundle()
	s.check("made anew", false)
	s.restart(false)
	s.check("made anew, after a restart", false)
	if got := s.bundles(); got != "map[0:[60] 1:[60] 2:[60]]" {
		t.Errorf("the bundles are %s", got)
	}
}

// A bundle goes when its messages have ended; the few that have not come into
// the next.
func TestStripsEnd(t *testing.T) {
	memory := stripped
	memory.bundle = 8
	s := newStriped(t, memory, 16)
	defer s.end(false)
	s.bundle()
	for _, m := range s.list[:13] {
		s.finish(m, herald.MessageWithdrawn, herald.StateWithdrawn)
		for _, o := range s.ords {
			s.want[o] = slices.DeleteFunc(s.want[o], func(id herald.MessageID) bool { return id == m.ID })
		}
	}
	s.fold()
	s.check("ended", false)
	s.bundle()
	if got := s.bundles(); got != "map[]" {
		t.Errorf("the bundles are %s", got)
	}
	s.check("without bundles", true)
	for range 5 {
		m := s.message(group, 0, s.ords...)
		for _, o := range s.ords {
			s.want[o] = append(s.want[o], m.ID)
		}
	}
	s.bundle()
	if got := s.bundles(); got != "map[0:[8] 1:[8] 2:[8]]" {
		t.Errorf("the bundles are %s", got)
	}
	s.check("in the next", false)
}

// What is damaged costs time, and nothing else.
func TestStripsDamaged(t *testing.T) {
	for name, query := range map[string]string{
		"a strip":            "UPDATE strip SET crc = crc + 1 WHERE block = 0",
		"a strip of no kind": fmt.Sprintf("UPDATE strip SET bits = x'09', crc = %d WHERE block = 0", crc32.Checksum([]byte{9}, crc32.MakeTable(crc32.Castagnoli))),
		"a lost strip":       "DELETE FROM strip WHERE block = 64",
		"a lost bundle":      "DELETE FROM strip_bundle WHERE slab = 2", // as if the server had ended before it
		"a bundle":           "UPDATE strip_bundle SET crc = crc + 1 WHERE slab = 1",
	} {
		t.Run(name, func(t *testing.T) {
			s := newStriped(t, stripped, 40)
			defer s.end(false)
			s.bundle()
			s.exec(query)
			s.restart(false)
			s.check("damaged", true)
			for i, o := range s.ords {
				s.received(s.list[i], o)
			}
			s.fold()
			s.restart(false)
			s.check("reported", true)
			for range 4 { // more devices than are remembered
				for _, o := range s.ords {
					s.waiting(o)
				}
			}
			s.bundle()
			s.check("made anew", false)
		})
	}
	t.Run("a target", func(t *testing.T) {
		s := newStriped(t, stripped, 40)
		defer s.end(false)
		s.flip(s.list[3], record.TargetState, 0)
		s.bundle()
		if got := s.bundles(); got != "map[0:[39] 1:[39] 2:[39]]" {
			t.Errorf("the bundles are %s", got)
		}
		for _, o := range s.ords[:8] {
			s.want[o] = slices.DeleteFunc(s.want[o], func(id herald.MessageID) bool { return id == s.list[3].ID })
		}
		s.check("damaged", true)
	})
}

// No strips are made while the disk has no room for them.
func TestStripsWithoutRoom(t *testing.T) {
	s := newStriped(t, stripped, 40)
	defer s.end(false)
	s.full = true
	for range 2 {
		s.bundle()
	}
	if got := s.bundles(); got != "map[]" {
		t.Errorf("the bundles are %s", got)
	}
	s.check("on a full disk", true)
	s.full = false
	s.bundle()
	s.check("with room", false)
}

// What was written of a bundle that was cut short goes, and harms nobody until
// then; its number is not given again.
func TestStripsCutShort(t *testing.T) {
	s := newStriped(t, stripped, 40)
	defer s.end(false)
	s.bundle()
	cut := record.Bundle{Slab: 1, N: 50}
	var strip [record.StripsInSlab]*sets.Set
	for i := range strip {
		strip[i] = sets.Range(record.StripSize * record.BundleSize)
	}
	s.must(s.db.PutBundle(t.Context(), app, record.Bundle{Slab: 1, N: 50, Msgs: []herald.MessageID{1}}, strip))
	s.must(s.db.ChangeStrips(t.Context(), app, []record.Bundle{cut}, nil))
	s.restart(false)
	s.check("cut short", false)
	for range 3 {
		m := s.message(group, 0, s.ords...)
		for _, o := range s.ords {
			s.want[o] = append(s.want[o], m.ID)
		}
	}
	s.bundle()
	if got := s.bundles(); got != "map[0:[40 3] 1:[40 3] 2:[40 3]]" {
		t.Errorf("the bundles are %s", got)
	}
	s.check("with others", false)
	list, err := s.db.Bundles(t.Context(), app)
	s.must(err)
	for _, n := range list {
		if len(n.Msgs) == 3 && n.N <= cut.N {
			t.Errorf("the number %d is given again", n.N)
		}
	}
}

// While the disk is away nothing changes, and nobody is told what is not so.
func TestStripsWithoutDisk(t *testing.T) {
	s := newStriped(t, stripped, 40)
	defer s.end(false)
	s.faulty.failStrips(true)
	if err := s.ledger.Bundle(t.Context()); !errors.Is(err, errDisk) {
		t.Errorf("bundles were made without a disk: %v", err)
	}
	s.check("no strips", true)
	s.faulty.failStrips(false)
	s.bundle()

	s.faulty.failStrips(true)
	s.received(s.list[0], s.ords[:8]...)
	s.received(s.list[1], s.ords[1])
	if err := s.ledger.Fold(t.Context(), true); !errors.Is(err, errDisk) {
		t.Errorf("a fold went on although strips could not be changed: %v", err)
	}
	s.check("not folded", false)
	s.faulty.failStrips(false)
	s.faulty.failFolds(true, false) // after strips were changed
	if err := s.ledger.Fold(t.Context(), true); !errors.Is(err, errDisk) {
		t.Errorf("the fold did not fail: %v", err)
	}
	s.check("folded by half", false)
	s.restart(true)
	s.check("folded by half, after a crash", true) // the log was folded at the start
	s.fold()
	s.restart(false)
	s.check("folded", true)

	s.faulty.set(false, true)
	if got, err := s.ledger.WaitingGroups(t.Context(), app, s.ords[9], 0, math.MaxInt64, 100); !errors.Is(err, errDisk) {
		t.Errorf("without a disk wait %v, %v", got, err)
	}
	s.faulty.set(false, false)
	for _, m := range s.list {
		s.finish(m, herald.MessageWithdrawn, herald.StateWithdrawn)
	}
	s.faulty.failStrips(true)
	if err := s.ledger.Bundle(t.Context()); !errors.Is(err, errDisk) {
		t.Errorf("bundles were dropped without a disk: %v", err)
	}
	s.faulty.failStrips(false)
	s.bundle()
	if got := s.bundles(); got != "map[]" {
		t.Errorf("the bundles are %s", got)
	}
}

// Bundles are made of messages that are neither new nor about to end, when there
// are enough, and only where memory has no room.
func TestBundledMessages(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name     string
		memory   limits
		messages int
		pass     time.Duration
		want     string
		ctx      context.Context
		err      error
	}{
		{"enough", stripped, 40, 10 * time.Minute, "map[0:[40] 1:[40] 2:[40]]", t.Context(), nil},
		{"new", stripped, 40, 10*time.Minute - 1, "map[]", t.Context(), nil},
		{"about to end", stripped, 40, 50*time.Minute + 1, "map[]", t.Context(), nil}, // of an hour
		{"few", stripped, 31, 10 * time.Minute, "map[]", t.Context(), nil},
		{"room in memory", limits{small: -1, inline: 1}, 40, 10 * time.Minute, "map[]", t.Context(), nil},
		{"each in one piece", limits{bytes: 1}, 40, 10 * time.Minute, "map[]", t.Context(), nil},
		{"told to end", stripped, 40, 10 * time.Minute, "map[]", ended, context.Canceled},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.memory.bundle = 0 // as on a server
			s := newStriped(t, c.memory, c.messages)
			defer s.end(false)
			s.waiting(s.ords[0]) // so that the slabs are known
			for _, m := range s.list {
				s.counts(m)
			}
			s.pass(c.pass)
			if err := s.ledger.Bundle(c.ctx); !errors.Is(err, c.err) {
				t.Errorf("got %v, want %v", err, c.err)
			}
			if got := s.bundles(); got != c.want {
				t.Errorf("the bundles are %s, want %s", got, c.want)
			}
		})
	}
}

// Bundles are made, and made anew, while devices report and ask, and folds go on:
// nobody is told that a message waits which it has received.
func TestStripsAtOnce(t *testing.T) {
	for name, bytes := range map[string]int64{"nothing in memory": 1, "deltas in memory": 40_000} {
		t.Run(name, func(t *testing.T) {
			memory := stripped
			memory.bytes = bytes
			s := newStriped(t, memory, 50)
			defer s.end(false)
			done := make(chan struct{})
			var others sync.WaitGroup
			for _, do := range []func(context.Context) error{
				s.ledger.Bundle,
				func(ctx context.Context) error { return s.ledger.Fold(ctx, true) },
			} {
				others.Go(func() {
					for {
						if err := do(context.Background()); err != nil {
							t.Error(err)
						}
						select {
						case <-done:
							return
						default:
						}
					}
				})
			}
			var reporting sync.WaitGroup
			now := s.clock()
			for d, o := range s.ords {
				reporting.Go(func() {
					for i, m := range s.list {
						if i%3 != d%3 {
							continue
						}
						if err := s.ledger.Apply(context.Background(), app, record.Event{Msg: m.ID, State: herald.StateReceived, Set: sets.New(o), Time: now, Via: "receipt"}); err != nil {
							t.Error(err)
						}
						if got := s.waiting(o); slices.Contains(got, m.ID) {
							t.Errorf("message %s waits for device %d, which has received it", m.ID, o)
						}
					}
				})
			}
			reporting.Wait()
			close(done)
			others.Wait()
			for d, o := range s.ords {
				for i, m := range s.list {
					if i%3 == d%3 {
						s.want[o] = slices.DeleteFunc(s.want[o], func(id herald.MessageID) bool { return id == m.ID })
					}
				}
			}
			s.fold()
			s.restart(false)
			for _, o := range s.ords {
				if got := s.waiting(o); fmt.Sprint(got) != fmt.Sprint(s.want[o]) {
					t.Errorf("for device %d wait %v, want %v", o, got, s.want[o])
				}
			}
		})
	}
}
