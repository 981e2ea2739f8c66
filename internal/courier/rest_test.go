package courier

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
)

func TestUnauthorized(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var mu sync.Mutex
		valid := false
		v := w.add("apns", true, func(sent) (provider.Result, error) {
			mu.Lock()
			defer mu.Unlock()
			if !valid {
				return provider.Result{}, provider.OfStatus(403, 0)
			}
			return provider.Result{}, nil
		})
		w.limits.Calls = 1
		w.devices("apns", 0, 10)
		w.message(1, "apns", time.Hour, 0, 10)
		c, stop := w.start()
		defer stop()
		elapse(20 * time.Minute)
		if n := len(v.sent()); n == 0 || n > 8 {
			t.Errorf("%d calls with a wrong credential in 20 minutes", n)
		}
		mu.Lock()
		valid = true
		mu.Unlock()
		w.mu.Lock()
		first := len(w.problems) > 0 && w.problems[0] == "crd_apns unauthorized"
		w.problems = nil
		w.mu.Unlock()
		if !first {
			t.Errorf("the problem was not noted")
		}
		c.Renewed(app, "apns")
		w.over(waits + 5*time.Second)
		same(t, w.check(), map[string]int{"accepted": 10})
		if fmt.Sprint(w.problems) != "[crd_apns is well]" {
			t.Errorf("problems %v", w.problems)
		}
	})
}

func TestThrottled(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		begin := time.Now()
		v := w.add("apns", false, func(s sent) (provider.Result, error) {
			if s.at.Sub(begin) < 10*time.Minute {
				return provider.Result{}, provider.OfStatus(429, 10*time.Minute)
			}
			return provider.Result{}, nil
		})
		w.devices("apns", 0, 10)
		w.message(1, "apns", time.Hour, 0, 10)
		_, stop := w.start()
		defer stop()
		w.over(30 * time.Minute)
		same(t, w.check(), map[string]int{"accepted": 10})
		for _, s := range v.sent() {
			if at := s.at.Sub(begin); at > 0 && at < 10*time.Minute {
				t.Errorf("a call after %v", at)
			}
		}
	})
}

func TestNoCredential(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.add("apns", true, nil)
		w.openErr = provider.Errorf(provider.Unauthorized, "", "Add one.", "there is no credential")
		w.devices("apns", 0, 10)
		w.message(1, "apns", 30*time.Minute, 0, 10)
		_, stop := w.start()
		defer stop()
		w.over(time.Hour)
		same(t, w.check(), map[string]int{"failed unauthorized": 10})
	})
}

func TestRate(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := w.add("dingtalk", false, nil)
		v.driver.Rate = &provider.Rate{Calls: 20, Per: time.Minute}
		w.devices("dingtalk", 0, 100)
		w.message(1, "dingtalk", time.Hour, 0, 80)
		for i := range herald.MessageID(20) {
			w.message(10+i, "dingtalk", time.Hour, herald.Ordinal(i), herald.Ordinal(i)+1)
		}
		begin := time.Now()
		_, stop := w.start()
		defer stop()
		w.over(time.Hour)
		same(t, w.check(), map[string]int{"accepted": 100})
		list := v.sent()
		for i := 20; i < len(list); i++ {
			if d := list[i].at.Sub(list[i-20].at); d <= time.Minute {
				t.Fatalf("21 calls in %v", d)
			}
		}
		if took := time.Since(begin); took > 6*time.Minute {
			t.Errorf("100 calls took %v", took)
		}
	})
}
