// Package audience turns who a sender means into a set of devices.
//
// It only evaluates: what it is asked about before a call began is in the
// answer, what changes meanwhile may go either way. Evaluating costs no write.
package audience

import (
	"context"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/sets"
)

// Config is what an Evaluator is made of.
type Config struct {
	Registry *registry.Registry
	// Online gives the devices of an app that have a session now. The set is
	// not changed by the evaluator.
	Online func(app herald.AppKey) *sets.Set
	// Subscribers gives the devices of an app that are subscribed to a topic
	// now. The set is not changed by the evaluator. Default: nobody is.
	Subscribers func(app herald.AppKey, t herald.Topic) *sets.Set
	// Persistent gives those whose subscription outlives their connection, as a
	// set of the evaluator's own. Default: nobody's does.
	Persistent func(ctx context.Context, app herald.AppKey, t herald.Topic) (*sets.Set, error)
	Now        func() time.Time // default time.Now
}

// Evaluator evaluates audiences. It is safe for use by several goroutines.
type Evaluator struct {
	registry    *registry.Registry
	online      func(app herald.AppKey) *sets.Set
	subscribers func(app herald.AppKey, t herald.Topic) *sets.Set
	persistent  func(ctx context.Context, app herald.AppKey, t herald.Topic) (*sets.Set, error)
	now         func() time.Time
}

// New makes an evaluator.
func New(c Config) *Evaluator {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Subscribers == nil {
		c.Subscribers = func(herald.AppKey, herald.Topic) *sets.Set { return sets.New() }
	}
	if c.Persistent == nil {
		c.Persistent = func(context.Context, herald.AppKey, herald.Topic) (*sets.Set, error) { return sets.New(), nil }
	}
	return &Evaluator{registry: c.Registry, online: c.Online, subscribers: c.Subscribers, persistent: c.Persistent, now: c.Now}
}

// Target is what an audience comes to.
type Target struct {
	// Image is the set of the expression. It may hold devices that are dead:
	// taking them out would turn a few ranges into a bitmap of every gap.
	Image *sets.Set
	// Devices counts the members of Image that are alive.
	Devices int64
	// Unknown counts registration IDs and aliases that nobody has.
	Unknown int64
	// Pos is the log position at which it was evaluated.
	Pos herald.Pos
	// ByAlias tells that the expression chooses devices by alias, itself, in a
	// segment or in a file: see record.Device.BoundPos.
	ByAlias bool
	// Direct lists the living members, if they are at most herald.MaxDirect;
	// it is nil for a larger target.
	Direct []herald.Ordinal
}

// attempts is how often names are looked up again because the log moved on
// between the look-up and the evaluation.
const attempts = 4

// Evaluate evaluates a valid audience of an app.
func (e *Evaluator) Evaluate(ctx context.Context, key herald.AppKey, a herald.Audience) (Target, error) {
	app, err := e.registry.App(key)
	if err != nil {
		return Target{}, err
	}
	lists, err := e.lists(ctx, key, &a)
	if err != nil {
		return Target{}, err
	}
	for try := 1; ; try++ {
		var before herald.Pos
		app.Index.View(func(v sets.View) { before = v.Pos() })
		segments, err := e.registry.Expand(ctx, key, &a, before)
		if err != nil {
			return Target{}, err
		}
		var names names
		names.add(&a)
		for _, s := range segments {
			names.add(s)
		}
		found, err := e.lookUp(ctx, key, names)
		if err != nil {
			return Target{}, err
		}
		found.any = found.any || len(segments) > 0
		found.segments = segments
		if err := e.current(ctx, key, lists, &found); err != nil {
			return Target{}, err
		}
		here, err := e.present(ctx, app, key, names)
		if err != nil {
			return Target{}, err
		}
		t, current := e.evaluate(app, &a, found, here, before)
		// Segments, and who is bound to an alias, are read from the record,
		// the sets from memory. Both stand at one position if the log did not
		// move between them; with nothing looked up they always do, and with
		// IDs too, because the device of an ID never changes.
		if current || !found.any || try == attempts {
			return t, nil
		}
	}
}

// present is who is here now, as far as an expression asks: the part of an
// answer that is of this node and of the moment.
type present struct {
	online *sets.Set
	topics map[herald.Topic]*sets.Set
	recent *sets.Set // seen a moment ago, not in the sets of days yet
}

// present asks before the index is held, so that no lock of the sessions is
// taken under that of the index. What the expression does not ask for stays
// nil: copying it may cost more than all the rest.
func (e *Evaluator) present(ctx context.Context, app *registry.App, key herald.AppKey, n names) (p present, err error) {
	if n.online {
		p.online = e.online(key)
	}
	if n.recent {
		p.recent = app.JustSeen()
	}
	if len(n.topics) > 0 {
		p.topics = make(map[herald.Topic]*sets.Set, len(n.topics))
	}
	for t := range n.topics {
		set, err := e.persistent(ctx, key, t)
		if err != nil {
			return p, err
		}
		set.Or(e.subscribers(key, t))
		p.topics[t] = set
	}
	return p, nil
}

// evaluate walks the expression twice: once to learn which sets it asks for,
// and once over these sets as they stood at one position of the log. The index
// is held only between the two, because changes wait for it.
func (e *Evaluator) evaluate(app *registry.App, a *herald.Audience, f found, here present, before herald.Pos) (t Target, current bool) {
	w := walk{found: f, present: here, today: e.now().UTC(), asked: []string{record.DeadSet}}
	w.eval(a)
	w.view = app.Index.Snapshot(w.asked)
	w.asked, w.saved = nil, nil
	t.Image = w.eval(a).set
	dead := w.view.Set(record.DeadSet)
	t.Devices = t.Image.Len() - sets.Common(t.Image, dead)
	if t.Devices <= herald.MaxDirect {
		t.Image = sets.Minus(t.Image, dead)
		t.Direct = t.Image.Ordinals()
	} else {
		t.Image.Optimize()
	}
	t.Pos = w.view.Pos
	if f.any {
		// The earlier of the two is the safe one: see record.Device.BoundPos.
		t.Pos = before
	}
	t.ByAlias = f.byAlias(a)
	if t.Pos < w.view.Pos && t.Direct == nil {
		// Who reads the image later leaves out those that were dead at Pos,
		// and must come to the same number.
		t.Image = sets.Minus(t.Image, dead)
	}
	t.Unknown = f.unknown
	return t, w.view.Pos == before
}

// names are what an expression mentions that the sets do not hold: IDs and
// aliases, which only the record can resolve, topics, and who is here.
type names struct {
	ids     map[herald.RegistrationID]bool
	aliases map[herald.Alias]bool
	topics  map[herald.Topic]bool
	online  bool
	recent  bool // who was seen a moment ago
}

func (n *names) add(a *herald.Audience) {
	for _, id := range a.RegistrationIDs {
		note(&n.ids, id)
	}
	for _, alias := range a.Aliases {
		note(&n.aliases, alias)
	}
	if a.Topic != "" {
		note(&n.topics, a.Topic)
	}
	n.online = n.online || a.Online != nil
	n.recent = n.recent || a.ActiveWithinDays != 0
	for _, list := range [][]herald.Audience{a.And, a.Or} {
		for i := range list {
			n.add(&list[i])
		}
	}
	if a.Not != nil {
		n.add(a.Not)
	}
}

func note[K comparable](m *map[K]bool, k K) {
	if *m == nil {
		*m = map[K]bool{}
	}
	(*m)[k] = true
}

// found is what the record answered.
type found struct {
	any     bool // of it may have changed since
	ids     map[herald.RegistrationID]herald.Ordinal
	aliases map[herald.Alias][]herald.Ordinal
	unknown int64
	// segments are all that the expression uses, at one log position.
	segments map[string]*herald.Audience
	files    map[herald.FileID]list
}

func (e *Evaluator) lookUp(ctx context.Context, key herald.AppKey, n names) (f found, err error) {
	f.any = len(n.aliases) > 0
	f.ids = make(map[herald.RegistrationID]herald.Ordinal, len(n.ids))
	f.aliases = make(map[herald.Alias][]herald.Ordinal, len(n.aliases))
	for part := range chunked(n.ids) {
		m, err := e.registry.Ordinals(ctx, key, part)
		if err != nil {
			return f, err
		}
		for id, o := range m {
			f.ids[id] = o
		}
	}
	f.unknown = int64(len(n.ids) - len(f.ids))
	for part := range chunked(n.aliases) {
		m, err := e.registry.OrdinalsByAlias(ctx, key, part)
		if err != nil {
			return f, err
		}
		var none []herald.Alias // without a device; it may be a recipient for all that
		for _, alias := range part {
			if list, ok := m[alias]; ok {
				f.aliases[alias] = list
			} else {
				none = append(none, alias)
			}
		}
		known, err := e.registry.Recipients(ctx, key, none)
		if err != nil {
			return f, err
		}
		f.unknown += int64(len(none) - len(known))
	}
	return f, nil
}

// chunked gives the keys of a map in lists that the record takes in one call.
func chunked[K comparable](m map[K]bool) func(yield func([]K) bool) {
	return func(yield func([]K) bool) {
		part := make([]K, 0, min(len(m), herald.MaxIDsPerCall))
		for k := range m {
			if part = append(part, k); len(part) == herald.MaxIDsPerCall {
				if !yield(part) {
					return
				}
				part = part[:0]
			}
		}
		if len(part) > 0 {
			yield(part)
		}
	}
}
