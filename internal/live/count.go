package live

import "github.com/herald-push/herald"

// Topic says how many are subscribed to one topic of an app on this node.
func (h *Hub) Topic(key herald.AppKey, name herald.Topic) TopicCount {
	c := TopicCount{Topic: name}
	a := h.lookup(key)
	if a == nil {
		return c
	}
	a.topics.mu.RLock()
	defer a.topics.mu.RUnlock()
	if t := a.topics.named[name]; t != nil {
		c.Devices, c.Sessions = int(t.count), int(t.sessions)
	}
	return c
}
