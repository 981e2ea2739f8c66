package smpp

import (
	"strconv"
	"strings"
)

// State is what became of a message, in the words of receipts (appendix B).
type State string

// The states. Enroute and Accepted are followed by another one.
const (
	Enroute       State = "ENROUTE"
	Delivered     State = "DELIVRD"
	Expired       State = "EXPIRED"
	Deleted       State = "DELETED"
	Undeliverable State = "UNDELIV"
	Accepted      State = "ACCEPTD"
	Unknown       State = "UNKNOWN"
	Rejected      State = "REJECTD"
)

// states has them by their number in an optional parameter (section 5.2.28).
func stateOf(n byte) State {
	list := [...]State{1: Enroute, 2: Delivered, 3: Expired, 4: Deleted, 5: Undeliverable, 6: Accepted, 7: Unknown, 8: Rejected}
	if int(n) < len(list) {
		return list[n]
	}
	return ""
}

// Receipt is what a service centre says later of a message.
type Receipt struct {
	ID    string // of the message, as in the response to submit_sm
	State State
	Err   string // the network's word for what went wrong; "" or "000" for nothing
}

// ReadReceipt reads the receipt in a deliver_sm; ok is false if it is none. The
// optional parameters count where there are any: the text is not of the protocol,
// and each vendor writes it in a slightly different way.
func ReadReceipt(p *PDU) (r Receipt, ok bool) {
	if p.Message == nil || p.Message.Class&classType != ClassReceipt {
		return r, false
	}
	if p.Message.Class&ClassUDH == 0 {
		r = readText(string(p.Text()))
	}
	if id := p.Find(TagReceiptedID); len(id) > 0 {
		r.ID = strings.TrimRight(string(id), "\x00")
	}
	if n := p.Find(TagMessageState); len(n) == 1 && stateOf(n[0]) != "" {
		r.State = stateOf(n[0])
	}
	if e := p.Find(TagNetworkError); len(e) == 3 { // of which network, and its number
		r.Err = strconv.Itoa(int(e[1])<<8 | int(e[2]))
	}
	return r, r.ID != "" && len(r.ID) <= maxMessageID && r.State != ""
}

// readText reads the text of a receipt: id:… sub:… dlvrd:… submit date:… done
// date:… stat:… err:… text:…
func readText(s string) (r Receipt) {
	// The text of the message itself comes last, and may look like a field.
	if i := strings.Index(strings.ToLower(s), " text:"); i >= 0 {
		s = s[:i]
	}
	for _, field := range strings.Fields(s) {
		name, value, _ := strings.Cut(field, ":")
		switch strings.ToLower(name) {
		case "id":
			r.ID = value
		case "stat":
			r.State = stateNamed(value)
		case "err":
			r.Err = value
		}
	}
	return r
}

// stateNamed knows the state in a text, also by its longer name.
func stateNamed(s string) State {
	s = strings.ToUpper(s)
	for n := byte(1); stateOf(n) != ""; n++ {
		if State(s) == stateOf(n) {
			return stateOf(n)
		}
	}
	switch s {
	case "DELIVERED":
		return Delivered
	case "UNDELIVERABLE", "UNDELIVERED", "FAILED":
		return Undeliverable
	case "ACCEPTED":
		return Accepted
	case "REJECTED":
		return Rejected
	}
	return ""
}

// Text writes a receipt as most service centres do.
func (r *Receipt) Text() string {
	dlvrd := "000"
	if r.State == Delivered {
		dlvrd = "001"
	}
	e := r.Err
	if e == "" {
		e = "000"
	}
	const date = "2601010000" // nobody reads it: the form has no time zone
	return "id:" + r.ID + " sub:001 dlvrd:" + dlvrd + " submit date:" + date + " done date:" + date + " stat:" + string(r.State) + " err:" + e + " text:"
}
