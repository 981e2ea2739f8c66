package receipt_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/receipt"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
	"github.com/herald-push/herald/internal/store/sqlite"
)

func TestMain(m *testing.M) {
	// Each check of the model opens a record of its own, which takes long with
	// the race detector. Ask for more with HERALD_CHECKS.
	checks := os.Getenv("HERALD_CHECKS")
	if checks == "" {
		checks = "5" // of each of some bounds on memory
	}
	if err := flag.Set("rapid.checks", checks); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

const app herald.AppKey = "aaaaaaaaaaaaaaaaaaaaaaaa"

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// kind is how a message is kept.
type kind string

const (
	direct   kind = "direct"
	group    kind = "group"
	aliased  kind = "group by alias"
	volatile kind = "volatile"
	toOne    kind = "volatile to one" // the first of its devices
)

// world is a ledger on a real record, with a clock that stands still.
type world struct {
	t      testing.TB
	dir    string
	db     *sqlite.DB
	ledger *receipt.Ledger
	dead   map[herald.Ordinal]herald.Pos // removed at which position
	ids    herald.IDs
	faulty *faulty
	memory limits

	mu   sync.Mutex // guards now
	now  time.Time
	full bool // the disk has no room for strips
}

// limits are bounds that are far lower than those of a server.
type limits struct {
	bytes  int64 // of memory for cells
	small  int64 // devices of a message that is one cell
	inline int   // bytes of a target that is read with its message
	bundle int   // messages of a bundle at least, of any age; 0 is as on a server
}

// faulty is a record that can be told to refuse receipts.
type faulty struct {
	*sqlite.DB
	mu      sync.Mutex // guards what follows
	failing bool
	unread  bool // messages and cells cannot be read either
	unfold  bool // the log cannot be folded
	folds   int  // that are taken before that
	unadded bool // nor bits be written ahead of that
	calls   int
	appends int  // batches that were written
	chunks  int  // readings of chunks by slab
	noStrip bool // strips cannot be written
	tried   chan struct{}
}

var errDisk = herald.Errorf(herald.CodeStorageUnavailable, "Repeat later.", "the disk is away")

func (f *faulty) set(failing, unread bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failing, f.unread = failing, unread
}

func (f *faulty) failFolds(failing, added bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unfold, f.unadded, f.folds = failing, added, 0
}

// failFoldsAfter has folds fail after some.
func (f *faulty) failFoldsAfter(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unfold, f.folds = true, n
}

func (f *faulty) FoldReceipts(ctx context.Context, fold record.Fold) error {
	f.mu.Lock()
	failing := f.unfold && f.folds <= 0
	f.folds--
	f.mu.Unlock()
	if failing {
		return errDisk
	}
	return f.DB.FoldReceipts(ctx, fold)
}

func (f *faulty) AddToChunks(ctx context.Context, app herald.AppKey, chunks []record.Chunk) error {
	f.mu.Lock()
	failing := f.unadded
	f.mu.Unlock()
	if failing {
		return errDisk
	}
	return f.DB.AddToChunks(ctx, app, chunks)
}

func (f *faulty) AppendReceipts(ctx context.Context, app herald.AppKey, events []record.Event) (uint64, error) {
	f.mu.Lock()
	f.calls++
	failing := f.failing
	f.mu.Unlock()
	select {
	case f.tried <- struct{}{}:
	default:
	}
	if failing {
		return 0, errDisk
	}
	n, err := f.DB.AppendReceipts(ctx, app, events)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.appends++
	return n, err
}

func (f *faulty) failStrips(failing bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.noStrip = failing
}

func (f *faulty) unstrippable() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.noStrip
}

func (f *faulty) PutBundle(ctx context.Context, app herald.AppKey, of record.Bundle, strips [record.StripsInSlab]*sets.Set) error {
	if f.unstrippable() {
		return errDisk
	}
	return f.DB.PutBundle(ctx, app, of, strips)
}

func (f *faulty) DropBundle(ctx context.Context, app herald.AppKey, slab sets.Slab, n uint64) error {
	if f.unstrippable() {
		return errDisk
	}
	return f.DB.DropBundle(ctx, app, slab, n)
}

func (f *faulty) ChangeStrips(ctx context.Context, app herald.AppKey, stale []record.Bundle, done []record.Strip) error {
	if f.unstrippable() {
		return errDisk
	}
	return f.DB.ChangeStrips(ctx, app, stale, done)
}

func (f *faulty) StripsOf(ctx context.Context, app herald.AppKey, o herald.Ordinal, each func(n, messages uint64)) error {
	if f.away() {
		return errDisk
	}
	return f.DB.StripsOf(ctx, app, o, each)
}

// readings counts how often chunks were read, from now on.
func (f *faulty) readings() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, f.chunks = f.chunks, 0
	return n
}

func (f *faulty) read() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.chunks++
	return !f.unread
}

func (f *faulty) Message(ctx context.Context, app herald.AppKey, id herald.MessageID) (*record.Message, error) {
	if f.away() {
		return nil, errDisk
	}
	return f.DB.Message(ctx, app, id)
}

func (f *faulty) Cells(ctx context.Context, app herald.AppKey, slab sets.Slab, ids []herald.MessageID, waiting bool, each func(record.Chunk) error) error {
	if !f.read() {
		return errDisk
	}
	return f.DB.Cells(ctx, app, slab, ids, waiting, each)
}

func (f *faulty) Held(ctx context.Context, app herald.AppKey, slab sets.Slab, ids []herald.MessageID, o herald.Ordinal, of record.CellPart, each func(herald.MessageID, herald.DeliveryState, bool)) error {
	if !f.read() {
		return errDisk
	}
	return f.DB.Held(ctx, app, slab, ids, o, of, each)
}

func (f *faulty) StateChunks(ctx context.Context, app herald.AppKey, id herald.MessageID, each func(record.Chunk) error) error {
	if f.away() {
		return errDisk
	}
	return f.DB.StateChunks(ctx, app, id, each)
}

func (f *faulty) TargetSlabs(ctx context.Context, app herald.AppKey, id herald.MessageID) ([]sets.Slab, error) {
	if f.away() {
		return nil, errDisk
	}
	return f.DB.TargetSlabs(ctx, app, id)
}

func (f *faulty) away() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.unread
}

func (f *faulty) batches() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.appends
}

func newWorld(t testing.TB, dir string) *world { return newWorldWith(t, dir, limits{}) }

func newWorldWith(t testing.TB, dir string, memory limits) *world {
	t.Helper()
	w := &world{t: t, dir: dir, now: start, dead: map[herald.Ordinal]herald.Pos{}, memory: memory}
	w.open()
	w.must(w.db.CreateApp(context.Background(), record.App{Key: app, Name: "a", SecretHash: []byte("h"), Created: start}))
	w.load()
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
	return w.now
}

// bundleAfter has bundles made of new messages, where the test says of how many.
func (l limits) bundleAfter() time.Duration {
	if l.bundle > 0 {
		return -1
	}
	return 0
}

func (w *world) open() {
	w.t.Helper()
	db, err := sqlite.Open(context.Background(), sqlite.Config{Path: filepath.Join(w.dir, "herald.db"), Now: w.clock, Inline: w.memory.inline})
	w.must(err)
	w.db, w.faulty = db, &faulty{DB: db, tried: make(chan struct{}, 1)}
	w.ledger = receipt.New(receipt.Config{Store: w.faulty, Messages: w.faulty, Now: w.clock, DeadAt: w.deadAt,
		Memory: w.memory.bytes, Small: w.memory.small, BundleLeast: w.memory.bundle, BundleAfter: w.memory.bundleAfter(),
		Room: func() bool { return !w.full }})
}

func (w *world) load() { w.t.Helper(); w.must(w.ledger.Load(context.Background(), app)) }

func (w *world) deadAt(_ herald.AppKey, pos herald.Pos) *sets.Set {
	out := sets.New()
	for o, at := range w.dead {
		if at <= pos {
			out.Add(o)
		}
	}
	return out
}

// restart ends the process in an orderly way, or as a crash would, in which
// nothing is folded.
func (w *world) restart(crash bool) {
	w.t.Helper()
	w.end(crash)
	w.open()
	w.load()
}

func (w *world) end(crash bool) {
	w.t.Helper()
	if crash {
		// Everything that was answered is durable; close what remains with a
		// context that has ended, so that nothing is folded.
		w.settle()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = w.ledger.Close(ctx)
	} else {
		w.must(w.ledger.Close(context.Background()))
	}
	w.must(w.db.Close())
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) settle() {
	w.t.Helper()
	w.must(w.ledger.Settled(context.Background(), app))
}

// message makes a message for some devices.
func (w *world) message(k kind, evalPos herald.Pos, ords ...herald.Ordinal) *record.Message {
	w.t.Helper()
	now := w.clock()
	m := &record.Message{
		Message: herald.Message{ID: w.ids.Next(now), App: app, Audience: herald.Audience{All: true}, Priority: herald.PriorityNormal,
			TTL: time.Hour, Accepted: now, Due: now},
		Body: []byte(`{"data":1}`), State: herald.MessageSending, Target: int64(len(ords)), EvalPos: evalPos,
	}
	for _, o := range ords {
		if at, gone := w.dead[o]; gone && at <= evalPos {
			m.Target--
		}
	}
	switch k {
	case toOne:
		m.TTL, m.Target, m.Group = 0, 1, record.WholeImage(sets.New(ords[0]))
		w.ledger.TrackVolatile(m)
		return m
	case volatile:
		m.TTL, m.Group = 0, record.WholeImage(sets.New(ords...))
		w.ledger.TrackVolatile(m)
		return m
	case group:
		m.Group = record.WholeImage(sets.New(ords...))
	case aliased:
		m.Group, m.ByAlias = record.WholeImage(sets.New(ords...)), true
	case direct:
		m.Direct = ords
	}
	done, err := w.db.Accept(context.Background(), record.Acceptance{Message: *m})
	w.must(err)
	m, err = w.db.Message(context.Background(), app, m.ID)
	w.must(err)
	if m.Pos != done.Pos || m.FirstN != done.FirstN {
		w.t.Fatalf("the message is at %d, and was accepted at %d", m.Pos, done.Pos)
	}
	w.ledger.Track(m)
	w.ledger.Advance(app, m.Pos)
	return m
}

// finish ends a message as a whole, as dispatch does.
func (w *world) finish(m *record.Message, state herald.MessageState, as herald.DeliveryState) *record.Message {
	w.t.Helper()
	_, err := w.db.EndMessage(context.Background(), app, m.ID, state, w.clock())
	w.must(err)
	ended, err := w.db.Message(context.Background(), app, m.ID)
	w.must(err)
	w.ledger.Ended(ended)
	w.must(w.ledger.End(context.Background(), app, ended, as))
	return ended
}

func (w *world) event(m *record.Message, s herald.DeliveryState, ords ...herald.Ordinal) record.Event {
	return record.Event{Msg: m.ID, State: s, Set: sets.New(ords...), Time: w.clock(), Via: "receipt"}
}

func (w *world) apply(m *record.Message, s herald.DeliveryState, ords ...herald.Ordinal) {
	w.t.Helper()
	w.must(w.ledger.Apply(context.Background(), app, w.event(m, s, ords...)))
}

func (w *world) state(m *record.Message, o herald.Ordinal) herald.DeliveryState {
	w.t.Helper()
	s, err := w.ledger.State(context.Background(), m, o)
	w.must(err)
	return s
}

// counts gives the counts of a message, and checks what holds for all counts.
func (w *world) counts(m *record.Message) herald.Counts {
	w.t.Helper()
	c, err := w.ledger.Counts(context.Background(), m)
	w.must(err)
	if err := coherent(c); err != nil {
		w.t.Fatalf("message %s: %v", m.ID, err)
	}
	return c
}

func coherent(c herald.Counts) error {
	var sum int64
	for _, n := range c.States {
		if n <= 0 {
			return errors.New("a state that no device is in is listed, or less than none is")
		}
		sum += n
	}
	if sum != c.Target {
		return errors.New("the states do not sum to the target")
	}
	if c.Target < c.Sent || c.Sent < c.Received || c.Received < c.Displayed || c.Displayed < c.Clicked || c.Clicked < 0 {
		return errors.New("the funnel widens")
	}
	return nil
}

func (w *world) history(m *record.Message, o herald.Ordinal) (out []herald.DeliveryState) {
	w.t.Helper()
	events, err := w.ledger.History(context.Background(), m, o)
	w.must(err)
	for _, e := range events {
		out = append(out, e.State)
	}
	return out
}
