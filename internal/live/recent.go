package live

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/herald-push/herald"
)

// What is kept for those that poll, and for how long after the last of them.
const (
	recentTime  = time.Minute
	recentBytes = 256 << 10
)

// recent are the last publications of an app, for clients that poll and have no
// session between two requests. Nothing is kept while nobody polls with topics.
type recent struct {
	mu     sync.Mutex // taken last; guards what follows
	held   int        // requests that are held now
	asked  bool       // somebody has polled with topics within recentTime
	askAt  time.Duration
	last   uint64 // number of the last publication that was kept
	list   []*Outgoing
	filled int // bytes
}

// keep numbers a publication and keeps it, if somebody may ask for it.
func (r *recent) keep(p *Outgoing) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop(p.at)
	if !r.asked && r.held == 0 {
		return
	}
	r.last++
	p.number = r.last
	r.list = append(r.list, p)
	p.size = p.length()
	r.filled += p.size
	for r.filled > recentBytes && len(r.list) > 1 {
		r.pop()
	}
}

func (r *recent) pop() {
	r.filled -= r.list[0].size
	r.list[0] = nil
	r.list = r.list[1:]
}

// drop forgets what is old. mu is held.
func (r *recent) drop(now time.Duration) {
	r.asked = r.asked && now-r.askAt <= recentTime
	if !r.asked && r.held == 0 {
		r.list, r.filled = nil, 0
		return
	}
	for len(r.list) > 0 && now-r.list[0].at > recentTime {
		r.pop()
	}
}

func (r *recent) trim(now time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop(now)
}

// watched reports whether something may have to be forgotten.
func (r *recent) watched() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked || r.held > 0 || len(r.list) > 0
}

// after lists the kept publications behind a number that some topics or filters
// select.
func (r *recent) after(number uint64, names []herald.Topic) (list []*Outgoing, last uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for _, p := range r.list {
		if p.number > number && !p.expired(now) && slices.ContainsFunc(names, func(name herald.Topic) bool { return herald.TopicFilter(name).Selects(p.Topic) }) {
			list = append(list, p)
		}
	}
	return list, r.last
}

// feed is what a request of a poller gets of topics.
type feed struct {
	hub    *Hub
	recent *recent
	names  []herald.Topic
	start  uint64 // what has a higher number is for this client
}

// feed begins to collect for a request; end must be called. since is what the
// answer before gave, or anything else.
func (h *Hub) feed(key herald.AppKey, names []herald.Topic, since string) *feed {
	a := h.app(key)
	f := &feed{hub: h, recent: &a.topics.recent, names: names}
	r := f.recent
	r.mu.Lock()
	r.drop(h.now())
	r.held++
	f.start = r.last
	if number, ok := h.parseSince(since); ok {
		f.start = min(number, r.last)
	}
	r.mu.Unlock()
	h.busy.add(a)
	return f
}

func (f *feed) end() {
	f.recent.mu.Lock()
	defer f.recent.mu.Unlock()
	f.recent.held--
	f.recent.asked, f.recent.askAt = true, f.hub.now()
}

// waits reports whether there is something for the client.
func (f *feed) waits() bool {
	list, _ := f.recent.after(f.start, f.names)
	return len(list) > 0
}

// answer adds frames to those of an answer: publications, as far as there is
// room, and presence. It gives what the client returns with its next request.
func (f *feed) answer(s *Session, frames []Frame, presence bool) (_ []Frame, since string) {
	names, open := s.subscribed()
	if !open {
		return frames, f.hub.since(f.start)
	}
	room := f.hub.opts.SessionQueue
	for _, frame := range frames {
		room -= len(frame)
	}
	list, last := f.recent.after(f.start, names)
	for i, p := range list {
		frame := p.frame(s.codec.Transport)
		if room -= len(frame); room < 0 && len(frames) > 0 {
			last = f.start
			if i > 0 {
				last = list[i-1].number
			}
			break
		}
		frames = append(frames, frame)
	}
	if presence {
		frames = append(frames, s.presence(names)...)
	}
	return frames, f.hub.since(last)
}

// presence makes frames of how many devices are subscribed to some topics.
func (s *Session) presence(names []herald.Topic) (frames []Frame) {
	a, _, open := s.joinedApp()
	if !open {
		return nil
	}
	for _, name := range names {
		if herald.TopicFilter(name).HasWildcard() {
			continue
		}
		a.topics.mu.RLock()
		devices := 0
		if t := a.topics.named[name]; t != nil {
			devices = int(t.count)
		}
		a.topics.mu.RUnlock()
		var one *presenceFrames
		if f := one.frame(s.codec.Transport, name, devices); len(f) > 0 {
			frames = append(frames, f)
		}
	}
	return frames
}

// since names a publication for clients: numbers mean nothing to another
// process.
func (h *Hub) since(number uint64) string {
	return strconv.FormatUint(h.process, 36) + "." + strconv.FormatUint(number, 10)
}

func (h *Hub) parseSince(s string) (number uint64, ok bool) {
	process, text, _ := strings.Cut(s, ".")
	number, err := strconv.ParseUint(text, 10, 64)
	return number, err == nil && process == strconv.FormatUint(h.process, 36)
}
