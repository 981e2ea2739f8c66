package faults_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
)

// invariant is one of docs/guarantees.md, by its number there, with the
// function that finds where it does not hold.
type invariant struct {
	number int
	name   string
	check  func(*evidence) []string
}

// invariants are all of them. What is not in force yet is named there too, so
// that nobody takes it for forgotten.
var invariants = []invariant{
	{1, "no silent loss", noSilentLoss},
	{2, "what is online drains", drains},
	{3, "nothing is invented", nothingInvented},
	{4, "what was refused is not delivered", refusedIsNotDelivered},
	{5, "apps and users are kept apart", keptApart},
	{6, "a receipt counts once", countsOnce},
	{7, "states move forward and sum up", statesSumUp},
	{8, "copies bear the same ID", sameID},
	{9, "order as promised", inOrder},
	{10, "nothing too late or too early", inTime},
	{11, "one key, one message", oneKeyOneMessage},
	// 12, no call after a vendor's "unregistered": TestGoneAddresses, which has a vendor.
	{13, "storage is whole", storageIsWhole},
	{14, "resources return", resourcesReturn},
	{15, "no panic and no secret", noPanicNoSecret},
	{16, "readiness is honest", readinessIsHonest},
	{17, "publications are kept", (*evidence).publicationsKept},
	{18, "QoS 2 is exactly once", (*evidence).exactlyOnce},
	{19, "publications are kept apart", (*evidence).publicationsApart},
	{20, "publications are in order", (*evidence).publicationsInOrder},
}

// check holds the evidence to every invariant and gives the broken ones.
func (e *evidence) check() map[int][]string {
	e.j.mu.Lock()
	defer e.j.mu.Unlock()
	broken := map[int][]string{}
	for _, i := range invariants {
		if wrong := i.check(e); len(wrong) > 0 {
			broken[i.number] = wrong
		}
	}
	return broken
}

// complaints gives the last warnings and errors of the server, but for those
// that its callers were told.
func (e *evidence) complaints() (list []string) {
	for line := range strings.Lines(e.output) {
		if (strings.Contains(line, `"level":"WARN"`) || strings.Contains(line, `"level":"ERROR"`)) && !strings.Contains(line, `"msg":"request failed"`) {
			list = append(list, strings.TrimSpace(line))
		}
	}
	return list[max(0, len(list)-50):]
}

// hold fails the test where an invariant is broken.
func (e *evidence) hold(t *testing.T) {
	t.Helper()
	broken := e.check()
	if list := e.complaints(); len(broken) > 0 && len(list) > 0 {
		t.Logf("the server has complained:\n\t%s", strings.Join(list, "\n\t"))
	}
	for _, i := range invariants {
		if wrong := broken[i.number]; len(wrong) > 0 {
			if i.number == 2 {
				wrong = slices.Concat(wrong, e.stuck)
			}
			t.Errorf("invariant %d, %s, is broken in %d places:\n\t%s", i.number, i.name, len(wrong), few(wrong))
		}
	}
}

// plainly reports whether nothing of its own ends a push before it is received.
func (e *evidence) plainly(p *push) bool {
	return p.TTL > time.Hour && p.WithdrawBegan.IsZero() && p.Collapse == ""
}

// mayEnd says whether a state can be the end of a push on a device, by what the
// harness did.
func (e *evidence) mayEnd(p *push, d *device, s herald.DeliveryState) bool {
	switch s {
	case herald.StatePending, herald.StateSent, herald.StateReceived, herald.StateDisplayed, herald.StateClicked:
		return true
	case herald.StateExpired:
		return time.Since(p.Began) > p.TTL
	case herald.StateWithdrawn:
		return !p.WithdrawBegan.IsZero()
	case herald.StateReplaced:
		return p.Collapse != ""
	case herald.StateUnconfirmed:
		return time.Since(p.Began) > p.TTL || !p.WithdrawBegan.IsZero() || p.Collapse != ""
	case herald.StateDeviceGone:
		return d.removed.Load()
	case herald.StateOverflow:
		// The SDK may stay away for half a minute: only where that is enough
		// for more messages than a device may have waiting.
		return len(e.byID) > herald.MaxPending
	case herald.StateRebound:
		yes, _ := d.could("rebound", time.Time{}, e.horizon)
		return p.Kind == "alias" && yes
	}
	return false
}

// noSilentLoss: every accepted message × target device is in a state, that
// state has its reason, and what counts as received did arrive.
func noSilentLoss(e *evidence) (wrong []string) {
	for id, status := range e.gone {
		wrong = append(wrong, fmt.Sprintf("message %s (%s) was accepted, and is answered with status %d", id, e.byID[id].Nonce, status))
	}
	type arrival struct {
		nonce  string
		device int
	}
	arrived := map[arrival]bool{}
	for _, f := range e.j.frames {
		arrived[arrival{f.Nonce, f.Device}] = true
	}
	for id, p := range e.byID {
		if _, ok := e.views[id]; !ok || !e.full[id] {
			continue
		}
		for _, d := range e.j.devices {
			t, asked := e.traces[traceKey{id, d.index}]
			if !asked {
				continue
			}
			must, may := p.meant(d, e.horizon)
			switch {
			case t.State == "" && must && (e.views[id].Counts != nil || p.WithdrawBegan.IsZero()):
				wrong = append(wrong, fmt.Sprintf("message %s is for device %d, and it is not in its target", id, d.index))
			case t.State != "" && !may && d.app == p.App:
				wrong = append(wrong, fmt.Sprintf("message %s is not for device %d, and it is in its target", id, d.index))
			case t.State != "" && !e.mayEnd(p, d, t.State):
				wrong = append(wrong, fmt.Sprintf("message %s on device %d is %s, without a reason", id, d.index, t.State))
			case slices.Contains(herald.Progress[1:], t.State) && !arrived[arrival{p.Nonce, d.index}]:
				wrong = append(wrong, fmt.Sprintf("message %s on device %d is %s, and never arrived there", id, d.index, t.State))
			}
		}
	}
	return wrong
}

// drains: with devices online, a long TTL and time to drain, all is received.
func drains(e *evidence) (wrong []string) {
	for _, id := range e.open {
		wrong = append(wrong, fmt.Sprintf("message %s still waits for a device: %v", id, e.views[id].Counts))
	}
	for _, k := range e.missing() {
		if p, d := e.byID[k.id], e.j.devices[k.device]; e.traces[k].State != herald.StateOverflow || !e.mayEnd(p, d, herald.StateOverflow) {
			wrong = append(wrong, fmt.Sprintf("message %s never arrived at device %d, which is online", k.id, k.device))
		}
	}
	return wrong
}

// missing lists what nothing kept from arriving and never did; the journal is
// locked.
func (e *evidence) missing() (out []traceKey) {
	arrived := map[traceKey]bool{}
	for _, f := range e.j.frames {
		arrived[traceKey{f.Nonce, f.Device}] = true
	}
	for id, p := range e.byID {
		if !e.plainly(p) {
			continue
		}
		for _, d := range e.j.devices {
			if must, _ := p.meant(d, e.horizon); !must || d.removed.Load() {
				continue
			}
			if yes, _ := d.could("rebound", p.Began, e.horizon); p.Kind == "alias" && yes && e.reboundSince(d, p) {
				continue
			}
			if !arrived[traceKey{p.Nonce, d.index}] {
				out = append(out, traceKey{id, d.index})
			}
		}
	}
	return out
}

// reboundSince reports whether the alias of a device may have changed since a
// push was made.
func (e *evidence) reboundSince(d *device, p *push) bool {
	list := d.changes["rebound"]
	return len(list) > 0 && list[len(list)-1].Ended.After(p.Began)
}

// nothingInvented: every body that is received was sent.
func nothingInvented(e *evidence) (wrong []string) {
	for _, f := range e.j.frames {
		if f.Type != "message" {
			continue
		}
		if p := e.j.byNonce[f.Nonce]; p == nil || p.Hash != f.Hash {
			wrong = append(wrong, fmt.Sprintf("device %d received message %s (%s) with a body that nobody sent", f.Device, f.ID, f.Nonce))
		}
	}
	return wrong
}

// refusedIsNotDelivered: what was answered with 4xx reaches nobody.
func refusedIsNotDelivered(e *evidence) (wrong []string) {
	for _, f := range e.j.frames {
		if p := e.j.byNonce[f.Nonce]; p != nil && p.Status >= 400 {
			wrong = append(wrong, fmt.Sprintf("%s was refused with %d and reached device %d as message %s", p.Nonce, p.Status, f.Device, f.ID))
		}
	}
	for _, p := range e.j.pushes {
		if ids := e.listed[p.App][p.Nonce]; p.Status >= 400 && len(ids) > 0 {
			wrong = append(wrong, fmt.Sprintf("%s was refused with %d and is message %s", p.Nonce, p.Status, ids[0]))
		}
		if p.Refuse == "ttl" && p.accepted() {
			wrong = append(wrong, fmt.Sprintf("%s has a TTL that is too long, and was accepted", p.Nonce))
		}
	}
	return wrong
}

// keptApart: nobody receives, reads or lists what is another app's, or what was
// accepted for an alias after it was taken from the device.
func keptApart(e *evidence) (wrong []string) {
	wrong = slices.Clone(e.probes)
	for _, f := range e.j.frames {
		p := e.j.byNonce[f.Nonce]
		if p == nil || f.Type != "message" {
			continue
		}
		d := e.j.devices[f.Device]
		if d.app != p.App {
			wrong = append(wrong, fmt.Sprintf("device %d of app %d received message %s of app %d", d.index, d.app, f.ID, p.App))
		} else if _, may := p.meant(d, e.horizon); !may {
			wrong = append(wrong, fmt.Sprintf("device %d received message %s, which is for %s %v", d.index, f.ID, p.Kind, p.Names))
		}
	}
	for app, list := range e.listed {
		for nonce, ids := range list {
			if p := e.j.byNonce[nonce]; p != nil && p.App != app {
				wrong = append(wrong, fmt.Sprintf("app %d lists message %s of app %d", app, ids[0], p.App))
			}
		}
	}
	return wrong
}

// countsOnce: received ≤ target, and counts are what the traces say.
func countsOnce(e *evidence) (wrong []string) {
	wrong = slices.Clone(e.differs)
	for id, v := range e.views {
		if v.Counts == nil {
			continue
		}
		c := v.Counts
		if c.Received > c.Target || c.Sent > c.Target || c.Received > c.Sent || c.Displayed > c.Received {
			wrong = append(wrong, fmt.Sprintf("message %s counts %+v", id, *c))
		}
		if !e.full[id] {
			continue
		}
		received, blind := int64(0), int64(0)
		for _, d := range e.j.devices {
			if d.removed.Load() && d.app == e.byID[id].App {
				blind++ // what is erased has no trace
			} else if t, ok := e.traces[traceKey{id, d.index}]; ok && slices.Contains(herald.Progress[1:], t.State) {
				received++
			}
		}
		if c.Received < received || c.Received > received+blind {
			wrong = append(wrong, fmt.Sprintf("message %s counts %d received, and its traces %d", id, c.Received, received))
		}
	}
	return wrong
}

// ranks of the good way; an end is above what it ends.
var ranks = map[herald.DeliveryState]int{
	"": 0, herald.StatePending: 0, herald.StateSent: 1, herald.StateUnconfirmed: 2, herald.StateReceived: 3, herald.StateDisplayed: 4, herald.StateClicked: 5,
}

// statesSumUp: states move forward only, and sum to the target.
func statesSumUp(e *evidence) (wrong []string) {
	for id, v := range e.views {
		if v.Counts == nil {
			continue
		}
		sum := int64(0)
		for s, n := range v.Counts.States {
			sum += n
			if n < 0 {
				wrong = append(wrong, fmt.Sprintf("message %s has %d devices in state %s", id, n, s))
			}
		}
		if sum != v.Counts.Target {
			wrong = append(wrong, fmt.Sprintf("the states of message %s sum to %d of %d: %v", id, sum, v.Counts.Target, v.Counts.States))
		}
		if t := e.byID[id].Target; t != nil && *t != v.Counts.Target {
			wrong = append(wrong, fmt.Sprintf("message %s was accepted for %d devices, and counts %d", id, *t, v.Counts.Target))
		}
	}
	last := map[traceKey]herald.DeliveryState{}
	step := func(k traceKey, s herald.DeliveryState) {
		was, known := last[k]
		last[k] = s
		if !known || was == s {
			return
		}
		_, moving := ranks[was]
		rank, way := ranks[s]
		if !moving || way && rank < ranks[was] || !way && ranks[was] >= ranks[herald.StateUnconfirmed] {
			wrong = append(wrong, fmt.Sprintf("message %s on device %d went from %s to %s", k.id, k.device, was, s))
		}
	}
	for _, s := range e.j.samples {
		step(traceKey{s.Push, s.Device}, herald.DeliveryState(s.State))
	}
	for k, t := range e.traces {
		step(k, t.State)
	}
	return wrong
}
