package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// topicSession is a row of topic_session.
type topicSession struct {
	key     topicKey
	ord     herald.Ordinal
	expiry  uint32
	run     int64
	ends    int64 // 0 while it is connected, if run is the present one
	willAt  int64
	read    herald.Pos
	dropped int64
	data    record.TopicSessionData

	changed, gone bool // within a batch
}

const topicSessionColumns = "s.ord, s.expiry, s.run, s.ends, s.will_at, s.read_pos, s.dropped, s.data, s.crc"

// scanTopicSession reads the columns. A session whose state is damaged goes on
// without: it sends something twice, and can be ended.
func (db *DB) scanTopicSession(scan func(...any) error, s *topicSession) error {
	var data []byte
	var crc int64
	if err := scan(&s.ord, &s.expiry, &s.run, &s.ends, &s.willAt, &s.read, &s.dropped, &data, &crc); err != nil {
		return err
	}
	row := topicRow(db.apps.keyOf(s.key.app), s.key.client)
	if err := verify(data, crc, row); err != nil {
		return db.spareDamaged(err)
	}
	var err error
	if s.data, err = record.ParseTopicSession(data); err != nil {
		return db.spareDamaged(damaged(row(), err))
	}
	return nil
}

// session gives a session for change; nil if there is none.
func (b *topicBatch) session(app int64, client string) (*topicSession, error) {
	key := topicKey{app, client}
	if s, ok := b.sessions[key]; ok {
		return s, nil
	}
	q, err := b.prepare("SELECT " + topicSessionColumns + " FROM topic_session s WHERE s.app = ? AND s.client = ?")
	if err != nil {
		return nil, err
	}
	s := &topicSession{key: key}
	ok, err := found(b.db.scanTopicSession(q.QueryRowContext(context.Background(), app, client).Scan, s))
	if err != nil {
		return nil, err
	}
	if !ok {
		s = nil
	} else if s.ends == 0 && s.run != b.run.ID {
		s.leave(b.run.Began.UnixMilli())
	}
	b.sessions[key] = s
	return s, nil
}

// touch notes that a session has to be written.
func (b *topicBatch) touch(s *topicSession) {
	if !s.changed {
		s.changed = true
		b.order = append(b.order, s)
	}
}

// leave says that the connection was gone at a time.
func (s *topicSession) leave(at int64) {
	s.ends = max(at+1000*int64(s.expiry), 1)
	if s.data.Will != nil {
		s.willAt = max(min(at+1000*int64(s.data.Will.Delay), s.ends), 1)
	}
}

// over reports whether a session has ended.
func (b *topicBatch) over(s *topicSession) bool { return s.ends != 0 && s.ends <= b.now }

// state is what others may know of it, without the subscriptions.
func (s *topicSession) state(run record.TopicRun) *record.TopicSessionState {
	out := &record.TopicSessionState{
		TopicSession: record.TopicSession{Client: s.key.client, Ord: s.ord, Expiry: s.expiry, Version: s.data.Version},
		Read:         s.read, Unsent: herald.Pos(s.data.Unsent), Released: positions(s.data.Released), Done: positions(s.data.Done),
		In: append([]uint16(nil), s.data.In...), Will: s.data.Will, Dropped: s.dropped,
	}
	if s.ends == 0 && s.run != run.ID {
		left := *s
		left.leave(run.Began.UnixMilli())
		out.Ends = fromMillis(left.ends)
	} else {
		out.Ends = fromMillis(s.ends)
	}
	return out
}

func positions(list []uint64) (out []herald.Pos) {
	for _, p := range list {
		out = append(out, herald.Pos(p))
	}
	return out
}

// Flags of a subscription.
const (
	topicNoLocal = 1 << iota
	topicAsPublished
	topicHandling // and the bit above it
)

func topicFlags(s *record.TopicSub) int64 {
	return flag(s.NoLocal)*topicNoLocal | flag(s.RetainAsPublished)*topicAsPublished | int64(s.RetainHandling&3)*topicHandling
}

// topicSubs reads the subscriptions of a session, by filter.
func topicSubs(ctx context.Context, from queryer, app int64, client string) ([]record.TopicSub, error) {
	var out []record.TopicSub
	rows, err := from.QueryContext(ctx, "SELECT pattern, qos, flags, sub, since FROM topic_sub WHERE app = ? AND client = ? ORDER BY pattern", app, client)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s record.TopicSub
		var flags int64
		if err := rows.Scan(&s.Filter, &s.QoS, &flags, &s.ID, &s.Since); err != nil {
			return nil, err
		}
		s.NoLocal, s.RetainAsPublished, s.RetainHandling = flags&topicNoLocal != 0, flags&topicAsPublished != 0, byte(flags/topicHandling&3)
		out = append(out, s)
	}
	return out, rows.Err()
}

// TopicSession finds a session with its subscriptions; not_found if there is none.
func (db *DB) TopicSession(ctx context.Context, run record.TopicRun, app herald.AppKey, client string) (*record.TopicSessionState, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	s := &topicSession{key: topicKey{a, client}}
	row := db.readers.QueryRowContext(ctx, "SELECT "+topicSessionColumns+" FROM topic_session s WHERE s.app = ? AND s.client = ?", a, client)
	if ok, err := found(db.scanTopicSession(row.Scan, s)); err != nil {
		return nil, wrap(err)
	} else if !ok {
		return nil, noTopicSession()
	}
	out := s.state(run)
	if out.App = app; !out.Ends.IsZero() && !out.Ends.After(db.cfg.Now()) {
		return nil, noTopicSession()
	}
	out.Subs, err = topicSubs(ctx, &db.readers, a, client)
	return out, wrap(err)
}

// TopicSessions lists sessions, by client, without their subscriptions. Those
// that have ended and are not purged yet are among them.
func (db *DB) TopicSessions(ctx context.Context, run record.TopicRun, f record.TopicSessionFilter) ([]record.TopicSessionState, error) {
	a, err := db.apps.id(f.App)
	if err != nil {
		return nil, err
	}
	where, args := "s.app = ? AND s.client > ?", []any{a, f.After}
	if !f.Any {
		where, args = where+" AND s.ord = ?", append(args, int64(f.Ord))
	}
	var out []record.TopicSessionState
	err = scan(ctx, &db.readers, "SELECT s.client, COALESCE(d.id, ''), "+topicSessionColumns+` FROM topic_session s
		LEFT JOIN device d ON d.app = s.app AND d.ord = s.ord WHERE `+where+" ORDER BY s.client LIMIT ? + 0", append(args, f.Limit), func(r *sql.Rows) error {
		s := &topicSession{key: topicKey{app: a}}
		var id herald.RegistrationID
		err := db.scanTopicSession(func(dest ...any) error { return r.Scan(append([]any{&s.key.client, &id}, dest...)...) }, s)
		if err != nil {
			return wrap(err)
		}
		one := s.state(run)
		one.App, one.Device = f.App, id
		out = append(out, *one)
		return nil
	})
	return out, err
}

// DueTopics lists sessions whose wills are due or that are over by a time, at
// most limit of each.
func (db *DB) DueTopics(ctx context.Context, now time.Time, limit int) ([]record.TopicDue, error) {
	var out []record.TopicDue
	for _, q := range []struct {
		column string
		over   bool
	}{{"will_at", false}, {"ends", true}} {
		err := scan(ctx, &db.readers, "SELECT s.app, s.client, "+topicSessionColumns+" FROM topic_session s WHERE s."+q.column+" > 0 AND s."+q.column+
			" <= ? ORDER BY s."+q.column+" LIMIT ? + 0", []any{millis(now), limit}, func(r *sql.Rows) error {
			s := &topicSession{}
			err := db.scanTopicSession(func(dest ...any) error { return r.Scan(append([]any{&s.key.app, &s.key.client}, dest...)...) }, s)
			if err != nil {
				return wrap(err)
			}
			d := record.TopicDue{App: db.apps.keyOf(s.key.app), Client: s.key.client, Over: q.over}
			if !q.over {
				d.Will = s.data.Will
			}
			out = append(out, d)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// AdoptTopics says of sessions that were connected to an earlier life of the
// server that they are away since this one began, of at most limit of them.
func (db *DB) AdoptTopics(ctx context.Context, run record.TopicRun, limit int) (more bool, err error) {
	var list []topicKey
	for _, other := range []string{"run < ?", "run > ?"} {
		if err := scan(ctx, &db.readers, "SELECT app, client FROM topic_session WHERE ends = 0 AND "+other+" LIMIT ? + 0", []any{run.ID, limit - len(list)}, func(r *sql.Rows) error {
			var k topicKey
			err := r.Scan(&k.app, &k.client)
			list = append(list, k)
			return wrap(err)
		}); err != nil {
			return false, err
		}
	}
	if len(list) == 0 {
		return false, nil
	}
	return len(list) == limit, db.write(ctx, func(t *tx) error {
		b := &topicBatch{tx: t, run: run, now: millis(db.cfg.Now()), sessions: map[topicKey]*topicSession{}}
		for _, k := range list {
			s, err := b.session(k.app, k.client)
			if err != nil {
				return err
			}
			if s != nil && s.run != run.ID {
				s.run = run.ID
				b.touch(s)
			}
		}
		return b.write()
	})
}
