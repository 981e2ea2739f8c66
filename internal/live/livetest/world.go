// Package livetest is the conformance suite of live transports, and the small
// world they are tested in: an honest model, in memory, of what registry,
// offline and receipt do for sessions.
package livetest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// App is the app to which every device of a World belongs.
const App herald.AppKey = "livetest0000000000000000"

// World is a Directory, a Backlog and a Receipts. Its log and its sets follow
// the rules of the real ones; it reports at once instead of within 20 ms. It
// may be used from any goroutine.
type World struct {
	mu       sync.Mutex
	devices  map[string]*live.Device // by token
	nextOrd  herald.Ordinal
	ids      herald.IDs
	log      []record.Handover // in order; entry i has position i+1
	messages map[herald.MessageID]*state
	events   []record.Event
	seen     int
	fail     error
	hold     chan struct{}     // if not nil, Waiting(after > 0) waits for it
	between  func()            // called once, between reading a page and answering it
	rules    herald.TopicRules // see Rule
	speaks   map[herald.Ordinal]string
	aliases  map[herald.Ordinal]herald.Alias
}

// state is what became of a message.
type state struct {
	msg            *record.Message
	target         *sets.Set
	sent, received *sets.Set
	withdrawn      bool
}

// Member is a device with its token.
type Member struct {
	live.Device
	Token string
}

// NewWorld makes a world without devices and messages.
func NewWorld() *World {
	return &World{devices: map[string]*live.Device{}, messages: map[herald.MessageID]*state{}}
}

// Join registers a device.
func (w *World) Join(p herald.Platform) Member {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := &live.Device{App: App, Ord: w.nextOrd, ID: herald.NewRegistrationID(time.Now()), Platform: p}
	w.nextOrd++
	token := "token-" + string(d.ID)
	w.devices[token] = d
	return Member{*d, token}
}

// Speaks gives a device a language.
func (w *World) Speaks(m Member, language string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.speaks == nil {
		w.speaks = map[herald.Ordinal]string{}
	}
	w.speaks[m.Ord] = language
}

// Languages is that of live.Linguist.
func (w *World) Languages(_ herald.AppKey, tags []string) func(herald.Ordinal) string {
	return func(o herald.Ordinal) string {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, tag := range tags {
			if l := w.speaks[o]; l == tag || strings.HasPrefix(l, tag+"-") {
				return tag
			}
		}
		return ""
	}
}

// Send says what to accept.
type Send struct {
	Content  herald.Content
	To       []Member
	TTL      time.Duration // 0 means a day; see Volatile
	Volatile bool          // TTL 0
	ByAlias  bool
	Priority herald.Priority
}

// Text is a content with a title.
func Text(title string) herald.Content {
	return herald.Content{Notification: &herald.Notification{Title: title}}
}

// Accept takes a message into the log and gives what dispatch would deliver.
func (w *World) Accept(s Send) record.Handover {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	set := sets.New()
	for _, m := range s.To {
		set.Add(m.Ord)
	}
	if s.TTL == 0 {
		s.TTL = 24 * time.Hour
	}
	if s.Volatile {
		s.TTL = 0
	}
	m := &record.Message{ByAlias: s.ByAlias, EvalPos: herald.Pos(len(w.log))}
	m.Message = herald.Message{ID: w.ids.Next(now), App: App, Content: s.Content, TTL: s.TTL, Accepted: now, Due: now, Priority: s.Priority}
	w.messages[m.ID] = &state{msg: m, target: set, sent: sets.New(), received: sets.New()}
	h := record.Handover{App: App, Kind: record.ReleaseMessage, Msg: m, Set: set.Clone(), At: now}
	if !s.Volatile {
		h.Pos = herald.Pos(len(w.log) + 1)
		m.Pos = h.Pos
		w.log = append(w.log, h)
	}
	return h
}

// Withdraw takes a message back; the notice is for those it was sent to.
func (w *World) Withdraw(id herald.MessageID) record.Handover {
	w.mu.Lock()
	defer w.mu.Unlock()
	st := w.messages[id]
	st.withdrawn = true
	h := record.Handover{App: App, Kind: record.ReleaseWithdraw, Msg: st.msg, Pos: herald.Pos(len(w.log) + 1), Set: st.sent.Clone(), At: time.Now()}
	w.log = append(w.log, h)
	return h
}

// Rebind changes the alias of a device, and gives the log position of that.
func (w *World) Rebind(m Member) herald.Pos {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, record.Handover{}) // a position that concerns no delivery
	pos := herald.Pos(len(w.log))
	w.devices[m.Token].BoundPos = pos
	return pos
}

// Fail makes the backlog fail until it is called with nil.
func (w *World) Fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail = err
}

// Hold makes every page of a replay but the first wait until the returned
// function is called.
func (w *World) Hold() (release func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := make(chan struct{})
	w.hold = c
	return sync.OnceFunc(func() {
		w.mu.Lock()
		w.hold = nil
		w.mu.Unlock()
		close(c)
	})
}

// Meanwhile has f called once, when a page of a replay has been read and is not
// answered yet.
func (w *World) Meanwhile(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.between = f
}

// Received tells whether a device has acknowledged a message.
func (w *World) Received(id herald.MessageID, m Member) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.messages[id].received.Contains(m.Ord)
}

// Sent tells whether a message was reported as sent to a device.
func (w *World) Sent(id herald.MessageID, m Member) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.messages[id].sent.Contains(m.Ord)
}

// Events gives what was reported of a message so far.
func (w *World) Events(id herald.MessageID) []record.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []record.Event
	for _, e := range w.events {
		if e.Msg == id {
			out = append(out, e)
		}
	}
	return out
}

// SeenCount is how often a device came online.
func (w *World) SeenCount() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}

// Authenticate knows the tokens that Join gave.
func (w *World) Authenticate(_ context.Context, token string) (live.Device, string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fresh := ""
	if old, ok := strings.CutPrefix(token, "old-"); ok { // as after a restore
		token, fresh = old, old
	}
	d := w.devices[token]
	if d == nil {
		return live.Device{}, "", herald.Errorf(herald.CodeUnauthorized, "Register again.", "the device token is not valid")
	}
	return *d, fresh, nil
}

// Seen counts.
func (w *World) Seen(live.Device, time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen++
}

// Cursor gives a cursor that only the app takes back.
func (w *World) Cursor(app herald.AppKey, pos herald.Pos) string {
	return fmt.Sprintf("1.%d.%s", pos, app)
}

// ParseCursor reads what Cursor wrote.
func (w *World) ParseCursor(app herald.AppKey, cursor string) (herald.Pos, bool) {
	var pos herald.Pos
	if _, err := fmt.Sscanf(cursor, "1.%d.", &pos); err != nil || cursor != w.Cursor(app, pos) {
		return 0, false
	}
	return pos, true
}

// Resume acknowledges what was sent, or had its turn on a connection up to the
// position offered, and nothing keeps back.
func (w *World) Resume(_ context.Context, d live.Device, upto, offered herald.Pos) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return w.fail
	}
	for _, h := range w.log[:min(int(upto), len(w.log))] {
		if h.Kind != record.ReleaseMessage || !h.Set.Contains(d.Ord) {
			continue
		}
		st := w.messages[h.Msg.ID]
		kept := st.withdrawn || h.Msg.ByAlias && d.BoundPos > h.Msg.EvalPos || !time.Now().Before(h.Msg.Expires())
		if !kept && (st.sent.Contains(d.Ord) || h.Pos <= offered) {
			st.received.Add(d.Ord)
		}
	}
	return nil
}

// Waiting lists what is pending. It leaves to the session what only the
// session can know for certain: TTL that ends now, aliases that change now.
func (w *World) Waiting(ctx context.Context, d live.Device, after herald.Pos, limit int) ([]live.Waiting, herald.Pos, bool, error) {
	w.mu.Lock()
	hold := w.hold
	w.mu.Unlock()
	if hold != nil && after > 0 {
		select {
		case <-hold:
		case <-ctx.Done():
		}
	}
	w.mu.Lock()
	between := w.between
	w.between = nil
	list, upto, more, err := w.page(d, after, limit)
	w.mu.Unlock()
	if between != nil {
		between()
	}
	return list, upto, more, err
}

// page reads the log; w.mu is held.
func (w *World) page(d live.Device, after herald.Pos, limit int) ([]live.Waiting, herald.Pos, bool, error) {
	if w.fail != nil {
		return nil, 0, false, w.fail
	}
	var list []live.Waiting
	for i := int(after); i < len(w.log); i++ {
		if len(list) == limit {
			return list, herald.Pos(i), true, nil
		}
		h := w.log[i]
		if h.Msg == nil || !h.Set.Contains(d.Ord) {
			continue
		}
		st := w.messages[h.Msg.ID]
		if h.Kind == record.ReleaseMessage && (st.withdrawn || st.received.Contains(d.Ord)) {
			continue
		}
		list = append(list, live.Waiting{Kind: h.Kind, Pos: h.Pos, Msg: h.Msg})
	}
	return list, max(after, herald.Pos(len(w.log))), false, nil
}

// Report grows the sets.
func (w *World) Report(_ herald.AppKey, events ...record.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range events {
		st := w.messages[e.Msg]
		if st == nil {
			continue
		}
		e.Set = sets.Intersect(e.Set, st.target)
		w.events = append(w.events, e)
		st.sent.Or(e.Set)
		if e.State != herald.StateSent {
			st.received.Or(e.Set)
		}
	}
}
