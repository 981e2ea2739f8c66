// Package twilio plays Twilio's Messages API for one account. No telephone gets
// anything; it keeps what it took, and reports it if it is told how.
package twilio

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // Twilio's scheme, as HMAC
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"sort"
	"strconv"
	"sync"
	"unicode/utf16"

	"github.com/herald-push/herald/internal/sim"
	"github.com/herald-push/herald/internal/wire/smstext"
)

// Config says whom the service knows.
type Config struct {
	Account, Token string            // the account's SID and auth token
	Keys           map[string]string // API keys with their secrets
	From           string            // the account's number
	Service        string            // its messaging service; "" for none
	// Post makes a call of a report; nil for no reports.
	Post func(address string, header http.Header, body []byte)
}

// SMS is what the service took for a telephone.
type SMS struct {
	SID, To, From, Body string
	Form                url.Values
}

// Service is the simulator. Every number is one of a telephone, until it is said
// to be gone.
type Service struct {
	sim.Tray[SMS] // what was taken

	cfg Config
	mux *http.ServeMux
	wg  sync.WaitGroup

	mu    sync.Mutex // guards what follows
	fates map[string]int
}

// New makes a service.
func New(c Config) *Service {
	s := &Service{cfg: c, mux: http.NewServeMux(), fates: map[string]int{}}
	s.mux.HandleFunc("POST /2010-04-01/Accounts/{account}/Messages.json", s.create)
	s.mux.HandleFunc("GET /2010-04-01/Accounts/{account}/Messages.json", s.list)
	return s
}

// Remove has a number fail with a code: one below 30000 is the answer to a
// message, others are reported later.
func (s *Service) Remove(number string, code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fates[number] = code
}

// Close waits until the last report was made.
func (s *Service) Close() { s.wg.Wait() }

// ServeHTTP answers as Twilio does.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	s.mux.ServeHTTP(w, r)
}

// problem is an error of Twilio's API.
type problem struct {
	status, code int
	text         string
}

func (p *problem) write(w http.ResponseWriter) {
	w.WriteHeader(p.status)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": p.status, "code": p.code, "message": p.text, "more_info": "https://www.twilio.com/docs/errors/" + strconv.Itoa(p.code)})
}

func (s *Service) enter(r *http.Request) *problem {
	user, password, _ := r.BasicAuth()
	known, ok := s.cfg.Keys[user]
	if user == s.cfg.Account {
		known, ok = s.cfg.Token, true
	}
	switch {
	case !ok || subtle.ConstantTimeCompare([]byte(known), []byte(password)) != 1:
		return &problem{401, 20003, "Authenticate"}
	case r.PathValue("account") != s.cfg.Account:
		return &problem{404, 20404, "The requested resource " + r.URL.Path + " was not found"}
	}
	return nil
}

func (s *Service) list(w http.ResponseWriter, r *http.Request) {
	if p := s.enter(r); p != nil {
		p.write(w)
		return
	}
	_, _ = io.WriteString(w, `{"messages":[],"page":0,"page_size":1}`)
}

func (s *Service) create(w http.ResponseWriter, r *http.Request) {
	m, p := s.take(r)
	if p != nil {
		p.write(w)
		return
	}
	// With a service, the parts are not known before it has chosen a number.
	parts := 0
	if m.Form.Get("MessagingServiceSid") == "" {
		parts, _ = smstext.Count(m.Body)
	}
	status := "queued"
	if parts == 0 {
		status = "accepted"
	}
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]any{"sid": m.SID, "account_sid": s.cfg.Account, "to": m.To, "from": m.From, "body": m.Body, "status": status,
		"num_segments": strconv.Itoa(parts), "error_code": nil, "error_message": nil, "direction": "outbound-api"})
	if at := m.Form.Get("StatusCallback"); at != "" && s.cfg.Post != nil {
		s.wg.Go(func() { s.report(at, m) })
	}
}

var (
	e164    = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	address = regexp.MustCompile(`^https?://[^/\s]+`)
)

func (s *Service) take(r *http.Request) (m SMS, _ *problem) {
	if p := s.enter(r); p != nil {
		return m, p
	}
	if r.ParseForm() != nil {
		return m, &problem{400, 20001, "The form cannot be read"}
	}
	f := r.PostForm
	m = SMS{SID: "SM" + random(), To: f.Get("To"), From: f.Get("From"), Body: f.Get("Body"), Form: f}
	s.mu.Lock()
	defer s.mu.Unlock()
	fate := s.fates[m.To]
	validity, err := strconv.Atoi(f.Get("ValidityPeriod"))
	switch {
	case m.To == "":
		return m, &problem{400, 21604, "A 'To' phone number is required."}
	case !e164.MatchString(m.To):
		return m, &problem{400, 21211, "The 'To' number " + m.To + " is not a valid phone number."}
	case m.From == "" && f.Get("MessagingServiceSid") == "":
		return m, &problem{400, 21603, "A 'From' phone number is required."}
	case m.From != "" && m.From != s.cfg.From:
		return m, &problem{400, 21606, "The From phone number " + m.From + " is not a valid, SMS-capable inbound phone number for your account."}
	case m.From == "" && f.Get("MessagingServiceSid") != s.cfg.Service:
		return m, &problem{404, 21701, "The Messaging Service does not exist."}
	case m.Body == "" && f.Get("MediaUrl") == "":
		return m, &problem{400, 21602, "Message body is required."}
	case len(utf16.Encode([]rune(m.Body))) > 1600:
		return m, &problem{400, 21617, "The concatenated message body exceeds the 1600 character limit."}
	case f.Has("ValidityPeriod") && (err != nil || validity < 1 || validity > 36_000):
		return m, &problem{400, 21000, "ValidityPeriod is out of range."}
	case f.Has("StatusCallback") && !address.MatchString(f.Get("StatusCallback")):
		return m, &problem{400, 21609, "The 'StatusCallback' URL is not a valid URL."}
	case fate > 0 && fate < 30_000:
		return m, &problem{400, fate, fmt.Sprintf("%s cannot be reached.", m.To)}
	}
	s.Put(m)
	return m, nil
}

// report calls back as Twilio does, once for each state.
func (s *Service) report(at string, m SMS) {
	s.mu.Lock()
	fate := s.fates[m.To]
	s.mu.Unlock()
	for _, state := range []string{"sent", "delivered"} {
		code := ""
		if state == "delivered" && fate != 0 {
			state, code = "undelivered", strconv.Itoa(fate)
		}
		header, body := s.Report(at, m.SID, m.To, state, code)
		s.cfg.Post(at, header, body)
	}
}

// Report makes a call that reports a message, signed.
func (s *Service) Report(at, sid, to, state, code string) (http.Header, []byte) {
	form := url.Values{"MessageSid": {sid}, "SmsSid": {sid}, "AccountSid": {s.cfg.Account}, "From": {s.cfg.From}, "To": {to}, "MessageStatus": {state}, "SmsStatus": {state}, "ApiVersion": {"2010-04-01"}}
	if code != "" {
		form.Set("ErrorCode", code)
	}
	h := hmac.New(sha1.New, []byte(s.cfg.Token))
	_, _ = io.WriteString(h, at)
	names := make([]string, 0, len(form))
	for name := range form {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		_, _ = io.WriteString(h, name+form.Get(name))
	}
	return http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "X-Twilio-Signature": {base64.StdEncoding.EncodeToString(h.Sum(nil))}}, []byte(form.Encode())
}

func random() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
