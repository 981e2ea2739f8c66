package live

import (
	"net/http"
	"strings"

	"github.com/herald-push/herald"
)

// RequestHello reads what a request says about who connects: the token from
// the Authorization header or else the query, the cursor, and the way to
// acknowledge. Token is empty if the request has none.
func RequestHello(r *http.Request) (Hello, error) {
	q := r.URL.Query()
	h := Hello{Token: q.Get("access_token"), Ack: AckMode(q.Get("ack"))}
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		h.Token = strings.TrimSpace(token)
	}
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
	return h, nil
}
