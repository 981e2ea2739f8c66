package store

import (
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

func batch(from, n int) (out []*record.Acceptance) {
	for i := range n {
		a := message(herald.MessageID(from+i), 1)
		out = append(out, &a)
	}
	return out
}

// TestBatchIsOneCommit counts the commits of a batch, and those of many batches
// that come at once.
func TestBatchIsOneCommit(t *testing.T) {
	ctx, db := t.Context(), newDB(t)
	commit := db.w.sync
	var commits atomic.Int32
	hold, held := make(chan struct{}), make(chan struct{}, 1)
	db.w.sync = func() error {
		commits.Add(1)
		select {
		case held <- struct{}{}:
			<-hold // the first commit takes long
		default:
		}
		return commit()
	}
	var wg sync.WaitGroup
	accept := func(i int) {
		wg.Go(func() {
			for _, o := range db.AcceptAll(ctx, batch(1+i*1000, 1000)) {
				if o.Err != nil {
					t.Error(o.Err)
				}
			}
		})
	}
	accept(0)
	for len(held) == 0 {
		runtime.Gosched()
	}
	if n := commits.Load(); n != 1 {
		t.Errorf("a batch took %d commits", n)
	}
	for i := range 6 {
		accept(i + 1)
	}
	for len(db.w.ops) < 6 {
		runtime.Gosched()
	}
	close(hold)
	wg.Wait()
	if n := commits.Load(); n != 3 {
		t.Errorf("after it 6 batches of 1,000 took %d commits, want 2: each has at most maxRows and one batch more", n-1)
	}
	wantCount(t, db, 7000, "SELECT COUNT(*) FROM msg")
}

func TestBatchOnADiskThatFails(t *testing.T) {
	ctx, db := t.Context(), newDB(t)
	commit := db.w.sync
	db.w.sync = func() error { return ioError(t) }
	for _, want := range []string{"did not do it", "the disk has failed"} {
		for _, o := range db.AcceptAll(ctx, batch(1, 3)) {
			wantCode(t, o.Err, herald.CodeStorageUnavailable)
			if o.Pos != 0 || !strings.Contains(o.Err.Error(), want) && !strings.Contains(o.Err.Error(), "the disk has failed") {
				t.Errorf("got %+v", o)
			}
		}
		db.w.sync = commit // the disk is well again, but is not trusted
	}
	wantCount(t, db, 0, "SELECT COUNT(*) FROM msg")
}

// TestBatchOnAFullDisk has a part of a batch meet a full disk: the chunks of a
// large target do not fit, what comes without any does.
func TestBatchOnAFullDisk(t *testing.T) {
	ctx, db := t.Context(), newDB(t)
	must(t, db.w.control("PRAGMA max_page_count = 60"))
	list := batch(1, 3)
	list[1].Group, list[1].Direct = record.WholeImage(dense(40)), nil
	got := db.AcceptAll(ctx, list)
	for i, code := range []herald.Code{"", herald.CodeStorageUnavailable, ""} {
		if herald.CodeOf(got[i].Err) != code {
			t.Errorf("message %d: %v", i, got[i].Err)
		}
	}
	wantCount(t, db, 2, "SELECT COUNT(*) FROM msg")
	wantCount(t, db, 0, "SELECT COUNT(*) FROM msg_chunk")
	wantCount(t, db, 0, "SELECT COUNT(*) FROM target_draft")
}
