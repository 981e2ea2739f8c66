package v1

import (
	"encoding/json"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/strict"
)

const linesMedia = "application/x-ndjson"

// maxLarge is how many batches with more bytes than a usual request are in
// memory at a time.
const maxLarge = 16

// answerPart is how many bytes of an answer are written at once.
const answerPart = 32 << 10

const (
	exampleBatch       = `[{"audience":{"aliases":["user-1001"]},"notification":{"title":"Hello","body":"Ann"}},{"audience":{"aliases":["user-1002"]},"notification":{"title":"Hello","body":"Bob"},"ttl":0,"idempotency_key":"order-7"}]`
	exampleBatchLines  = `{"audience":{"aliases":["user-1001"]},"notification":{"title":"Hello","body":"Ann"}}` + "\n" + `{"audience":{"aliases":["user-1002"]},"notification":{"title":"Hello","body":"Bob"}}` + "\n"
	exampleBatchAnswer = `[{"id":"245870126268416001","target":1,"unknown":0,"stored":true},{"index":1,"type":"about:blank","title":"Unprocessable Entity","status":422,"code":"invalid_request","detail":"the member is not known","remedy":"Did you mean \"ttl\"?","field":"tlt"}]`
)

// BatchResult is what came of one message of a batch; it is here for the
// document.
type BatchResult struct{}

// Schema documents a result as the answer or the problem that it is.
func (BatchResult) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{
		Description: "What the message would be answered alone or, with its index, the problem.",
		OneOf:       []*huma.Schema{r.Schema(typeOf(api.SendAnswer{}), true, ""), r.Schema(typeOf(BatchProblem{}), true, "")},
	}
}

// batchReply is the output of POST /v1/messages:batch.
type batchReply struct{ Body []BatchResult }

func (a *API) addBatch() {
	register(a, operation{
		id: "sendBatch", method: "POST", path: "/v1/messages:batch", tag: "Messages", summary: "Send many messages", write: true,
		description: "Takes up to 1,000 messages in at most 8 MiB, as a JSON array or as NDJSON (`application/x-ndjson`, one message a line). Each is what POST /v1/messages takes, with an `idempotency_key` of its own in the place of the header. " +
			"The answer has the form of the body, and a result for each message in their order: what the message would be answered alone or, with its `index`, the problem. A message that is refused does not keep the others from being sent. " +
			"Those that are stored are stored together: each that is answered with `stored: true` is on stable storage. Messages with `ttl: 0` go out before. A batch counts as many requests as it has messages. " +
			"An array that is no JSON is refused as a whole; a line that is none is refused alone. Needs the scope `messages:send`.",
		body: []api.BatchMessage{}, example: exampleBatch, answer: exampleBatchAnswer, lines: exampleBatchLines,
		direct: a.sendBatch, most: api.MaxBatchBytes, media: []string{linesMedia},
	}, undirected[struct{}, batchReply])
}

// sendBatch serves POST /v1/messages:batch.
func (a *API) sendBatch(x *exchange) error {
	items, err := a.readBatch(x)
	if err == nil {
		a.answerBatch(x, x.isLines(), a.service.Messages.SendBatch(x.r.Context(), x.p, items))
	}
	return err
}

// readBatch reads the whole of a batch before anything is done, so that one that
// is cut off or too long does nothing, and counts its messages.
func (a *API) readBatch(x *exchange) ([]api.BatchItem, error) {
	if len(x.r.Header.Values("Idempotency-Key")) > 0 {
		err := herald.Errorf(herald.CodeInvalidRequest, "Give each message an idempotency_key of its own.", "a batch has no idempotency key")
		err.Field = "Idempotency-Key"
		return nil, &refused{err, http.StatusBadRequest}
	}
	if n := x.r.ContentLength; n < 0 || n > herald.MaxRequestBytes {
		select {
		case a.large <- struct{}{}:
			x.after = func() { <-a.large }
		default:
			return nil, &herald.Error{Code: herald.CodeRateLimited, Message: "too many large batches are under way",
				Remedy: "Repeat the request when one of them has ended, or send smaller ones.", RetryAfter: time.Second}
		}
	}
	if err := a.readBody(x, api.MaxBatchBytes); err != nil {
		return nil, err
	}
	items, err := a.batchItems(x, x.isLines())
	if err != nil {
		return nil, err
	}
	return items, a.takeMore(x, len(items)-1)
}

// isLines reports whether the body is NDJSON.
func (x *exchange) isLines() bool {
	if !slices.Contains(x.op.media, linesMedia) {
		return false
	}
	media, _, _ := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	return media == linesMedia
}

// batchItems cuts a batch into its messages and reads them.
func (a *API) batchItems(x *exchange, lines bool) ([]api.BatchItem, error) {
	var parts [][]byte
	if lines {
		for line := range strict.Lines(x.body) {
			if parts = append(parts, line); len(parts) > api.MaxBatch {
				break
			}
		}
	} else {
		var err error
		if parts, err = strict.Elements(x.body, api.MaxBatch+1); err != nil {
			return nil, err
		}
	}
	switch {
	case len(parts) == 0:
		return nil, herald.Invalid("", "Send at least one message.", "the batch has no message")
	case len(parts) > api.MaxBatch:
		return nil, herald.Errorf(herald.CodeTooLarge, "Send several batches.", "the batch has more than %d messages", api.MaxBatch)
	}
	items := make([]api.BatchItem, len(parts))
	for i, part := range parts {
		var malformed bool
		if items[i], malformed = a.service.Messages.DecodeItem(part); malformed && !lines {
			return nil, strict.WellFormed(x.body) // which says where
		}
	}
	return items, nil
}

// takeMore counts the messages of a batch beyond the first, which was counted
// with the request.
func (a *API) takeMore(x *exchange, more int) error {
	b := a.byKey(x)
	if b == nil || more == 0 {
		return nil
	}
	if more >= b.Burst() {
		return herald.Errorf(herald.CodeTooLarge, "Send at most "+strconv.Itoa(b.Burst())+" messages in a batch.",
			"the batch has %d messages, more than the limits of this caller ever take at once", more+1)
	}
	return a.limits.take(x.w, b, x.p.RateKey(), more)
}

// BatchProblem is what a message that was not accepted is answered with in a
// batch.
type BatchProblem struct {
	Index int `json:"index" doc:"The place of the message in the batch, from 0."`
	Problem
}

// answerBatch writes what came of the messages, in the form of the body.
func (a *API) answerBatch(x *exchange, lines bool, results []api.BatchOutcome) {
	h := x.w.Header()
	h["Content-Type"] = jsonContent
	open, between, end := "[", ",\n", "]\n"
	if lines {
		h["Content-Type"] = linesContent
		open, between, end = "", "\n", "\n"
	}
	problems := a.batchProblems(x, results)
	x.w.WriteHeader(http.StatusOK)
	b := append(make([]byte, 0, min(96*len(results)+512, answerPart+1024)), open...)
	for i := range results {
		if i > 0 {
			b = append(b, between...)
		}
		if results[i].Err == nil {
			b = appendAnswer(b, &results[i].Answer)
		} else {
			one, err := json.Marshal(BatchProblem{i, *problems[0]})
			if err != nil {
				panic(err) // of strings and numbers
			}
			b, problems = append(b, one...), problems[1:]
		}
		if len(b) >= answerPart {
			if _, err := x.w.Write(b); err != nil {
				return // the client is gone
			}
			b = b[:0]
		}
	}
	_, _ = x.w.Write(append(b, end...))
}

// batchProblems describes what was refused, in its order. Retry-After is the
// longest of all; of failures of the server one of each status is logged.
func (a *API) batchProblems(x *exchange, results []api.BatchOutcome) []*Problem {
	var out []*Problem
	var logged []int
	retry := time.Duration(0)
	for _, r := range results {
		if r.Err == nil {
			continue
		}
		err := ended(x, r.Err)
		status := statusOf(err)
		if !slices.Contains(logged, status) {
			a.logFailure(x, err, status)
			logged = append(logged, status)
		}
		p, e := describe(x, err, status)
		if e != nil {
			retry = max(retry, e.RetryAfter)
		}
		out = append(out, p)
	}
	retryAfter(x, retry)
	return out
}
