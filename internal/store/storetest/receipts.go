package storetest

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

func event(msg herald.MessageID, ords ...herald.Ordinal) record.Event {
	return record.Event{Msg: msg, State: herald.StateReceived, Set: sets.New(ords...), Time: start, Via: "websocket", Detail: "x"}
}

func (f *fixture) append(events ...record.Event) uint64 {
	f.t.Helper()
	n, err := f.AppendReceipts(f.ctx, appA, events)
	f.must(err)
	return n
}

func (f *fixture) log() (out []record.Batch) {
	f.t.Helper()
	f.must(f.ReceiptLog(f.ctx, appA, func(b record.Batch) error { out = append(out, b); return nil }))
	return out
}

func (f *fixture) chunks(msg herald.MessageID) (out []record.Chunk) {
	f.t.Helper()
	f.must(f.StateChunks(f.ctx, appA, msg, func(c record.Chunk) error { out = append(out, c); return nil }))
	slices.SortFunc(out, func(a, b record.Chunk) int {
		return cmp.Or(cmp.Compare(a.State, b.State), cmp.Compare(a.Index, b.Index))
	})
	return out
}

func testReceipts(t *testing.T, f *fixture) {
	same(t, "empty log", f.log(), []record.Batch{})
	one, two := []record.Event{event(1, 5), event(2, 6, 7)}, []record.Event{event(3, 8)}
	if a, b := f.append(one...), f.append(two...); a != 1 || b != 2 {
		t.Errorf("batches got numbers %d and %d", a, b)
	}
	f.restart()
	same(t, "log", f.log(), []record.Batch{{N: 1, Events: one}, {N: 2, Events: two}})
	direct := []record.Chunk{{State: herald.StateReceived, Index: 0, Bits: sets.New(1, 2)}, {State: herald.StateReceived, Index: 1 << 20, Bits: sets.New(3)}}
	grouped := []record.Chunk{{Msg: 2, State: herald.StateReceived, Index: 0, Bits: sets.New(6, 7)}, {Msg: 2, State: herald.StateSent, Index: 3, Bits: dense(1)}}
	f.must(f.FoldReceipts(f.ctx, record.Fold{App: appA, Upto: 1, Chunks: slices.Concat(direct, grouped)}))
	same(t, "log", f.log(), []record.Batch{{N: 2, Events: two}})
	f.restart()
	same(t, "direct chunks", f.chunks(0), direct)
	same(t, "chunks", f.chunks(2), grouped)
	same(t, "chunks of another message", f.chunks(3), []record.Chunk{})
	f.must(f.FoldReceipts(f.ctx, record.Fold{App: appA, Upto: 2, Chunks: []record.Chunk{
		{State: herald.StateReceived, Index: 0, Bits: sets.New()}, {State: herald.StateReceived, Index: 1 << 20, Bits: sets.New(3, 4)},
		{Msg: 2, State: herald.StateReceived, Index: 0, Bits: sets.New()}}}))
	same(t, "direct chunks", f.chunks(0), []record.Chunk{{State: herald.StateReceived, Index: 1 << 20, Bits: sets.New(3, 4)}})
	same(t, "chunks", f.chunks(2), grouped[1:])
	same(t, "log", f.log(), []record.Batch{})
	f.restart()
	if n := f.append(two...); n != 3 {
		t.Errorf("after a fold of everything the next batch is %d, want 3", n)
	}
	stop := errors.New("stop")
	if err := f.ReceiptLog(f.ctx, appA, func(record.Batch) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("ReceiptLog gave %v, not the error of the callback", err)
	}
	var mu sync.Mutex
	seen := map[uint64]bool{}
	together(50, func(i int) {
		n, err := f.AppendReceipts(f.ctx, appA, two)
		mu.Lock()
		defer mu.Unlock()
		if err != nil || seen[n] {
			t.Errorf("batch %d twice, or error %v", n, err)
		}
		seen[n] = true
	})
	if l := f.log(); len(l) != 51 || l[50].N != 53 {
		t.Errorf("the log has %d batches", len(l))
	}
	_, err := f.AppendReceipts(f.ctx, none, two)
	refused(t, err, herald.CodeNotFound)
	refused(t, f.ReceiptLog(f.ctx, none, nil), herald.CodeNotFound)
	refused(t, f.StateChunks(f.ctx, none, 0, nil), herald.CodeNotFound)
	f.wantHead(appA, 0)
}

func testFoldRefuses(t *testing.T, f *fixture) {
	f.append(event(1, 1))
	f.append(event(1, 2))
	fold := record.Fold{App: appA, Upto: 2, Chunks: []record.Chunk{{State: herald.StateSent, Bits: sets.New(1)}},
		Segments: []record.Segment{{Msg: 1, From: 1, Batch: []byte{1, 0}}}}
	var mu sync.Mutex
	won := 0
	together(5, func(int) {
		err := f.FoldReceipts(f.ctx, fold)
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			won++
		} else if herald.CodeOf(err) != herald.CodeConflict {
			t.Error(err)
		}
	})
	if won != 1 {
		t.Errorf("%d of 5 folds of the same range were taken", won)
	}
	for _, upto := range []uint64{0, 1, 2, 3} {
		again := fold
		again.Upto, again.Chunks = upto, []record.Chunk{{State: herald.StateSent, Bits: sets.New(9)}}
		refused(t, f.FoldReceipts(f.ctx, again), herald.CodeConflict)
	}
	same(t, "chunks", f.chunks(0), fold.Chunks)
	fold.App = none
	refused(t, f.FoldReceipts(f.ctx, fold), herald.CodeNotFound)
}

// testFoldManyChunks: they do not fit into one commit. One that comes too late
// changes none of them.
func testFoldManyChunks(t *testing.T, f *fixture) {
	chunksOf := func(every int) (out []record.Chunk) {
		bits := sets.New()
		for o := 0; o < 1<<16; o += every { // 8 KiB as a bitmap
			bits.Add(herald.Ordinal(o))
		}
		for i := range uint64(20) {
			out = append(out, record.Chunk{State: herald.StateSent, Index: i, Bits: bits})
		}
		return out
	}
	f.append(event(1, 1))
	first := record.Fold{App: appA, Upto: 1, Chunks: chunksOf(2), Segments: []record.Segment{{Msg: 7, From: 1, Batch: []byte{1, 0}}}}
	f.must(f.FoldReceipts(f.ctx, first))
	late := record.Fold{App: appA, Upto: 1, Chunks: chunksOf(3)}
	refused(t, f.FoldReceipts(f.ctx, late), herald.CodeConflict)
	f.restart()
	same(t, "chunks", f.chunks(0), first.Chunks)
	if left := f.log(); len(left) > 0 {
		t.Errorf("%d batches are left in the log", len(left))
	}
	segs, err := f.Segments(f.ctx, appA, 7, 0)
	f.must(err)
	same(t, "segments", segs, first.Segments)
}

func testSegments(t *testing.T, f *fixture) {
	segs := []record.Segment{{Msg: 7, Index: 2, From: 1, Batch: []byte{1, 2}}, {Msg: 7, Index: 2, From: 2, Batch: []byte{3}},
		{Msg: 7, Index: 3, From: 1, Batch: []byte{4}}, {Msg: 8, Index: 2, From: 1, Batch: []byte{5}}}
	f.append()
	f.append()
	f.must(f.FoldReceipts(f.ctx, record.Fold{App: appA, Upto: 1, Segments: []record.Segment{segs[0], segs[2], segs[3]}}))
	f.must(f.FoldReceipts(f.ctx, record.Fold{App: appA, Upto: 2, Segments: segs[1:2]}))
	f.restart()
	got, err := f.Segments(f.ctx, appA, 7, 2)
	f.must(err)
	same(t, "segments", got, segs[:2])
	got, err = f.Segments(f.ctx, appB, 7, 2)
	f.must(err)
	same(t, "segments of the other app", got, []record.Segment{})
	_, err = f.Segments(f.ctx, none, 7, 2)
	refused(t, err, herald.CodeNotFound)
}

func testReopen(t *testing.T, f *fixture) {
	d := f.register(appA, 1, withAlias("ann"))
	m := f.message(d.Ord)
	out := f.accept(m)
	for range 3 {
		f.restart()
	}
	same(t, "message", f.find(m.ID), want(m, out))
	got, err := f.Device(f.ctx, appA, d.ID)
	f.must(err)
	same(t, "device", got, d)
	if next := f.register(appA, 2); next.Ord != 1 {
		t.Errorf("after restarts the next ordinal is %d, want 1", next.Ord)
	}
	f.wantHead(appA, 3)
}

func testContext(t *testing.T, f *fixture) {
	ended, cancel := context.WithCancel(f.ctx)
	cancel()
	m := f.message(1)
	if _, err := f.Accept(ended, m); !errors.Is(err, context.Canceled) {
		t.Errorf("Accept with an ended context gave %v", err)
	}
	if _, err := f.Message(ended, appA, m.ID); !errors.Is(err, context.Canceled) {
		t.Errorf("Message with an ended context gave %v", err)
	}
	f.wantHead(appA, 0)
	// Whoever gives up at any moment is told the truth: an error means that
	// nothing was written.
	const n = 200
	msgs, errs := make([]record.Acceptance, n), make([]error, n)
	for i := range msgs {
		msgs[i] = f.message(1)
	}
	together(n, func(i int) {
		ctx, cancel := context.WithTimeout(f.ctx, time.Duration(i)*20*time.Microsecond)
		defer cancel()
		_, errs[i] = f.Accept(ctx, msgs[i])
	})
	took := 0
	for i, m := range msgs {
		_, err := f.Message(f.ctx, appA, m.ID)
		if (err == nil) != (errs[i] == nil) {
			t.Errorf("Accept gave %v, and then Message gave %v", errs[i], err)
		}
		if err == nil {
			took++
		}
	}
	f.wantHead(appA, herald.Pos(took))
}

func testClosed(t *testing.T, f *fixture) {
	s := f.Store
	f.close()
	_, err := s.Accept(f.ctx, f.message(1))
	refused(t, err, herald.CodeStorageUnavailable)
	_, err = s.Message(f.ctx, appA, 1)
	refused(t, err, herald.CodeStorageUnavailable)
	refused(t, s.Probe(f.ctx), herald.CodeStorageUnavailable)
	f.start()
	f.wantHead(appA, 0)
}

// testClosing closes the store among calls: each is told the truth.
func testClosing(t *testing.T, f *fixture) {
	const n = 100
	s := f.Store
	msgs, errs := make([]record.Acceptance, n), make([]error, n)
	for i := range msgs {
		msgs[i] = f.message(1)
	}
	together(n, func(i int) {
		if i == n/2 {
			f.close()
		}
		_, errs[i] = s.Accept(f.ctx, msgs[i])
	})
	f.start()
	for i, m := range msgs {
		if errs[i] != nil {
			refused(t, errs[i], herald.CodeStorageUnavailable)
		}
		if _, err := f.Message(f.ctx, appA, m.ID); (err == nil) != (errs[i] == nil) {
			t.Errorf("Accept gave %v, and then Message gave %v", errs[i], err)
		}
	}
}

func testProbe(t *testing.T, f *fixture) {
	for range 3 {
		f.must(f.Probe(f.ctx))
	}
	f.wantHead(appA, 0)
}
