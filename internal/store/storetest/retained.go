package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

func (f *fixture) retain(most int, ops ...*record.RetainedOp) {
	f.t.Helper()
	f.must(f.PutRetained(f.ctx, ops, most))
}

// retained gives the topics of an app in order, with what is kept of them.
func (f *fixture) retained(app herald.AppKey, from, after herald.Topic, limit int) (out []string) {
	f.t.Helper()
	list, err := f.Retained(f.ctx, app, from, after, limit)
	f.must(err)
	for _, e := range list {
		out = append(out, fmt.Sprintf("%s=%s%s", e.Topic, e.Data, e.Payload))
	}
	return out
}

func keep(app herald.AppKey, topic herald.Topic, payload string) *record.RetainedOp {
	return &record.RetainedOp{App: app, Entry: &record.TopicEntry{Topic: topic, Payload: []byte(payload), Time: start}}
}

func testRetained(t *testing.T, f *fixture) {
	d := f.register(appA, 1)
	format := byte(1)
	full := record.TopicEntry{
		Topic: "chat/ä", From: d.ID, Client: "client", QoS: 2, Retain: true, Time: start, Expires: start.Add(time.Hour), Payload: []byte("\xff\x00"),
		Props: &record.TopicProps{PayloadFormat: &format, ContentType: "x/y", ResponseTopic: "r", CorrelationData: []byte{0}, User: []record.TopicPair{{Name: "a", Value: "b"}}},
	}
	data := record.TopicEntry{Topic: "chat/1", Retain: true, Time: start, Data: []byte(`{"a":"<b>"}`)}
	f.retain(9, &record.RetainedOp{App: appA, Entry: &full}, &record.RetainedOp{App: appA, Entry: &data}, keep(appB, "chat/1", "theirs"))
	f.restart()
	list, err := f.Retained(f.ctx, appA, "", "", 9)
	f.must(err)
	same(t, "what is kept", list, []record.TopicEntry{data, full})
	same(t, "of the other app", f.retained(appB, "", "", 9), []string{"chat/1=theirs"})

	// The bytes of a topic are compared, and another one takes its place.
	f.retain(9, keep(appA, "chat/1", "new"), keep(appA, "CHAT/1", "upper"), keep(appA, "chat/1 ", "space"), keep(appA, "chat", "c"))
	same(t, "all", f.retained(appA, "", "", 9), []string{"CHAT/1=upper", "chat=c", "chat/1=new", "chat/1 =space", "chat/ä=\xff\x00"})
	same(t, "from one on", f.retained(appA, "chat/", "", 2), []string{"chat/1=new", "chat/1 =space"})
	same(t, "behind one", f.retained(appA, "chat/", "chat/1", 9), []string{"chat/1 =space", "chat/ä=\xff\x00"})

	// Of an app with as many as it may have, those that are there still change,
	// and what is taken away makes room.
	ops := []*record.RetainedOp{keep(appA, "one more", "x"), keep(appA, "chat", "C"), keep(appB, "one more", "x"), keep(appA, "CHAT/1", ""), keep(appA, "last", "x"), keep(appA, "never", "")}
	f.retain(5, ops...)
	refused(t, ops[0].Err, herald.CodeLimitReached)
	for _, o := range ops[1:] {
		f.must(o.Err)
	}
	same(t, "all", f.retained(appA, "", "", 9), []string{"chat=C", "chat/1=new", "chat/1 =space", "chat/ä=\xff\x00", "last=x"})
	same(t, "of the other app", f.retained(appB, "", "", 9), []string{"chat/1=theirs", "one more=x"})

	unknown := keep("nobody", "a", "x")
	f.retain(5, unknown, keep(appB, "a", "x"))
	if unknown.Err == nil || len(f.retained(appB, "", "", 9)) != 3 {
		t.Errorf("an app that is not there: %v", unknown.Err)
	}
	if _, err := f.Retained(f.ctx, "nobody", "", "", 1); err == nil {
		t.Error("an app that is not there has entries")
	}
}

func testRetainedEnds(t *testing.T, f *fixture) {
	d, other := f.register(appA, 1), f.register(appA, 2)
	mine := record.TopicEntry{Topic: "mine", From: d.ID, Client: string(d.ID), Retain: true, Time: start, Payload: []byte("x")}
	theirs := record.TopicEntry{Topic: "theirs", From: other.ID, Client: "c", Retain: true, Time: start, Payload: []byte("x"), Expires: start.Add(time.Hour)}
	soon := record.TopicEntry{Topic: "soon", From: other.ID, Retain: true, Time: start, Payload: []byte("x"), Expires: start.Add(time.Minute)}
	f.retain(9, &record.RetainedOp{App: appA, Entry: &mine}, &record.RetainedOp{App: appA, Entry: &theirs}, &record.RetainedOp{App: appA, Entry: &soon})

	more, err := f.PurgeRetained(f.ctx, start.Add(time.Minute-time.Millisecond))
	f.must(err)
	if more || len(f.retained(appA, "", "", 9)) != 3 {
		t.Error("something has expired too early")
	}
	more, err = f.PurgeRetained(f.ctx, start.Add(time.Minute))
	f.must(err)
	same(t, "what has not expired", f.retained(appA, "", "", 9), []string{"mine=x", "theirs=x"})
	if more {
		t.Error("there is more to purge")
	}

	// What a device has published stays when it is erased, without its name.
	e := record.Erasure{App: appA, ID: d.ID, Ord: d.Ord, Gone: true}
	f.must(f.BeginErasure(f.ctx, e))
	_, err = f.Erase(f.ctx, e)
	f.must(err)
	mine.From, mine.Client = "", ""
	list, err := f.Retained(f.ctx, appA, "", "", 9)
	f.must(err)
	same(t, "what is kept", list, []record.TopicEntry{mine, theirs})

	var many []*record.RetainedOp
	for i := range 501 {
		o := keep(appB, herald.Topic(fmt.Sprint("t/", i)), "x")
		o.Entry.Expires = start.Add(time.Second)
		many = append(many, o)
	}
	f.retain(1000, many...)
	for _, want := range []bool{true, false, false} {
		more, err := f.PurgeRetained(f.ctx, start.Add(time.Second))
		f.must(err)
		if more != want {
			t.Errorf("more is %v, want %v", more, want)
		}
	}
	same(t, "after the purge", len(f.retained(appB, "", "", 9)), 0)
}
