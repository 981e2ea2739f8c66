package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strconv"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/store/dialect"
)

const (
	// settleTime is how long callers wait to learn whether a commit was done
	// whose connection was lost; settlePause is the time between two attempts.
	settleTime  = 8 * time.Second
	settlePause = 100 * time.Millisecond
	// awayTime is how long a database that cannot be reached is not asked
	// again. Callers are answered at once meanwhile.
	awayTime = 500 * time.Millisecond
	// maxAgain is how often a group is run again after an error that it did not
	// cause itself.
	maxAgain = 3
)

// errLost is the cause when the connection to the database is lost.
var errLost = errors.New("store: the connection to the database was lost")

// link is the writer's connection to a database server, which gets lost and
// comes back. Each group that writes leaves a mark, so that after a commit
// whose answer was lost the database can be asked whether it was done.
type link struct {
	remote dialect.Remote // nil if the database has no connections to lose
	marks  string         // what the marks of this process begin with
	groups uint64
	mark   string     // of the group that runs; "" if it writes nothing
	open   *unsettled // a group of which it is not known whether it was committed
	until  time.Time  // the database is not asked again before
	cause  error      // why it could not be reached
	// patience is settleTime, but for tests.
	patience time.Duration
}

// unsettled is a group whose commit was sent and not answered. Nothing is
// written before it is known what became of it: the record would go on, and
// those who follow it would never hear of the group.
type unsettled struct {
	mark string
	tx   *tx
	done bool // it was committed; to be read when it is settled
}

func (l *link) start(d dialect.Driver) {
	if l.remote, _ = d.(dialect.Remote); l.remote != nil {
		l.marks, l.patience = rand.Text()+"-", settleTime
	}
}

// sign leaves the mark of a group, as its last statement.
func (w *writer) sign(t *tx) error {
	l := &w.link
	l.mark = ""
	if l.remote == nil || t.writes == 0 {
		return nil
	}
	l.groups++
	l.mark = l.marks + strconv.FormatUint(l.groups, 10)
	_, err := t.exec("UPDATE meta SET value = ? WHERE name = 'group'", l.mark)
	return err
}

// ready sees to it that there is a connection and that it is known what became
// of the last group.
func (w *writer) ready() error {
	l := &w.link
	if l.remote == nil {
		return nil
	}
	if w.conn == nil {
		if now := time.Now(); now.Before(l.until) {
			return w.away(l.cause)
		}
		conn, err := l.remote.Again(context.Background())
		if err != nil {
			l.until, l.cause = time.Now().Add(awayTime), err
			return w.away(err)
		}
		w.conn, w.lazy = conn, false
		w.db.cfg.Log.Info("store: connected to the database again")
	}
	if l.open == nil {
		return nil
	}
	u := l.open
	var last string
	t := &tx{db: w.db, w: w}
	if _, err := t.rowAside("SELECT value FROM meta WHERE name = 'group'", nil, &last); err != nil {
		w.lose(err)
		return w.away(err)
	}
	l.open, u.done = nil, last == u.mark
	w.db.bindings.ended()
	if u.done {
		u.tx.tell()
	}
	return nil
}

// away is the answer while the database cannot be reached.
func (w *writer) away(cause error) error {
	var e *herald.Error
	if errors.As(cause, &e) { // the driver knows better
		return e
	}
	e = unavailable(w.db.driver.Remedy(), errors.Join(errLost, cause))
	e.Message = "store: the database cannot be reached"
	return e
}

// lose gives the connection up.
func (w *writer) lose(cause error) {
	if w.conn == nil {
		return
	}
	w.db.cfg.Log.Error("store: the connection to the database was lost", "error", cause)
	for _, s := range w.stmts {
		_ = s.Close()
	}
	_ = w.direct.close(w.conn)
	// So it is closed, and not used again.
	_ = w.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = w.conn.Close()
	w.conn, w.stmts, w.direct.stmts = nil, map[string]*sql.Stmt{}, map[string]driver.Stmt{}
}

// settle finds out what became of a group whose commit was not answered. It
// returns nil if everybody was answered, and an error after which the group may
// be run again. If it takes too long the callers are told that it is not known;
// whoever writes next finds out.
func (w *writer) settle(t *tx, group []*op, errs []error, cause error) error {
	u := &unsettled{mark: w.link.mark, tx: t}
	w.appends.drop()
	w.lose(cause)
	w.link.open = u
	give := time.NewTimer(w.link.patience)
	defer give.Stop()
	for {
		err := w.ready()
		if err == nil && !u.done {
			return errLost
		}
		if err == nil {
			for i, o := range group {
				o.answer(errs[i])
			}
			return nil
		}
		select {
		case <-time.After(settlePause):
			continue
		case <-give.C:
		case <-w.quit:
		}
		e := unavailable("Repeat the call; with the same Idempotency-Key nothing is done twice.", errors.Join(errLost, cause))
		e.Message = "store: the connection to the database was lost during a commit, and whether it was done is not known yet"
		for _, o := range group {
			o.answer(e)
		}
		return nil
	}
}

// again reports whether a group may be run again after an error that it did not
// cause itself and after which nothing of it was done.
func (w *writer) again(err error) bool {
	if known(err) {
		return false
	}
	switch w.db.kind(err) {
	case dialect.Again:
		return true
	case dialect.Lost:
		return w.link.remote != nil
	}
	return false
}

// unsettled is a channel that says after a while that somebody should find out
// what became of a group, or nil if that is known.
func (l *link) unsettled() <-chan time.Time {
	if l.open == nil {
		return nil
	}
	return time.After(time.Second)
}
