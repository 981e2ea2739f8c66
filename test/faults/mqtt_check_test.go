package faults_test

import (
	"fmt"
	"time"
)

// publicationsKept: what the server said that it has, with QoS 1 or 2, reached
// each session that subscribed before, and no session was lost.
func (f *forum) publicationsKept() (wrong []string) {
	got := f.counted()
	for _, o := range f.due() {
		if p := f.posts[o.nonce]; got[o] == 0 {
			wrong = append(wrong, fmt.Sprintf("%s of member %d on %s with QoS %d, acknowledged after %s, did not reach member %d",
				p.nonce, p.from, p.topic, p.qos, p.kept.Sub(p.began).Round(time.Millisecond), o.member))
		}
	}
	return append(wrong, f.wrong...)
}

// exactlyOnce: what has QoS 2 both ways reaches an application once.
func (f *forum) exactlyOnce() (wrong []string) {
	for o, n := range f.counted() {
		p := f.posts[o.nonce]
		if p == nil || n < 2 {
			continue
		}
		if x, ok := f.members[o.member].matching(p); ok && min(x.qos, p.qos) == 2 {
			wrong = append(wrong, fmt.Sprintf("%s of member %d on %s reached member %d %d times with QoS 2", p.nonce, p.from, p.topic, o.member, n))
		}
	}
	return wrong
}

// publicationsApart: what reaches a member was published in its app, to a topic
// that it subscribed to, and is unchanged.
func (f *forum) publicationsApart() (wrong []string) {
	for _, a := range f.arrivals {
		p, m := f.posts[a.nonce], f.members[a.member]
		if p == nil || string(p.payload) != a.payload {
			wrong = append(wrong, fmt.Sprintf("member %d got %q on %s, which nobody published", a.member, a.payload, a.topic))
			continue
		}
		x, ok := m.matching(p)
		switch {
		case p.app != m.app:
			wrong = append(wrong, fmt.Sprintf("member %d of app %d got %s of app %d", a.member, m.app, a.nonce, p.app))
		case !ok || a.topic != p.topic:
			wrong = append(wrong, fmt.Sprintf("member %d got %s on %s, published on %s, to which it did not subscribe", a.member, a.nonce, a.topic, p.topic))
		case a.qos != min(x.qos, p.qos):
			wrong = append(wrong, fmt.Sprintf("member %d got %s, published with QoS %d, subscribed with %d, with QoS %d", a.member, a.nonce, p.qos, x.qos, a.qos))
		}
	}
	return wrong
}

// publicationsInOrder: a session gets what one publisher sent to one topic with
// one QoS in that order, copies aside. What was published before the session was
// granted its subscription may come to it as a copy alone, which the publisher
// sends when it has lost the answer to the first: that is behind what came
// meanwhile.
func (f *forum) publicationsInOrder() (wrong []string) {
	type stream struct {
		member, from int
		topic        string
		qos          byte
	}
	last, seen := map[stream]int{}, map[obligation]bool{}
	for _, a := range f.arrivals {
		p := f.posts[a.nonce]
		if o := (obligation{a.member, a.nonce}); p == nil || seen[o] {
			continue
		} else {
			seen[o] = true
		}
		if x, ok := f.members[a.member].matching(p); ok && p.qos > 0 && (x.since.IsZero() || !p.began.After(x.since)) {
			continue
		}
		s := stream{a.member, p.from, p.topic, p.qos}
		if p.seq < last[s] {
			wrong = append(wrong, fmt.Sprintf("member %d got number %d of member %d on %s with QoS %d after number %d", a.member, p.seq, p.from, p.topic, p.qos, last[s]))
		}
		last[s] = max(last[s], p.seq)
	}
	return wrong
}

// inForum is a check of what a forum did, if there was one.
func (e *evidence) inForum(check func(*forum) []string) []string {
	f := e.w.forum
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return check(f)
}

func (e *evidence) publicationsKept() []string    { return e.inForum((*forum).publicationsKept) }
func (e *evidence) exactlyOnce() []string         { return e.inForum((*forum).exactlyOnce) }
func (e *evidence) publicationsApart() []string   { return e.inForum((*forum).publicationsApart) }
func (e *evidence) publicationsInOrder() []string { return e.inForum((*forum).publicationsInOrder) }
