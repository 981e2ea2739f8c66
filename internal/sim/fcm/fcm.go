// Package fcm plays Firebase Cloud Messaging: Google's endpoint for access
// tokens and that of the HTTP v1 API for one project. It shows nothing to
// anybody; it keeps what it took.
package fcm

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/herald-push/herald/internal/sim"
)

// Config says whom the service knows.
type Config struct {
	Project string
	Email   string // of the service account
	KeyID   string
	Key     *rsa.PublicKey
	// TokenURL is what the audience of an assertion must be.
	TokenURL string
	// Lasts is how long an access token does; default 1 h.
	Lasts time.Duration
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Push is what the service took for a device.
type Push struct {
	Token, Name string
	Message     json.RawMessage
}

// Service is the simulator. Every token of 20 characters or more is one of a
// device, until it is said to be gone.
type Service struct {
	sim.Tray[Push] // what was taken

	cfg Config
	mux *http.ServeMux

	mu      sync.Mutex // guards what follows
	gone    map[string]string
	access  map[string]time.Time
	granted int
}

// New makes a service.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Lasts == 0 {
		c.Lasts = time.Hour
	}
	s := &Service{cfg: c, mux: http.NewServeMux(), gone: map[string]string{}, access: map[string]time.Time{}}
	s.mux.HandleFunc("POST /token", s.token)
	s.mux.HandleFunc("POST /v1/projects/{project}/{verb}", s.send)
	return s
}

// SetTokenURL says what the audience of an assertion must be.
func (s *Service) SetTokenURL(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg.TokenURL = url
}

// Remove has a token be gone: with a code of FCM, such as UNREGISTERED or
// SENDER_ID_MISMATCH.
func (s *Service) Remove(token, code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone[token] = code
}

// Revoke ends all access tokens.
func (s *Service) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.access)
}

// Granted is how many access tokens were given.
func (s *Service) Granted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.granted
}

// ServeHTTP answers as Google does.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

func (s *Service) token(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	refuse := func(why, text string) {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": why, "error_description": text})
	}
	if r.ParseForm() != nil || r.PostForm.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		refuse("unsupported_grant_type", "Invalid grant_type")
		return
	}
	now := s.cfg.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	var claims struct {
		jwt.RegisteredClaims
		Scope string `json:"scope"`
	}
	t, err := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithTimeFunc(s.cfg.Now), jwt.WithLeeway(time.Minute), jwt.WithIssuedAt(), jwt.WithExpirationRequired(),
		jwt.WithIssuer(s.cfg.Email), jwt.WithAudience(s.cfg.TokenURL)).ParseWithClaims(r.PostForm.Get("assertion"), &claims, func(t *jwt.Token) (any, error) {
		if t.Header["kid"] != s.cfg.KeyID {
			return nil, fmt.Errorf("no key %v", t.Header["kid"])
		}
		return s.cfg.Key, nil
	})
	switch {
	case err != nil || !t.Valid:
		refuse("invalid_grant", "Invalid JWT Signature, or a claim that does not hold.")
		return
	case claims.ExpiresAt.Sub(claims.IssuedAt.Time) > time.Hour:
		refuse("invalid_grant", "Invalid JWT: the token must be short-lived.")
		return
	case !strings.Contains(claims.Scope, "firebase.messaging"):
		refuse("invalid_scope", "Invalid OAuth scope.")
		return
	}
	word := "ya29." + random()
	s.access[word] = now.Add(s.cfg.Lasts)
	s.granted++
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": word, "expires_in": int(s.cfg.Lasts / time.Second), "token_type": "Bearer"})
}

func random() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// problem is an error of Google's API.
type problem struct {
	status      int
	name, text  string
	code, field string
}

func (s *Service) send(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	name, p := s.take(r)
	if p == nil {
		_ = json.NewEncoder(w).Encode(map[string]string{"name": name})
		return
	}
	var details []any
	if p.code != "" {
		details = append(details, map[string]string{"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": p.code})
	}
	if p.field != "" {
		details = append(details, map[string]any{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": []any{map[string]string{"field": p.field, "description": p.text}}})
	}
	w.WriteHeader(p.status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"code": p.status, "message": p.text, "status": p.name, "details": details}})
}

func (s *Service) take(r *http.Request) (name string, _ *problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	word, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	until, ok := s.access[word]
	switch {
	case !ok || s.cfg.Now().After(until):
		return "", &problem{status: 401, name: "UNAUTHENTICATED", text: "Request had invalid authentication credentials."}
	case r.PathValue("verb") != "messages:send":
		return "", &problem{status: 404, name: "NOT_FOUND", text: "Method not found."}
	case r.PathValue("project") != s.cfg.Project:
		return "", &problem{status: 403, name: "PERMISSION_DENIED", text: "Permission denied on resource project."}
	}
	var body struct {
		Try     bool            `json:"validate_only"`
		Message json.RawMessage `json:"message"`
	}
	b, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(b, &body) != nil {
		return "", &problem{status: 400, name: "INVALID_ARGUMENT", code: "INVALID_ARGUMENT", text: "Invalid JSON payload received."}
	}
	token, p := check(body.Message)
	if p != nil {
		return "", p
	}
	switch code := s.gone[token]; code {
	case "":
	case "UNREGISTERED":
		return "", &problem{status: 404, name: "NOT_FOUND", code: code, text: "Requested entity was not found."}
	case "SENDER_ID_MISMATCH":
		return "", &problem{status: 403, name: "PERMISSION_DENIED", code: code, text: "SenderId mismatch"}
	default:
		return "", &problem{status: 500, name: "INTERNAL", code: code, text: "Internal error encountered."}
	}
	name = "projects/" + s.cfg.Project + "/messages/0:" + random()
	if body.Try {
		return "projects/" + s.cfg.Project + "/messages/fake_message_id", nil
	}
	s.Put(Push{token, name, body.Message})
	return name, nil
}

// check looks at a message as far as Google says what is wrong with it.
func check(raw json.RawMessage) (token string, _ *problem) {
	invalid := func(field, format string, args ...any) *problem {
		return &problem{status: 400, name: "INVALID_ARGUMENT", code: "INVALID_ARGUMENT", field: field, text: fmt.Sprintf(format, args...)}
	}
	var m struct {
		Token        string            `json:"token"`
		Topic        string            `json:"topic"`
		Condition    string            `json:"condition"`
		Data         map[string]string `json:"data"`
		Notification json.RawMessage   `json:"notification"`
		Android      struct {
			TTL      string `json:"ttl"`
			Priority string `json:"priority"`
		} `json:"android"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return "", invalid("message", "Invalid value at 'message': %v", err)
	}
	if m.Topic != "" || m.Condition != "" || m.Token == "" {
		return "", invalid("message", "Recipient of the message is not set, or there is more than one.")
	}
	if len(m.Token) < 20 {
		return "", invalid("message.token", "The registration token is not a valid FCM registration token")
	}
	for name := range m.Data {
		if name == "from" || name == "message_type" || strings.HasPrefix(name, "google") || strings.HasPrefix(name, "gcm") {
			return "", invalid("message.data", "Invalid data payload key: %s", name)
		}
	}
	if d, err := time.ParseDuration(m.Android.TTL); m.Android.TTL != "" && (err != nil || d < 0 || d > 28*24*time.Hour || !strings.HasSuffix(m.Android.TTL, "s")) {
		return "", invalid("message.android.ttl", "Invalid value at 'message.android.ttl'")
	}
	if p := m.Android.Priority; p != "" && p != "high" && p != "normal" {
		return "", invalid("message.android.priority", "Invalid value at 'message.android.priority'")
	}
	data, err := json.Marshal(m.Data)
	if err != nil || len(data)+len(m.Notification) > 4096 {
		return "", invalid("message", "Android message is too big")
	}
	return m.Token, nil
}
