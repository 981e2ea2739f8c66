package topiclog

import (
	"slices"
	"strings"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// filters are the filters of an app, each once, with how many sessions have it.
type filters struct {
	names  map[string]count // without wildcards
	wild   tree
	stored int // subscriptions with a QoS above 0 that are not shared

	// Shared subscriptions by the filter of the group, which is a node of groups.
	groups  tree
	shared  map[uint32][]*group
	clients map[string][]*group
}

type count struct{ all, stored int32 }

// group is one shared subscription: a group and its filter.
type group struct {
	name, filter string
	members      []member
	next         int // who is asked first
}

type member struct {
	client    string
	stored    bool // QoS above 0
	connected bool
}

func newFilters() *filters {
	return &filters{names: map[string]count{}, wild: newTree(), groups: newTree(), shared: map[uint32][]*group{}, clients: map[string][]*group{}}
}

func (f *filters) load(t record.TopicFilter) {
	if !strings.HasPrefix(t.Filter, "$") {
		f.add(t.Filter, t.All, t.Stored)
	}
}

func (f *filters) loadMember(m record.TopicMember) {
	f.join(m.Filter, member{client: m.Client, stored: m.QoS > 0, connected: m.Connected})
}

// move notes how a subscription has changed.
func (f *filters) move(m record.TopicMove) {
	if !strings.HasPrefix(m.Filter, "$") {
		f.add(m.Filter, m.All, m.Stored)
		return
	}
	switch {
	case m.All > 0:
		f.join(m.Filter, member{client: m.Client, stored: m.Stored > 0, connected: true})
	case m.All < 0:
		f.leave(m.Filter, m.Client)
	case m.Stored != 0:
		if g, i := f.member(m.Filter, m.Client); g != nil {
			g.members[i].stored = m.Stored > 0
		}
	}
}

func (f *filters) add(filter string, all, stored int) {
	f.stored += stored
	if !strings.ContainsAny(filter, "+#") {
		c := f.names[filter]
		c.all, c.stored = c.all+int32(all), c.stored+int32(stored)
		if c.all <= 0 {
			delete(f.names, filter)
		} else {
			f.names[filter] = c
		}
		return
	}
	id, ok := f.wild.find(filter)
	if ok = ok && f.wild.nodes[id].all > 0; !ok {
		if all <= 0 {
			return
		}
		id = f.wild.enter(filter)
	}
	n := &f.wild.nodes[id]
	n.all, n.stored = n.all+int32(all), n.stored+int32(stored)
	if n.all <= 0 {
		f.wild.leave(filter)
	}
}

// wants reports whether a subscription that is not shared asks for a topic with
// a QoS above 0.
func (f *filters) wants(t herald.Topic) bool {
	if f.stored <= 0 {
		return false
	}
	if f.names[string(t)].stored > 0 {
		return true
	}
	return !f.wild.match(string(t), func(id uint32, _ []string) bool { return f.wild.nodes[id].stored == 0 })
}

// sharedWants reports whether a shared subscription does.
func (f *filters) sharedWants(t herald.Topic) bool {
	return !f.groups.match(string(t), func(id uint32, _ []string) bool {
		return !slices.ContainsFunc(f.shared[id], func(g *group) bool {
			return slices.ContainsFunc(g.members, func(m member) bool { return m.stored })
		})
	})
}

// matching lists the filters that choose a topic, without shared ones: of those
// one session gets it.
func (f *filters) matching(t herald.Topic) (out []string) {
	if _, ok := f.names[string(t)]; ok {
		out = append(out, string(t))
	}
	f.wild.match(string(t), func(_ uint32, levels []string) bool {
		out = append(out, strings.Join(levels, "/"))
		return true
	})
	return out
}

// join makes a session a member of a shared group.
func (f *filters) join(filter string, m member) {
	if g, i := f.member(filter, m.client); g != nil {
		g.members[i] = m
		return
	}
	g := f.group(filter)
	if g == nil {
		name, inner, _ := record.SharedFilter(filter)
		g = &group{name: name, filter: inner}
		id := f.groups.enter(inner)
		f.groups.nodes[id].all++
		f.shared[id] = append(f.shared[id], g)
	}
	g.members = append(g.members, m)
	f.clients[m.client] = append(f.clients[m.client], g)
}

// leave ends a membership.
func (f *filters) leave(filter, client string) {
	g, i := f.member(filter, client)
	if g == nil {
		return
	}
	g.members = slices.Delete(g.members, i, i+1)
	if f.clients[client] = slices.DeleteFunc(f.clients[client], func(o *group) bool { return o == g }); len(f.clients[client]) == 0 {
		delete(f.clients, client)
	}
	if len(g.members) > 0 {
		return
	}
	id, _ := f.groups.find(g.filter)
	f.groups.nodes[id].all--
	if f.shared[id] = slices.DeleteFunc(f.shared[id], func(o *group) bool { return o == g }); len(f.shared[id]) == 0 {
		delete(f.shared, id)
	}
	f.groups.leave(g.filter)
}

// group finds the group of a shared subscription; nil if it has no members.
func (f *filters) group(filter string) *group {
	name, inner, _ := record.SharedFilter(filter)
	id, ok := f.groups.find(inner)
	if !ok {
		return nil
	}
	for _, g := range f.shared[id] {
		if g.name == name {
			return g
		}
	}
	return nil
}

func (f *filters) member(filter, client string) (*group, int) {
	g := f.group(filter)
	if g == nil {
		return nil, 0
	}
	i := slices.IndexFunc(g.members, func(m member) bool { return m.client == client })
	if i < 0 {
		return nil, 0
	}
	return g, i
}

// connected notes whether a client is.
func (f *filters) connected(client string, is bool) {
	for _, g := range f.clients[client] {
		for i := range g.members {
			if g.members[i].client == client {
				g.members[i].connected = is
			}
		}
	}
}

// pick chooses a member that is away, or any if none is; the next time it is
// another one's turn.
func (g *group) pick() string {
	for _, away := range []bool{true, false} {
		for i := range g.members {
			at := (g.next + i) % len(g.members)
			if m := g.members[at]; m.stored && (!away || !m.connected) {
				g.next = (at + 1) % len(g.members)
				return m.client
			}
		}
	}
	return ""
}

// assign says which session that persists gets an entry for the group; none if
// it went to one that does not.
func (g *group) assign(e *record.TopicEntry) (record.TopicShare, bool) {
	at := slices.IndexFunc(e.Shares, func(s record.TopicShare) bool { return s.Group == g.name && s.Filter == g.filter })
	if at >= 0 && e.Shares[at].Client != "" {
		s := e.Shares[at]
		return s, slices.ContainsFunc(g.members, func(m member) bool { return m.client == s.Client && m.stored })
	}
	s := record.TopicShare{Group: g.name, Filter: g.filter, Client: g.pick()}
	if s.Client == "" {
		return s, false
	}
	if at >= 0 {
		e.Shares[at] = s
	} else {
		e.Shares = append(e.Shares, s)
	}
	return s, true
}
