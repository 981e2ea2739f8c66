package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/audience"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
)

// Limits of bindings in bulk.
const (
	MaxBindings = 10_000 // in one call
	// maxBindErrors is how many lines that were refused are told of.
	maxBindErrors = 100
)

// AliasBinding is a device with the alias that it is to have.
type AliasBinding struct {
	RegistrationID herald.RegistrationID `json:"registration_id"`
	Alias          json.RawMessage       `json:"alias"` // a string, or null; to leave it out is a mistake
}

// binding reads one that is the i-th of a list.
func (x AliasBinding) binding(i int) (record.Binding, error) {
	b := record.Binding{ID: x.RegistrationID}
	if !b.ID.Valid() {
		return b, herald.Invalid(fmt.Sprintf("bindings[%d].registration_id", i), "A registration ID has 20 characters of 0-9 and a-v.",
			"%.40q is not a registration ID", string(b.ID))
	}
	if string(x.Alias) == "null" {
		return b, nil
	}
	if name, ok := plainName(x.Alias); ok {
		b.Alias = herald.Alias(name)
		return b, nil
	}
	field := fmt.Sprintf("bindings[%d].alias", i)
	if err := json.Unmarshal(x.Alias, &b.Alias); err != nil {
		return b, herald.Invalid(field, "Give the alias as a string, or null to unbind the device.", "is not an alias")
	}
	return b, herald.ValidName(field, string(b.Alias))
}

// plainName reads a valid name in JSON that needs no decoding, as most do not.
func plainName(text []byte) (name []byte, ok bool) {
	if len(text) < 3 || len(text) > herald.MaxNameBytes+2 || text[0] != '"' || text[len(text)-1] != '"' {
		return nil, false
	}
	name = text[1 : len(text)-1]
	for _, c := range name {
		if c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return nil, false
		}
	}
	return name, true
}

// AliasBindings are bindings of several devices.
type AliasBindings struct {
	Bindings []AliasBinding `json:"bindings" doc:"At most 10,000. Of several for one device the last counts."`
}

// BindAnswer says what many bindings did.
type BindAnswer struct {
	Bound     int64       `json:"bound" doc:"Devices whose alias has changed, also to none."`
	Unchanged int64       `json:"unchanged" doc:"Devices that had the alias already."`
	Unknown   int64       `json:"unknown" doc:"Registration IDs that nobody has."`
	Refused   int64       `json:"refused" doc:"Lines that are not valid, or whose alias has 100 devices already; nothing was changed for them."`
	Errors    []BindError `json:"errors" doc:"The first 100 that were refused."`
}

// BindError is a binding that was refused.
type BindError struct {
	Line   int64  `json:"line" doc:"Line of the file, or place in the list; from 1."`
	Detail string `json:"detail"`
}

// MayBind checks who binds in bulk, and is asked before a list is read.
func (s *Devices) MayBind(p Principal) error { return p.may(ScopeDevicesWrite) }

// Bind gives devices their aliases.
func (s *Devices) Bind(ctx context.Context, p Principal, q AliasBindings) (BindAnswer, error) {
	if err := s.MayBind(p); err != nil {
		return BindAnswer{}, err
	}
	if len(q.Bindings) == 0 || len(q.Bindings) > MaxBindings {
		return BindAnswer{}, herald.Invalid("bindings", "Give 1 to 10000 bindings; upload more as text/csv.", "%d bindings", len(q.Bindings))
	}
	list := make([]record.Binding, len(q.Bindings))
	for i, x := range q.Bindings {
		var err error
		if list[i], err = x.binding(i); err != nil {
			return BindAnswer{}, err
		}
	}
	b := newBinder(s, p.App)
	for i, x := range list {
		b.add(int64(i)+1, x)
	}
	return b.bind(ctx)
}

// BindList is Bind for a CSV file with a registration ID and an alias on each
// line. When it breaks off before its end nothing is bound; when binding does,
// some slices are, and the same list can be sent again.
func (s *Devices) BindList(ctx context.Context, p Principal, list io.Reader) (BindAnswer, error) {
	if err := s.MayBind(p); err != nil {
		return BindAnswer{}, err
	}
	select {
	case s.imports <- struct{}{}:
		defer func() { <-s.imports }()
	default:
		e := herald.Errorf(herald.CodeRateLimited, "Upload one list after the other.", "this node reads %d lists already", maxUploads)
		e.RetryAfter = 5 * time.Second
		return BindAnswer{}, e
	}
	b := newBinder(s, p.App)
	var lines int64
	err := audience.ReadPairs(list, func(l audience.Pair) error {
		if lines++; lines > registry.MaxFileLines {
			return herald.Errorf(herald.CodeTooLarge, "Split the list into several files.", "the list has more than %d lines", registry.MaxFileLines)
		}
		if l.Wrong != "" {
			b.refuse(l.Number, l.Wrong)
			return nil
		}
		b.add(l.Number, record.Binding{ID: l.ID, Alias: l.Alias})
		return nil
	})
	if err != nil {
		return b.out, err
	}
	if lines == 0 {
		return b.out, herald.Invalid("file", "Send a CSV file with a registration ID and an alias on each line, in UTF-8.", "the list has no line")
	}
	return b.bind(ctx)
}
