package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client/internal/problem"
)

// maxAnswerBytes bounds what is read of an answer.
const maxAnswerBytes = 16 << 20

// maxRetryAfter bounds how long a server can make a call wait.
const maxRetryAfter = 5 * time.Minute

// call is one request and where its answer goes.
type call struct {
	method, path string
	query        url.Values
	body         any    // nil for none
	key          string // Idempotency-Key; "" for none
	into         any    // nil if the answer does not matter
	// stream, of a media type, is a body that is read once.
	stream io.Reader
	media  string
	// single is a call whose repetition does its work again: another try is
	// made only if the server said that it did nothing.
	single bool
}

// do makes the request, again and again while that may help.
func (c *Client) do(ctx context.Context, r call) error {
	var body []byte
	if r.body != nil {
		b, err := json.Marshal(r.body)
		if err != nil {
			return fmt.Errorf("client: %s %s: %w", r.method, r.path, err)
		}
		body = b
	}
	wait := c.o.MinWait
	for try := 1; ; try++ {
		again, err := c.once(ctx, r, body)
		if try > 1 && r.method == http.MethodDelete && r.into == nil && herald.CodeOf(err) == herald.CodeNotFound {
			return nil // an earlier try removed it, and its answer was lost
		}
		if r.single {
			code := herald.CodeOf(err)
			again = code == herald.CodeRateLimited || code == herald.CodeDraining
		}
		if err == nil || !again || try >= c.o.Tries || ctx.Err() != nil || r.stream != nil {
			return err
		}
		pause := time.Duration(rand.Int64N(int64(wait))) + time.Millisecond //nolint:gosec // a wait is no secret
		var refused *herald.Error
		if errors.As(err, &refused) && refused.RetryAfter > 0 {
			// A little more than asked, so that callers do not return as one.
			pause = min(refused.RetryAfter, maxRetryAfter) + pause
		}
		wait = min(2*wait, c.o.MaxWait)
		if !sleep(ctx, pause) {
			return err
		}
	}
}

// sleep waits and reports whether the context still allows to go on. It does
// not begin a wait that would outlast the deadline.
func sleep(ctx context.Context, d time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) < d {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// once makes one request. It reports whether another try may help.
func (c *Client) once(ctx context.Context, r call, body []byte) (again bool, err error) {
	address := c.base + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	var content io.Reader = bytes.NewReader(body)
	if r.stream != nil {
		content = io.NopCloser(r.stream) // whose owner closes it
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, content)
	if err != nil {
		return false, fmt.Errorf("client: %s %s: %w", r.method, r.path, err)
	}
	req.Header.Set("Authorization", c.cred.header)
	req.Header.Set("Accept", "application/json, application/problem+json")
	req.Header.Set("User-Agent", c.o.UserAgent)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	} else if r.stream != nil {
		req.Header.Set("Content-Type", r.media)
	}
	if r.key != "" {
		req.Header.Set("Idempotency-Key", r.key)
	}
	caller := c.o.HTTPClient
	if r.stream != nil {
		caller = c.patient()
	}
	resp, err := caller.Do(req)
	if err != nil {
		// The error of net/http names the method and the address again.
		var detail *url.Error
		if errors.As(err, &detail) {
			err = detail.Err
		}
		return true, fmt.Errorf("client: %s %s: %w: %w", r.method, address, ErrUnreachable, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	if err != nil {
		return true, fmt.Errorf("client: %s %s: %w: %w", r.method, address, ErrUnreachable, err)
	}
	if len(text) > maxAnswerBytes {
		return false, fmt.Errorf("client: %s %s: the answer is larger than %d bytes", r.method, r.path, maxAnswerBytes)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return problem.Retryable(resp.StatusCode), problem.Read(resp, text, time.Now())
	}
	if r.into == nil {
		return false, nil
	}
	if err := json.Unmarshal(text, r.into); err != nil {
		return false, fmt.Errorf("client: %s %s: the answer is not what this version understands: %w", r.method, r.path, err)
	}
	return false, nil
}
