package courier

import (
	"strings"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// A vendor may say what became of a message before it is written down that it
// took it: the answer and the report race. So a report about nothing that is
// known is held for a while, and applied when its attempt is kept.
const (
	earlyFor = 2 * time.Minute
	maxEarly = 10_000
)

// early are reports whose attempts are not known yet.
type early struct {
	mu   sync.Mutex // guards list
	list map[early1]heldReport
}

// early1 names what a report is about.
type early1 struct {
	app       herald.AppKey
	vendor    herald.Vendor
	reference string
}

type heldReport struct {
	record.VendorReport
	until time.Time
}

// name is what a report and an attempt have in common: of a message in parts the
// first one.
func name(app herald.AppKey, vendor herald.Vendor, reference string) early1 {
	first, _, _ := strings.Cut(reference, ",")
	return early1{app, vendor, first}
}

// hold holds reports, and forgets what nobody asked for. With too many those that
// come are not held: they were about nothing for long enough.
func (e *early) hold(app herald.AppKey, list []record.VendorReport, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.list == nil {
		e.list = map[early1]heldReport{}
	}
	if len(e.list)+len(list) > maxEarly {
		for k, h := range e.list {
			if now.After(h.until) {
				delete(e.list, k)
			}
		}
	}
	for _, r := range list {
		if len(e.list) < maxEarly {
			e.list[name(app, r.Vendor, r.Reference)] = heldReport{r, now.Add(earlyFor)}
		}
	}
}

// drop forgets the reports about attempts that are known.
func (e *early) drop(app herald.AppKey, known []record.Attempt) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range known {
		delete(e.list, name(app, known[i].Vendor, known[i].Reference))
	}
}

// of gives the reports about attempts that have just been kept.
func (e *early) of(app herald.AppKey, kept []record.Attempt) (out []record.VendorReport) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.list) == 0 {
		return nil
	}
	for i := range kept {
		if h, ok := e.list[name(app, kept[i].Vendor, kept[i].Reference)]; ok && kept[i].Reference != "" {
			out = append(out, h.VendorReport)
		}
	}
	return out
}
