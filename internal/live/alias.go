package live

import (
	"context"
	"slices"

	"github.com/herald-push/herald"
)

// Aliases is an add-on of a Directory whose rules about topics may name the
// alias of a device. Where those of an app do, each of its sessions that may ask
// them has the alias of its device, from before it opens; where not, nobody
// reads or keeps one.
type Aliases interface {
	// UseAlias tells whether the rules of an app name the alias. It does not
	// block. When the answer changes, Hub.Recheck is called.
	UseAlias(app herald.AppKey) bool
	// AliasesOf reads the aliases of devices, given in ascending order; those
	// that have none are absent. When one changes, Hub.Rebind is called.
	AliasesOf(ctx context.Context, app herald.AppKey, ords []herald.Ordinal) (map[herald.Ordinal]herald.Alias, error)
}

// aliasPage is how many aliases are read at once.
const aliasPage = 1000

// aliases gives the add-on if the rules of an app name the alias, else nil.
func (h *Hub) aliases(app herald.AppKey) Aliases {
	if a, ok := h.opts.Directory.(Aliases); ok && a.UseAlias(app) {
		return a
	}
	return nil
}

// alias reads that of a device if the rules of its app name it, and tells
// whether they do.
func (h *Hub) alias(ctx context.Context, d Device) (alias herald.Alias, named bool, err error) {
	a := h.aliases(d.App)
	if a == nil {
		return "", false, nil
	}
	limit := within(ctx, h.opts.HelloTimeout)
	defer limit.end()
	found, err := a.AliasesOf(limit, d.App, []herald.Ordinal{d.Ord})
	return found[d.Ord], true, err
}

// asksRules reports whether a session that opens may ever ask the rules: one
// that cannot send subscribes by its request or not at all.
func (s *Session) asksRules(hello *Hello) bool { return !s.oneWay || len(hello.Topics) > 0 }

// learnAlias gives a session that has joined the alias that was read before, or
// that of now if that or the rules have changed since. From here on who changes
// either finds the session.
func (s *Session) learnAlias(ctx context.Context, read Device, named bool) error {
	h, now := s.codec.hub, s.owner()
	if now.BoundPos != read.BoundPos || !named && h.aliases(now.App) != nil {
		alias, _, err := h.alias(ctx, now)
		if err != nil {
			return err
		}
		read = now
		read.Alias = alias
	}
	s.setAlias(read.Alias, read.BoundPos)
	return nil
}

// setAlias notes the alias that the device has at a log position, unless a later
// change is known: who brings that sets the alias.
func (s *Session) setAlias(a herald.Alias, at herald.Pos) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bound > at || s.state == stateClosed {
		return
	}
	if s.topics == nil && a != "" {
		s.topics = &sessionTopics{}
	}
	if s.topics != nil {
		s.topics.alias = a
	}
}

// rebindTopics gives the sessions of a device the alias that it has since a log
// position, and ends the subscriptions that the rules do not allow any more. A
// session whose alias cannot be read is closed, and gets it when it comes back.
func (h *Hub) rebindTopics(key herald.AppKey, ord herald.Ordinal, pos herald.Pos, list []*Session) {
	if len(list) == 0 || h.aliases(key) == nil {
		return
	}
	alias, _, err := h.alias(context.Background(), Device{App: key, Ord: ord})
	if err != nil {
		h.opts.Log.Warn("the alias of a device cannot be read: its sessions are closed", "error", err)
	}
	for _, s := range list {
		if err != nil {
			s.Close(reasonOf(err))
		} else {
			s.setAlias(alias, pos)
		}
	}
	h.app(key).topics.renew()
	for _, s := range list {
		s.recheck()
	}
}

// renew has who asks the rules at this moment ask again.
func (a *topics) renew() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rules++
}

// recheck ends the subscriptions of the session that the rules do not allow.
func (s *Session) recheck() {
	names, _ := s.subscribed()
	for _, name := range names {
		if err := s.codec.hub.maySelect(s.owner(), name); err != nil && s.drop(name) {
			s.revoked(name, topicError(err, "topic"))
		}
	}
}

// learnAliases gives all sessions of an app the aliases of their devices when
// its rules begin to name them. Those of which the alias cannot be read have
// none, and what it would allow is refused to them until they come back.
func (h *Hub) learnAliases(a *app) {
	a.learning.Lock()
	defer a.learning.Unlock()
	dir := h.aliases(a.key)
	if dir == nil || a.learned {
		a.learned = dir != nil
		return
	}
	var all []*Session
	a.mu.RLock()
	a.roster.each(func(s *Session) { all = append(all, s) })
	a.mu.RUnlock()
	a.learned = true
	for list := range slices.Chunk(all, aliasPage) {
		if err := h.learnPage(dir, list); err != nil {
			a.learned = false
			h.opts.Log.Warn("the aliases of devices cannot be read: topics that the rules allow by alias are refused to them", "error", err)
		}
	}
}

// learnPage does it for some sessions, which stand in the order of the devices.
func (h *Hub) learnPage(dir Aliases, list []*Session) error {
	ords, since := make([]herald.Ordinal, len(list)), make([]herald.Pos, len(list))
	for i, s := range list {
		ords[i], since[i] = s.ord, s.owner().BoundPos
	}
	limit := within(context.Background(), h.opts.HelloTimeout)
	defer limit.end()
	found, err := dir.AliasesOf(limit, list[0].app.key, slices.Compact(ords))
	if err != nil {
		return err
	}
	for i, s := range list {
		s.setAlias(found[s.ord], since[i])
	}
	return nil
}

// remains is what a session keeps that is closed: with which alias it ended, for
// who asks the rules about its will.
func (l *sessionTopics) remains() *sessionTopics {
	if l == nil || l.alias == "" {
		return nil
	}
	return &sessionTopics{alias: l.alias}
}
