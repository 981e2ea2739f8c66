package live

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/herald-push/herald"
)

// RequestHello reads what a request says about who connects: the token from
// the Authorization header or else the query, the cursor, the way to
// acknowledge, and topics. Token is empty if the request has none. The names of
// topics are not checked here.
func RequestHello(r *http.Request) (Hello, error) { return requestHello(r, r.URL.Query()) }

// requestHello is RequestHello with the query, which takes its time to be read.
func requestHello(r *http.Request, q url.Values) (Hello, error) {
	h := Hello{Token: requestToken(r), Ack: AckMode(q.Get("ack"))}
	// A browser that comes back sends the header beside the address it was
	// first given, so the header is the newer one.
	for _, c := range []string{r.Header.Get("Last-Event-ID"), q.Get("last_event_id"), q.Get("cursor")} {
		if c != "" {
			h.Cursor = c
			break
		}
	}
	if h.Ack != "" && h.Ack != AckEach && h.Ack != AckUpto {
		return h, herald.Invalid("ack", "Write each or upto.", "%.40q is not a way to acknowledge", string(h.Ack))
	}
	// What stands here by mistake would subscribe to nothing, and say so to
	// nobody. Other parameters are let pass: some clients add one of their own.
	if q.Has("topics") {
		return h, herald.Invalid("topics", "Write topic=, once for each topic.", "there is no parameter topics")
	}
	// One too many is enough to refuse them all.
	names := q["topic"]
	for _, name := range names[:min(len(names), herald.MaxTopics+1)] {
		h.Topics = append(h.Topics, herald.Topic(name))
	}
	switch p := q.Get("presence"); p {
	case "1", "true":
		h.Presence = true
	case "", "0", "false":
	default:
		return h, herald.Invalid("presence", "Write 1 or 0.", "%.40q is neither yes nor no", p)
	}
	return h, nil
}

// requestToken gives the token of a request; "" for none.
func requestToken(r *http.Request) string {
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	return r.URL.Query().Get("access_token")
}
