package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/herald-push/herald"
)

// What one batch takes at most.
const (
	MaxBatch      = 1000    // messages
	maxBatchBytes = 7 << 20 // of messages, so that the body stays below 8 MiB
)

// Result is what came of one message of a batch.
type Result struct {
	Sent
	// Err says why the message was not accepted; a [*herald.Error] if the
	// server refused it.
	Err error
}

// SendBatch sends messages in as few calls as it can, which takes far less time
// than a call for each. There is a result for each message, in their order: one
// that is refused does not keep the others from being sent. When a result has no
// error and Stored is true, the message survives a crash of the server.
//
// The error is that of a call that failed as a whole; its messages, and those
// that were not tried after it, have it in their results too.
func (c *Client) SendBatch(ctx context.Context, messages []Message) ([]Result, error) {
	out := make([]Result, len(messages))
	bodies := make([]json.RawMessage, len(messages))
	for i, m := range messages {
		if m.IdempotencyKey == "" {
			m.IdempotencyKey = rand.Text()
		}
		b, err := json.Marshal(m)
		if err != nil {
			return nil, fmt.Errorf("client: message %d: %w", i, err)
		}
		key, err := json.Marshal(m.IdempotencyKey)
		if err != nil {
			return nil, fmt.Errorf("client: message %d: %w", i, err)
		}
		bodies[i] = append(append(append(bytes.TrimSuffix(b, []byte("}")), `,"idempotency_key":`...), key...), '}')
	}
	for from := 0; from < len(messages); {
		n := BatchOf(bodies[from:])
		answers, err := c.sendBatch(ctx, bodies[from:from+n], false)
		if err != nil {
			for i := range out[from:] {
				out[from+i].Err = err
			}
			return out, err
		}
		for i, answer := range answers {
			out[from+i] = readResult(answer)
		}
		from += n
	}
	return out, nil
}

// BatchOf tells how many messages, from the first on, fit into one batch; at
// least 1 unless there are none.
func BatchOf(messages []json.RawMessage) int {
	size := 0
	for i, m := range messages {
		if size += len(m) + 2; i == MaxBatch || i > 0 && size > maxBatchBytes {
			return i
		}
	}
	return len(messages)
}

// SendBatchJSON sends messages that are JSON already, as POST
// /v1/messages:batch takes them, in one call; see [BatchOf]. The answers are JSON
// too: see [Client.SendBatch] for what they say. Only a call of which the server
// says that it did nothing is made again.
func (c *Client) SendBatchJSON(ctx context.Context, messages []json.RawMessage) ([]json.RawMessage, error) {
	return c.sendBatch(ctx, messages, true)
}

func (c *Client) sendBatch(ctx context.Context, messages []json.RawMessage, single bool) ([]json.RawMessage, error) {
	var out []json.RawMessage
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/messages:batch", body: messages, into: &out, single: single})
	if err == nil && len(out) != len(messages) {
		err = fmt.Errorf("client: the server answered %d results for %d messages", len(out), len(messages))
	}
	return out, err
}

// readResult reads the answer for one message: a problem has a code.
func readResult(answer json.RawMessage) (r Result) {
	var p struct {
		Code   herald.Code `json:"code"`
		Detail string      `json:"detail"`
		Remedy string      `json:"remedy"`
		Field  string      `json:"field"`
	}
	err := json.Unmarshal(answer, &p)
	switch {
	case err != nil:
	case p.Code != "":
		r.Err = &herald.Error{Code: p.Code, Message: p.Detail, Remedy: p.Remedy, Field: p.Field}
		return r
	default:
		err = json.Unmarshal(answer, &r.Sent)
	}
	if err != nil {
		r.Err = fmt.Errorf("client: a result is not what this version understands: %w", err)
	}
	return r
}
