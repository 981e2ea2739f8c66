package live

import (
	"slices"
	"strings"
)

// topicTree has those topics of an app that are more than a name: filters with
// wildcards, and shared subscriptions. A node stands for one level. A filter
// that ends with a wildcard hangs at the node of the level before, or at the
// root; any other at the node of its last level. So most filters need no node of
// their own. The zero value is empty.
type topicTree struct {
	root topicNode
	size int
}

// topicNode is a level of filters that goes on, or ends, here.
type topicNode struct {
	level string
	next  *topicNodes // by the literal level that follows; nil for none
	plus  *topicNode  // after + as the level that follows
	// What ends here, after + and after #; others with the same filter, of shared
	// groups, follow in topic.beside.
	here, onPlus, onHash *topic
}

// topicNodes are nodes by their level: a list while they are few.
type topicNodes struct {
	few  []*topicNode
	many map[string]*topicNode // nil while they are few
}

// fewNodes is how many nodes are looked through one by one.
const fewNodes = 8

func (l *topicNodes) get(level string) *topicNode {
	if l == nil {
		return nil
	}
	if l.many != nil {
		return l.many[level]
	}
	for _, n := range l.few {
		if n.level == level {
			return n
		}
	}
	return nil
}

func (l *topicNodes) add(n *topicNode) {
	switch {
	case l.many != nil:
		l.many[n.level] = n
	case len(l.few) < fewNodes:
		l.few = append(l.few, n)
	default:
		l.many = make(map[string]*topicNode, 2*fewNodes)
		for _, old := range l.few {
			l.many[old.level] = old
		}
		l.many[n.level], l.few = n, nil
	}
}

// remove takes a node out and reports whether none is left.
func (l *topicNodes) remove(n *topicNode) bool {
	if l.many != nil {
		delete(l.many, n.level)
		return len(l.many) == 0
	}
	l.few = slices.DeleteFunc(l.few, func(old *topicNode) bool { return old == n })
	return len(l.few) == 0
}

func (n *topicNode) empty() bool {
	return n.next == nil && n.plus == nil && n.here == nil && n.onPlus == nil && n.onHash == nil
}

// add puts a topic into the tree. The lock of the topics is held.
func (t *topicTree) add(e *topic) {
	t.size++
	at := t.root.end(e.filter(), true)
	e.beside, *at = *at, e
}

// remove takes a topic out. The lock of the topics is held.
func (t *topicTree) remove(e *topic) {
	t.size--
	for at := t.root.end(e.filter(), false); *at != nil; at = &(*at).beside {
		if *at == e {
			*at, e.beside = e.beside, nil
			break
		}
	}
	t.root.prune(e.filter())
}

// end gives where a filter ends below a node. The nodes on the way are made, or
// are known to be there.
func (n *topicNode) end(filter string, create bool) **topic {
	level, rest, more := strings.Cut(filter, "/")
	switch {
	case level == "#":
		return &n.onHash
	case level == "+" && !more:
		return &n.onPlus
	case level == "+":
		if n.plus == nil && create {
			n.plus = &topicNode{level: level}
		}
		return n.plus.end(rest, create)
	}
	next := n.next.get(level)
	if next == nil && create {
		next = &topicNode{level: level}
		if n.next == nil {
			n.next = &topicNodes{}
		}
		n.next.add(next)
	}
	if !more {
		return &next.here
	}
	return next.end(rest, create)
}

// prune gives up the nodes of a filter that nobody needs any more.
func (n *topicNode) prune(filter string) {
	level, rest, more := strings.Cut(filter, "/")
	switch {
	case level == "#" || level == "+" && !more:
		return
	case level == "+":
		if n.plus.prune(rest); n.plus.empty() {
			n.plus = nil
		}
		return
	}
	next := n.next.get(level)
	if more {
		next.prune(rest)
	}
	if next.empty() && n.next.remove(next) {
		n.next = nil
	}
}

// match appends the topics whose filters select a name. The lock of the topics
// is held.
func (t *topicTree) match(name string, into []*topic) []*topic {
	if t.size == 0 {
		return into
	}
	return t.root.match(name, into)
}

func (n *topicNode) match(rest string, into []*topic) []*topic {
	into = n.onHash.all(into)
	level, rest, more := strings.Cut(rest, "/")
	next := n.next.get(level)
	if more {
		if next != nil {
			into = next.match(rest, into)
		}
		if n.plus != nil {
			into = n.plus.match(rest, into)
		}
		return into
	}
	// "chat/#" selects "chat" too.
	if next != nil {
		into = next.onHash.all(next.here.all(into))
	}
	if n.plus != nil {
		into = n.plus.onHash.all(into)
	}
	return n.onPlus.all(into)
}

// all appends a topic and those beside it.
func (e *topic) all(into []*topic) []*topic {
	for ; e != nil; e = e.beside {
		into = append(into, e)
	}
	return into
}
