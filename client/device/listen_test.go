package device

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
)

// collect gives handler functions that note the IDs and stop after the nth.
func collect(n int, got *[]herald.MessageID) func(stop func()) Handler {
	return func(stop func()) Handler {
		return Handler{OnMessage: func(_ context.Context, m Message) error {
			if *got = append(*got, m.ID); len(*got) == n {
				stop()
			}
			return nil
		}}
	}
}

func ids(list ...herald.MessageID) []herald.MessageID { return list }

func TestMessagesArriveAndAreAcknowledged(t *testing.T) {
	var frames []clientFrame
	f := &fake{session: func(_ int, p *peer) {
		p.welcome()
		for i := 1; i <= 3; i++ {
			p.message(i)
		}
		frames = p.rest()
	}}
	bubble(t, f, func(t *testing.T, o Options) {
		o.Platform, o.Installation = herald.PlatformLinux, "an-installation-of-mine"
		var got []Message
		d, err := listenOnce(t, o, func(stop func()) Handler {
			return Handler{OnMessage: func(_ context.Context, m Message) error {
				if got = append(got, m); len(got) == 3 {
					stop()
				}
				return nil
			}}
		})
		if err != nil || d.ID() != testID {
			t.Errorf("%s, %v", d.ID(), err)
		}
		synctest.Wait()
		if len(got) != 3 || got[0].ID != 1 || got[2].Notification.Title != "T3" || string(got[1].Data) != `{"n":2}` || !got[0].Stored || got[0].Time.IsZero() {
			t.Errorf("got %+v", got)
		}
		// Leaving sends what is still to be said, at once and together.
		if len(frames) != 1 || frames[0].Type != "ack" || !slices.Equal(frames[0].IDs, ids(1, 2, 3)) {
			t.Errorf("the server got %+v", frames)
		}
		if r := f.registrations[0]; r["app_key"] != string(testKey) || r["installation"] != o.Installation || r["platform"] != "linux" {
			t.Errorf("registered as %v", r)
		}
		if f.tokens[0] != "Bearer hd1.t1" {
			t.Errorf("connected with %q", f.tokens)
		}
	})
}

func TestAcknowledgementsAreBatched(t *testing.T) {
	var delay time.Duration
	var first, second *clientFrame
	f := &fake{session: func(_ int, p *peer) {
		p.welcome()
		began := time.Now()
		p.message(1)
		p.message(2)
		first = p.next()
		delay = time.Since(began)
		for i := 3; i < 3+ackBatch; i++ {
			p.message(i)
		}
		began = time.Now()
		second = p.next()
		if d := time.Since(began); d != 0 {
			t.Errorf("a full batch waited %s", d)
		}
		p.rest()
	}}
	bubble(t, f, func(t *testing.T, o Options) {
		ctx, stop := context.WithCancel(t.Context())
		d, err := Register(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() { _ = d.Listen(ctx, Handler{}) })
		pass(time.Second)
		stop()
		wg.Wait()
		synctest.Wait()
		if first == nil || !slices.Equal(first.IDs, ids(1, 2)) || delay != ackDelay {
			t.Errorf("after %s: %+v", delay, first)
		}
		if second == nil || len(second.IDs) < ackBatch/2 {
			t.Errorf("second batch %+v", second)
		}
	})
}

func TestDuplicatesAreHiddenAndAcknowledgedAgain(t *testing.T) {
	var again []clientFrame
	f := &fake{session: func(n int, p *peer) {
		p.welcome()
		if n == 1 {
			p.message(1)
			p.next() // its acknowledgement is lost with the connection
			return
		}
		p.message(1)
		p.message(2)
		again = p.rest()
	}}
	bubble(t, f, func(t *testing.T, o Options) {
		var got []herald.MessageID
		if _, err := listenOnce(t, o, collect(2, &got)); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if !slices.Equal(got, ids(1, 2)) {
			t.Errorf("handled %v", got)
		}
		if len(again) != 1 || !slices.Equal(again[0].IDs, ids(1, 2)) {
			t.Errorf("acknowledged %+v", again)
		}
	})
}

func TestFailedMessageComesAgain(t *testing.T) {
	f := &fake{session: func(n int, p *peer) {
		p.welcome()
		p.message(1)
		if n == 1 {
			pass(time.Second)
			return
		}
		if got := p.rest(); len(got) != 1 {
			t.Errorf("acknowledged %+v", got)
		}
	}}
	bubble(t, f, func(t *testing.T, o Options) {
		tries := 0
		if _, err := listenOnce(t, o, func(stop func()) Handler {
			return Handler{OnMessage: func(context.Context, Message) error {
				if tries++; tries == 1 {
					return errors.New("the disk is full")
				}
				stop()
				return nil
			}}
		}); err != nil || tries != 2 {
			t.Errorf("%v after %d tries", err, tries)
		}
	})
}

func TestManualAcknowledgementAndEvents(t *testing.T) {
	var frames []clientFrame
	f := &fake{session: func(_ int, p *peer) {
		p.welcome()
		p.message(1)
		p.message(1) // a copy while the program still holds the first
		p.message(2)
		frames = p.rest()
	}}
	bubble(t, f, func(t *testing.T, o Options) {
		o.ManualAck = true
		d, err := Register(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		if err := d.Listen(ctx, Handler{OnMessage: func(_ context.Context, m Message) error {
			if m.ID == 2 {
				d.Ack(2)
				d.Displayed(2)
				d.Clicked(2)
				stop()
			}
			return nil
		}}); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		want := []clientFrame{{Type: "ack", IDs: ids(2)}, {Type: "event", Event: "displayed", IDs: ids(2)}, {Type: "event", Event: "clicked", IDs: ids(2)}}
		if len(frames) != 3 {
			t.Fatalf("the server got %+v", frames)
		}
		for i := range want {
			if frames[i].Type != want[i].Type || frames[i].Event != want[i].Event || !slices.Equal(frames[i].IDs, want[i].IDs) {
				t.Errorf("frame %d: got %+v, want %+v", i, frames[i], want[i])
			}
		}
	})
}

func TestWithdrawalComesInOrder(t *testing.T) {
	var frames []clientFrame
	f := &fake{session: func(_ int, p *peer) {
		p.welcome()
		p.message(1)
		p.send(`{"type":"withdraw","id":"1","cursor":"1.2.x"}`)
		frames = p.rest()
	}}
	bubble(t, f, func(t *testing.T, o Options) {
		var seen []string
		if _, err := listenOnce(t, o, func(stop func()) Handler {
			return Handler{
				OnMessage:  func(_ context.Context, m Message) error { seen = append(seen, "message "+m.ID.String()); return nil },
				OnWithdraw: func(_ context.Context, id herald.MessageID) { seen = append(seen, "withdraw "+id.String()); stop() },
			}
		}); err != nil {
			t.Error(err)
		}
		if !slices.Equal(seen, []string{"message 1", "withdraw 1"}) {
			t.Errorf("got %v", seen)
		}
		synctest.Wait()
		told := slices.ContainsFunc(frames, func(f clientFrame) bool {
			return f.Type == "event" && f.Event == herald.StateWithdrawn && slices.Equal(f.IDs, ids(1))
		})
		if !told {
			t.Errorf("the notice was not acknowledged: the server got %+v", frames)
		}
	})
}

func TestSlowHandlerLosesNothing(t *testing.T) {
	const n = 100
	f := &fake{session: func(_ int, p *peer) {
		go func() {
			p.welcome()
			for i := 1; i <= n; i++ {
				p.message(i)
			}
		}()
		for f := p.next(); f != nil; f = p.next() {
			if f.Type == "ping" {
				p.send(`{"type":"pong"}`)
			}
		}
	}}
	bubble(t, f, func(t *testing.T, o Options) {
		var got []herald.MessageID
		if _, err := listenOnce(t, o, func(stop func()) Handler {
			return Handler{OnMessage: func(_ context.Context, m Message) error {
				pass(10 * time.Second)
				if got = append(got, m.ID); len(got) == n {
					stop()
				}
				return nil
			}}
		}); err != nil || f.connections != 1 || !slices.IsSorted(got) {
			t.Errorf("%v, %d connections, %v", err, f.connections, got)
		}
	})
}

func TestFreshTokenIsKept(t *testing.T) {
	f := &fake{session: func(n int, p *peer) {
		if n == 1 {
			p.send(`{"type":"welcome","session":"s","registration_id":%q,"heartbeat":50,"timeout":75,"token":"hd1.fresh"}`, testID)
			return
		}
		p.welcome()
		p.message(1)
		p.rest()
	}}
	bubble(t, f, func(t *testing.T, o Options) {
		o.Store = Memory()
		var got []herald.MessageID
		if _, err := listenOnce(t, o, collect(1, &got)); err != nil {
			t.Error(err)
		}
		if id, _ := o.Store.Load(); id.Token != "hd1.fresh" || f.tokens[1] != "Bearer hd1.fresh" {
			t.Errorf("stored %q, used %q", id.Token, f.tokens)
		}
	})
}

func TestProblemsAndStrangeFrames(t *testing.T) {
	f := &fake{session: func(_ int, p *peer) {
		p.welcome()
		p.send(`{"type":"error","code":"invalid_request","detail":"d","remedy":"r","field":"f"}`)
		p.send(`not JSON`)
		p.send(`{"type":"message"}`)
		p.send(`{"type":"later version","x":1}`)
		p.send(`{"type":"ping"}`)
		if f := p.next(); f == nil || f.Type != "pong" {
			t.Errorf("answered %+v", f)
		}
		p.message(1)
		p.rest()
	}}
	bubble(t, f, func(t *testing.T, o Options) {
		var got []herald.MessageID
		var problems []*herald.Error
		if _, err := listenOnce(t, o, func(stop func()) Handler {
			h := collect(1, &got)(stop)
			h.OnProblem = func(e *herald.Error) { problems = append(problems, e) }
			return h
		}); err != nil {
			t.Error(err)
		}
		if len(problems) != 3 || problems[0].Code != herald.CodeInvalidRequest || problems[0].Field != "f" {
			t.Errorf("got %v", problems)
		}
	})
}

func TestListenTwice(t *testing.T) {
	f := &fake{session: func(_ int, p *peer) { p.welcome(); p.message(1); p.rest() }}
	bubble(t, f, func(t *testing.T, o Options) {
		d, err := New(o) // registers when it connects
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		err = d.Listen(ctx, Handler{OnMessage: func(ctx context.Context, m Message) error {
			if err := d.Listen(ctx, Handler{}); !errors.Is(err, ErrListening) {
				t.Errorf("got %v", err)
			}
			stop()
			return nil
		}})
		if err != nil || d.ID() != testID {
			t.Errorf("%v", err)
		}
	})
}
