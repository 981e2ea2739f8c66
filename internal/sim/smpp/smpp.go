// Package smpp plays the service centre of a telephone network that speaks SMPP
// 3.4: with its password, its limits of length, receipts, numbers that nobody has
// and its ways to fail. It shows nothing to anybody; it keeps what it took.
package smpp

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/herald-push/herald/internal/sim"
	"github.com/herald-push/herald/internal/wire/smpp"
	"github.com/herald-push/herald/internal/wire/smstext"
)

// Config says whom the service centre knows. Its zero value knows nobody.
type Config struct {
	SystemID, Password string
	// SystemType has to be that of a bind; "" takes any.
	SystemType string
	// After is when a receipt follows the response; default at once.
	After time.Duration
	// NoReceipts has none sent, whoever asks.
	NoReceipts bool
	// Show is given each message that was taken, one after the other, in place of
	// keeping it; nil to keep them.
	Show func(Taken)
}

// Taken is a message that was taken, put together of its parts.
type Taken struct {
	From, To smpp.Party
	Text     string
	Unicode  bool
	IDs      []string // of the parts, in their order
	Validity string
	Receipt  bool // one was asked for
}

// Service is the simulator. Every number of 3 to 15 digits is one of a telephone,
// until it is said to be gone.
type Service struct {
	sim.Tray[Taken] // what was taken

	cfg Config

	mu      sync.Mutex // guards what follows
	gone    map[string]smpp.Status
	binding smpp.Status // what binds are answered with; OK for what they deserve
	silent  bool
	parts   map[partKey]*parts
	counted uint32 // messages, for their IDs
	binds   int
	open    map[*link]bool
	waiting []smpp.Receipt // for a session that takes receipts
	owed    int            // receipts that were sent and not answered
	now     int            // submits that are being answered
	most    int            // of now
}

// New makes a service centre.
func New(c Config) *Service {
	return &Service{cfg: c, gone: map[string]smpp.Status{}, parts: map[partKey]*parts{}, open: map[*link]bool{}}
}

// Remove has a number, without +, belong to nobody: messages to it are refused
// with a status, or with OK taken, and then their receipts say so.
func (s *Service) Remove(number string, status smpp.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone[number] = status
}

// RefuseBinds has binds refused; with OK no more.
func (s *Service) RefuseBinds(status smpp.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.binding = status
}

// Silence has nothing answered at all, or everything again.
func (s *Service) Silence(silent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = silent
}

// Binds is how many sessions were opened.
func (s *Service) Binds() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.binds
}

// Sessions is how many are open.
func (s *Service) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// Owed is how many receipts nobody has answered.
func (s *Service) Owed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.owed + len(s.waiting)
}

// Most is how many submits were being answered at once.
func (s *Service) Most() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.most
}

// Ask sends a request to all sessions that are open, such as an unbind.
func (s *Service) Ask(p smpp.PDU) {
	for _, l := range s.links() {
		l.ask(p)
	}
}

// Write sends octets to all sessions that are open, as they are.
func (s *Service) Write(b []byte) {
	for _, l := range s.links() {
		l.write(b)
	}
}

// Cut ends all connections.
func (s *Service) Cut() {
	for _, l := range s.links() {
		_ = l.conn.Close()
	}
}

func (s *Service) links() (out []*link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.open {
		out = append(out, l)
	}
	return out
}

// admit judges a bind.
func (s *Service) admit(b *smpp.Bind) smpp.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.binding != smpp.OK:
		return s.binding
	case b.SystemID != s.cfg.SystemID || s.cfg.SystemID == "":
		return smpp.BadSystemID
	case b.Password != s.cfg.Password:
		return smpp.BadPassword
	case s.cfg.SystemType != "" && b.SystemType != s.cfg.SystemType:
		return smpp.BadSystemType
	}
	s.binds++
	return smpp.OK
}

type partKey struct {
	from, to   smpp.Party
	ref, total byte
}

type parts struct {
	texts [][]byte
	ids   []string
}

var (
	phone    = regexp.MustCompile(`^[0-9]{3,15}$`)
	validity = regexp.MustCompile(`^([0-9]{15}[-+R])?$`)
)

// Longest texts in octets, with a header if they have one.
const maxGSM, maxUCS2 = 160, 140

// take judges a message and keeps it. The receipt is one to send, if it has an ID.
func (s *Service) take(m *smpp.Message) (id string, r smpp.Receipt, status smpp.Status) {
	limit := maxGSM
	if m.Coding == smpp.CodingUCS2 {
		limit = maxUCS2
	}
	switch {
	case !phone.MatchString(m.Dest.Address):
		return "", r, smpp.BadDestination
	case m.Dest.TON > 6:
		return "", r, smpp.BadDestinationTON
	case m.Source.TON > 6:
		return "", r, smpp.BadSourceTON
	case !validity.MatchString(m.Validity):
		return "", r, smpp.BadValidity
	case m.Coding != smpp.CodingDefault && m.Coding != smpp.CodingUCS2:
		return "", r, smpp.UnknownError
	case len(m.Text) == 0 || len(m.Text) > limit:
		return "", r, smpp.BadMessageLength
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	gone, isGone := s.gone[m.Dest.Address]
	if isGone && gone != smpp.OK {
		return "", r, gone
	}
	s.counted++
	id = fmt.Sprintf("%08x", s.counted)
	if !s.keep(m, id, isGone) {
		return "", r, smpp.BadClass
	}
	if m.Registered&3 == 1 && !s.cfg.NoReceipts {
		r = smpp.Receipt{ID: id, State: smpp.Delivered}
		if isGone {
			r.State, r.Err = smpp.Undeliverable, "001"
		}
	}
	return id, r, smpp.OK
}

// keep puts parts together; false if a header cannot be read. What is for a number
// that nobody has is not kept.
func (s *Service) keep(m *smpp.Message, id string, gone bool) bool {
	text, ids := m.Text, []string{id}
	if m.Class&smpp.ClassUDH != 0 {
		if len(text) < 6 || text[0] != 5 || text[1] != 0 || text[2] != 3 || text[4] == 0 || text[5] == 0 || text[5] > text[4] {
			return false
		}
		key, n := partKey{m.Source, m.Dest, text[3], text[4]}, int(text[5])-1
		p := s.parts[key]
		if p == nil {
			p = &parts{make([][]byte, text[4]), make([]string, text[4])}
			s.parts[key] = p
		}
		p.texts[n], p.ids[n] = slices.Clone(text[6:]), id
		if slices.Contains(p.ids, "") {
			return true
		}
		delete(s.parts, key)
		text, ids = slices.Concat(p.texts...), p.ids
	}
	if !gone {
		unicode := m.Coding == smpp.CodingUCS2
		t := Taken{m.Source, m.Dest, smstext.Decode(text, unicode), unicode, ids, m.Validity, m.Registered&3 == 1}
		if s.cfg.Show != nil {
			s.cfg.Show(t)
			return true
		}
		s.Put(t)
	}
	return true
}

// deliver sends a receipt to a session that takes them, or keeps it for the next.
func (s *Service) deliver(r smpp.Receipt, first *link) {
	if to, p := s.owe(r, first); to != nil {
		to.send(p)
	}
}

func (s *Service) owe(r smpp.Receipt, first *link) (to *link, p *smpp.PDU) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[first] && first.receives() {
		to = first
	}
	for l := range s.open {
		if to == nil && l.receives() {
			to = l
		}
	}
	if to == nil {
		s.waiting = append(s.waiting, r)
		return nil, nil
	}
	s.owed++
	return to, to.owe(r)
}

// opened has a session stand among those that are open, and sends what has waited
// for one.
func (s *Service) opened(l *link) {
	s.mu.Lock()
	s.open[l] = true
	var list []smpp.Receipt
	if l.receives() {
		list, s.waiting = s.waiting, nil
	}
	s.mu.Unlock()
	for _, r := range list {
		s.deliver(r, l)
	}
}

// ended takes a session away; receipts that it has not answered wait for the next.
func (s *Service) ended(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, l)
	for _, r := range l.unanswered() {
		s.owed--
		s.waiting = append(s.waiting, r)
	}
	slices.SortFunc(s.waiting, func(a, b smpp.Receipt) int { return cmp.Compare(a.ID, b.ID) })
}

func (s *Service) answered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owed--
}

// begin and end count the submits that are being answered.
func (s *Service) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now++
	s.most = max(s.most, s.now)
}

func (s *Service) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now--
}

func (s *Service) isSilent() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.silent
}
