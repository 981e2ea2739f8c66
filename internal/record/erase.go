package record

import (
	"slices"

	"github.com/herald-push/herald"
)

// Erasure is what must be forgotten: a device, and its alias if nobody else
// bears it.
type Erasure struct {
	App   herald.AppKey
	Ord   herald.Ordinal
	ID    herald.RegistrationID
	Alias herald.Alias // "" if the alias stays
	// Gone says that the device was removed: what led to its deliveries goes,
	// too. Before that only contents do, so that its deliveries end first.
	Gone bool
}

// Names that stand in audiences for what was erased. Nobody has the ID.
const (
	ErasedID    herald.RegistrationID = "00000000000000000000"
	ErasedAlias herald.Alias          = "erased"
)

// Redact replaces the names of what is erased in an audience, and tells whether
// there were any.
func (e *Erasure) Redact(a *herald.Audience) (found bool) {
	if i := slices.Index(a.RegistrationIDs, e.ID); i >= 0 {
		a.RegistrationIDs[i], found = ErasedID, true
		e.Redact(a) // it may be named again
	}
	if i := slices.Index(a.Aliases, e.Alias); i >= 0 && e.Alias != "" && e.Alias != ErasedAlias {
		a.Aliases[i], found = ErasedAlias, true
		e.Redact(a)
	}
	for _, list := range [][]herald.Audience{a.And, a.Or} {
		for i := range list {
			found = e.Redact(&list[i]) || found
		}
	}
	return a.Not != nil && e.Redact(a.Not) || found
}

// Alone reports whether an audience that was redacted names nobody but what is
// erased.
func (e *Erasure) Alone(a *herald.Audience) bool {
	if len(a.RegistrationIDs)+len(a.Aliases) == 0 {
		return false
	}
	for _, id := range a.RegistrationIDs {
		if id != ErasedID {
			return false
		}
	}
	for _, alias := range a.Aliases {
		if alias != ErasedAlias {
			return false
		}
	}
	return true
}
