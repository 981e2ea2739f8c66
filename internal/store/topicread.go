package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// nearHead is how far behind the head of the log a session may be for its
// filters with wildcards to be tried on everything that came since. Who is
// further behind has the topics read that begin as its filters do.
const nearHead = 4096

// TopicEntries gives what waits for a session after a position: see
// record.TopicQuery.
func (db *DB) TopicEntries(ctx context.Context, q record.TopicQuery) (record.TopicPage, error) {
	w, err := db.topicWaiting(ctx, q)
	if err != nil {
		return record.TopicPage{}, err
	}
	p := record.TopicPage{Upto: w.head, Dropped: w.dropped, Counted: w.counted}
	left := w.found
	for len(left) > 0 && len(p.Entries) < q.Limit {
		part := left[:min(len(left), q.Limit-len(p.Entries), inSlice)]
		left = left[len(part):]
		if p.Entries, err = db.topicEntries(ctx, w, part, p.Entries); err != nil {
			return record.TopicPage{}, err
		}
		if len(left) > 0 {
			p.Upto = part[len(part)-1].pos
		} else {
			p.Upto = w.head
		}
	}
	if p.More = len(left) > 0; p.More && len(p.Entries) == 0 {
		p.Upto = q.After
	}
	return p, nil
}

// TopicWaiting counts what waits for a session, as far as it is kept for it.
func (db *DB) TopicWaiting(ctx context.Context, q record.TopicQuery) (int, error) {
	w, err := db.topicWaiting(ctx, q)
	if err != nil {
		return 0, err
	}
	return len(w.found), nil
}

// topicWaits is what was found to wait for a session.
type topicWaits struct {
	record.TopicQuery
	app     int64
	state   *topicSession
	head    herald.Pos
	subs    []record.TopicSub
	found   []topicFound // in the order of positions
	dropped int64
	counted herald.Pos
	// What was looked for already, so that nothing is found twice: names, from a
	// position on, and filters with wildcards.
	names map[string]herald.Pos
	wild  []record.TopicSub
}

// topicFound is an entry that waits, before it is read.
type topicFound struct {
	pos    herald.Pos
	shared []string // the shared subscriptions by which it does
}

func (db *DB) topicWaiting(ctx context.Context, q record.TopicQuery) (*topicWaits, error) {
	a, err := db.apps.id(q.App)
	if err != nil {
		return nil, err
	}
	w := &topicWaits{TopicQuery: q, app: a, state: &topicSession{key: topicKey{a, q.Client}}}
	// The head is read first: what is above it is for the next page, or comes live.
	h, err := db.Head(ctx, q.App)
	if err != nil {
		return nil, err
	}
	w.head = h.Pos
	row := db.readers.QueryRowContext(ctx, "SELECT "+topicSessionColumns+" FROM topic_session s WHERE s.app = ? AND s.client = ?", a, q.Client)
	if ok, err := found(db.scanTopicSession(row.Scan, w.state)); err != nil {
		return nil, wrap(err)
	} else if !ok {
		return nil, noTopicSession()
	}
	w.After = max(w.After, w.state.read)
	if w.After >= w.head {
		w.head = max(w.head, q.After)
		return w, nil
	}
	if w.subs, err = topicSubs(ctx, &db.readers, a, q.Client); err != nil {
		return nil, wrap(err)
	}
	for _, find := range []func(context.Context, *topicWaits) error{db.findExact, db.findWild, db.findShared} {
		if err := find(ctx, w); err != nil {
			return nil, err
		}
	}
	w.settle()
	return w, nil
}

// note takes what was found. Of more than may wait the oldest are let go now
// and then, so that they do not fill the memory.
func (w *topicWaits) note(f topicFound) {
	if p := uint64(f.pos); slices.Contains(w.state.data.Done, p) || slices.Contains(w.state.data.Released, p) {
		return
	}
	if w.found = append(w.found, f); len(w.found) >= 4*w.Most+inSlice {
		w.settle()
	}
}

// settle puts what was found in order, and drops what is too much.
func (w *topicWaits) settle() {
	slices.SortStableFunc(w.found, func(a, b topicFound) int { return cmp.Compare(a.pos, b.pos) })
	// What waits by several subscriptions is one.
	out := w.found[:0]
	for _, f := range w.found {
		if n := len(out); n > 0 && out[n-1].pos == f.pos {
			out[n-1].shared = append(out[n-1].shared, f.shared...)
			continue
		}
		out = append(out, f)
	}
	if w.Most > 0 && len(out) > w.Most {
		for _, f := range out[:len(out)-w.Most] {
			if uint64(f.pos) > w.state.data.Counted {
				w.dropped++
				w.counted = max(w.counted, f.pos)
			}
		}
		out = slices.Clone(out[len(out)-w.Most:])
	}
	w.found = out
}

// findExact finds entries by filters that are names.
func (db *DB) findExact(ctx context.Context, w *topicWaits) error {
	w.names = map[string]herald.Pos{}
	var names []string
	for _, s := range w.subs {
		if s.QoS > 0 && !strings.HasPrefix(s.Filter, "$") && !wild(s.Filter) {
			w.names[s.Filter] = s.Since
			names = append(names, s.Filter)
		}
	}
	for part := range slices.Chunk(names, inSlice) {
		list, err := json.Marshal(part)
		if err != nil {
			return fmt.Errorf("store: listing topics: %w", err)
		}
		if err := scan(ctx, &db.readers, `SELECT t.pos, t.topic FROM json_each(?) j CROSS JOIN topic_log t INDEXED BY topic_log_topic
			ON t.app = ? AND t.topic = j.value WHERE t.pos > ? AND t.pos <= ?`, []any{string(list), w.app, int64(w.After), int64(w.head)}, func(r *sql.Rows) error {
			var pos herald.Pos
			var topic string
			err := r.Scan(&pos, &topic)
			if err == nil && pos > w.names[topic] {
				w.note(topicFound{pos: pos})
			}
			return wrap(err)
		}); err != nil {
			return err
		}
	}
	return nil
}

// findWild finds entries by filters with wildcards: among all that came since,
// if these are few, or among those of the topics that begin as the filter does.
func (db *DB) findWild(ctx context.Context, w *topicWaits) error {
	var filters []record.TopicSub
	for _, s := range w.subs {
		if s.QoS > 0 && !strings.HasPrefix(s.Filter, "$") && wild(s.Filter) {
			filters = append(filters, s)
		}
	}
	if len(filters) == 0 {
		return nil
	}
	if w.head-w.After <= nearHead {
		return db.findAmong(ctx, w, filters, "app = ? AND pos > ? AND pos <= ? ORDER BY pos", w.app, int64(w.After), int64(w.head))
	}
	ranges := map[string][]record.TopicSub{}
	for _, s := range filters {
		p := literal(s.Filter)
		ranges[p] = append(ranges[p], s)
	}
	if ranges[""] != nil { // everything is looked at in any case
		return db.findAmong(ctx, w, filters, "app = ? AND topic >= ? AND pos > ? AND pos <= ?", w.app, "", int64(w.After), int64(w.head))
	}
	for prefix, list := range ranges {
		// "chat/#" is for chat too: from there to what follows "chat/".
		if err := db.findAmong(ctx, w, list, "app = ? AND topic >= ? AND topic < ? AND pos > ? AND pos <= ?",
			w.app, strings.TrimSuffix(prefix, "/"), strings.TrimSuffix(prefix, "/")+"0", int64(w.After), int64(w.head)); err != nil {
			return err
		}
	}
	return nil
}

// findAmong looks for filters among some of the entries.
func (db *DB) findAmong(ctx context.Context, w *topicWaits, filters []record.TopicSub, where string, args ...any) error {
	err := scan(ctx, &db.readers, "SELECT pos, topic FROM topic_log WHERE "+where, args, func(r *sql.Rows) error {
		var pos herald.Pos
		var topic string
		if err := r.Scan(&pos, &topic); err != nil {
			return wrap(err)
		}
		if since, ok := w.names[topic]; (!ok || pos <= since) && anyMatch(filters, topic, pos) && !anyMatch(w.wild, topic, pos) {
			w.note(topicFound{pos: pos})
		}
		return nil
	})
	w.wild = append(w.wild, filters...)
	return err
}

func anyMatch(filters []record.TopicSub, topic string, pos herald.Pos) bool {
	return slices.ContainsFunc(filters, func(s record.TopicSub) bool {
		return pos > s.Since && herald.TopicFilter(s.Filter).Selects(herald.Topic(topic))
	})
}

// findShared finds entries that a shared group gave to the session.
func (db *DB) findShared(ctx context.Context, w *topicWaits) error {
	if !w.state.data.Shared {
		return nil
	}
	since := map[string]herald.Pos{}
	for _, s := range w.subs {
		if s.QoS > 0 && strings.HasPrefix(s.Filter, "$") {
			since[s.Filter] = s.Since
		}
	}
	return scan(ctx, &db.readers, "SELECT pos, pattern FROM topic_share WHERE app = ? AND client = ? AND pos > ? AND pos <= ?",
		[]any{w.app, w.Client, int64(w.After), int64(w.head)}, func(r *sql.Rows) error {
			var pos herald.Pos
			var pattern string
			err := r.Scan(&pos, &pattern)
			if after, ok := since[pattern]; ok && err == nil && pos > after {
				w.note(topicFound{pos: pos, shared: []string{pattern}})
			}
			return wrap(err)
		})
}

// topicEntries reads entries that were found, and leaves out those that are not
// to be sent after all.
func (db *DB) topicEntries(ctx context.Context, w *topicWaits, part []topicFound, out []record.TopicEntry) ([]record.TopicEntry, error) {
	list := make([]herald.Pos, len(part))
	shared := map[herald.Pos][]string{}
	for i, f := range part {
		list[i] = f.pos
		if f.shared != nil {
			shared[f.pos] = f.shared
		}
	}
	numbers, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("store: listing positions: %w", err)
	}
	err = scan(ctx, &db.readers, `SELECT t.pos, t.topic, t.sender, t.client, t.at, t.expires, t.body, t.crc FROM json_each(?) n CROSS JOIN topic_log t
		ON t.app = ? AND t.pos = n.value ORDER BY t.pos`, []any{string(numbers), w.app}, func(r *sql.Rows) error {
		e, err := db.scanTopicEntry(r, w.App)
		if err != nil {
			return db.spareDamaged(err)
		}
		// What may have been sent on an earlier connection does not expire any more.
		sent := uint64(e.Pos) < w.state.data.Sent
		if !sent && !e.Expires.IsZero() && !e.Expires.After(w.Now) || e.Time.Before(w.Oldest) || !w.wants(&e, shared[e.Pos]) {
			return nil
		}
		out = append(out, e)
		return nil
	})
	return out, err
}

// wants fills in by which filters a session gets an entry.
func (w *topicWaits) wants(e *record.TopicEntry, shared []string) bool {
	stored := false
	for i := range w.subs {
		s := &w.subs[i]
		if strings.HasPrefix(s.Filter, "$") {
			if !slices.Contains(shared, s.Filter) {
				continue
			}
			group, inner, _ := record.SharedFilter(s.Filter)
			e.Shares = append(e.Shares, record.TopicShare{Group: group, Filter: inner, Client: w.Client})
		} else if e.Pos <= s.Since || s.NoLocal && e.Client == w.Client || !herald.TopicFilter(s.Filter).Selects(e.Topic) {
			continue
		}
		e.Filters = append(e.Filters, s.Filter)
		stored = stored || s.QoS > 0
	}
	return stored
}

func (db *DB) scanTopicEntry(r *sql.Rows, app herald.AppKey) (record.TopicEntry, error) {
	var e record.TopicEntry
	var at, expires, crc int64
	var body []byte
	if err := r.Scan(&e.Pos, &e.Topic, &e.From, &e.Client, &at, &expires, &body, &crc); err != nil {
		return e, wrap(err)
	}
	e.Time, e.Expires = fromMillis(at), fromMillis(expires)
	row := func() string { return fmt.Sprintf("topic_log %s %d", app, e.Pos) }
	if err := verify(body, crc, row); err != nil {
		return e, err
	}
	if err := record.ParseTopicBody(body, &e); err != nil {
		return e, damaged(row(), err)
	}
	return e, nil
}

// TopicFilters tells of the filters of an app, each once, and of the sessions
// that have shared ones.
func (db *DB) TopicFilters(ctx context.Context, run record.TopicRun, app herald.AppKey, filter func(record.TopicFilter), member func(record.TopicMember)) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	return db.readers.view(ctx, func(s *snapshot) error {
		if err := scan(ctx, s, "SELECT pattern, COUNT(*), COUNT(CASE WHEN qos > 0 THEN 1 END) FROM topic_sub WHERE app = ? GROUP BY pattern", []any{a}, func(r *sql.Rows) error {
			var f record.TopicFilter
			err := r.Scan(&f.Filter, &f.All, &f.Stored)
			filter(f)
			return wrap(err)
		}); err != nil {
			return err
		}
		return scan(ctx, s, `SELECT u.pattern, u.client, u.qos, s.ends = 0 AND s.run = ? FROM topic_sub u JOIN topic_session s ON s.app = u.app AND s.client = u.client
			WHERE u.app = ? AND u.pattern >= '$share/' AND u.pattern < '$share0'`, []any{run.ID, a}, func(r *sql.Rows) error {
			var m record.TopicMember
			err := r.Scan(&m.Filter, &m.Client, &m.QoS, &m.Connected)
			member(m)
			return wrap(err)
		})
	})
}

// TopicSubscribers gives the devices whose sessions have one of some filters and
// have not ended.
func (db *DB) TopicSubscribers(ctx context.Context, app herald.AppKey, filters []string) (*sets.Set, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	out := sets.New()
	now := millis(db.cfg.Now())
	for part := range slices.Chunk(filters, inSlice) {
		list, err := json.Marshal(part)
		if err != nil {
			return nil, fmt.Errorf("store: listing filters: %w", err)
		}
		if err := scan(ctx, &db.readers, `SELECT DISTINCT s.ord FROM json_each(?) j CROSS JOIN topic_sub u INDEXED BY topic_sub_pattern ON u.app = ? AND u.pattern = j.value
			CROSS JOIN topic_session s ON s.app = u.app AND s.client = u.client WHERE s.ends = 0 OR s.ends > ?`, []any{string(list), a, now}, func(r *sql.Rows) error {
			var o herald.Ordinal
			err := r.Scan(&o)
			out.Add(o)
			return wrap(err)
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func wild(filter string) bool { return strings.ContainsAny(filter, "+#") }

// literal is what a filter with wildcards has before the first of them: whole
// levels.
func literal(filter string) string { return filter[:strings.IndexAny(filter, "+#")] }
