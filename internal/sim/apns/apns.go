// Package apns plays Apple's push service: the provider API over HTTP/2 with
// tokens signed by a key. It shows nothing to anybody; it keeps what it took.
package apns

import (
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/herald-push/herald/internal/sim"
)

// Config says whom the service knows.
type Config struct {
	// Keys are the public keys of developers by key ID, TeamID whose they are.
	Keys   map[string]*ecdsa.PublicKey
	TeamID string
	// Topics are the apps (bundle IDs) of the team.
	Topics []string
	// Certificates has a client certificate count as a credential.
	Certificates bool
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Push is what the service took for a device.
type Push struct {
	Token, ID, Type, Topic, CollapseID string
	Priority                           string
	Expiration                         time.Time // zero: one try
	Payload                            json.RawMessage
}

// Service is the simulator. Every token in hexadecimal is one of a device, until
// it is said to be bad or gone.
type Service struct {
	sim.Tray[Push] // what was taken

	cfg Config

	mu   sync.Mutex // guards what follows
	gone map[string]time.Time
	bad  map[string]bool
}

// New makes a service.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{cfg: c, gone: map[string]time.Time{}, bad: map[string]bool{}}
}

// Remove has a device remove the app at a time.
func (s *Service) Remove(token string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone[token] = at
}

// Return has a device have the app again, with the token that it had.
func (s *Service) Return(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.gone, token)
}

// Spoil has a token be of the other environment.
func (s *Service) Spoil(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bad[token] = true
}

var (
	uuid  = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	types = map[string]string{
		"alert": "", "background": "", "location": ".location-query", "voip": ".voip", "complication": ".complication",
		"fileprovider": ".pushkit.fileprovider", "mdm": "", "liveactivity": ".push-type.liveactivity", "pushtotalk": ".voip-ptt",
		"controls": ".push-type.controls", "widgets": ".push-type.widgets",
	}
)

// ServeHTTP answers as Apple does.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("Apns-Id")
	if id == "" {
		id = newID()
	}
	w.Header().Set("Apns-Id", id)
	status, reason, since := s.take(r, id)
	if reason == "" {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	said := map[string]any{"reason": reason}
	if !since.IsZero() {
		said["timestamp"] = since.UnixMilli()
	}
	_ = json.NewEncoder(w).Encode(said)
}

func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (s *Service) take(r *http.Request, id string) (status int, reason string, since time.Time) {
	token, ok := strings.CutPrefix(r.URL.Path, "/3/device/")
	switch {
	case !ok:
		return 404, "BadPath", since
	case r.Method != http.MethodPost:
		return 405, "MethodNotAllowed", since
	}
	if status, reason := s.authorize(r); reason != "" {
		return status, reason, since
	}
	p := Push{Token: token, ID: id, Type: r.Header.Get("Apns-Push-Type"), Topic: r.Header.Get("Apns-Topic"),
		CollapseID: r.Header.Get("Apns-Collapse-Id"), Priority: r.Header.Get("Apns-Priority")}
	if reason := s.checkHeader(r, &p); reason != "" {
		return 400, reason, since
	}
	body, err := io.ReadAll(r.Body)
	limit := 4096
	if p.Type == "voip" {
		limit = 5120
	}
	switch {
	case err != nil || len(body) == 0:
		return 400, "PayloadEmpty", since
	case len(body) > limit:
		return 413, "PayloadTooLarge", since
	case !json.Valid(body):
		return 400, "PayloadEmpty", since
	}
	p.Payload = body
	return s.deliver(p)
}

func (s *Service) checkHeader(r *http.Request, p *Push) (reason string) {
	suffix, known := types[p.Type]
	switch {
	case !uuid.MatchString(p.ID):
		return "BadMessageId"
	case p.Topic == "":
		return "MissingTopic"
	case !known:
		return "InvalidPushType"
	case !s.ours(p.Topic, suffix):
		return "TopicDisallowed"
	case len(p.CollapseID) > 64:
		return "BadCollapseId"
	case p.Priority != "" && p.Priority != "10" && p.Priority != "5" && p.Priority != "1",
		p.Type == "background" && p.Priority != "5":
		return "BadPriority"
	case p.Token == "":
		return "MissingDeviceToken"
	}
	if e := r.Header.Get("Apns-Expiration"); e != "" {
		n, err := strconv.ParseInt(e, 10, 64)
		if err != nil || n < 0 {
			return "BadExpirationDate"
		}
		if n > 0 {
			p.Expiration = time.Unix(n, 0)
		}
	}
	if _, err := hex.DecodeString(p.Token); err != nil || len(p.Token) < 64 {
		return "BadDeviceToken"
	}
	return ""
}

func (s *Service) ours(topic, suffix string) bool {
	for _, t := range s.cfg.Topics {
		if topic == t+suffix {
			return true
		}
	}
	return false
}

func (s *Service) deliver(p Push) (status int, reason string, since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch at, gone := s.gone[p.Token]; {
	case s.bad[p.Token], p.Token == strings.Repeat("0", 64):
		return 400, "BadDeviceToken", since
	case gone:
		return 410, "Unregistered", at
	}
	s.Put(p)
	return 200, "", since
}

// authorize checks the token of a request, or that there is a certificate.
func (s *Service) authorize(r *http.Request) (status int, reason string) {
	word, ok := strings.CutPrefix(r.Header.Get("Authorization"), "bearer ")
	if !ok {
		if s.cfg.Certificates && r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
			return 0, ""
		}
		return 403, "MissingProviderToken"
	}
	now := s.cfg.Now()
	var claims jwt.MapClaims
	t, err := jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithoutClaimsValidation()).ParseWithClaims(word, &claims, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		if k := s.cfg.Keys[kid]; k != nil {
			return k, nil
		}
		return nil, fmt.Errorf("no key %q", kid)
	})
	if err != nil || !t.Valid || claims["iss"] != s.cfg.TeamID {
		return 403, "InvalidProviderToken"
	}
	at, ok := claims["iat"].(float64)
	age := now.Sub(time.Unix(int64(at), 0))
	switch {
	case !ok || age < -time.Minute:
		return 403, "InvalidProviderToken"
	case age > time.Hour:
		return 403, "ExpiredProviderToken"
	}
	return 0, ""
}
