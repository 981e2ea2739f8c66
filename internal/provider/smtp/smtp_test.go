package smtp_test

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/provider/providertest"
	"github.com/herald-push/herald/internal/provider/smtp"
	"github.com/herald-push/herald/internal/sim"
	simsmtp "github.com/herald-push/herald/internal/sim/smtp"
)

const (
	here     = "reader@example.com"
	gone     = "gone@example.com"
	user     = "shop"
	password = "pass-word-of-the-shop"
	encoded  = "AHNob3AAcGFzcy13b3JkLW9mLXRoZS1zaG9w" // of PLAIN
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a mail server.
type world struct {
	server *simsmtp.Server
	desk   *sim.Desk
}

func newWorld(t *testing.T, c simsmtp.Config) *world {
	t.Helper()
	w := &world{desk: &sim.Desk{}}
	if c.Users == nil {
		c.Users = map[string]string{user: password}
	}
	var err error
	if w.server, err = simsmtp.Serve(t.Context(), "127.0.0.1:0", w.desk, c); err != nil {
		t.Fatal(err)
	}
	w.server.Remove(gone)
	t.Cleanup(func() {
		if err := w.server.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func open() egress.Config { return egress.Config{Allow: []string{"loopback"}, Ports: []string{"any"}} }

// values is a good credential, with changes.
func (w *world) values(changes ...string) map[string]string {
	host, port, _ := net.SplitHostPort(w.server.Address)
	out := map[string]string{
		"host": host, "port": port, "username": user, "password": password, "from": "Shop <news@example.com>",
		"ca": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.server.Certificate.Raw})),
	}
	for i := 0; i < len(changes); i += 2 {
		if out[changes[i]] = changes[i+1]; changes[i+1] == "" {
			delete(out, changes[i])
		}
	}
	return out
}

func (w *world) provider(t *testing.T, e egress.Config, changes ...string) provider.Provider {
	t.Helper()
	p, err := smtp.New(provider.Config{Values: w.values(changes...), Egress: e, Now: func() time.Time { return time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func message(title, body string) *provider.Message {
	return &provider.Message{ID: 7, Content: herald.Content{Notification: &herald.Notification{Title: title, Body: body}}}
}

// letter is a mail as a reader's program sees it.
type letter struct {
	mail.Header
	text, html string
}

func read(t *testing.T, data string) (l letter) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(data))
	if err != nil {
		t.Fatalf("%v in\n%s", err, data)
	}
	l.Header = m.Header
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	if kind != "multipart/alternative" {
		b, _ := io.ReadAll(quotedprintable.NewReader(m.Body))
		l.html = string(b)
		return l
	}
	for parts := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return l
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(b), "\r\n", "\n")
		if strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") {
			l.html = text
		} else {
			l.text = text
		}
	}
}

// word decodes a header.
func word(t *testing.T, s string) string {
	t.Helper()
	out, err := new(mime.WordDecoder).DecodeHeader(s)
	if err != nil {
		t.Error(err)
	}
	return out
}

func TestProvider(t *testing.T) {
	for name, c := range map[string]simsmtp.Config{"starttls": {}, "tls": {TLS: true, Ways: []string{"LOGIN"}}} {
		t.Run(name, func(t *testing.T) {
			providertest.Run(t, func(t *testing.T) *providertest.Vendor {
				w := newWorld(t, c)
				return &providertest.Vendor{
					Driver: smtp.Driver(), Good: w.values("security", name), Wrong: w.values("security", name, "password", "another-word"), Egress: open(), Desk: w.desk,
					Here: provider.Address{Token: here}, Gone: provider.Address{Token: gone}, BadOptions: `{"subject":7}`,
					Secrets: []string{password, encoded, "cGFzcy13b3JkLW9mLXRoZS1zaG9w", "another-word"},
					Line: &providertest.Line{
						Method: "SMTP", Scheme: "smtp://127.0.0.1:", At: func(address string) map[string]string {
							_, port, _ := net.SplitHostPort(address)
							return w.values("security", name, "port", port)
						},
						Statuses: map[int]provider.Kind{421: provider.Unavailable, 450: provider.Unavailable, 451: provider.Unavailable, 452: provider.Throttled, 552: provider.TooLarge, 554: provider.Rejected, 550: provider.Rejected},
					},
					Shown: func() (out []providertest.Shown) {
						for _, m := range w.server.Taken() {
							l := read(t, m.Data)
							id, _, _ := strings.Cut(strings.Trim(l.Get("Message-Id"), "<>"), ".")
							out = append(out, providertest.Shown{Title: word(t, l.Get("Subject")), Body: strings.TrimSpace(l.text), ID: id})
						}
						return out
					},
				}
			})
		})
	}
}

func TestMail(t *testing.T) {
	full := &herald.Notification{Title: "Your <order> & more", Body: "line 1\nline 2 <b>\n\nnext", Click: "https://example.com/?a=1&b=2", Image: "https://example.com/a.png"}
	for name, tt := range map[string]struct {
		n             *herald.Notification
		options       string
		changes       []string
		subject, text string
		html          []string
		headers       map[string]string
	}{
		"full": {full, "", []string{"reply_to", "help@example.com", "unsubscribe", "https://example.com/leave?who={address}"}, full.Title, "line 1\nline 2 <b>\n\nnext\n\nhttps://example.com/?a=1&b=2",
			[]string{"Your &lt;order&gt; &amp; more</h1>", "<p>line 1<br>\nline 2 &lt;b&gt;</p>\n<p>next</p>", `href="https://example.com/?a=1&amp;b=2"`, `src="https://example.com/a.png"`},
			map[string]string{"From": `"Shop" <news@example.com>`, "To": "<reader@example.com>", "Reply-To": "<help@example.com>", "List-Unsubscribe": "<https://example.com/leave?who=reader%40example.com>",
				"List-Unsubscribe-Post": "List-Unsubscribe=One-Click", "Message-Id": "<7.d108b279434fe1d5@example.com>", "Date": "Sun, 22 Nov 2026 08:00:00 +0000", "Auto-Submitted": "auto-generated", "User-Agent": ""}},
		"mailto": {&herald.Notification{Title: "t", Body: "b", Click: "app://x", Image: "file:///x"}, "", []string{"unsubscribe", "mailto:leave@example.com"}, "t", "b", []string{"<p>b</p>\n</body>"},
			map[string]string{"List-Unsubscribe": "<mailto:leave@example.com>", "List-Unsubscribe-Post": ""}},
		"no title": {&herald.Notification{Body: strings.Repeat("长", 70) + "\nmore"}, "", nil, strings.Repeat("长", 60) + "…", strings.Repeat("长", 70) + "\nmore", []string{"长<br>\nmore</p>"}, nil},
		"title":    {&herald.Notification{Title: "only\r\nBcc: all@example.com"}, "", nil, "only Bcc: all@example.com", "only\nBcc: all@example.com", []string{"</h1>\n</body>"}, map[string]string{"Bcc": ""}},
		"options": {full, `{"subject":"S","text":"T","html":"<p>H</p>","from_name":"商店","headers":{"X-Campaign":"c1","list-id":"<news.example.com>"}}`, nil, "S", "T", []string{"<p>H</p>"},
			map[string]string{"From": "=?utf-8?q?=E5=95=86=E5=BA=97?= <news@example.com>", "X-Campaign": "c1", "List-Id": "<news.example.com>"}},
		"text":      {nil, `{"text":"a\n\nb"}`, nil, "a", "a\n\nb", []string{"<p>a</p>\n<p>b</p>"}, nil},
		"only HTML": {nil, `{"subject":"s","html":"<i>x</i>"}`, nil, "s", "", []string{"<i>x</i>"}, nil},
		"words":     {&herald.Notification{Title: strings.Repeat("some words ", 30) + strings.Repeat("x", 500) + " end", Body: "b"}, "", nil, strings.Repeat("some words ", 30) + strings.Repeat("x", 500) + " end", "b", nil, nil},
		"a dot":     {&herald.Notification{Title: "t", Body: ".\r\n.."}, "", nil, "t", ".\n..", []string{".<br>\n.."}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, simsmtp.Config{})
			m := message("", "")
			m.Content.Notification, m.Options = tt.n, json.RawMessage(tt.options)
			r, err := w.provider(t, open(), tt.changes...).Send(t.Context(), provider.Address{Token: here}, m)
			if err != nil || !strings.HasPrefix(r.Reference, "7.") {
				t.Fatalf("%+v, %v", r, err)
			}
			got := w.server.Taken()[0]
			l := read(t, got.Data)
			if got.From != "news@example.com" || got.To != here || got.User != user || word(t, l.Get("Subject")) != tt.subject || strings.TrimSpace(l.text) != tt.text {
				t.Errorf("%q %q %q: %q %q", got.From, got.To, got.User, l.Get("Subject"), l.text)
			}
			for _, part := range tt.html {
				if !strings.Contains(l.html, part) {
					t.Errorf("no %q in\n%s", part, l.html)
				}
			}
			for name, want := range tt.headers {
				if got := l.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

// TestRefused: what cannot be sent is refused before anybody is called.
func TestRefused(t *testing.T) {
	w := newWorld(t, simsmtp.Config{})
	p := w.provider(t, open())
	for name, tt := range map[string]struct {
		to, options string
		want        provider.Kind
	}{
		"no address": {"reader", "", provider.Unregistered}, "a name": {"R <reader@example.com>", "", provider.Unregistered}, "two": {"a@example.com,b@example.com", "", provider.Unregistered},
		"a line break": {"a@example.com\r\nDATA", "", provider.Unregistered}, "empty": {"", "", provider.Unregistered}, "long": {strings.Repeat("a", 250) + "@example.com", "", provider.Unregistered},
		"unknown option": {here, `{"Bcc":"x"}`, provider.Rejected}, "header": {here, `{"headers":{"Bcc":"x@example.com"}}`, provider.Rejected}, "X-": {here, `{"headers":{"X-":"x"}}`, provider.Rejected},
		"header name": {here, `{"headers":{"X-a: b\r\nBcc":"x"}}`, provider.Rejected}, "header value": {here, `{"headers":{"X-a":"b\r\nBcc: x"}}`, provider.Rejected},
		"a long word": {here, `{"subject":"` + strings.Repeat("x", 1000) + `"}`, provider.Rejected}, "subject": {here, `{"subject":"a\nBcc: x"}`, provider.Rejected}, "from name": {here, `{"from_name":"a\nBcc: x"}`, provider.Rejected},
	} {
		m := message("t", "b")
		m.Options = json.RawMessage(tt.options)
		_, err := p.Send(t.Context(), provider.Address{Token: tt.to}, m)
		var e *provider.Error
		if !errors.As(err, &e) || e.Kind != tt.want || e.Remedy == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := p.Send(t.Context(), provider.Address{Token: here}, &provider.Message{ID: 1, Content: herald.Content{Data: json.RawMessage("1")}}); provider.KindOf(err) != provider.Rejected {
		t.Errorf("data only: %v", err)
	}
	if n := w.desk.Connections(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

func TestCredentials(t *testing.T) {
	w := newWorld(t, simsmtp.Config{})
	for name, tt := range map[string]struct {
		changes []string
		field   string
	}{
		"security": {[]string{"security", "ssl"}, "security"}, "no TLS with a password": {[]string{"security", "none"}, "security"}, "port": {[]string{"port", "smtp"}, "port"}, "port 0": {[]string{"port", "0"}, "port"},
		"no password": {[]string{"password", ""}, "password"}, "no user": {[]string{"username", ""}, "password"}, "from": {[]string{"from", "nobody"}, "from"}, "two from": {[]string{"from", "a@x.org, b@x.org"}, "from"},
		"reply_to": {[]string{"reply_to", "x"}, "reply_to"}, "ca": {[]string{"ca", "x"}, "ca"}, "unsubscribe": {[]string{"unsubscribe", "http://example.com"}, "unsubscribe"},
		"unsubscribe with a break": {[]string{"unsubscribe", "https://example.com/\r\nBcc:x"}, "unsubscribe"}, "a private host": {[]string{"host", "10.0.0.1"}, "host"}, "no host": {[]string{"host", ""}, "host"}, "a strange host": {[]string{"host", "a b"}, "host"},
	} {
		_, err := smtp.New(provider.Config{Values: w.values(tt.changes...), Egress: open()})
		var e *herald.Error
		if !errors.As(err, &e) || e.Field != tt.field || e.Remedy == "" || strings.Contains(e.Error(), password) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, e := range []egress.Config{{Allow: []string{"all of it"}}, {Ports: []string{"x"}}} {
		if _, err := smtp.New(provider.Config{Values: w.values(), Egress: e}); err == nil {
			t.Error("a bad configuration is accepted")
		}
	}
	for port, good := range map[string]bool{"25": true, "465": true, "587": true, "2525": true, "443": true, "22": false} {
		if _, err := smtp.New(provider.Config{Values: w.values("host", "smtp.example.com", "port", port)}); (err == nil) != good {
			t.Errorf("port %s: %v", port, err)
		}
	}
}
