package admission

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
)

func TestBucketsAreBounded(t *testing.T) {
	b := NewBuckets(1)
	for i := range 3 * maxBuckets {
		_, _ = b.Spend(fmt.Sprint(i), 1)
	}
	if n := len(b.young) + len(b.old); n > maxBuckets {
		t.Errorf("%d buckets, want at most %d", n, maxBuckets)
	}
}

func TestIdleBucketsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBuckets(1)
		_, _ = b.Spend("a", 1)
		for range 3 {
			<-time.NewTimer(generation + 1).C
			_, _ = b.Spend("b", 1)
		}
		if b.young["a"] != nil || b.old["a"] != nil {
			t.Error("an idle bucket was kept")
		}
	})
}

func TestNoLimit(t *testing.T) {
	var b *Buckets
	if left, err := b.Spend("a", 1e9); err != nil || left.Limit != "" {
		t.Errorf("%+v, %v", left, err)
	}
	if NewFailures(0).Buckets() != nil || (*Failures)(nil).Buckets() != nil {
		t.Error("no limit has buckets")
	}
}

func TestAllowance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBuckets(2)
		if left, err := b.Spend("a", 3); err != nil || left != (Allowance{"4", 1, 2}) {
			t.Errorf("%+v, %v", left, err)
		}
		if left, err := b.Spend("a", 2); herald.CodeOf(err) != herald.CodeRateLimited || left != (Allowance{"4", 1, 2}) {
			t.Errorf("%+v, %v", left, err)
		}
		if left, err := b.Spend("b", 0); err != nil || left != (Allowance{"4", 4, 0}) {
			t.Errorf("%+v, %v", left, err)
		}
	})
}
