package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/record"
)

// CommitTopics does things to topic logs, of several apps, in one commit. What
// becomes of each is in it: an operation that is refused does not disturb the
// others. With an error none was done.
func (db *DB) CommitTopics(ctx context.Context, run record.TopicRun, ops []*record.TopicOp) error {
	return db.do(ctx, &op{rows: len(ops), done: make(chan struct{}), run: func(t *tx) error {
		b := &topicBatch{tx: t, run: run, now: millis(db.cfg.Now()), sessions: map[topicKey]*topicSession{}}
		for _, o := range ops {
			if err := b.do(o); err != nil {
				return err
			}
		}
		return b.write()
	}})
}

// topicBatch is a running CommitTopics. Sessions are read once and written once.
type topicBatch struct {
	*tx
	run      record.TopicRun
	now      int64
	sessions map[topicKey]*topicSession
	order    []*topicSession // that were changed
}

type topicKey struct {
	app    int64
	client string
}

func (b *topicBatch) do(o *record.TopicOp) error {
	o.Err, o.State, o.Present, o.Ended, o.Will, o.Moved = nil, nil, false, false, nil, nil
	app, err := b.db.apps.id(o.App)
	if err == nil {
		switch {
		case o.Entry != nil:
			err = b.append(app, o)
		case o.Open != nil:
			err = b.open(app, o)
		case o.Change != nil:
			err = b.change(app, o)
		case o.End:
			err = b.end(app, o)
		default:
			err = b.away(app, o)
		}
	}
	if logical(err) { // before it wrote anything
		o.Err, err = err, nil
	}
	return err
}

// append stores an entry at the next position, and that its packet ID was taken.
func (b *topicBatch) append(app int64, o *record.TopicOp) error {
	e := o.Entry
	e.Pos = 0
	if e.In != 0 && e.Client != "" {
		s, err := b.session(app, e.Client)
		if err != nil {
			return err
		}
		if s != nil && !slices.Contains(s.data.In, e.In) {
			s.data.In = append(s.data.In, e.In)
			b.touch(s)
		}
	}
	if !o.Keep {
		return nil
	}
	var assigned []record.TopicShare // to sessions that are there
	for _, a := range o.Assigned {
		s, err := b.session(app, a.Client)
		if err != nil {
			return err
		}
		if s != nil {
			assigned = append(assigned, a)
		}
	}
	h, err := b.head(app)
	if err != nil {
		return err
	}
	e.Pos = b.next(h)
	body := record.AppendTopicBody(nil, e)
	if err := b.add(toTopics, app, int64(e.Pos), string(e.Topic), string(e.From), e.Client, millis(e.Time), millis(e.Expires), body, checksum(body)); err != nil {
		return err
	}
	for _, s := range assigned {
		if _, err := b.execAside("INSERT INTO topic_share (app, pos, pattern, client) VALUES (?, ?, ?, ?)",
			app, int64(e.Pos), "$share/"+s.Group+"/"+s.Filter, s.Client); err != nil {
			return err
		}
	}
	return nil
}

// open opens a session, or makes it.
func (b *topicBatch) open(app int64, o *record.TopicOp) error {
	want := o.Open
	s, err := b.session(app, o.Client)
	if err != nil {
		return err
	}
	if s != nil && !b.over(s) && s.ord != want.Ord {
		return herald.Errorf(herald.CodeConflict, "Use a client ID of your own.", "another device has a session with this client ID")
	}
	if s != nil && (want.Clean || b.over(s)) {
		if err := b.forget(s, o); err != nil {
			return err
		}
		s = nil
	}
	if s == nil && want.Expiry == 0 {
		o.State = &record.TopicSessionState{TopicSession: *want}
		return nil
	}
	if o.Present = s != nil; s == nil {
		h, err := b.head(app)
		if err != nil {
			return err
		}
		s = &topicSession{key: topicKey{app, o.Client}, ord: want.Ord, read: h.Pos}
		s.data.Unsent = uint64(h.Pos) + 1
		b.sessions[s.key] = s
	}
	left := s.ends - 1000*int64(s.expiry) // when its connection was gone
	if s.ends == 0 {
		left = 0
	}
	s.expiry, s.run, s.ends, s.willAt, s.data.Version = want.Expiry, b.run.ID, 0, 0, want.Version
	b.touch(s)
	o.State = s.state(b.run)
	s.data.Sent, s.data.Unsent = s.data.Unsent, 0 // until this connection has said it
	o.State.TopicSession = *want
	if left > 0 {
		o.State.Ends = fromMillis(left + 1000*int64(want.Expiry))
	}
	o.State.Subs, err = topicSubs(context.Background(), b.tx, app, o.Client)
	return err
}

// change changes a session.
func (b *topicBatch) change(app int64, o *record.TopicOp) error {
	c := o.Change
	s, err := b.session(app, o.Client)
	if err != nil {
		return err
	}
	if s == nil {
		return noTopicSession()
	}
	for i := range c.Subscribe {
		if err := b.subscribe(s, &c.Subscribe[i], o); err != nil {
			return err
		}
	}
	for _, pattern := range c.Unsubscribe {
		if err := b.unsubscribe(s, pattern, o); err != nil {
			return err
		}
	}
	d := &s.data
	for _, id := range c.In {
		if !slices.Contains(d.In, id) {
			d.In = append(d.In, id)
		}
	}
	d.In = slices.DeleteFunc(d.In, func(id uint16) bool { return slices.Contains(c.InDone, id) })
	if c.Read > s.read {
		s.read = c.Read
		if d.Shared {
			if _, err := b.execAside("DELETE FROM topic_share WHERE app = ? AND client = ? AND pos <= ?", app, o.Client, int64(s.read)); err != nil {
				return err
			}
		}
	}
	d.Released, d.Done = outgoing(d, c, s.read)
	d.Unsent = max(d.Unsent, uint64(c.Unsent))
	if c.Expiry != nil {
		s.expiry = *c.Expiry
	}
	if c.Will != nil {
		d.Will = c.Will
	}
	if c.NoWill {
		d.Will, s.willAt = nil, 0
	}
	if o.Count > 0 && uint64(o.Counted) > d.Counted {
		s.dropped += o.Count
		d.Counted = uint64(o.Counted)
	}
	b.touch(s)
	return nil
}

// outgoing gives the entries whose PUBREC came and that are not done, and those
// that are done, as far as the read position does not say so.
func outgoing(d *record.TopicSessionData, c *record.TopicSessionChange, read herald.Pos) (released, done []uint64) {
	has := func(list []uint64, pos herald.Pos) bool { return slices.Contains(list, uint64(pos)) }
	for _, pos := range c.Released {
		if !has(d.Released, pos) && !has(d.Done, pos) {
			d.Released = append(d.Released, uint64(pos))
		}
	}
	for _, pos := range c.Done {
		if i := slices.Index(d.Released, uint64(pos)); i >= 0 {
			d.Released = slices.Delete(d.Released, i, i+1)
		}
		if !has(d.Done, pos) {
			d.Done = append(d.Done, uint64(pos))
		}
	}
	return d.Released, slices.DeleteFunc(d.Done, func(pos uint64) bool { return pos <= uint64(read) })
}

const readTopicSub = "SELECT qos FROM topic_sub WHERE app = ? AND client = ? AND pattern = ?"

func (b *topicBatch) subscribe(s *topicSession, sub *record.TopicSub, o *record.TopicOp) error {
	var qos int64
	key := []any{s.key.app, s.key.client, sub.Filter}
	known, err := b.rowAside(readTopicSub, key, &qos)
	if err != nil {
		return err
	}
	move := record.TopicMove{Client: s.key.client, Filter: sub.Filter, Stored: int(min(sub.QoS, 1))}
	if known {
		move.Stored -= int(min(qos, 1))
		_, err = b.execAside("UPDATE topic_sub SET qos = ?, flags = ?, sub = ? WHERE app = ? AND client = ? AND pattern = ?",
			append([]any{int64(sub.QoS), topicFlags(sub), int64(sub.ID)}, key...)...)
	} else {
		move.All = 1
		var h *head
		if h, err = b.head(s.key.app); err != nil {
			return err
		}
		_, err = b.execAside("INSERT INTO topic_sub (app, client, pattern, qos, flags, sub, since) VALUES (?, ?, ?, ?, ?, ?, ?)",
			append(key, int64(sub.QoS), topicFlags(sub), int64(sub.ID), int64(h.Pos))...)
	}
	_, _, shared := record.SharedFilter(sub.Filter)
	s.data.Shared = s.data.Shared || shared
	o.Moved = append(o.Moved, move)
	return err
}

func (b *topicBatch) unsubscribe(s *topicSession, pattern string, o *record.TopicOp) error {
	var qos int64
	key := []any{s.key.app, s.key.client, pattern}
	known, err := b.rowAside(readTopicSub, key, &qos)
	if err != nil || !known {
		return err
	}
	o.Moved = append(o.Moved, record.TopicMove{Client: s.key.client, Filter: pattern, All: -1, Stored: -int(min(qos, 1))})
	_, err = b.execAside("DELETE FROM topic_sub WHERE app = ? AND client = ? AND pattern = ?", key...)
	return err
}

// away notes that the connection of a session is gone.
func (b *topicBatch) away(app int64, o *record.TopicOp) error {
	s, err := b.session(app, o.Client)
	if err != nil || s == nil || s.ends != 0 {
		return err
	}
	s.leave(millis(o.Away))
	if s.expiry == 0 {
		return b.forget(s, o)
	}
	b.touch(s)
	return nil
}

// end ends a session.
func (b *topicBatch) end(app int64, o *record.TopicOp) error {
	s, err := b.session(app, o.Client)
	if err != nil || s == nil || !o.Over.IsZero() && (s.ends == 0 || s.ends > millis(o.Over)) {
		return err
	}
	return b.forget(s, o)
}

// forget removes a session and what it has.
func (b *topicBatch) forget(s *topicSession, o *record.TopicOp) error {
	subs, err := topicSubs(context.Background(), b.tx, s.key.app, s.key.client)
	if err != nil {
		return err
	}
	for i := range subs {
		o.Moved = append(o.Moved, record.TopicMove{Client: s.key.client, Filter: subs[i].Filter, All: -1, Stored: -int(min(subs[i].QoS, 1))})
	}
	for _, q := range [...]string{
		"DELETE FROM topic_sub WHERE app = ? AND client = ?",
		"DELETE FROM topic_share WHERE app = ? AND client = ?",
		"DELETE FROM topic_session WHERE app = ? AND client = ?",
	} {
		if _, err := b.execAside(q, s.key.app, s.key.client); err != nil {
			return err
		}
	}
	if o.Ended = true; s.ends != 0 { // while it is connected, its connection minds the will
		o.Will = s.data.Will
	}
	s.gone = true
	b.sessions[s.key] = nil
	return nil
}

// write writes the sessions that were changed.
func (b *topicBatch) write() error {
	slices.SortFunc(b.order, func(x, y *topicSession) int {
		return cmp.Or(cmp.Compare(x.key.app, y.key.app), cmp.Compare(x.key.client, y.key.client))
	})
	for _, s := range b.order {
		if s.gone {
			continue
		}
		data, err := s.data.Encode()
		if err != nil {
			return err
		}
		if _, err := b.execAside(`INSERT INTO topic_session (app, client, ord, expiry, run, ends, will_at, read_pos, dropped, data, crc)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (app, client) DO UPDATE SET ord = excluded.ord, expiry = excluded.expiry,
			run = excluded.run, ends = excluded.ends, will_at = excluded.will_at, read_pos = excluded.read_pos, dropped = excluded.dropped,
			data = excluded.data, crc = excluded.crc`,
			s.key.app, s.key.client, int64(s.ord), int64(s.expiry), s.run, s.ends, s.willAt, int64(s.read), s.dropped, data, checksum(data)); err != nil {
			return err
		}
	}
	if len(b.order) > 0 {
		faults.Point("topics_written")
	}
	return nil
}

func noTopicSession() error {
	return notFound("session", "Open it first: it has ended, or the client ID is of another app.")
}

func topicRow(app herald.AppKey, client string) func() string {
	return func() string { return fmt.Sprintf("topic_session %s %q", app, client) }
}
