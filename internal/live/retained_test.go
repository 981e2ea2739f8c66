package live_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/record"
)

// keeps is a Retained with what was kept, in order.
type keeps struct {
	list []*record.TopicEntry
	err  error
}

func (k *keeps) Keep(_ herald.AppKey, e *record.TopicEntry, then func(error)) {
	k.list = append(k.list, e)
	then(k.err)
}

func (k *keeps) Match(_ context.Context, app herald.AppKey, f herald.TopicFilter, do func(*record.TopicEntry) bool) error {
	for _, e := range k.list {
		if app == livetest.App && f.Selects(e.Topic) && !do(e) {
			break
		}
	}
	return k.err
}

// TestRetained: what is kept is sent to who asks for it, each once, and what is
// to be kept is kept beside being passed on.
func TestRetained(t *testing.T) {
	k := &keeps{}
	topical(t, live.Options{Retained: k}, func(r *room) {
		p := r.member("chat/+")
		var then []string
		r.hub.PublishThen(livetest.App, live.Publication{Topic: "chat/1", Payload: []byte("a"), Retain: true}, func(n int, err error) {
			then = append(then, fmt.Sprint(n, err))
		})
		p.expect(topicOf("chat/1", `"a"`)) // to who is there it is no retained one
		if !slices.Equal(then, []string{"1 <nil>"}) || len(k.list) != 1 || !k.list[0].Retain {
			r.Errorf("then %q, kept %+v", then, k.list)
		}
		r.publish(livetest.App, "chat/1", "1")
		p.next()
		if len(k.list) != 1 {
			r.Error("it was kept although nobody asked")
		}
		k.list = append(k.list, &record.TopicEntry{Topic: "chat/2", Data: []byte("2"), Time: time.Now()}, &record.TopicEntry{Topic: "t/1", Payload: []byte{0xff}, Time: time.Now()})
		q := r.member()
		q.say(`{"type":"subscribe","topics":["chat/2","chat/+","t/+"],"retained":true,"ref":"1"}`)
		retained := func(topic, content string) string {
			return `{"type":"topic","topic":"` + topic + `","time":"2000-01-01T00:00:00.000Z",` + content + `,"retained":true}`
		}
		q.expect(`{"type":"subscribed",...`, retained("chat/2", `"data":2`), retained("chat/1", `"data":"a"`), retained("t/1", `"base64":"/w=="`))
		q.say(`{"type":"subscribe","topics":["chat/2"],"retained":false}`)
		q.expect(`{"type":"subscribed",...`)
		q.say(`{"type":"subscribe","topics":["chat/2"],"retained":1,"ref":"2"}`)
		q.expect(`{"type":"error","code":"invalid_request","detail":"is neither true nor false","remedy":"Write true or false.","field":"retained","ref":"2"}`)
		q.say(`{"type":"subscribe","topics":["secret"],"retained":true}`)
		q.expect(`{"type":"error","code":"forbidden",...`)
		stranger := r.enter(live.Hello{Token: "other-" + r.Join(herald.PlatformWeb).Token})
		stranger.say(`{"type":"subscribe","topics":["chat/+"],"retained":true}`)
		stranger.expect(`{"type":"subscribed",...`)
		k.err = errors.New("the disk is gone")
		q.say(`{"type":"subscribe","topics":["none"],"retained":true}`)
		q.next()
		q.say(`{"type":"subscribe","topics":["chat/none"],"retained":true}`)
		q.expect(`{"type":"subscribed",...`, `{"type":"error","code":"storage_unavailable",...`)
		then = nil
		r.hub.PublishThen(livetest.App, live.Publication{Topic: "chat/1", Payload: []byte("b"), Retain: true}, func(n int, err error) {
			then = append(then, fmt.Sprint(n, err))
		})
		if !slices.Equal(then, []string{"2 the disk is gone"}) {
			r.Errorf("then %q", then)
		}
		q.sink.setRoom(0)
		before := r.hub.Dropped()
		k.err = nil
		q.say(`{"type":"subscribe","topics":["chat/2"],"retained":true}`)
		synctest.Wait()
		if r.hub.Dropped() == before {
			r.Error("what has no room is not counted")
		}
	})
}
