package device

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
)

type topics = []herald.Topic

// listens runs Listen in a bubble until the test's function returns.
func listens(t *testing.T, d *Device, h Handler, test func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := d.Listen(ctx, h); err != nil {
			t.Errorf("Listen: %v", err)
		}
	})
	synctest.Wait()
	test()
	stop()
	wg.Wait()
	synctest.Wait()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestTopics: what is subscribed to is asked for at each connection, and what
// is published arrives.
func TestTopics(t *testing.T) {
	var asked []clientFrame // of the second connection
	f := &fake{session: func(n int, p *peer) {
		p.welcome()
		if n == 1 {
			if first := p.next(); first == nil || first.Type != "subscribe" || !slices.Equal(first.Topics, topics{"a", "b"}) || first.Presence || first.Ref == "" {
				t.Errorf("first %+v", first)
			}
			return
		}
		p.send(`{"type":"topic","topic":"a","time":"2026-11-21T09:30:00.000Z","from":%q,"data":{"n":1}}`, testID)
		p.send(`{"type":"topic","topic":"c","time":"2026-11-21T09:30:01.000Z","data":null}`)
		p.send(`{"type":"presence","topic":"a","devices":3}`)
		p.message(1)
		asked = p.rest()
	}}
	bubble(t, f, func(t *testing.T, o Options) {
		d, err := Register(t.Context(), o)
		must(t, err)
		must(t, d.Subscribe("a", "b", "a"))
		var got []Publication
		var seen []herald.MessageID
		listens(t, d, Handler{
			OnTopic:   func(_ context.Context, p Publication) { got = append(got, p) },
			OnMessage: func(_ context.Context, m Message) error { seen = append(seen, m.ID); return nil },
			OnProblem: func(e *herald.Error) { t.Errorf("problem: %v", e) },
		}, func() {
			pass(10 * time.Second) // the connection broke, and there is a new one
			must(t, d.Subscribe("c"))
			must(t, d.Subscribe("b", "c")) // nothing new
			synctest.Wait()                // changes made close together may be told together
			d.Unsubscribe("a", "never")
			synctest.Wait()
		})
		if len(got) != 2 || got[0].Topic != "a" || got[0].From != testID || string(got[0].Data) != `{"n":1}` || got[0].Time.IsZero() ||
			got[1].From != "" || string(got[1].Data) != "null" {
			t.Errorf("got %+v", got)
		}
		if !slices.Equal(seen, ids(1)) {
			t.Errorf("messages %v", seen)
		}
		var told []string
		for _, f := range asked {
			told = append(told, fmt.Sprint(f.Type, f.Topics))
		}
		want := "subscribe[a b] ack[] subscribe[c] unsubscribe[a]"
		if got := strings.Join(told, " "); got != want {
			t.Errorf("told %s, want %s", got, want)
		}
	})
}

// TestPresence is asked for when somebody takes it.
func TestPresence(t *testing.T) {
	f := &fake{session: func(_ int, p *peer) {
		p.welcome()
		if first := p.next(); first == nil || !first.Presence {
			t.Errorf("first %+v", first)
		}
		p.send(`{"type":"subscribed","topics":["a"],"ref":"1"}`)
		p.send(`{"type":"presence","topic":"a","devices":3}`)
		p.send(`{"type":"topic","topic":"a","data":1}`) // nobody takes it
		p.rest()
	}}
	bubble(t, f, func(t *testing.T, o Options) {
		d, err := Register(t.Context(), o)
		must(t, err)
		must(t, d.Subscribe("a"))
		var got []string
		listens(t, d, Handler{OnPresence: func(_ context.Context, topic herald.Topic, n int64) { got = append(got, fmt.Sprint(topic, " ", n)) }}, func() {})
		if !slices.Equal(got, []string{"a 3"}) {
			t.Errorf("got %q", got)
		}
	})
}

// TestRefusedTopics: one that is refused does not take the others with it, is
// reported, and is not asked for again.
func TestRefusedTopics(t *testing.T) {
	var mu sync.Mutex
	var told []string
	f := &fake{session: func(n int, p *peer) {
		p.welcome()
		for f := p.next(); f != nil; f = p.next() {
			mu.Lock()
			told = append(told, fmt.Sprintf("%d%v", n, f.Topics))
			mu.Unlock()
			if slices.Contains(f.Topics, "no") {
				p.send(`{"type":"error","code":"forbidden","detail":"not no","remedy":"r","field":"topics","ref":%q}`, f.Ref)
				continue
			}
			p.send(`{"type":"subscribed","topics":["%s"],"ref":%q}`, f.Topics[0], f.Ref)
			if n == 1 && slices.Contains(f.Topics, "b") {
				p.send(`{"type":"error","code":"forbidden","detail":"the rules have changed","remedy":"r","field":"topic"}`)
				return
			}
		}
	}}
	bubble(t, f, func(t *testing.T, o Options) {
		d, err := Register(t.Context(), o)
		must(t, err)
		must(t, d.Subscribe("a", "no", "b"))
		var problems []string
		listens(t, d, Handler{OnProblem: func(e *herald.Error) { problems = append(problems, string(e.Code)+": "+e.Message) }}, func() { pass(10 * time.Second) })
		if want := []string{"1[a no b]", "1[a]", "1[no]", "1[b]", "2[a b]"}; !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
		if want := []string{"forbidden: not no", "forbidden: the rules have changed"}; !slices.Equal(problems, want) {
			t.Errorf("problems %q", problems)
		}
	})
}

func TestSubscribeRefuses(t *testing.T) {
	d, err := New(Options{URL: "http://herald.test", AppKey: testKey})
	must(t, err)
	var many topics
	for i := range herald.MaxTopics + 1 {
		many = append(many, herald.Topic(fmt.Sprint("t/", i)))
	}
	for _, list := range []topics{{"a", ""}, {"a", "b/#/c"}, {"$a"}, many} {
		if err := d.Subscribe(list...); err == nil {
			t.Errorf("%.3q is taken", list)
		}
	}
	if n := len(d.wanted()); n != 0 {
		t.Errorf("%d topics of calls that failed are kept", n)
	}
	must(t, d.Subscribe(many[1:]...))
	must(t, d.Subscribe(many[5]))
	if err := d.Subscribe(many[0]); err == nil {
		t.Error("101 topics are taken")
	}
	d.Unsubscribe(many[7])
	must(t, d.Subscribe(many[0]))
}

func TestPublish(t *testing.T) {
	var got []clientFrame
	f := &fake{session: func(_ int, p *peer) {
		p.welcome()
		got = p.rest()
	}}
	bubble(t, f, func(t *testing.T, o Options) {
		d, err := Register(t.Context(), o)
		must(t, err)
		for _, tt := range []struct {
			topic herald.Topic
			data  string
			is    error
		}{
			{"a/+", "1", nil}, {"", "1", nil}, {"a", "", nil}, {"a", "{", nil},
			{"a", `"` + strings.Repeat("x", herald.MaxFrameBytes) + `"`, nil},
			{"a", "1", ErrNotConnected},
		} {
			if err := d.Publish(tt.topic, []byte(tt.data)); err == nil || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%q %.20s: %v", tt.topic, tt.data, err)
			}
		}
		listens(t, d, Handler{}, func() {
			must(t, d.Publish("a", []byte(` {"html": "<b>&"} `)))
			synctest.Wait()
			must(t, d.Publish("b", []byte("null")))
			must(t, d.Publish("c", []byte("2"))) // said before the device leaves
		})
		if err := d.Publish("a", []byte("1")); !errors.Is(err, ErrNotConnected) {
			t.Errorf("after the end: %v", err)
		}
		var said []string
		for _, f := range got {
			said = append(said, fmt.Sprintf("%s %s %s", f.Type, f.Topic, f.Data))
		}
		if want := []string{`publish a {"html":"<b>&"}`, "publish b null", "publish c 2"}; !slices.Equal(said, want) {
			t.Errorf("said %q", said)
		}
	})
}

// TestPublishTooFast: what the connection does not take is refused, and the
// device does not wait.
func TestPublishTooFast(t *testing.T) {
	stall := make(chan struct{})
	f := &fake{session: func(_ int, p *peer) {
		p.welcome()
		<-stall // reads nothing; a pipe holds nothing
		p.rest()
	}}
	bubble(t, f, func(t *testing.T, o Options) {
		stall = make(chan struct{})
		d, err := Register(t.Context(), o)
		must(t, err)
		listens(t, d, Handler{}, func() {
			busy := false
			for range 2 * maxSaid {
				busy = busy || errors.Is(d.Publish("a", []byte("1")), ErrBusy)
			}
			if !busy {
				t.Error("everything is taken")
			}
			close(stall)
		})
	})
}

// FuzzParts: no frame with topics is larger than a server takes, and none is
// lost.
func FuzzParts(f *testing.F) {
	f.Add("a", 1)
	f.Add(strings.Repeat("\"", 200), 100)
	f.Add(strings.Repeat("\u2028", 80), 100)
	f.Fuzz(func(t *testing.T, name string, n int) {
		var list topics
		for i := range n % (herald.MaxTopics + 1) {
			if s := fmt.Sprint(i, name); herald.ValidTopic("topic", s) == nil {
				list = append(list, herald.Topic(s))
			}
		}
		var again topics
		for _, part := range parts(list) {
			b, err := encode(clientFrame{Type: "subscribe", Topics: part, Presence: true, Ref: "1000000000"})
			if err != nil || len(b) > herald.MaxFrameBytes || len(part) == 0 {
				t.Fatalf("%d topics in %d bytes, %v", len(part), len(b), err)
			}
			again = append(again, part...)
		}
		if !slices.Equal(again, list) {
			t.Fatalf("%d topics became %d", len(list), len(again))
		}
	})
}
