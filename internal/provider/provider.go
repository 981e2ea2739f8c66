package provider

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/herald-push/herald"
)

// Provider speaks to one vendor with one credential. Its methods are called from
// several goroutines at once. It repeats nothing by itself, but what the vendor
// certainly has not looked at, such as a call with an access token that had just
// ended.
type Provider interface {
	// Send hands a message to the vendor for one address. It blocks until the
	// vendor has answered or ctx ends. The error is an *Error.
	Send(ctx context.Context, to Address, m *Message) (Result, error)
	// Close lets go of connections. Nothing is sent after it.
	Close() error
}

// Checker is an add-on of a Provider that can try its credential without
// reaching anybody: with a real call, which the vendor authenticates.
type Checker interface {
	// Check is nil if the vendor takes the credential; else an *Error whose text
	// says what is wrong with it.
	Check(ctx context.Context) error
}

// BatchSender is an add-on of a Provider whose vendor takes several addresses in
// one call.
type BatchSender interface {
	// MaxBatch is how many addresses a call may have.
	MaxBatch() int
	// SendBatch answers for each address, in their order.
	SendBatch(ctx context.Context, to []Address, m *Message) []Outcome
}

// Digester is an add-on of a Provider whose vendor takes few messages, and lets
// several be shown as one.
type Digester interface {
	// Digest makes one message of two or more for the same address, in their
	// order. What it left out it counts in the text, and says so by Shortened.
	// The error is an *Error; each message is then to be sent by itself, and only
	// what is wrong with one is its own fault.
	Digest(list []*Message) (*Message, error)
}

// Reporter is an add-on of a Provider whose vendor says later what became of a
// message.
type Reporter interface {
	// Reports reads a call of the vendor, and writes the answer that it expects.
	// What cannot be authenticated is an *Error of kind Unauthorized, and then
	// nothing has been written.
	Reports(w http.ResponseWriter, r *http.Request) ([]Report, error)
}

// Listener is an add-on of a Provider whose vendor says later what became of a
// message, on the connection that the message went over.
type Listener interface {
	// Listen has every report given to f. It is called at most once, before the
	// first message. f is called from one goroutine after the other, also while
	// Send has not returned yet; the vendor is told that the report has come when
	// f has returned, and gives it again if it was not told.
	Listen(f func(Report))
}

// Address is where a vendor reaches a device or a person: a token, a telephone
// number, a mail address. It belongs to one vendor and one environment.
type Address struct {
	// Token is what the vendor calls it.
	Token string
	// Environment is one of the vendor's, such as sandbox; "" where it has one.
	Environment string
}

// Message is what is to be sent, as one platform and language sees it.
type Message struct {
	ID      herald.MessageID
	App     herald.AppKey
	Content herald.Content
	// CollapseKey has a newer message replace an older one; "" for none.
	CollapseKey string
	Priority    herald.Priority
	// Expires is when it is of no use any more; zero means that it is for now or
	// never.
	Expires time.Time
	// Options are what the sender said for this vendor, an object; nil for
	// nothing.
	Options json.RawMessage
	// Shortened tells that it is a digest from which something was left out; the
	// Result repeats it.
	Shortened bool
	// Once is where a provider keeps what it has made of the message; nil if it
	// goes to one address.
	Once *Once
}

// Result is what the vendor said of a message that it took.
type Result struct {
	// Reference is the vendor's name for it; "" if it gave none.
	Reference string
	// Shortened tells that the text did not fit the vendor's limit.
	Shortened bool
	// Moved is the address that the vendor wants to be used from now on; "" for
	// the same.
	Moved string
	// Parts is of how many the message was made, such as the segments of an
	// SMS; 0 is one.
	Parts int
}

// Outcome is what became of one address of a batch.
type Outcome struct {
	Result
	Err error // an *Error
}

// Report is what a vendor says later of a message that it took.
type Report struct {
	Reference string // as in Result
	// State is received, displayed or clicked; "" if Err says why there will be none.
	State herald.DeliveryState
	Time  time.Time
	Err   *Error
}

// SendTimeout is how long a vendor may take to answer.
const SendTimeout = 30 * time.Second
