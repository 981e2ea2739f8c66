package v1

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

// sendReply is the output of POST /v1/messages.
type sendReply struct {
	Location string `header:"Location" doc:"Where the message is shown: /v1/messages/{id}."`
	Body     api.SendAnswer
}

type sendInput struct {
	Key string `header:"Idempotency-Key" minLength:"1" maxLength:"128" pattern:"^[!-~]+$" doc:"Your own name for this call. For 24 hours the same key with the same body gets the same answer and sends nothing more; with another body it is refused (409)."`
}

// undirected stands in huma, which documents the operation by its types, for
// one that is served directly.
func undirected[I, O any](context.Context, *exchange, *I) (*O, error) {
	return nil, errors.New("v1: a direct operation was called through huma")
}

// sendMessage serves POST /v1/messages.
func (a *API) sendMessage(x *exchange) error {
	key, err := idempotencyKey(x.r.Header)
	if err != nil {
		return err
	}
	req, err := a.service.Messages.Decode(x.body)
	if err != nil {
		return err
	}
	if !a.service.Messages.IsPrompt(x.p, &req, key) {
		x.mayWait()
	}
	out, err := a.service.Messages.Send(x.r.Context(), x.p, req, key, x.body)
	if err != nil {
		return err
	}
	h := x.w.Header()
	h["Content-Type"] = jsonContent
	x.w.set(h, "Location", "/v1/messages/"+out.ID.String())
	x.w.WriteHeader(http.StatusAccepted)
	_, _ = x.w.Write(append(appendAnswer(make([]byte, 0, 96), &out), '\n')) // a client that is gone is told nothing
	if !x.waited && !a.cfg.Log.Enabled(x.r.Context(), slog.LevelDebug) {    // who writes the log is waited for
		if l, ok := x.w.ResponseWriter.(prompter); ok {
			l.Prompt(x.r.URL.Path)
		}
	}
	return nil
}

// prompter is an add-on of the http.ResponseWriter of a server that serves what
// is done at once on the goroutine that reads all connections. Who calls Prompt
// promises to call MayWait, for this path, before anything that takes time.
type prompter interface {
	Prompt(path string)
	MayWait()
}

// mayWait says that the request will take some time, perhaps.
func (x *exchange) mayWait() {
	x.waited = true
	if l, ok := x.w.ResponseWriter.(prompter); ok {
		l.MayWait()
	}
}

// Like noSniff.
var (
	jsonContent  = []string{jsonMedia}
	linesContent = []string{linesMedia}
)

// appendAnswer writes what json.Marshal makes of an answer.
func appendAnswer(b []byte, a *api.SendAnswer) []byte {
	b = strconv.AppendInt(append(b, `{"id":"`...), int64(a.ID), 10)
	b = append(b, `","target":`...)
	if a.Target == nil {
		b = append(b, "null"...)
	} else {
		b = strconv.AppendInt(b, *a.Target, 10)
	}
	if a.Estimate != nil {
		b = strconv.AppendInt(append(b, `,"estimate":`...), *a.Estimate, 10)
	}
	b = strconv.AppendInt(append(b, `,"unknown":`...), a.Unknown, 10)
	b = strconv.AppendBool(append(b, `,"stored":`...), a.Stored)
	if a.Awaiting {
		b = append(b, `,"awaiting_approval":true`...)
	}
	return append(b, '}')
}

// idempotencyKey reads the header, as the IETF draft on it names it: 1 to 128
// visible ASCII characters.
func idempotencyKey(h http.Header) (string, error) {
	values := h.Values("Idempotency-Key")
	if len(values) == 0 {
		return "", nil
	}
	if len(values) == 1 && api.ValidIdempotencyKey(values[0]) {
		return values[0], nil
	}
	err := herald.Errorf(herald.CodeInvalidRequest, "Send one header of 1 to 128 visible ASCII characters, e.g. a UUID, or none.", "the idempotency key has the wrong form")
	err.Field = "Idempotency-Key"
	return "", &refused{err, http.StatusBadRequest}
}
