package v1

import (
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/strict"
)

// readBody reads the body of a request, whose length is bounded and whose
// sender may not take for ever.
func (a *API) readBody(x *exchange, most int64) error {
	if err := jsonBody(x.r.Header, x.op.media); err != nil {
		return err
	}
	if w, ok := x.r.Body.(interface{ Whole() ([]byte, bool) }); ok { // of a server that has it
		if b, ok := w.Whole(); ok && int64(len(b)) <= most {
			x.body = b
			return nil
		}
	}
	// Not every connection has deadlines (tests, other servers); the server's
	// own timeouts hold there.
	deadlines := hasDeadlines(x.w.ResponseWriter)
	control := http.NewResponseController(x.w.ResponseWriter)
	if deadlines {
		_ = control.SetReadDeadline(time.Now().Add(a.cfg.BodyTime))
	}
	var err error
	x.body, err = readAll(http.MaxBytesReader(x.w.ResponseWriter, x.r.Body, most), x.r.ContentLength)
	// Without this the expired deadline would end the request's context while
	// the service is still at work.
	if deadlines {
		_ = control.SetReadDeadline(time.Time{})
	}
	var over *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &over):
		return tooLarge(most)
	}
	x.w.Header().Set("Connection", "close")
	return &refused{&herald.Error{Code: herald.CodeInvalidRequest, Message: "the body did not arrive whole and in time",
		Remedy: "Send the request again.", Err: err}, http.StatusBadRequest}
}

// readAll is io.ReadAll for a reader whose length is known, or -1. What is
// announced is believed when a part of it has come, or where it costs little.
func readAll(r io.Reader, length int64) ([]byte, error) {
	b := make([]byte, 0, max(512, min(length+1, 64<<10)))
	for {
		if len(b) == cap(b) {
			b = slices.Grow(b, max(1, min(int(length)+1, api.MaxBatchBytes)-len(b)))
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}

const jsonMedia = "application/json"

// jsonBody checks the headers that describe the body.
func jsonBody(h http.Header, others []string) error {
	if c := h.Get("Content-Encoding"); c != "" && !strings.EqualFold(c, "identity") {
		return refusal(http.StatusUnsupportedMediaType, herald.CodeInvalidRequest, "Send the body without compression.", "the body has the content encoding %.40q", c)
	}
	v := h.Get("Content-Type")
	if v == "" || v == jsonMedia {
		return nil
	}
	media, params, err := mime.ParseMediaType(v)
	if charset := params["charset"]; err != nil || media != jsonMedia && !slices.Contains(others, media) || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return refusal(http.StatusUnsupportedMediaType, herald.CodeInvalidRequest, "Send JSON in UTF-8 with Content-Type: "+strings.Join(append([]string{jsonMedia}, others...), " or ")+".", "the body has the content type %.80q", v)
	}
	return nil
}

// acceptable checks that the caller takes a media type below application/
// (RFC 9110, section 12.5.1).
func acceptable(h http.Header, media string) error {
	values := h.Values("Accept")
	if len(values) == 0 || len(values) == 1 && (values[0] == "*/*" || values[0] == media) {
		return nil
	}
	best, q := 0, 0.0 // how exact the best match is, and its weight
	for item := range strings.SplitSeq(strings.Join(values, ","), ",") {
		accepted, params, err := mime.ParseMediaType(item)
		exact := map[string]int{"*/*": 1, "application/*": 2, media: 3}[accepted]
		if err != nil || exact < best || exact == 0 {
			continue
		}
		best, q = exact, 1
		if w, err := strconv.ParseFloat(params["q"], 64); err == nil {
			q = w
		}
	}
	if best > 0 && q > 0 {
		return nil
	}
	return refusal(http.StatusNotAcceptable, herald.CodeInvalidRequest, "Accept "+media+".", "this request is answered with %s only", media)
}

// parseQuery reads the query of a request and checks that path and query are
// text.
func parseQuery(u *url.URL) (url.Values, error) {
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, refusal(http.StatusBadRequest, herald.CodeInvalidRequest, "Percent-encode the values, and join them with &.", "the query of the address is malformed")
	}
	text := utf8.ValidString(u.Path)
	for name, values := range q {
		text = text && utf8.ValidString(name) && utf8.ValidString(strings.Join(values, ""))
	}
	if !text {
		return nil, refusal(http.StatusBadRequest, herald.CodeInvalidRequest, "Percent-encode the bytes of UTF-8.", "the address is not UTF-8")
	}
	return q, nil
}

// checkParameter refuses parameters that the operation does not have.
func (op *operation) checkParameter(name string, values []string) error {
	if !slices.Contains(op.query, name) {
		remedy := "This operation takes no parameters in the address."
		if near := strict.Nearest(name, op.query); near != "" {
			remedy = "Did you mean " + strconv.Quote(near) + "?"
		} else if len(op.query) > 0 {
			remedy = "Known here: " + strings.Join(op.query, ", ") + "."
		}
		return herald.Invalid(clip(name), remedy, "the parameter is not known")
	}
	if len(values) > 1 && !slices.Contains(op.repeats, name) {
		return herald.Invalid(name, "Give each parameter once.", "the parameter occurs %d times", len(values))
	}
	return nil
}

// clip shortens a name of the caller's that an answer repeats.
func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), 64)], "") }

func sortedKeys(q url.Values) []string { return slices.Sorted(maps.Keys(q)) }
