package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
)

// Call makes one call to a vendor, and writes it down if ctx has a [Transcript].
// The error is an *Error; an answer of any status is none. Of what is written down
// the headers that bear credentials are hidden, and the secrets wherever they
// stand, also as a query or JSON has them; a short one only where it is all of a
// header, because it stands everywhere.
func Call(ctx context.Context, c *egress.Client, r egress.Request, secrets ...string) (egress.Answer, error) {
	began := time.Now()
	a, err := c.Do(ctx, r)
	if t := TranscriptOf(ctx); t != nil {
		hide := hider(secrets)
		t.Add(Exchange{
			At: began, Took: time.Since(began), Method: r.Method, URL: hide(r.URL), Header: masked(r.Header, secrets, hide), Body: hide(legible(r.Body)),
			Status: a.Status, AnswerHeader: masked(a.Header, secrets, hide), Answer: hide(string(a.Body)), Err: hide(text(err)),
		})
	}
	if err == nil {
		return a, nil
	}
	return a, NotReached(err)
}

// NotReached is the error for one of package egress.
func NotReached(err error) *Error {
	var lost *egress.Unanswered
	if errors.As(err, &lost) {
		return Lost(err, lost.Asked)
	}
	if e := (*herald.Error)(nil); errors.As(err, &e) {
		return &Error{Kind: Rejected, Text: e.Message, Remedy: e.Remedy, Err: err}
	}
	return Lost(err, false)
}

// legible gives a body as text; of one that is none, such as an encrypted one, how
// long it is.
func legible(body []byte) string {
	if !utf8.Valid(body) {
		return fmt.Sprintf("(%d bytes)", len(body))
	}
	return string(body)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// shortSecret is how long a secret is that can be told from other text, in bytes.
const shortSecret = 8

// hider gives what replaces secrets in a text.
func hider(secrets []string) func(string) string {
	var pairs []string
	for _, s := range secrets {
		if len(s) < shortSecret {
			continue
		}
		quoted, _ := json.Marshal(s) // a string always has JSON
		pairs = append(pairs, s, "…", url.QueryEscape(s), "…", string(quoted[1:len(quoted)-1]), "…")
	}
	return strings.NewReplacer(pairs...).Replace
}

// Exchange is a call to a vendor and its answer, without secrets.
type Exchange struct {
	At           time.Time         `json:"at"`
	Took         time.Duration     `json:"took"`
	Method       string            `json:"method"`
	URL          string            `json:"url"`
	Header       map[string]string `json:"header,omitempty"`
	Body         string            `json:"body,omitempty"`
	Status       int               `json:"status,omitempty"` // as the protocol counts; of HTTP 0 if no answer came
	AnswerHeader map[string]string `json:"answer_header,omitempty"`
	Answer       string            `json:"answer,omitempty"`
	Err          string            `json:"error,omitempty"`
}

// Transcript takes down what is said to a vendor and what it answers, for who
// looks for a fault. Its methods may be called from any goroutine, and on nil,
// which keeps nothing.
type Transcript struct {
	mu   sync.Mutex // guards list
	list []Exchange
}

// maxExchanges bounds what is kept of one sending.
const maxExchanges = 20

// Add takes down an exchange, from which the secrets have been removed.
func (t *Transcript) Add(x Exchange) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.list) < maxExchanges {
		t.list = append(t.list, x)
	}
}

// Exchanges gives what has been taken down.
func (t *Transcript) Exchanges() []Exchange {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Exchange(nil), t.list...)
}

type transcriptKey struct{}

// WithTranscript has calls taken down.
func WithTranscript(ctx context.Context, t *Transcript) context.Context {
	return context.WithValue(ctx, transcriptKey{}, t)
}

// TranscriptOf gives where calls are taken down; nil for nowhere.
func TranscriptOf(ctx context.Context) *Transcript {
	t, _ := ctx.Value(transcriptKey{}).(*Transcript)
	return t
}

// secretHeaders are not shown.
var secretHeaders = []string{"Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "Crypto-Key", "X-Api-Key"}

// masked gives the header with the secrets of it hidden: the scheme of a
// credential is kept, because a wrong one is a common fault.
func masked(h http.Header, secrets []string, hide func(string) string) map[string]string {
	if len(h) == 0 {
		return nil
	}
	out := make(map[string]string, len(h))
	for name, values := range h {
		all := strings.Join(values, ", ")
		if slices.Contains(secrets, all) {
			all = "…"
		}
		out[http.CanonicalHeaderKey(name)] = hide(all)
	}
	for _, name := range secretHeaders {
		if v, ok := out[name]; ok {
			scheme, _, more := strings.Cut(v, " ")
			if out[name] = "…"; more {
				out[name] = scheme + " …"
			}
		}
	}
	return out
}
