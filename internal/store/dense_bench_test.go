package store

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// BenchmarkBesideDense measures what a caller who sends to one device waits for
// while others are sent to some ten million, one after the other with the time
// in between that evaluating their audience takes.
func BenchmarkBesideDense(b *testing.B) {
	const evaluating = 5 * time.Millisecond
	db, to := newDB(b), dense(153)
	b.ReportAllocs()
	var one, all []time.Duration
	accept := func(list *[]time.Duration, a record.Acceptance) bool {
		begun := time.Now()
		_, err := db.Accept(context.Background(), a)
		*list = append(*list, time.Since(begun))
		if err != nil {
			b.Error(err)
		}
		return err == nil
	}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for id := herald.MessageID(1 << 32); accept(&one, message(id, 1)); id++ {
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	for id := herald.MessageID(1); b.Loop(); id++ {
		a := message(id)
		a.Group = record.WholeImage(to)
		if !accept(&all, a) {
			break
		}
		<-time.After(evaluating)
	}
	close(stop)
	wg.Wait()
	for name, list := range map[string][]time.Duration{"one": one, "dense": all} {
		slices.Sort(list)
		for share, at := range map[string]int{"p50": len(list) / 2, "p99": len(list) * 99 / 100} {
			b.ReportMetric(float64(list[at].Microseconds())/1000, name+"-"+share+"-ms")
		}
	}
}
