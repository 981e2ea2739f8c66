package live

import (
	"errors"
	"slices"

	"github.com/herald-push/herald"
)

// Subscribe subscribes the session to topics, to all of them or to none, and
// tells the client so. With presence it is told how many devices are
// subscribed, now and whenever that changes; without, not any more. ref is the
// client's own name for what it asked, or "". Filters have no presence. The
// error is for the client.
func (s *Session) Subscribe(names []herald.Topic, presence bool, ref string) *herald.Error {
	return s.subscribe("topics", names, presence, ref)
}

// subscribe does it; the field is where the client has written the names.
func (s *Session) subscribe(field string, names []herald.Topic, presence bool, ref string) *herald.Error {
	a, d, open := s.joinedApp()
	if !open {
		return errNotOpen()
	}
	if err := validTopics(field, names); err != nil {
		return err
	}
	if err := s.subscribeTo(a, d, field, names, presence, herald.MaxTopics); err != nil {
		return err
	}
	s.control(Control{Kind: Subscribed, Topics: names, Ref: ref})
	if presence {
		s.tellPresence(&a.topics)
	}
	return nil
}

// subscribeTo subscribes, as far as the rules of the app and the most that a
// session may have allow it.
func (s *Session) subscribeTo(a *app, d Device, field string, names []herald.Topic, presence bool, most int) *herald.Error {
	for ; ; d = s.owner() { // rules may change, and the alias that they name
		rules := a.topics.generation()
		if err := s.codec.hub.maySubscribe(d, field, names); err != nil {
			return err
		}
		done, err := s.enter(&a.topics, rules, field, names, presence, most)
		if err != nil {
			return err
		}
		if done {
			s.codec.hub.busy.mark(a)
			return nil
		}
	}
}

// validTopics checks names of topics, and filters.
func validTopics(field string, names []herald.Topic) *herald.Error {
	if n := len(names); n == 0 || n > herald.MaxTopics {
		return herald.Invalid(field, "Name 1 to 100 topics.", "%d topics are not between 1 and %d", n, herald.MaxTopics)
	}
	for _, name := range names {
		if err := herald.ValidSubscription(field, string(name)); err != nil {
			e := topicError(err, field)
			e.Message = herald.Errorf(e.Code, "", "topic %.60q: %s", string(name), e.Message).Message
			return e
		}
	}
	return nil
}

// maySubscribe checks the rules of the app.
func (h *Hub) maySubscribe(d Device, field string, names []herald.Topic) *herald.Error {
	for _, name := range names {
		if err := h.maySelect(d, name); err != nil {
			return topicError(err, field)
		}
	}
	return nil
}

// topicError gives an error of the directory the field at fault.
func topicError(err error, field string) *herald.Error {
	var e *herald.Error
	if !errors.As(err, &e) {
		return herald.Errorf(herald.CodeInternal, "Try again later.", "the topic cannot be checked")
	}
	out := *e
	out.Field = field
	return &out
}

// joinedApp gives whose session it is and where it joined; false until it is open.
func (s *Session) joinedApp() (*app, Device, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.app, s.device(), s.isOpen()
}

// isOpen reports whether the session was welcomed; s.mu is held.
func (s *Session) isOpen() bool { return s.state == stateReplaying || s.state == stateLive }

func (a *topics) generation() uint64 {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.rules
}

// enter subscribes. It does nothing, and is to be called again, if the rules
// have changed since they were asked.
func (s *Session) enter(a *topics, rules uint64, field string, names []herald.Topic, presence bool, most int) (done bool, _ *herald.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.isOpen() {
		return false, errNotOpen()
	}
	if s.topics == nil {
		s.topics = &sessionTopics{}
	}
	have := len(s.topics.list)
	for i, name := range names {
		if s.topics.find(name) >= 0 || slices.Contains(names[:i], name) {
			continue
		}
		if have++; have > most {
			e := herald.Errorf(herald.CodeLimitReached, "Unsubscribe from topics that are not needed.",
				"with %.60q the session would have more than %d topics", string(name), most)
			e.Field = field
			return false, e
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.rules != rules {
		return false, nil
	}
	for _, name := range names {
		told := notAsked
		if presence && !herald.TopicFilter(name).HasWildcard() { // a filter has no presence
			told = notTold
		}
		if i := s.topics.find(name); i >= 0 {
			a.watch(s.topics.list[i], told)
		} else {
			s.topics.list = append(s.topics.list, a.enter(name, s, s.ord, told))
		}
	}
	return true, nil
}

// Unsubscribe ends subscriptions, as far as there are any, and tells the client.
func (s *Session) Unsubscribe(names []herald.Topic, ref string) *herald.Error {
	if _, open := s.Device(); !open {
		return errNotOpen()
	}
	if n := len(names); n == 0 || n > herald.MaxTopics {
		return herald.Invalid("topics", "Name 1 to 100 topics.", "%d topics are not between 1 and %d", n, herald.MaxTopics)
	}
	for _, name := range names {
		s.drop(name)
	}
	s.control(Control{Kind: Unsubscribed, Topics: names, Ref: ref})
	return nil
}

// drop ends a subscription, and reports whether there was one.
func (s *Session) drop(name herald.Topic) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.topics == nil {
		return false
	}
	i := s.topics.find(name)
	if i < 0 {
		return false
	}
	a := &s.app.topics
	a.mu.Lock()
	a.exit(s.topics.list[i], s.ord)
	a.mu.Unlock()
	s.codec.hub.busy.mark(s.app)
	s.topics.list = slices.Delete(s.topics.list, i, i+1)
	return true
}

// leaveTopics ends what subscriptions a session had that is closed.
func (h *Hub) leaveTopics(a *app, s *Session, had *sessionTopics) {
	if had == nil || len(had.list) == 0 {
		return
	}
	a.topics.mu.Lock()
	for _, sub := range had.list {
		a.topics.exit(sub, s.ord)
	}
	a.topics.mu.Unlock()
	h.busy.mark(a)
}

// subscribeFirst subscribes to the topics of the request. Where that is
// refused only now, the client is told in a frame.
func (s *Session) subscribeFirst(hello *Hello) {
	if len(hello.Topics) == 0 {
		return
	}
	c, collects := s.conn.(*collector)
	// Who collects adds the presence of the moment to its answer.
	if err := s.subscribe("topic", hello.Topics, hello.Presence && !collects, ""); err != nil {
		s.Refuse(err, "")
	}
	if collects {
		c.look()
	}
}

// subscribed lists the topics of the session; open is false if it is closed.
func (s *Session) subscribed() (names []herald.Topic, open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.topics != nil {
		for _, sub := range s.topics.list {
			names = append(names, sub.topic.name)
		}
	}
	return names, s.isOpen()
}
