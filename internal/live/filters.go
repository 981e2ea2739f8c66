package live

import "github.com/herald-push/herald"

// SubscribeFilter subscribes the session to one filter, which may be shared
// ($share/<group>/<filter>), without a word to the client. The error is for the
// client.
func (s *Session) SubscribeFilter(f string) *herald.Error {
	a, d, open := s.joinedApp()
	if !open {
		return errNotOpen()
	}
	if err := herald.ValidShared("topic", f); err != nil {
		return topicError(err, "topic")
	}
	return s.subscribeTo(a, d, "topic", []herald.Topic{herald.Topic(f)}, false, herald.MaxSubscriptions)
}

// UnsubscribeFilter ends a subscription, and reports whether there was one.
func (s *Session) UnsubscribeFilter(f string) bool { return s.drop(herald.Topic(f)) }
