package client

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/herald-push/herald"
)

// TestPublishIsNotRepeated: another try would publish again, so it is made only
// where the server did nothing.
func TestPublishIsNotRepeated(t *testing.T) {
	refusal := func(status int, code herald.Code) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"type":"about:blank","title":"t","status":%d,"code":%q,"detail":"d","remedy":"r"}`, status, code)
		}
	}
	for _, tt := range []struct {
		name  string
		h     http.HandlerFunc
		tries int
		is    func(error) bool
	}{
		{"a broken connection", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 1, func(err error) bool { return errors.Is(err, ErrUnreachable) }},
		{"a gateway", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, 1, func(err error) bool { return err != nil }},
		{"a refusal", refusal(403, herald.CodeForbidden), 1, func(err error) bool { return herald.CodeOf(err) == herald.CodeForbidden }},
		{"a limit", refusal(429, herald.CodeRateLimited), 5, func(err error) bool { return herald.CodeOf(err) == herald.CodeRateLimited }},
		{"a node that goes away", refusal(503, herald.CodeDraining), 5, func(err error) bool { return herald.CodeOf(err) == herald.CodeDraining }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tries := make(chan struct{}, 10)
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				tries <- struct{}{}
				tt.h(w, r)
			})
			if _, err := c.Publish(t.Context(), "chat/7", []byte("1")); !tt.is(err) || len(tries) != tt.tries {
				t.Errorf("%v after %d tries, want %d", err, len(tries), tt.tries)
			}
		})
	}
}

func TestTopicAnswers(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/publish":
			fmt.Fprint(w, `{"topic":"chat/7","devices":3}`)
		case "/v1/topics":
			fmt.Fprint(w, `{"topics":[{"topic":"chat/7","devices":3,"sessions":4}],"next_cursor":"chat/7"}`)
		case "/v1/app":
			fmt.Fprint(w, `{"name":"shop","topics":{"subscribe":["#"],"publish":[]},"devices":2}`)
		}
	})
	if p, err := c.Publish(t.Context(), "chat/7", []byte("1")); err != nil || p != (Published{"chat/7", 3}) {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := c.Topics(t.Context(), "", "", 0); err != nil || len(p.Topics) != 1 || p.Topics[0] != (TopicCount{"chat/7", 3, 4}) || p.NextCursor != "chat/7" {
		t.Errorf("%+v, %v", p, err)
	}
	if l, err := c.TopicCounts(t.Context(), "chat/7"); err != nil || len(l) != 1 || l[0].Sessions != 4 {
		t.Errorf("%+v, %v", l, err)
	}
	if l, err := c.TopicCounts(t.Context()); err != nil || l != nil {
		t.Errorf("of no topics: %+v, %v", l, err)
	}
	if a, err := c.App(t.Context()); err != nil || a.Name != "shop" || len(a.Topics.Subscribe) != 1 || a.Devices != 2 {
		t.Errorf("%+v, %v", a, err)
	}
}
