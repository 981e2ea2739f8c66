package courier

import (
	"context"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// outcomes are what came of some owners of an errand.
type outcomes struct {
	errand  *errand
	detail  bool
	now     time.Time
	tallies map[tallyKey]*sets.Set
	save    record.ErrandSave
	decided *sets.Set
	sent    *sets.Set
	marks   []func(context.Context) error // of addresses
}

type tallyKey struct {
	fate record.Fate
	code string
}

func (j *errand) outcomes() *outcomes {
	return &outcomes{
		errand: j, detail: j.detailed(), now: j.c.c.Now().UTC(),
		tallies: map[tallyKey]*sets.Set{}, decided: sets.New(), sent: sets.New(),
	}
}

// detailed reports whether attempts of the message are kept one by one.
func (j *errand) detailed() bool {
	return j.Owner != record.OwnerDevice || j.m != nil && (j.m.IsDirect() || j.m.Target <= herald.MaxDirect)
}

// debug reports whether the conversation is kept: of a message to many it would
// be more than anybody reads, and all of it tokens.
func (j *errand) debug() bool {
	return j.m != nil && j.m.Facts != nil && j.m.Facts.Debug && j.m.Target <= herald.MaxDirect
}

// add takes down the outcome of one owner.
func (o *outcomes) add(ord herald.Ordinal, a record.Attempt) {
	key := tallyKey{a.Fate, a.Code}
	if o.tallies[key] == nil {
		o.tallies[key] = sets.New()
	}
	o.tallies[key].Add(ord)
	o.decided.Add(ord)
	if a.Fate == record.FateAccepted {
		o.sent.Add(ord)
	}
	if !o.detail {
		return
	}
	e := o.errand
	a.App, a.Msg, a.Step, a.Vendor, a.Owner, a.Ord = e.App, e.Msg, e.Step, e.Vendor, e.Owner, ord
	a.Tries, a.At = e.Tries+1, o.now
	if a.Fate == record.FateSkipped {
		a.Tries = e.Tries
	}
	o.save.Attempts = append(o.save.Attempts, a)
}

// attemptOf is an outcome with the words of a vendor.
func attemptOf(fate record.Fate, err *provider.Error) record.Attempt {
	return record.Attempt{Fate: fate, Code: codeOf(err), Text: err.Text, Remedy: err.Remedy}
}

// codeOf is by what failures are counted.
func codeOf(err *provider.Error) string {
	if err.Code == "" {
		return string(err.Kind)
	}
	return string(err.Kind) + "/" + err.Code
}

// keep writes down outcomes (nil for none) and when the errand goes on. What was
// sent is reported first: it was, whatever becomes of the rest.
func (j *errand) keep(o *outcomes, at time.Time) error {
	save := record.ErrandSave{Errand: &j.Errand}
	if o != nil {
		save = o.save
		save.Errand = &j.Errand
		if j.Owner == record.OwnerDevice && !o.sent.Empty() {
			j.c.c.Ledger.Report(j.App, record.Event{Msg: j.Msg, State: herald.StateSent, Set: o.sent, Time: o.now, Via: string(j.Vendor)})
		}
		j.reported()
		for _, mark := range o.marks {
			if err := j.persist(mark); err != nil && herald.CodeOf(err) != herald.CodeConflict {
				return err
			}
		}
		for key, set := range o.tallies {
			save.Tallies = append(save.Tallies, record.Tally{Fate: key.fate, Code: key.code, Set: set})
		}
		j.Left.AndNot(o.decided)
	}
	j.Doubt, j.At = nil, at
	if err := j.save(save); err != nil {
		return err
	}
	if list := j.c.early.of(j.App, save.Attempts); len(list) > 0 {
		if err := j.persist(func(ctx context.Context) error { return j.c.apply(ctx, j.App, list) }); err != nil {
			j.c.c.Log.Error("courier: what a vendor has said early was not kept", "app", j.App, "message", j.Msg, "error", err)
		}
	}
	return nil
}

// reported ends a batch for who recalls the message.
func (j *errand) reported() {
	if j.inBatch {
		j.inBatch = false
		j.c.watches.endBatch(j.watch)
	}
}

func (j *errand) save(s record.ErrandSave) error {
	err := j.persist(func(ctx context.Context) error { return j.c.c.Errands.SaveErrand(ctx, s) })
	if err == nil {
		j.until = j.At
	}
	return err
}

// persist does something with the record, and repeats it while that cannot be
// written and the errand is ours.
func (j *errand) persist(do func(context.Context) error) error {
	for n := 0; ; n++ {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(j.calls), 10*time.Second)
		err := do(ctx)
		cancel()
		if err == nil || herald.CodeOf(err) == herald.CodeConflict || herald.CodeOf(err) == herald.CodeNotFound {
			return err
		}
		wait := backoff(100*time.Millisecond, 5*time.Second, n)
		if j.c.c.Now().Add(wait).After(j.until) {
			return err
		}
		select {
		case <-time.After(wait):
		case <-j.calls.Done():
			return err
		}
	}
}
