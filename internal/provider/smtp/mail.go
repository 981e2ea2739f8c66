package smtp

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"html"
	"mime"
	"net/mail"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"

	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/strict"
)

// options are what a sender may say of the mail beside the content.
type options struct {
	Subject  string `json:"subject"` // in place of the title
	Text     string `json:"text"`    // in place of title and body
	HTML     string `json:"html"`    // as it is, in place of what is made of the text
	FromName string `json:"from_name"`
	// Headers are further ones: X-…, or those of freeHeaders.
	Headers map[string]string `json:"headers"`
}

// freeHeaders are those beside X-… that a message may set: no other says who
// sends what to whom, or how the mail is built.
var freeHeaders = []string{"Feedback-Id", "In-Reply-To", "Keywords", "List-Id", "Organization", "Precedence", "References", "Thread-Topic"}

var headerName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,75}$`)

func readOptions(raw json.RawMessage) (o options, err error) {
	const remedy = "Look at what the message says for smtp."
	if len(raw) == 0 {
		return o, nil
	}
	if err := strict.Decode(raw, &o); err != nil {
		return o, provider.Errorf(provider.Rejected, "", remedy, "the options for smtp cannot be read: %v", err)
	}
	for name, value := range o.Headers {
		free := len(name) > 2 && strings.EqualFold(name[:2], "X-")
		for _, f := range freeHeaders {
			free = free || strings.EqualFold(f, name)
		}
		if !free || !headerName.MatchString(name) {
			return o, provider.Errorf(provider.Rejected, "", "Use X-…, "+strings.Join(freeHeaders, ", ")+".", "%.80q is no header that a message may set", name)
		}
		if !line(value) {
			return o, provider.Errorf(provider.Rejected, "", "Write it in one line.", "the value of the header %.80q is not a line of text", name)
		}
	}
	if !line(o.Subject) || !line(o.FromName) {
		return o, provider.Errorf(provider.Rejected, "", "Write them in one line.", "subject or from_name is not a line of text")
	}
	return o, nil
}

// line tells whether a text has nothing that ends a line.
func line(text string) bool {
	return utf8.ValidString(text) && strings.IndexFunc(text, unicode.IsControl) < 0
}

// plainAddress tells whether a text is a mail address and nothing else (RFC 5321
// section 4.1.2, without quoted names and address literals, which nobody has).
func plainAddress(text string) bool {
	if len(text) > 254 || !line(text) || strings.ContainsAny(text, " <>\"()[],;:\\") || strings.Count(text, "@") != 1 {
		return false
	}
	a, err := mail.ParseAddress(text)
	return err == nil && a.Name == "" && a.Address == text
}

// compose makes the mail and gives its Message-ID. The same message to the same
// address has the same, so that a copy can be known.
func (p *Provider) compose(to string, m *provider.Message, o *options) (id string, body []byte, err error) {
	text, page := content(m, o)
	if text == "" && page == "" {
		return "", nil, provider.Errorf(provider.Rejected, "", "Give the message a notification, or text or html for smtp.", "the message has nothing to read")
	}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	from := *p.from
	if o.FromName != "" {
		from.Name = o.FromName
	}
	msg.FromMailAddress(&from)
	msg.ToMailAddress(&mail.Address{Address: to})
	if p.replyTo != nil {
		msg.ReplyToMailAddress(p.replyTo)
	}
	sum := sha256.Sum256([]byte(to))
	id = m.ID.String() + "." + hex.EncodeToString(sum[:8]) + p.from.Address[strings.LastIndexByte(p.from.Address, '@'):]
	msg.SetMessageIDWithValue(id)
	msg.SetDateWithValue(p.now())
	title, err := folded(subject(m, o, text))
	if err != nil {
		return "", nil, err
	}
	msg.SetGenHeaderPreformatted(gomail.HeaderSubject, title)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // nobody's holiday answers it (RFC 3834)
	for name, value := range o.Headers {
		msg.SetGenHeader(gomail.Header(name), value)
	}
	p.leaving(msg, to)
	if text == "" {
		msg.SetBodyString(gomail.TypeTextHTML, page)
	} else {
		msg.SetBodyString(gomail.TypeTextPlain, text)
		msg.AddAlternativeString(gomail.TypeTextHTML, page)
	}
	var b bytes.Buffer
	if _, err := msg.WriteTo(&b); err != nil {
		return "", nil, &provider.Error{Kind: provider.Rejected, Text: "the mail cannot be made", Err: err}
	}
	return id, b.Bytes(), nil
}

// leaving says how the reader unsubscribes (RFC 2369, RFC 8058).
func (p *Provider) leaving(msg *gomail.Msg, to string) {
	if p.unsubscribe == "" {
		return
	}
	where := strings.ReplaceAll(p.unsubscribe, addressPlace, url.QueryEscape(to))
	msg.SetListUnsubscribe(where)
	if strings.HasPrefix(where, "https:") {
		msg.SetListUnsubscribePost()
	}
}

// subject is the title, or the beginning of the text where there is none.
func subject(m *provider.Message, o *options, text string) string {
	switch {
	case o.Subject != "":
		return oneLine(o.Subject)
	case m.Content.Notification != nil && m.Content.Notification.Title != "":
		return oneLine(m.Content.Notification.Title)
	}
	first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	first = oneLine(first)
	const most = 60 // characters; the whole text is in the mail
	if utf8.RuneCountInString(first) > most {
		first = string([]rune(first)[:most]) + "…"
	}
	return first
}

// folded is a subject as it stands in a mail: in words of RFC 2047 where it has
// more than ASCII, and on lines of usual length (RFC 5322 section 2.1.1). The
// library breaks before the first word too, which some readers show as a blank.
func folded(text string) (string, error) {
	code := mime.QEncoding.Encode("utf-8", text)
	if b := mime.BEncoding.Encode("utf-8", text); len(b) < len(code) {
		code = b
	}
	var out strings.Builder
	column := len("Subject: ")
	for i, word := range strings.Split(code, " ") {
		if len(word) > 900 { // a line has at most 998
			return "", provider.Errorf(provider.Rejected, "", "Write a title in words.", "the subject has a word of %d bytes", len(word))
		}
		switch {
		case i == 0:
		case column+len(word) > 76:
			out.WriteString("\r\n ")
			column = 1
		default:
			out.WriteByte(' ')
			column++
		}
		out.WriteString(word)
		column += len(word)
	}
	return out.String(), nil
}

func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }), " ")
}

// content is the mail as text and as HTML.
func content(m *provider.Message, o *options) (text, page string) {
	text, page = o.Text, o.HTML
	n := m.Content.Notification
	if text == "" && n != nil {
		text = n.Body
		if text == "" {
			text = n.Title
		}
		if web(n.Click) {
			text = strings.TrimRight(text, "\n") + "\n\n" + n.Click
		}
	}
	if page != "" || text == "" {
		return text, page
	}
	var b strings.Builder
	b.WriteString("<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"></head>\n<body style=\"font-family:sans-serif;line-height:1.5\">\n")
	if o.Text != "" || n == nil {
		paragraphs(&b, text)
	} else {
		if n.Title != "" {
			b.WriteString("<h1 style=\"font-size:1.25em\">" + html.EscapeString(n.Title) + "</h1>\n")
		}
		if web(n.Image) {
			b.WriteString("<p><img src=\"" + html.EscapeString(n.Image) + "\" alt=\"\" style=\"max-width:100%\"></p>\n")
		}
		paragraphs(&b, n.Body)
		if web(n.Click) {
			b.WriteString("<p><a href=\"" + html.EscapeString(n.Click) + "\">" + html.EscapeString(n.Click) + "</a></p>\n")
		}
	}
	b.WriteString("</body></html>\n")
	return text, b.String()
}

// paragraphs writes a text as HTML: an empty line begins a paragraph.
func paragraphs(b *strings.Builder, text string) {
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	if text == "" {
		return
	}
	for p := range strings.SplitSeq(text, "\n\n") {
		b.WriteString("<p>" + strings.ReplaceAll(html.EscapeString(strings.Trim(p, "\n")), "\n", "<br>\n") + "</p>\n")
	}
}

// web tells whether an address is one that a mail may lead to.
func web(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

func itoa(n int) string { return strconv.Itoa(n) }
