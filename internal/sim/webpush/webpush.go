// Package webpush plays a push service of browsers: RFC 8030 with the signatures
// of RFC 8292, and with the numbers of errors of Mozilla's service. It shows
// nothing to anybody and cannot read what it takes; a [Subscription] has the keys
// of the browser, for tests.
package webpush

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/herald-push/herald/internal/sim"
)

// Config says how the service is. Its zero value is ready.
type Config struct {
	// URL is the origin of the service, which the audience of a signature must be;
	// see SetURL.
	URL string
	// MaxBody is the largest body; default 4096 bytes, the least that RFC 8030
	// allows.
	MaxBody int
	// MaxTTL is the longest time that a message is kept; default 30 days.
	MaxTTL time.Duration
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Push is what the service took for a subscription.
type Push struct {
	Endpoint       string
	Location       string
	Urgency, Topic string
	TTL            time.Duration
	Body           []byte
}

// Service is the simulator.
type Service struct {
	sim.Tray[Push] // what was taken

	cfg Config
	mux *http.ServeMux

	mu      sync.Mutex // guards what follows
	known   map[string]*subscriber
	barred  map[string]bool
	waiting map[string]Push // by the path of the message
}

// subscriber is what the service knows of a subscription.
type subscriber struct {
	key     string // the VAPID key that it was made with; "" for any
	gone    bool
	browser *Subscription // nil for one that came over HTTP
}

// New makes a service.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.MaxBody == 0 {
		c.MaxBody = 4096
	}
	if c.MaxTTL == 0 {
		c.MaxTTL = 30 * 24 * time.Hour
	}
	s := &Service{cfg: c, mux: http.NewServeMux(), known: map[string]*subscriber{}, barred: map[string]bool{}, waiting: map[string]Push{}}
	s.mux.HandleFunc("POST /subscribe", s.subscribe)
	s.mux.HandleFunc("POST /wpush/v2/{token}", s.push)
	s.mux.HandleFunc("DELETE /m/{id}", s.cancel)
	return s
}

// SetURL says where the service is, as https://host:port.
func (s *Service) SetURL(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg.URL = url
}

// Remove has a subscription be gone, by its endpoint.
func (s *Service) Remove(endpoint string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.known[endpoint]; k != nil {
		k.gone = true
	}
}

// Bar has the service take nothing more that is signed with a VAPID key.
func (s *Service) Bar(publicKey string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.barred[publicKey] = true
}

// Browser gives the keys of a subscription that Subscribe has made; nil for
// others.
func (s *Service) Browser(endpoint string) *Subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.known[endpoint]; k != nil {
		return k.browser
	}
	return nil
}

// Waiting gives what a browser would get that connects now: without what was
// replaced or has ended.
func (s *Service) Waiting(endpoint string) []Push {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Push
	for _, p := range s.waiting {
		if p.Endpoint == endpoint {
			out = append(out, p)
		}
	}
	return out
}

// ServeHTTP answers as a push service does.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// add makes a subscription that takes messages of one VAPID key, or of any.
func (s *Service) add(publicKey string, b *Subscription) (endpoint string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	endpoint = s.cfg.URL + "/wpush/v2/" + random()
	if b != nil {
		b.Endpoint = endpoint
	}
	s.known[endpoint] = &subscriber{key: publicKey, browser: b}
	return endpoint
}

// subscribe is for browsers: RFC 8030, section 4, and RFC 8292, section 4.1.
func (s *Service) subscribe(w http.ResponseWriter, r *http.Request) {
	var o struct {
		Key string `json:"vapid"`
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "application/webpush-options+json" {
		if json.NewDecoder(r.Body).Decode(&o) != nil || !isPoint(o.Key) {
			refuse(w, &problem{status: 400, errno: 110, text: "the vapid key is not a point of P-256"})
			return
		}
	}
	w.Header().Set("Link", "<"+s.add(o.Key, nil)+`>; rel="urn:ietf:params:push"`)
	w.Header().Set("Location", "/subscription/"+random())
	w.WriteHeader(http.StatusCreated)
}

func (s *Service) push(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	p, wrong := s.take(r, body)
	if wrong != nil {
		refuse(w, wrong)
		return
	}
	w.Header().Set("Location", p.Location)
	w.Header().Set("TTL", strconv.FormatInt(int64(p.TTL/time.Second), 10))
	w.WriteHeader(http.StatusCreated)
}

// cancel takes a message back: RFC 8030, section 5.4 in its use by application
// servers.
func (s *Service) cancel(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := s.cfg.URL + r.URL.Path
	if _, ok := s.waiting[path]; !ok {
		refuse(w, &problem{status: 404, errno: 102, text: "no such message"})
		return
	}
	delete(s.waiting, path)
	w.WriteHeader(http.StatusNoContent)
}

// problem is an error as Mozilla's service words it.
type problem struct {
	status, errno int
	text          string
}

func refuse(w http.ResponseWriter, p *problem) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(p.status)
	_ = json.NewEncoder(w).Encode(map[string]any{"code": p.status, "errno": p.errno, "error": http.StatusText(p.status), "message": p.text})
}

var topicForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

// take checks a push: the signature first, then the subscription, then the rest.
func (s *Service) take(r *http.Request, body []byte) (Push, *problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, wrong := s.signer(r.Header.Get("Authorization"))
	if wrong != nil {
		return Push{}, wrong
	}
	endpoint := s.cfg.URL + r.URL.Path
	k := s.known[endpoint]
	switch {
	case k == nil:
		return Push{}, &problem{404, 102, "Invalid URL endpoint"}
	case k.gone:
		return Push{}, &problem{410, 106, "Request did not validate: the subscription has ended"}
	case k.key != "" && key == "":
		return Push{}, &problem{401, 109, "Missing VAPID signature"}
	case k.key != "" && key != k.key:
		return Push{}, &problem{403, 109, "VAPID public key mismatch"}
	}
	ttl, err := strconv.ParseInt(r.Header.Get("TTL"), 10, 64)
	topic := r.Header.Get("Topic")
	switch {
	case r.Header.Get("TTL") == "":
		return Push{}, &problem{400, 111, "Missing TTL header"}
	case err != nil || ttl < 0:
		return Push{}, &problem{400, 112, "Invalid TTL header"}
	case topic != "" && !topicForm.MatchString(topic):
		return Push{}, &problem{400, 113, "Invalid Topic"}
	case len(body) > s.cfg.MaxBody:
		return Push{}, &problem{413, 104, "This message is intended for a constrained device and is limited"}
	}
	if wrong := checkBody(r.Header, body); wrong != nil {
		return Push{}, wrong
	}
	switch r.Header.Get("Urgency") {
	case "", "very-low", "low", "normal", "high":
	default:
		return Push{}, &problem{400, 110, "Invalid Urgency"}
	}
	p := Push{
		Endpoint: endpoint, Location: s.cfg.URL + "/m/" + random(), Urgency: r.Header.Get("Urgency"), Topic: topic, Body: body,
		TTL: min(time.Duration(min(ttl, int64(s.cfg.MaxTTL/time.Second)))*time.Second, s.cfg.MaxTTL),
	}
	s.keep(p)
	return p, nil
}

// keep has a message wait for its browser, in the place of one with its topic.
func (s *Service) keep(p Push) {
	s.Put(p)
	for path, old := range s.waiting {
		if p.Topic != "" && old.Topic == p.Topic && old.Endpoint == p.Endpoint {
			delete(s.waiting, path)
		}
	}
	const most = 10_000
	if p.TTL > 0 && len(s.waiting) < most { // nobody is connected, and it is for now or never
		s.waiting[p.Location] = p
	}
}

// checkBody looks at the header of RFC 8188 as RFC 8291 wants it: one record and
// the key of the sender.
func checkBody(h http.Header, body []byte) *problem {
	if len(body) == 0 {
		return nil // a push without a message
	}
	if h.Get("Content-Encoding") != "aes128gcm" {
		return &problem{400, 110, "Unknown Content-Encoding header"}
	}
	if _, _, _, err := open(body); err != nil {
		return &problem{400, 110, fmt.Sprintf("Invalid aes128gcm body: %v", err)}
	}
	return nil
}

func random() string {
	var b [24]byte
	_, _ = rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}
