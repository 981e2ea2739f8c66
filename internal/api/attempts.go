package api

import (
	"context"
	"encoding/json"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// AttemptStore keeps what came of handing messages to vendors.
type AttemptStore interface {
	// AttemptCounts counts what came of the steps of a message.
	AttemptCounts(ctx context.Context, app herald.AppKey, id herald.MessageID) ([]record.AttemptCount, error)
	AttemptDetails
	DeadStore
	OwnerNames
}

// AttemptDetails are attempts one by one, and what is left to do.
type AttemptDetails interface {
	// Attempts lists those that are kept in detail, at most limit.
	Attempts(ctx context.Context, app herald.AppKey, id herald.MessageID, limit int) ([]record.Attempt, error)
	// AttemptsOf lists what is known of one owner.
	AttemptsOf(ctx context.Context, app herald.AppKey, id herald.MessageID, owner record.Owner, ord herald.Ordinal) ([]record.Attempt, error)
	// StepsLeft lists the steps of a message's route that are not finished.
	StepsLeft(ctx context.Context, app herald.AppKey, id herald.MessageID) ([]record.StepLeft, error)
}

// DeadStore keeps who was not reached and is not tried again.
type DeadStore interface {
	// DeadLetters counts them by message, step, vendor, outcome and code.
	DeadLetters(ctx context.Context, app herald.AppKey, limit int) ([]record.AttemptCount, error)
	// RetryDead has them be tried again, and tells how many.
	RetryDead(ctx context.Context, app herald.AppKey, c record.AttemptCount) (int64, error)
	// DiscardDead has them be no dead letters any more, and tells how many.
	DiscardDead(ctx context.Context, app herald.AppKey, c record.AttemptCount) (int64, error)
}

// OwnerNames names who has addresses.
type OwnerNames interface {
	// DeviceNames names devices by their ordinals.
	DeviceNames(ctx context.Context, app herald.AppKey, ords []herald.Ordinal) (map[herald.Ordinal]record.DeviceName, error)
	// RecipientNames names recipients by their ordinals.
	RecipientNames(ctx context.Context, app herald.AppKey, ords []herald.Ordinal) (map[herald.Ordinal]herald.Alias, error)
}

// AttemptReport tells what came of a message with vendors.
type AttemptReport struct {
	MessageID herald.MessageID `json:"message_id"`
	// Outcomes are counts, by step, vendor, outcome and code.
	Outcomes []AttemptOutcome `json:"outcomes" doc:"How many came to which outcome, by step, vendor and code."`
	Attempts []AttemptView    `json:"attempts" doc:"What is known of each: of messages to at most 1,000 devices, and of people. At most 1,000."`
	// Pending are the steps to come, and those under way.
	Pending []PendingStep `json:"pending" doc:"Steps of the route that are not finished."`
}

// PendingStep is a step of a route that is not finished.
type PendingStep struct {
	Step  int       `json:"step" doc:"Step of the route, from 0."`
	DueAt time.Time `json:"due_at,omitzero" doc:"When it is taken. Absent: vendors are being asked, or are asked again."`
}

// AttemptOutcome is how many came to an outcome.
type AttemptOutcome struct {
	Step    int            `json:"step" doc:"Step of the route, from 0."`
	Channel herald.Channel `json:"channel,omitempty" doc:"Channel of the step."`
	Vendor  herald.Vendor  `json:"vendor" doc:"The vendor."`
	Owner   record.Owner   `json:"owner" enum:"device,recipient,app" doc:"Whose addresses: device, recipient (a person), or app (a room or a webhook)."`
	Outcome record.Fate    `json:"outcome" enum:"accepted,failed,unknown,skipped,discarded" doc:"accepted: the vendor took it; failed: it did not, and is not asked again; unknown: it was asked and did not answer; skipped: it was not asked; discarded: failed or unknown, and somebody said that it may be forgotten."`
	Code    string         `json:"code,omitempty" doc:"Kind of the failure and, behind a slash, the vendor's own word for it."`
	Count   int64          `json:"count" doc:"How many."`
	LastAt  time.Time      `json:"last_at" doc:"When the last of them came."`
}

// AttemptView is what is known of one attempt.
type AttemptView struct {
	Step           int                   `json:"step" doc:"Step of the route, from 0."`
	Vendor         herald.Vendor         `json:"vendor" doc:"The vendor."`
	RegistrationID herald.RegistrationID `json:"registration_id,omitempty" doc:"The device."`
	Alias          herald.Alias          `json:"alias,omitempty" doc:"The person."`
	Outcome        record.Fate           `json:"outcome" enum:"accepted,failed,unknown,skipped,discarded" doc:"As in outcomes."`
	Code           string                `json:"code,omitempty" doc:"Kind of the failure and, behind a slash, the vendor's own word for it."`
	Text           string                `json:"text,omitempty" doc:"What happened, in words."`
	Remedy         string                `json:"remedy,omitempty" doc:"What to do about it."`
	Reference      string                `json:"reference,omitempty" doc:"The vendor's name for the message."`
	Tries          int                   `json:"tries,omitempty" doc:"How often the vendor was asked."`
	Parts          int                   `json:"parts,omitempty" doc:"Segments of a text message."`
	Shortened      bool                  `json:"shortened,omitempty" doc:"The text did not fit the vendor's limit and was shortened."`
	At             time.Time             `json:"at" doc:"When it came to this."`
	State          herald.DeliveryState  `json:"state,omitempty" doc:"What the vendor has said later: received, displayed or clicked."`
	StateAt        time.Time             `json:"state_at,omitzero" doc:"When the vendor said it."`
	Problem        *VendorProblem        `json:"problem,omitempty" doc:"Why it did not arrive, as the vendor has said later."`
	Trace          json.RawMessage       `json:"trace,omitempty" doc:"The conversation with the vendor, without secrets; of messages with debug."`
}

// maxAttempts is how many attempts one answer has.
const maxAttempts = 1000

// VendorCount is how many devices a message was to reach by a vendor, and for how
// many the vendor took it.
type VendorCount struct{ Target, Sent int64 }

// VendorCounts counts them for each vendor that was asked. Who was left out, such
// as a device that had the message already, does not count.
func (s *Messages) VendorCounts(ctx context.Context, p Principal, id herald.MessageID) (map[herald.Vendor]VendorCount, error) {
	if err := p.may(ScopeRead); err != nil {
		return nil, err
	}
	if s.c.Attempts == nil {
		return nil, nil
	}
	counts, err := s.c.Attempts.AttemptCounts(ctx, p.App, id)
	if err != nil {
		return nil, err
	}
	out := map[herald.Vendor]VendorCount{}
	for _, c := range counts {
		if c.Owner != record.OwnerDevice || c.Fate == record.FateSkipped {
			continue
		}
		v := out[c.Vendor]
		v.Target += c.Count
		if c.Fate == record.FateAccepted {
			v.Sent += c.Count
		}
		out[c.Vendor] = v
	}
	return out, nil
}

// Attempts tells what came of a message with vendors.
func (s *Messages) Attempts(ctx context.Context, p Principal, id herald.MessageID) (AttemptReport, error) {
	for _, scope := range []Scope{ScopeRead, ScopeDevicesRead} {
		if err := p.may(scope); err != nil {
			return AttemptReport{}, err
		}
	}
	m, err := s.find(ctx, p.App, id)
	if err != nil {
		return AttemptReport{}, err
	}
	out := AttemptReport{MessageID: id, Outcomes: []AttemptOutcome{}, Attempts: []AttemptView{}, Pending: []PendingStep{}}
	// What is left is asked first: what is not in it by then is in what follows.
	left, err := s.c.Attempts.StepsLeft(ctx, p.App, id)
	if err != nil {
		return out, err
	}
	for _, l := range left {
		out.Pending = append(out.Pending, PendingStep{l.Step, l.Due})
	}
	counts, err := s.c.Attempts.AttemptCounts(ctx, p.App, id)
	if err != nil {
		return out, err
	}
	for _, c := range counts {
		o := outcomeOf(c)
		if m.Facts != nil && m.Facts.Route != nil && c.Step < len(m.Facts.Route.Steps) {
			o.Channel = m.Facts.Route.Steps[c.Step].Channel
		} else {
			o.Channel = c.Vendor.Channel()
		}
		out.Outcomes = append(out.Outcomes, o)
	}
	list, err := s.c.Attempts.Attempts(ctx, p.App, id, maxAttempts)
	if err != nil {
		return out, err
	}
	var devices, people []herald.Ordinal
	for i := range list {
		switch list[i].Owner {
		case record.OwnerDevice:
			devices = append(devices, list[i].Ord)
		case record.OwnerRecipient:
			people = append(people, list[i].Ord)
		}
	}
	names, err := s.c.Attempts.DeviceNames(ctx, p.App, devices)
	if err != nil {
		return out, err
	}
	aliases, err := s.c.Attempts.RecipientNames(ctx, p.App, people)
	if err != nil {
		return out, err
	}
	for i := range list {
		a := &list[i]
		var problem *VendorProblem
		if b := a.Problem; b != nil {
			problem = &VendorProblem{Kind: b.Kind, Code: b.Code, Text: b.Text, Remedy: b.Remedy, At: b.At}
		}
		v := AttemptView{
			Step: a.Step, Vendor: a.Vendor, Outcome: a.Fate, Code: a.Code, Text: a.Text, Remedy: a.Remedy, Reference: a.Reference, Tries: a.Tries, Parts: a.Parts,
			Shortened: a.Shortened, At: a.At, State: a.State, StateAt: a.StateAt, Problem: problem, Trace: a.Trace,
		}
		switch a.Owner {
		case record.OwnerDevice:
			v.RegistrationID = names[a.Ord].ID
		case record.OwnerRecipient:
			v.Alias = aliases[a.Ord]
		}
		out.Attempts = append(out.Attempts, v)
	}
	return out, nil
}

func outcomeOf(c record.AttemptCount) AttemptOutcome {
	return AttemptOutcome{Step: c.Step, Vendor: c.Vendor, Owner: c.Owner, Outcome: c.Fate, Code: c.Code, Count: c.Count, LastAt: c.At}
}

// DeadLetterList is what was not delivered and is not tried again, by cause.
type DeadLetterList struct {
	DeadLetters []DeadLetter `json:"dead_letters" doc:"By message, step, vendor and cause, newest first."`
}

// DeadLetter is how many were not reached in a step of a message for one cause.
type DeadLetter struct {
	MessageID herald.MessageID `json:"message_id"`
	AttemptOutcome
}

// DeadLetters lists what was not delivered and is not tried again, newest first.
func (s *Messages) DeadLetters(ctx context.Context, p Principal, limit int) (DeadLetterList, error) {
	out := DeadLetterList{DeadLetters: []DeadLetter{}}
	if err := p.may(ScopeRead); err != nil {
		return out, err
	}
	n, err := pageSize(limit)
	if err != nil {
		return out, err
	}
	list, err := s.c.Attempts.DeadLetters(ctx, p.App, n)
	for _, c := range list {
		out.DeadLetters = append(out.DeadLetters, DeadLetter{c.Msg, outcomeOf(c)})
	}
	return out, err
}

// DeadLetterRequest names dead letters: those of a message, or of some with one
// cause.
type DeadLetterRequest struct {
	MessageID herald.MessageID `json:"message_id,omitempty" doc:"Only those of this message."`
	Step      *int             `json:"step,omitempty" minimum:"0" doc:"Only those of this step."`
	Vendor    herald.Vendor    `json:"vendor,omitempty" maxLength:"32" doc:"Only those of this vendor."`
	Code      string           `json:"code,omitempty" maxLength:"128" doc:"Only those with this code, as the list shows it."`
}

// DeadLetterDone is how many letters were dealt with.
type DeadLetterDone struct {
	Count int64 `json:"count" doc:"How many people or devices it was about."`
}

// RetryDeadLetters has the vendors of dead letters be asked again; they go to
// whom the message has not come to otherwise meanwhile.
func (s *Messages) RetryDeadLetters(ctx context.Context, p Principal, q DeadLetterRequest) (DeadLetterDone, error) {
	return s.bury(ctx, p, q, s.c.Attempts.RetryDead)
}

// DiscardDeadLetters has dead letters be forgotten.
func (s *Messages) DiscardDeadLetters(ctx context.Context, p Principal, q DeadLetterRequest) (DeadLetterDone, error) {
	return s.bury(ctx, p, q, s.c.Attempts.DiscardDead)
}

// maxDead is how many rows of dead letters one call deals with.
const maxDead = 10_000

func (s *Messages) bury(ctx context.Context, p Principal, q DeadLetterRequest, do func(context.Context, herald.AppKey, record.AttemptCount) (int64, error)) (DeadLetterDone, error) {
	var done DeadLetterDone
	if err := p.may(ScopeSend); err != nil {
		return done, err
	}
	if q.MessageID == 0 && q.Code == "" && q.Vendor == "" {
		return done, herald.Invalid("message_id", "Name a message, a vendor or a code, as GET /v1/dead_letters shows them.", "nothing is named")
	}
	list, err := s.c.Attempts.DeadLetters(ctx, p.App, maxDead)
	if err != nil {
		return done, err
	}
	for _, c := range list {
		if q.MessageID != 0 && c.Msg != q.MessageID || q.Step != nil && c.Step != *q.Step || q.Vendor != "" && c.Vendor != q.Vendor || q.Code != "" && c.Code != q.Code {
			continue
		}
		n, err := do(ctx, p.App, c)
		if err != nil {
			return done, err
		}
		done.Count += n
	}
	return done, nil
}
