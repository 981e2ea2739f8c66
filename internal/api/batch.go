package api

import (
	"context"
	"strings"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/dispatch"
	"github.com/herald-push/herald/internal/strict"
)

// Limits of a batch.
const (
	MaxBatch      = 1000    // messages in one
	MaxBatchBytes = 8 << 20 // its body
)

// BatchMessage is one message of a batch.
type BatchMessage struct {
	SendRequest
	IdempotencyKey *string `json:"idempotency_key,omitempty" minLength:"1" maxLength:"128" pattern:"^[!-~]+$" doc:"Your own name for this message, as the header Idempotency-Key is for a message that is sent alone: for 24 hours the same key with the same message, byte for byte, gets the same answer and sends nothing more."`
}

// BatchItem is a message of a batch as it came, and what was read of it.
type BatchItem struct {
	body    []byte
	message BatchMessage
	err     error
}

// BatchOutcome is what came of one message of a batch.
type BatchOutcome struct {
	Answer SendAnswer
	Err    error // then the message was not accepted
}

// DecodeItem reads one message of a batch, strictly. The error is told when the
// batch is sent; malformed says that it is about JSON as such.
func (s *Messages) DecodeItem(body []byte) (i BatchItem, malformed bool) {
	i.body = body
	if len(body) > herald.MaxRequestBytes {
		i.err = herald.Errorf(herald.CodeTooLarge, "Send an address from which the app fetches the rest.", "the message is larger than %d bytes", herald.MaxRequestBytes)
		return i, false
	}
	if i.err = decode(body, &i.message, true); i.err != nil {
		return i, strict.Malformed(i.err)
	}
	if key := i.message.IdempotencyKey; key != nil && !ValidIdempotencyKey(*key) {
		i.err = herald.Invalid("idempotency_key", "Write 1 to 128 visible ASCII characters, e.g. a UUID, or leave it out.", "the idempotency key has the wrong form")
	}
	return i, false
}

// Item makes an item of a message that was read elsewhere. With a key, which may
// be "", the same body gets the same answer, as for Send.
func (*Messages) Item(r SendRequest, key string, body []byte) BatchItem {
	i := BatchItem{body: body, message: BatchMessage{SendRequest: r}}
	if key != "" {
		i.message.IdempotencyKey = &key
	}
	return i
}

// ValidIdempotencyKey reports whether a key has 1 to 128 visible ASCII
// characters.
func ValidIdempotencyKey(key string) bool {
	return len(key) >= 1 && len(key) <= 128 && !strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' })
}

// SendBatch accepts messages as Send does, each with an outcome of its own. All
// that is stored is stored in one commit, in the order of the items; messages
// with TTL 0 go out before it.
func (s *Messages) SendBatch(ctx context.Context, p Principal, items []BatchItem) []BatchOutcome {
	out := make([]BatchOutcome, len(items))
	open := make([]*sending, 0, len(items))
	at := make([]int, 0, len(items)) // of those in items
	s.lookUp(ctx, p, items)
	ctx = withSender(templatesOnce(ctx), p)
	for i := range items {
		w, err := s.evaluateItem(ctx, p, &items[i])
		if err != nil {
			out[i].Err = err
			if w != nil {
				out[i].Answer, out[i].Err = s.refused(ctx, p.App, w, err)
			}
			continue
		}
		open, at = append(open, w), append(at, i)
	}
	requests := make([]*dispatch.Request, len(open))
	for i, w := range open {
		requests[i] = &w.q
	}
	for i, done := range s.c.Dispatch.AcceptAll(ctx, requests) {
		o, w := &out[at[i]], open[i]
		switch {
		case done.Err != nil:
			o.Answer, o.Err = s.refused(ctx, p.App, w, done.Err)
		case done.Prior != nil:
			o.Answer, o.Err = firstAnswer(done.Prior)
		default:
			w.answer.ID = done.ID
			o.Answer = w.answer
		}
	}
	return out
}

// lookUp reads whom the messages of a batch are for, together.
func (s *Messages) lookUp(ctx context.Context, p Principal, items []BatchItem) {
	if !p.Backend() {
		return // it may send only to itself
	}
	list := make([]*herald.Audience, 0, len(items))
	for i := range items {
		if items[i].err == nil {
			list = append(list, &items[i].message.Audience)
		}
	}
	s.c.Audience.Prepare(ctx, p.App, list)
}

// evaluateItem is what Send does before a message is accepted. There is no
// sending if the caller may not send it, or it was not read.
func (s *Messages) evaluateItem(ctx context.Context, p Principal, i *BatchItem) (*sending, error) {
	switch err := ctx.Err(); {
	case err != nil:
		return nil, err
	case i.err != nil:
		return nil, i.err
	}
	r := &i.message.SendRequest
	if err := s.maySend(p, r); err != nil {
		return nil, err
	}
	key := ""
	if i.message.IdempotencyKey != nil {
		key = *i.message.IdempotencyKey
	}
	return s.evaluate(ctx, p.App, r, s.idempotency(key, i.body))
}
