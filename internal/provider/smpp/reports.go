package smpp

import (
	"strings"
	"sync"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/wire/smpp"
)

// Listen has receipts told to f. Those of a message of several parts become one
// report with the message's whole reference: received when all parts are, else the
// first part's error. After a restart they come with the reference of their part.
func (p *Provider) Listen(f func(provider.Report)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report = f
}

func (p *Provider) tell(r provider.Report) {
	p.mu.Lock()
	f := p.report
	p.mu.Unlock()
	if f == nil {
		return
	}
	p.telling.Lock()
	defer p.telling.Unlock()
	f(r)
}

// delivered looks at a deliver_sm. Messages from telephones are for nobody here.
func (p *Provider) delivered(u *smpp.PDU) {
	receipt, ok := smpp.ReadReceipt(u)
	if !ok {
		return
	}
	report, ok := reportOf(receipt)
	if !ok {
		return
	}
	// A receipt has a time too, without its zone: the service centre's own.
	report.Time = p.now()
	report.Reference = nameOf(report.Reference, p.receiptBase)
	if report, ok = p.groups.receipt(report); ok {
		p.tell(report)
	}
}

// reportOf is false for what is not the end yet, or says nothing: UNKNOWN means
// that the network does not know.
func reportOf(r smpp.Receipt) (provider.Report, bool) {
	out := provider.Report{Reference: r.ID}
	if r.State == smpp.Delivered {
		out.State = herald.StateReceived
		return out, true
	}
	e := &provider.Error{Kind: provider.Rejected, Code: string(r.State)}
	if strings.Trim(r.Err, "0") != "" {
		e.Code += " " + r.Err
	}
	switch r.State {
	case smpp.Undeliverable:
		e.Text, e.Remedy = "the network could not deliver the message", "The number may belong to nobody; the code is the network's own."
	case smpp.Expired:
		e.Text, e.Remedy = "the telephone was not reached in time", "Give the message a longer TTL."
	case smpp.Rejected:
		e.Text, e.Remedy = "the network refused the message", "Ask the operator of the service centre; the code is the network's own."
	case smpp.Deleted:
		e.Text, e.Remedy = "the message was deleted at the service centre", "Ask its operator."
	default:
		return out, false
	}
	out.Err = e
	return out, true
}

// groups remember which parts make one message, for those whose receipts are still
// to come. The zero value is ready.
type groups struct {
	mu    sync.Mutex // guards what follows, and all groups
	of    map[string]*group
	order []string // of the keys, as they came
}

// maxRemembered is how many parts are remembered, the last ones.
const maxRemembered = 20_000

// group is a message of several parts.
type group struct {
	left      int    // parts without a receipt
	reference string // "" until all are submitted
	seen      map[string]bool
	held      *provider.Report // is told when the reference is known
	ended     bool             // it was told, or is of nobody's interest
}

func (g *groups) begin(parts int) *group {
	return &group{left: parts, seen: map[string]bool{}}
}

// named notes the name of a part as soon as its response has come, before its
// receipt can.
func (g *groups) named(of *group, name string) {
	if of == nil || name == "" {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.of == nil {
		g.of = map[string]*group{}
	}
	g.of[name] = of
	g.order = append(g.order, name)
	for len(g.order) > maxRemembered {
		delete(g.of, g.order[0])
		g.order = g.order[1:]
	}
}

// drop forgets a message that was not submitted whole.
func (g *groups) drop(of *group) {
	if of != nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		of.ended = true
	}
}

// whole notes that a message was submitted whole, and gives its report if it is
// known already.
func (g *groups) whole(of *group, reference string) (r provider.Report, ok bool) {
	if of == nil {
		return r, false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	of.reference = reference
	if of.held == nil {
		return r, false
	}
	of.ended = true
	r = *of.held
	r.Reference = reference
	return r, true
}

// receipt gives what is to be told when a part's receipt has come: nothing yet, if
// others of its message are to come.
func (g *groups) receipt(r provider.Report) (provider.Report, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	of := g.of[r.Reference]
	switch {
	case of == nil:
		return r, true
	case of.ended || of.held != nil || of.seen[r.Reference]:
		return r, false
	}
	of.seen[r.Reference] = true
	if of.left--; of.left > 0 && r.Err == nil {
		return r, false
	}
	if of.reference == "" {
		of.held = &r
		return r, false
	}
	of.ended = true
	r.Reference = of.reference
	return r, true
}
