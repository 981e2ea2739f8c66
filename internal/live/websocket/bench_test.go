package websocket

import (
	"context"
	"encoding/json"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// typical is a message whose frame has about 1 KiB: what a shop says when it
// has sent a parcel.
func typical() herald.Content {
	return herald.Content{
		Notification: &herald.Notification{
			Title: "Your order is on its way",
			Body: "The parcel with your order 2026-1187-22 left our warehouse in Rotterdam this morning and should reach you " +
				"tomorrow between 09:00 and 12:00. You can follow it, or choose another day, on the page of your order.",
		},
		Data: json.RawMessage(`{"order":"2026-1187-22","customer":"c-7750213","status":"shipped","carrier":"example-post",` +
			`"tracking":"EP118722NL","page":"https://shop.example/orders/2026-1187-22/track","items":[` +
			`{"sku":"HRL-0001-BLK-M","quantity":1,"price":"39.90"},{"sku":"HRL-0107-GRY-L","quantity":2,"price":"24.50"},` +
			`{"sku":"HRL-2210-WHT-S","quantity":1,"price":"12.00"}],"address":{"city":"Utrecht","postcode":"3511 AB","country":"NL"},` +
			`"expected":{"from":"2026-11-22T09:00:00.000Z","until":"2026-11-22T12:00:00.000Z"}}`),
	}
}

// codecs are the two ways to send the same.
func codecs() map[string]live.Transport {
	t := New(Config{})
	return map[string]live.Transport{"plain": t, "deflated": t.deflated}
}

// BenchmarkEncode makes one frame, and says how long it is.
func BenchmarkEncode(b *testing.B) {
	w := livetest.NewWorld()
	h := w.Accept(livetest.Send{Content: typical()})
	r := live.Release{Kind: record.ReleaseMessage, Msg: h.Msg, Content: typical(), Cursor: "1.42.Yp0sJ2n1kPQx"}
	for name, t := range codecs() {
		b.Run(name, func(b *testing.B) {
			var f live.Frame
			b.ReportAllocs()
			for b.Loop() {
				f = t.Encode(r)
			}
			b.ReportMetric(float64(len(f)), "wire-bytes")
		})
	}
}

// counts is a Conn that only counts bytes.
type counts struct {
	bytes    *atomic.Int64
	welcomed chan<- struct{}
}

func (c counts) Send(f live.Frame) error {
	c.bytes.Add(int64(len(f)))
	select {
	case c.welcomed <- struct{}{}:
	default:
	}
	return nil
}
func (counts) Close(live.Reason) {}

type forgets struct{}

func (forgets) Report(herald.AppKey, ...record.Event) {}

// BenchmarkFanOut hands one message to sessions in memory: the message is
// encoded once, whatever their number.
func BenchmarkFanOut(b *testing.B) {
	for name, t := range codecs() {
		for _, n := range []int{1, 100, 10000} {
			b.Run(name+"/"+strconv.Itoa(n), func(b *testing.B) { fanOut(b, t, n) })
		}
	}
}

func fanOut(b *testing.B, t live.Transport, n int) {
	w := livetest.NewWorld()
	hub := live.NewHub(live.Options{Directory: w, Backlog: w, Receipts: forgets{}})
	done := make(chan struct{})
	go func() { defer close(done); _ = hub.Run(context.Background()) }()
	defer func() { hub.Close(); <-done }()
	var bytes atomic.Int64
	set, welcomed := sets.New(), make(chan struct{}, n)
	for range n {
		m := w.Join(herald.PlatformWeb)
		set.Add(m.Ord)
		_ = hub.Attach(t, counts{&bytes, welcomed}, true).Hello(live.Hello{Token: m.Token})
	}
	for range n {
		<-welcomed
	}
	h := w.Accept(livetest.Send{Content: typical()})
	h.Set = set
	bytes.Store(0)
	b.ReportAllocs()
	for b.Loop() {
		h.Pos++
		if took, err := hub.Deliver(context.Background(), h); err != nil || took.Len() != int64(n) {
			b.Fatalf("took %d, %v", took.Len(), err)
		}
	}
	b.ReportMetric(float64(bytes.Load())/float64(b.N*n), "wire-bytes/delivery")
}
