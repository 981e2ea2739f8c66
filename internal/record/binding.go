package record

import (
	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/sets"
)

// Binding asks for one device to be bound to an alias, or to none.
type Binding struct {
	ID    herald.RegistrationID
	Alias herald.Alias // "" unbinds it
	From  herald.Alias // if not "", only a device that is bound to it is changed
}

// BindOutcome is what became of one Binding.
type BindOutcome uint8

// Outcomes of bindings.
const (
	BindUnknown   BindOutcome = iota // nobody has the registration ID
	BindUnchanged                    // it was so already
	BindDone                         // the alias of the device has changed
	BindFull                         // the alias has herald.MaxDevicesByAlias devices
)

// Bound is what became of several bindings that were made in one commit.
type Bound struct {
	Pos      herald.Pos // of the log, at which all of them changed; 0 if none did
	Changed  *sets.Set  // the devices whose alias changed
	Outcomes []BindOutcome
}

// Rebinding is which devices have a log position as that of the last change of
// their alias.
type Rebinding struct {
	Pos  herald.Pos
	Ords *sets.Set
}
