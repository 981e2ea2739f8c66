// Package webhook plays an app server that gets messages as Standard Webhooks
// 1.0: it checks the signature and its time, and drops copies by their ID.
package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/herald-push/herald/internal/sim"
)

// Config says what the receiver knows.
type Config struct {
	Secret string // whsec_…
	// Header are headers that a request must bear beside the signature.
	Header http.Header
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Delivery is a message that came.
type Delivery struct {
	ID, To string
	Header http.Header
	Body   json.RawMessage
}

// maxSkew is how old a signature may be, and how far ahead.
const maxSkew = 5 * time.Minute

// Receiver is the simulator.
type Receiver struct {
	sim.Tray[Delivery] // what was taken

	cfg Config
	key []byte

	mu     sync.Mutex // guards what follows
	gone   map[string]bool
	seen   map[string]bool
	copies int
}

// New makes a receiver. A secret that is none accepts no signature.
func New(c Config) *Receiver {
	if c.Now == nil {
		c.Now = time.Now
	}
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(c.Secret, "whsec_"))
	return &Receiver{cfg: c, key: key, gone: map[string]bool{}, seen: map[string]bool{}}
}

// Remove has an address be gone; "" is the receiver as a whole.
func (r *Receiver) Remove(to string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone[to] = true
}

// Copies is how often a message came once more.
func (r *Receiver) Copies() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.copies
}

// ServeHTTP answers as an app server does.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	if q.Method != http.MethodPost {
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	if err := r.verify(q.Header, body); err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	var said struct{ Type, ID, To string }
	if json.Unmarshal(body, &said) != nil || said.Type != "message" && said.Type != "verify" {
		http.Error(w, "this is no message", http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	id := q.Header.Get("Webhook-Id")
	switch {
	case r.gone[""] || r.gone[said.To]:
		w.WriteHeader(http.StatusGone)
		return
	case said.Type == "verify":
	case r.seen[id]:
		r.copies++
	default:
		r.seen[id] = true
		r.Put(Delivery{id, said.To, q.Header.Clone(), body})
	}
	w.WriteHeader(http.StatusNoContent)
}

// verify holds a request against the specification: "v1," and the HMAC of ID,
// time and body, one of a list.
func (r *Receiver) verify(h http.Header, body []byte) error {
	for name, values := range r.cfg.Header {
		if h.Get(name) != values[0] {
			return fmt.Errorf("the header %s is missing, or another", name)
		}
	}
	seconds, err := strconv.ParseInt(h.Get("Webhook-Timestamp"), 10, 64)
	if err != nil || r.cfg.Now().Sub(time.Unix(seconds, 0)).Abs() > maxSkew {
		return errors.New("the time of the signature is not now")
	}
	mac := hmac.New(sha256.New, r.key)
	_, _ = fmt.Fprintf(mac, "%s.%d.%s", h.Get("Webhook-Id"), seconds, body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for _, s := range strings.Fields(h.Get("Webhook-Signature")) {
		if len(r.key) > 0 && h.Get("Webhook-Id") != "" && hmac.Equal([]byte(s), []byte(want)) {
			return nil
		}
	}
	return errors.New("the signature does not match")
}
