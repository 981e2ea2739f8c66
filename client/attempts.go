package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/herald-push/herald"
)

// AttemptReport tells what came of a message with vendors.
type AttemptReport struct {
	MessageID herald.MessageID `json:"message_id"`
	// Outcomes are counts, by step, vendor, outcome and code.
	Outcomes []AttemptOutcome `json:"outcomes"`
	// Attempts is what is known of each, where it is kept: of messages to at most
	// 1,000 devices, and of people; at most 1,000.
	Attempts []Attempt `json:"attempts"`
	// Pending are the steps of the route that are not finished.
	Pending []PendingStep `json:"pending"`
}

// PendingStep is a step of a route that is not finished.
type PendingStep struct {
	Step  int       `json:"step"`            // from 0
	DueAt time.Time `json:"due_at,omitzero"` // zero: vendors are being asked, or are asked again
}

// AttemptOutcome is how many came to an outcome.
type AttemptOutcome struct {
	Step    int            `json:"step"` // of the route, from 0
	Channel herald.Channel `json:"channel,omitempty"`
	Vendor  herald.Vendor  `json:"vendor"`
	Owner   string         `json:"owner"`   // device, recipient or app
	Outcome string         `json:"outcome"` // accepted, failed, unknown, skipped or discarded
	// Code is the kind of the failure and, behind a slash, the vendor's own word.
	Code   string    `json:"code,omitempty"`
	Count  int64     `json:"count"`
	LastAt time.Time `json:"last_at"`
}

// Attempt is what is known of handing a message to a vendor for one address.
type Attempt struct {
	Step           int                   `json:"step"`
	Vendor         herald.Vendor         `json:"vendor"`
	RegistrationID herald.RegistrationID `json:"registration_id,omitempty"`
	Alias          herald.Alias          `json:"alias,omitempty"`
	Outcome        string                `json:"outcome"`
	Code           string                `json:"code,omitempty"`
	Text           string                `json:"text,omitempty"`   // what happened, in words
	Remedy         string                `json:"remedy,omitempty"` // what to do about it
	Reference      string                `json:"reference,omitempty"`
	Tries          int                   `json:"tries,omitempty"`
	Parts          int                   `json:"parts,omitempty"` // segments of a text message
	Shortened      bool                  `json:"shortened,omitempty"`
	At             time.Time             `json:"at"`
	// State is what the vendor has said later, Problem why it did not arrive.
	State   herald.DeliveryState `json:"state,omitempty"`
	StateAt time.Time            `json:"state_at,omitzero"`
	Problem *VendorProblem       `json:"problem,omitempty"`
	// Trace is the conversation with the vendor, of a message with debug.
	Trace json.RawMessage `json:"trace,omitempty"`
}

// Attempts tells what came of a message with vendors.
func (c *Client) Attempts(ctx context.Context, id herald.MessageID) (AttemptReport, error) {
	var out AttemptReport
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/messages/" + id.String() + "/attempts", into: &out})
	return out, err
}

// DeadLetter is how many were not reached in a step of a message for one cause,
// and are not tried again.
type DeadLetter struct {
	MessageID herald.MessageID `json:"message_id"`
	AttemptOutcome
}

// DeadLetters lists dead letters, newest first. A limit of 0 is the default of
// the server.
func (c *Client) DeadLetters(ctx context.Context, limit int) ([]DeadLetter, error) {
	query := url.Values{}
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	var out struct {
		DeadLetters []DeadLetter `json:"dead_letters"`
	}
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/dead_letters", query: query, into: &out})
	return out.DeadLetters, err
}

// DeadLetterQuery names dead letters: all that have what it says. It has to name
// a message, a vendor or a code.
type DeadLetterQuery struct {
	MessageID herald.MessageID `json:"message_id,omitempty"`
	Step      *int             `json:"step,omitempty"`
	Vendor    herald.Vendor    `json:"vendor,omitempty"`
	Code      string           `json:"code,omitempty"`
}

// RetryDeadLetters has vendors be asked again, and tells for how many people or
// devices.
func (c *Client) RetryDeadLetters(ctx context.Context, q DeadLetterQuery) (int64, error) {
	return c.dead(ctx, "retry", q)
}

// DiscardDeadLetters has dead letters be listed no more, and tells how many
// people or devices they were about.
func (c *Client) DiscardDeadLetters(ctx context.Context, q DeadLetterQuery) (int64, error) {
	return c.dead(ctx, "discard", q)
}

func (c *Client) dead(ctx context.Context, what string, q DeadLetterQuery) (int64, error) {
	var out struct {
		Count int64 `json:"count"`
	}
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/dead_letters:" + what, body: q, into: &out})
	return out.Count, err
}
