package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/herald-push/herald"
)

// batchServer answers batches, and gives what it was sent.
func batchServer(t *testing.T, answer func(call int, keys []string, w http.ResponseWriter)) (*Client, *[][]string) {
	t.Helper()
	var calls [][]string
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		var list []struct {
			Audience json.RawMessage `json:"audience"`
			Key      string          `json:"idempotency_key"`
		}
		if err := json.NewDecoder(r.Body).Decode(&list); err != nil || r.URL.Path != "/v1/messages:batch" {
			t.Errorf("%s: %v", r.URL, err)
		}
		var keys []string
		for _, m := range list {
			keys = append(keys, m.Key)
		}
		calls = append(calls, keys)
		answer(len(calls), keys, w)
	}), &calls
}

func TestSendBatch(t *testing.T) {
	c, calls := batchServer(t, func(call int, keys []string, w http.ResponseWriter) {
		switch {
		case call == 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		case len(keys) == 2:
			fmt.Fprint(w, `[{"id":"1","target":2,"unknown":0,"stored":true},{"index":1,"status":422,"code":"invalid_request","detail":"is bad","remedy":"Mend it.","field":"ttl"}]`)
		}
	})
	got, err := c.SendBatch(t.Context(), []Message{{Audience: herald.Audience{All: true}}, {IdempotencyKey: "mine"}})
	var refused *herald.Error
	if err != nil || len(got) != 2 || got[0].ID != 1 || !got[0].Stored || got[0].Err != nil || !errors.As(got[1].Err, &refused) || refused.Field != "ttl" || refused.Remedy == "" {
		t.Errorf("got %+v, %v", got, err)
	}
	if first := (*calls)[0]; len(*calls) != 2 || !slices.Equal(first, (*calls)[1]) || first[0] == "" || first[1] != "mine" {
		t.Errorf("calls with the keys %q", *calls)
	}
	if got, err := c.SendBatch(t.Context(), nil); len(got) != 0 || err != nil {
		t.Errorf("nothing gives %v, %v", got, err)
	}
	if _, err := c.SendBatch(t.Context(), []Message{{Data: json.RawMessage("{")}}); err == nil {
		t.Error("a message that is no JSON was sent")
	}
}

func TestSendBatchIsCut(t *testing.T) {
	c, calls := batchServer(t, func(call int, keys []string, w http.ResponseWriter) {
		if call == 3 {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"code":"forbidden","detail":"no"}`)
			return
		}
		fmt.Fprint(w, "["+strings.TrimSuffix(strings.Repeat(`{"id":"1","stored":true},`, len(keys)), ",")+"]")
	})
	got, err := c.SendBatch(t.Context(), make([]Message, 4200))
	if herald.CodeOf(err) != herald.CodeForbidden || len(*calls) != 3 || got[1999].Err != nil || got[2000].Err == nil || got[4199].Err == nil {
		t.Errorf("%d calls, %v", len(*calls), err)
	}
	long := json.RawMessage(`"` + strings.Repeat("x", 3<<20) + `"`)
	if n := BatchOf([]json.RawMessage{long, long, long}); n != 2 {
		t.Errorf("%d long messages are one batch", n)
	}
	if n := BatchOf([]json.RawMessage{slices.Concat(long, long, long), long}); n != 1 {
		t.Errorf("%d messages are one batch", n)
	}
}

func TestSendBatchAnswers(t *testing.T) {
	for name, answer := range map[string]string{"too few": `[]`, "no list": `{}`, "no object": `[1]`, "an ID that is none": `[{"id":"x"}]`} {
		c, _ := batchServer(t, func(_ int, _ []string, w http.ResponseWriter) { fmt.Fprint(w, answer) })
		got, _ := c.SendBatch(t.Context(), make([]Message, 1))
		if got[0].Err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	c, calls := batchServer(t, func(_ int, _ []string, w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) })
	if _, err := c.SendBatchJSON(t.Context(), []json.RawMessage{json.RawMessage(`{}`)}); err == nil || len(*calls) != 1 {
		t.Errorf("%d calls, %v", len(*calls), err)
	}
}
