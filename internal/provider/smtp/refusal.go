package smtp

import (
	"regexp"
	"strings"

	"github.com/herald-push/herald/internal/provider"
)

// enhanced is the code of RFC 3463 at the beginning of a reply's text.
var enhanced = regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}\b`)

// reply is a refusal as the server said it.
type reply struct {
	at             stage
	code           int
	enhanced, text string
}

// refusal reads a reply that is none of success.
func refusal(at stage, code int, text string) *provider.Error {
	r := reply{at: at, code: code, enhanced: enhanced.FindString(text), text: cut(text)}
	e := r.of()
	if e.Code = r.enhanced; e.Code == "" {
		e.Code = itoa(code)
	}
	if e.Text == "" {
		e.Text = "the mail server answered"
	}
	e.Text += ": " + itoa(code) + " " + r.text
	return e
}

func (r *reply) of() *provider.Error {
	switch {
	case r.code < 400 || r.code > 599:
		return &provider.Error{Kind: provider.Unavailable, Text: "the mail server says what nobody expects", Remedy: "Check that host and port are those of a mail server."}
	case r.code < 500:
		return r.later()
	case r.at == atAuth || r.is("5.7.8", "5.7.9", "5.7.11") || r.code == 530 || r.code == 534 || r.code == 535 || r.code == 538:
		return &provider.Error{Kind: provider.Unauthorized, Text: "the mail server does not let us in",
			Remedy: "Check user name and password; many mail services want an app password of their own."}
	case r.tooLarge():
		return &provider.Error{Kind: provider.TooLarge, Text: "the mail is larger than the mail server takes", Remedy: "Send less."}
	}
	switch r.at {
	case atGreeting, atTLS:
		if strings.HasPrefix(r.enhanced, "5.7.") {
			return &provider.Error{Kind: provider.Unauthorized, Text: "the mail server does not want this machine", Remedy: "Ask its operator, or look whether this machine's address is on a block list."}
		}
		return &provider.Error{Kind: provider.Unavailable, Text: "the mail server does not serve", Remedy: "Check host, port and security."}
	case atSender:
		// It would be the same for every reader.
		return &provider.Error{Kind: provider.Unauthorized, Text: "the mail server does not take the sender", Remedy: "Set from to an address that this user may send as."}
	case atReceiver:
		return r.receiver()
	}
	return &provider.Error{Kind: provider.Rejected, Text: "the mail server refuses the mail", Remedy: "Read what the server says; 5.7 codes are its rules about content and senders."}
}

// later is a refusal that may pass.
func (r *reply) later() *provider.Error {
	much := r.is("4.7.28", "4.4.5", "4.5.3") || r.code == 452 && !r.is("4.2.2") || tooMuch.MatchString(r.text)
	switch {
	case much:
		return &provider.Error{Kind: provider.Throttled, Text: "the mail server wants less at once", Remedy: "Send more slowly, or ask the mail service for a higher limit."}
	case r.is("4.2.2"):
		return &provider.Error{Kind: provider.Unavailable, Text: "the mailbox is full"}
	}
	return &provider.Error{Kind: provider.Unavailable, Text: "the mail server does not take it now", Remedy: "Nothing has to be done if it passes."}
}

var (
	// Words of servers that say what no code of their own says.
	tooMuch = regexp.MustCompile(`(?i)rate.?limit|too many|too fast|throttl|quota exceeded|frequency`)
	nobody  = regexp.MustCompile(`(?i)user unknown|unknown (user|recipient|local|mailbox)|no such (user|recipient|mailbox|address|account|person)|` +
		`(user|recipient|mailbox|account|address)( .{1,80})? (does not exist|doesn't exist|not found|not exist)|no mailbox|invalid (recipient|mailbox)`)
)

// receiver is a refusal of the reader's own address. Only here can an address be
// gone, and only where that is what the server says: one that does not relay for
// us says 550 of every address.
func (r *reply) receiver() *provider.Error {
	gone := r.is("5.1.1", "5.1.3", "5.1.6", "5.1.10", "5.2.1")
	switch {
	case gone || r.enhanced == "" && nobody.MatchString(r.text):
		return &provider.Error{Kind: provider.Unregistered, Text: "the mail address leads to nobody"}
	case r.is("5.2.2"):
		return &provider.Error{Kind: provider.Rejected, Text: "the mailbox is full"}
	}
	return &provider.Error{Kind: provider.Rejected, Text: "the mail server refuses the reader's address", Remedy: "Read what the server says; if it does not relay, sign in or use the mail server of the sender's domain."}
}

// tooLarge tells of RFC 1870 and RFC 3463 sections 3.3 and 3.4. 552 alone is
// what RFC 5321 calls exceeded storage; of a mailbox that is full if it says so.
func (r *reply) tooLarge() bool {
	return r.is("5.3.4", "5.2.3") || r.code == 552 && !r.is("5.2.2") && !strings.HasPrefix(r.enhanced, "5.7.")
}

func (r *reply) is(codes ...string) bool {
	for _, c := range codes {
		if r.enhanced == c {
			return true
		}
	}
	return false
}

// cut keeps what people read of what a server says.
func cut(text string) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "…"
	}
	return text
}
