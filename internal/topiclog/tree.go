package topiclog

import "strings"

// tree holds filters by their levels. Its edges are in one map, so that a million
// filters are a million entries and not as many maps.
type tree struct {
	edges map[edge]uint32
	nodes []node // the first is the root
	free  []uint32
}

type edge struct {
	from  uint32
	level string
}

// node is where a filter ends, or leads through.
type node struct {
	filters int32 // that end here or below
	// all and stored count the sessions whose filter ends here.
	all, stored int32
}

func newTree() tree { return tree{edges: map[edge]uint32{}, nodes: make([]node, 1)} }

// enter gives the node of a filter, and makes it. Each call is undone by one of
// leave.
func (t *tree) enter(filter string) uint32 {
	at := uint32(0)
	t.nodes[0].filters++
	for level := range strings.SplitSeq(filter, "/") {
		next, ok := t.edges[edge{at, level}]
		if !ok {
			if n := len(t.free); n > 0 {
				next, t.free = t.free[n-1], t.free[:n-1]
			} else {
				next = uint32(len(t.nodes))
				t.nodes = append(t.nodes, node{})
			}
			// The level must not keep the whole filter.
			t.edges[edge{at, strings.Clone(level)}] = next
		}
		at = next
		t.nodes[at].filters++
	}
	return at
}

// find gives the node of a filter that was entered.
func (t *tree) find(filter string) (uint32, bool) {
	at := uint32(0)
	for level := range strings.SplitSeq(filter, "/") {
		next, ok := t.edges[edge{at, level}]
		if !ok {
			return 0, false
		}
		at = next
	}
	return at, true
}

// leave undoes an enter.
func (t *tree) leave(filter string) {
	if _, ok := t.find(filter); !ok {
		return
	}
	at := uint32(0)
	t.nodes[0].filters--
	for level := range strings.SplitSeq(filter, "/") {
		key := edge{at, level}
		next := t.edges[key]
		if t.nodes[next].filters--; t.nodes[next].filters == 0 {
			t.nodes[next] = node{}
			t.free = append(t.free, next)
			delete(t.edges, key)
		}
		at = next
	}
}

// match calls f with the nodes of the filters that match a topic, and the levels
// of each, which are valid during the call. It ends when f answers false.
func (t *tree) match(topic string, f func(id uint32, levels []string) bool) bool {
	if len(t.edges) == 0 {
		return true
	}
	var levels [16]string
	return t.matchAt(0, topic, true, levels[:0], f)
}

func (t *tree) matchAt(at uint32, topic string, more bool, path []string, f func(uint32, []string) bool) bool {
	// "chat/#" is for chat too (MQTT 5.0 section 4.7.1.2).
	if next, ok := t.edges[edge{at, "#"}]; ok && !f(next, append(path, "#")) {
		return false
	}
	if !more {
		return t.nodes[at].all == 0 || f(at, path)
	}
	level, rest, more := strings.Cut(topic, "/")
	if next, ok := t.edges[edge{at, level}]; ok && !t.matchAt(next, rest, more, append(path, level), f) {
		return false
	}
	if next, ok := t.edges[edge{at, "+"}]; ok && !t.matchAt(next, rest, more, append(path, "+"), f) {
		return false
	}
	return true
}
