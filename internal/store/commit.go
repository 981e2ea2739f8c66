package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/store/dialect"
)

// maxGroup is how many operations one commit takes at most.
const maxGroup = 512

// maxRows is how many messages a group has at most, but for the operation that
// takes it past this: batches come as one operation.
const maxRows = 2048

// maxYields is how often in a row the writer lets other goroutines run, and
// gets nothing, before it closes a group that is smaller than the last.
const maxYields = 4

// op is one write that waits for its turn. run may be called twice (see
// writer.commit), so that it assigns its results and never appends to them.
type op struct {
	run   func(*tx) error
	taken atomic.Bool // by the writer, or by a caller that gave up
	err   error       // to be read after done is closed
	done  chan struct{}
	// rows is how many operations of one message it stands for; 0 is one.
	rows int
	// later tells that the operation need not be durable by itself: see
	// DB.writeLater.
	later bool
}

// writer is the one goroutine that writes. It gathers the operations that
// have queued up while the previous commit was being synced, and runs them in
// one transaction; there is no artificial delay.
type writer struct {
	db     *DB
	conn   *sql.Conn
	ops    chan *op
	quit   chan struct{}
	done   chan struct{}
	once   sync.Once
	failed failure
	keeper dialect.Keeper // nil if the driver is none
	// Used by the goroutine only: prepared statements, those that write, and
	// how many operations the last group had.
	stmts  map[string]*sql.Stmt
	direct directly
	// appends are of the group that runs.
	appends appends
	last    int
	lazy    bool // commits are not synced at the moment
	link    link
	// sync commits; tests put a failing disk here.
	sync func() error
}

func (w *writer) start(db *DB, conn *sql.Conn) {
	w.db, w.conn = db, conn
	w.keeper, _ = db.driver.(dialect.Keeper)
	w.ops = make(chan *op, maxGroup)
	w.quit, w.done = make(chan struct{}), make(chan struct{})
	w.stmts, w.direct.stmts = map[string]*sql.Stmt{}, map[string]driver.Stmt{}
	w.direct.words = db.driver.SQL
	w.link.start(db.driver)
	w.sync = func() error { return w.control("COMMIT") }
}

// writeLater is write for an operation that means nothing before another one,
// which the caller makes after it, is durable: its commit is not synced unless
// it shares the group of one that is. The log of SQLite is kept in order, so
// that the later commit does not survive without the earlier one.
func (db *DB) writeLater(ctx context.Context, run func(*tx) error) error {
	return db.do(ctx, &op{run: run, done: make(chan struct{}), later: true})
}

func (db *DB) do(ctx context.Context, o *op) error {
	w := &db.w
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.failed.err(); err != nil {
		return err
	}
	select {
	case w.ops <- o:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.quit:
		return wrap(errClosed)
	}
	select {
	case <-o.done:
	case <-ctx.Done():
		if o.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		<-o.done
	case <-w.done:
		// The writer is gone; it may have answered just before.
		if o.taken.CompareAndSwap(false, true) {
			return wrap(errClosed)
		}
		<-o.done
	}
	return o.err
}

// stop ends the goroutine after the operations that it holds.
func (w *writer) stop() {
	w.once.Do(func() { close(w.quit) })
	<-w.done
}

func (w *writer) close() error {
	errs := []error{w.direct.close(w.conn)}
	for _, s := range w.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, w.conn.Close())...)
}

func (w *writer) loop() {
	defer close(w.done)
	group := make([]*op, 0, maxGroup)
	for {
		select {
		case o := <-w.ops:
			group = w.gather(append(group[:0], o))
		case <-w.link.unsettled():
			_ = w.ready() // said to the next who writes
			continue
		case <-w.quit:
			return
		}
		w.commit(group)
		clear(group)
		if w.keeper != nil && w.failed.err() == nil {
			if err := w.keeper.Between(w.conn); err != nil {
				w.fail(err)
			}
		}
	}
}

// gather takes what is waiting, without those whose callers gave up.
func (w *writer) gather(group []*op) []*op {
	if !group[0].taken.CompareAndSwap(false, true) {
		group = group[:0]
	}
	rows := 0
	for _, o := range group {
		rows += o.rows
	}
	for yields := 0; len(group) < maxGroup && rows < maxRows; {
		select {
		case o := <-w.ops:
			if o.taken.CompareAndSwap(false, true) {
				group = append(group, o)
				rows += o.rows
			}
			yields = 0
		default:
			// Callers that were answered a moment ago are about to ask for
			// more. Let them run before the group is closed: without it every
			// other commit is nearly empty.
			if yields == maxYields || len(group) >= w.last {
				w.last = len(group)
				return group
			}
			yields++
			runtime.Gosched()
		}
	}
	w.last = len(group)
	return group
}

// commit runs a group in one transaction. If the SQL of one operation fails,
// everything is rolled back and the operations are run again one by one, so
// that the bad one fails alone.
func (w *writer) commit(group []*op) {
	if len(group) == 0 {
		return
	}
	err := w.attempt(group)
	for n := 0; err != nil && n < maxAgain && w.again(err); n++ {
		err = w.attempt(group)
	}
	switch {
	case err == nil:
		return
	case len(group) > 1 && !w.db.shared(err) && w.failed.err() == nil:
		for _, o := range group {
			w.commit([]*op{o})
		}
		return
	}
	for _, o := range group {
		o.answer(w.db.explain(err))
	}
}

func (o *op) answer(err error) {
	o.err = err
	close(o.done)
}

// attempt runs a group once. If it returns nil every operation was answered;
// else nothing was written and nobody was answered.
func (w *writer) attempt(group []*op) error {
	if err := w.failed.err(); err != nil {
		return err
	}
	if err := w.ready(); err != nil {
		return err
	}
	if err := w.setSync(group); err != nil {
		return w.abandon(err)
	}
	if err := w.say(dialect.Begin); err != nil {
		return w.abandon(err)
	}
	t := &tx{db: w.db, w: w, heads: map[int64]*head{}}
	errs := make([]error, len(group))
	for i, o := range group {
		before := t.writes
		errs[i] = o.run(t)
		if err := errs[i]; err != nil && (!logical(err) || t.writes != before) {
			return w.abandon(err)
		}
	}
	if err := t.flush(); err != nil {
		return w.abandon(err)
	}
	if t.writes > 0 {
		if err := t.writeHeads(); err != nil {
			return w.abandon(err)
		}
	}
	if err := w.sign(t); err != nil {
		return w.abandon(err)
	}
	faults.Point("before_commit")
	if err := w.sync(); err != nil {
		if w.link.mark != "" && w.db.kind(err) == dialect.Lost {
			return w.settle(t, group, errs, err)
		}
		return w.abandon(err)
	}
	faults.Point("committed")
	w.db.bindings.ended()
	t.tell()
	for i, o := range group {
		o.answer(errs[i])
	}
	if w.keeper != nil {
		w.keeper.Committed()
	}
	return nil
}

// setSync chooses whether the next commit is synced. It is not if the whole
// group can wait.
func (w *writer) setSync(group []*op) error {
	lazy := true
	for _, o := range group {
		lazy = lazy && o.later
	}
	if lazy == w.lazy {
		return nil
	}
	phrase := dialect.SyncOn
	if lazy {
		phrase = dialect.SyncOff
	}
	err := w.say(phrase)
	if err == nil {
		w.lazy = lazy
	}
	return err
}

// abandon rolls back after an error and gives it back. After an error of the
// disk the database is not written to again.
func (w *writer) abandon(err error) error {
	w.appends.drop()
	w.db.bindings.ended()
	if w.db.fatal(err) {
		w.fail(err)
	}
	if w.link.remote != nil {
		if w.db.kind(err) == dialect.Lost || w.control("ROLLBACK") != nil {
			w.lose(err)
		}
		return err
	}
	// SQLite rolls back by itself after some errors, and then refuses this.
	if rerr := w.control("ROLLBACK"); rerr != nil && w.db.fatal(rerr) {
		w.failed.set(rerr)
	}
	if failed := w.failed.err(); failed != nil {
		return failed
	}
	return err
}

// fail stops all writing: the disk is not trusted any more.
func (w *writer) fail(err error) {
	w.failed.set(err)
	w.db.cfg.Log.Error("store: the disk has failed; nothing is written until a restart", "error", err)
}

// say runs the database's own statement for a phrase, if it needs one.
func (w *writer) say(p dialect.Phrase) error {
	if q := w.db.driver.Say(p); q != "" {
		return w.control(q)
	}
	return nil
}

func (w *writer) control(q string) error {
	_, err := w.conn.ExecContext(context.Background(), q)
	return err
}

// logical reports whether an operation refused by its own rules, before it
// wrote anything.
func logical(err error) bool {
	var e *herald.Error
	return errors.As(err, &e)
}

// tx is a running group commit as its operations see it.
type tx struct {
	db     *DB
	w      *writer
	writes int // statements that may have changed something
	heads  map[int64]*head
	hooks  map[int64]*hookHead // of apps that were asked for
	news   []news
}

// news is what must be told after the commit.
type news struct {
	app     herald.AppKey
	created int64 // a new app's number
	sets    *record.SetLogEntry
	release herald.Pos
	message *record.Message // that was released, if it is at hand
	topics  []record.TopicMove
}

func (t *tx) tell() {
	for _, n := range t.news {
		switch {
		case n.created != 0:
			t.db.apps.add(n.app, n.created)
		case n.topics != nil && t.db.cfg.OnTopics != nil:
			t.db.cfg.OnTopics(n.app, n.topics)
		case n.sets != nil && t.db.cfg.OnSets != nil:
			t.db.cfg.OnSets(n.app, *n.sets)
		case n.message != nil && t.db.cfg.OnAccepted != nil:
			t.db.cfg.OnAccepted(n.message)
		case n.release != 0 && t.db.cfg.OnRelease != nil:
			t.db.cfg.OnRelease(n.app, n.release)
		}
	}
}

// stmt prepares a statement that reads, and that sees what the group has
// written.
func (t *tx) stmt(q string) (*sql.Stmt, error) {
	if err := t.flush(); err != nil {
		return nil, err
	}
	return t.prepare(q)
}

func (t *tx) prepare(q string) (*sql.Stmt, error) {
	if s, ok := t.w.stmts[q]; ok {
		return s, nil
	}
	s, err := t.w.conn.PrepareContext(context.Background(), t.db.driver.SQL(q))
	if err == nil {
		t.w.stmts[q] = s
	}
	return s, err
}

// exec changes rows and tells how many.
func (t *tx) exec(q string, args ...any) (int64, error) {
	if err := t.flush(); err != nil {
		return 0, err
	}
	return t.execAside(q, args...)
}

// execAside is exec for a statement that has nothing to do with the tables to
// which rows are appended, which go on waiting.
func (t *tx) execAside(q string, args ...any) (int64, error) {
	t.writes++
	return t.w.direct.exec(t.w.conn, q, args)
}

// row reads at most one row and tells whether there was one.
func (t *tx) row(q string, args []any, dest ...any) (bool, error) {
	if err := t.flush(); err != nil {
		return false, err
	}
	return t.rowAside(q, args, dest...)
}

// rowAside is row for a table to which no rows are appended.
func (t *tx) rowAside(q string, args []any, dest ...any) (bool, error) {
	s, err := t.prepare(q)
	if err != nil {
		return false, err
	}
	return found(s.QueryRowContext(context.Background(), args...).Scan(dest...))
}

func found(err error) (bool, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}
