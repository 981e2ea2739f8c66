package api

import (
	"context"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
)

// Subscriptions knows who is subscribed to topics; live.Hub is one.
type Subscriptions interface {
	// PublishThen hands a publication to who is subscribed to its topic now, after
	// it was stored if that is needed. then is told the number of devices that it
	// was handed to, once what was to be kept is durable.
	PublishThen(app herald.AppKey, p live.Publication, then func(devices int, err error))
	// Topic counts who is subscribed to a topic.
	Topic(app herald.AppKey, t herald.Topic) live.TopicCount
	// Topics lists the topics that somebody is subscribed to, in byte order:
	// those that begin with prefix and come after one, at most limit.
	Topics(app herald.AppKey, prefix string, after herald.Topic, limit int) []live.TopicCount
	// Recheck ends the subscriptions that the settings of the app do not allow
	// any more.
	Recheck(app herald.AppKey)
}

// Topics publishes, counts subscribers and shows what is kept of topics.
type Topics struct{ c Config }

// List shows topics with the number of who is subscribed.
func (s *Topics) List(_ context.Context, p Principal, q TopicQuery) (TopicPage, error) {
	if err := p.may(ScopeDevicesRead); err != nil {
		return TopicPage{}, err
	}
	limit, err := pageSize(q.Limit)
	if err != nil {
		return TopicPage{}, err
	}
	if q.Topics != nil {
		if q.Prefix != "" || q.Cursor != "" {
			return TopicPage{}, herald.Invalid("topic", "Ask either for topics by name, or for those with a prefix.", "topic excludes prefix and cursor")
		}
		return s.named(p.App, q.Topics)
	}
	if len(q.Prefix) > herald.MaxTopicBytes {
		return TopicPage{}, herald.Invalid("prefix", "Shorten it.", "%d bytes are more than %d", len(q.Prefix), herald.MaxTopicBytes)
	}
	page := TopicPage{Topics: []TopicView{}}
	list := s.c.Subscriptions.Topics(p.App, q.Prefix, herald.Topic(q.Cursor), limit+1)
	if len(list) > limit {
		list = list[:limit]
		page.NextCursor = string(list[limit-1].Topic)
	}
	for _, c := range list {
		page.Topics = append(page.Topics, topicView(c))
	}
	return page, nil
}

// named counts the subscribers of topics, in the order asked for, with zeros.
func (s *Topics) named(app herald.AppKey, topics []herald.Topic) (TopicPage, error) {
	if len(topics) > herald.MaxTopics {
		return TopicPage{}, herald.Invalid("topic", "Make several calls.", "%d topics are more than %d", len(topics), herald.MaxTopics)
	}
	page := TopicPage{Topics: []TopicView{}}
	for _, t := range topics {
		if err := herald.ValidTopic("topic", string(t)); err != nil {
			return TopicPage{}, err
		}
		page.Topics = append(page.Topics, topicView(s.c.Subscriptions.Topic(app, t)))
	}
	return page, nil
}

func topicView(c live.TopicCount) TopicView {
	return TopicView{Topic: c.Topic, Devices: int64(c.Devices), Sessions: int64(c.Sessions)}
}

// topicRules shows the rules as they work, defaults included.
func topicRules(r herald.TopicRules) TopicRules {
	v := TopicRules{Subscribe: r.Subscribe, Publish: r.Publish}
	if v.Subscribe == nil {
		v.Subscribe = []herald.TopicFilter{"#"}
	}
	if v.Publish == nil {
		v.Publish = []herald.TopicFilter{}
	}
	return v
}

// apply changes the rules; a list that is absent stays as it is.
func (u *TopicRulesUpdate) apply(r *herald.TopicRules) {
	if u != nil {
		set(&r.Subscribe, u.Subscribe)
		set(&r.Publish, u.Publish)
	}
}

// valid checks the filters of an update.
func (u *TopicRulesUpdate) valid() error {
	var r herald.TopicRules
	u.apply(&r)
	return r.Validate("topics")
}
