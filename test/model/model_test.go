package model_test

import (
	"fmt"
	"slices"
	"time"

	"github.com/herald-push/herald"
)

// device is what the model knows of a device. One of them stands for the whole
// crowd: devices that nobody plays, and that are all the same.
type device struct {
	app   int
	ord   herald.Ordinal
	id    herald.RegistrationID
	many  int64 // how many devices it stands for
	tags  map[string]bool
	alias string
	east  time.Duration // by how much its clock is ahead of UTC
	gone  bool
	here  bool // connected
}

// delivery is one message on one device.
type delivery struct {
	level int // index into herald.Progress, plus one
	end   herald.DeliveryState
	told  bool // has acknowledged that it was withdrawn
	held  bool // the message was not released to it yet
	gone  bool // the device was removed before that; the delivery ends with the next step
}

func (d *delivery) state() herald.DeliveryState {
	switch {
	case d.level > 1:
		return herald.Progress[d.level-1]
	case d.end != "":
		return d.end
	case d.level == 1:
		return herald.StateSent
	}
	return herald.StatePending
}

func (d *delivery) open() bool { return d.end == "" && d.level < 2 }

// reach takes a step of the good way.
func (d *delivery) reach(s herald.DeliveryState, late bool) {
	i := slices.Index(herald.Progress[:], s)
	ended := d.end != "" && d.level < 2
	if d.level > i || ended && (d.end != herald.StateUnconfirmed || i == 0 || late) {
		return
	}
	d.level = i + 1
}

// finish ends what is open.
func (d *delivery) finish(why herald.DeliveryState) {
	if !d.open() {
		return
	}
	switch why {
	case herald.StateExpired, herald.StateWithdrawn, herald.StateReplaced:
		if d.level == 1 {
			why = herald.StateUnconfirmed
		}
	}
	d.end = why
}

// message is what the model knows of a message.
type message struct {
	app       int
	id        herald.MessageID
	byAlias   bool
	collapse  string
	expires   time.Time
	ended     time.Time // as a whole; zero if it has not
	withdrawn bool
	local     time.Time // to be released when clocks show it; zero: at once
	of        map[*device]*delivery
	again     bool // the node has started since it was accepted
}

// release is what a plan does: who is connected is sent the message.
func (m *message) release(now time.Time, restarted bool) {
	if m.local.IsZero() || !m.ended.IsZero() {
		return
	}
	m.again = m.again || restarted
	step := restarted
	for d, x := range m.of {
		if x.held && !m.local.Add(-d.east).After(now) {
			x.held, step = false, true
			if d.here && x.level == 0 {
				x.level = 1
			}
		}
	}
	for _, x := range m.of {
		if step && x.gone {
			x.finish(herald.StateDeviceGone)
		}
	}
}

// released counts the devices that a message has come to.
func (m *message) released() (n int64) {
	for d, x := range m.of {
		if !x.held {
			n += d.many
		}
	}
	return n
}

// state is the whole model.
type state struct {
	devices  []*device
	messages []*message // in the order in which they were accepted
}

// expression is an audience with what it means.
type expression struct {
	json    string
	has     func(*device) bool
	byAlias bool
	keptOut bool // it names an alias below a not
}

func everybody() expression {
	return expression{`"all"`, func(*device) bool { return true }, false, false}
}

func tagged(t string) expression {
	return expression{fmt.Sprintf(`{"tags":[%q]}`, t), func(d *device) bool { return d.tags[t] }, false, false}
}

func bound(a string) expression {
	return expression{fmt.Sprintf(`{"aliases":[%q]}`, a), func(d *device) bool { return d.alias == a }, true, false}
}

func named(one *device) expression {
	return expression{fmt.Sprintf(`{"registration_ids":[%q]}`, one.id), func(d *device) bool { return d == one }, false, false}
}

func both(a, b expression) expression {
	return expression{fmt.Sprintf(`{"and":[%s,%s]}`, a.json, b.json), func(d *device) bool { return a.has(d) && b.has(d) }, a.byAlias || b.byAlias, a.keptOut || b.keptOut}
}

func either(a, b expression) expression {
	return expression{fmt.Sprintf(`{"or":[%s,%s]}`, a.json, b.json), func(d *device) bool { return a.has(d) || b.has(d) }, a.byAlias || b.byAlias, a.keptOut || b.keptOut}
}

// without is a, and not b: aliases that are kept out choose nobody, and those
// that are kept out of what is kept out choose again.
func without(a, b expression) expression {
	return expression{fmt.Sprintf(`{"and":[%s,{"not":%s}]}`, a.json, b.json), func(d *device) bool { return a.has(d) && !b.has(d) }, a.byAlias || b.keptOut, a.keptOut || b.byAlias}
}

// target says how many devices an audience has now.
func (s *state) target(app int, e expression) (n int64) {
	for _, d := range s.devices {
		if d.app == app && !d.gone && e.has(d) {
			n += d.many
		}
	}
	return n
}

// accept is a push that was accepted.
func (s *state) accept(m *message, e expression, now time.Time) {
	m.of = map[*device]*delivery{}
	for _, d := range s.devices {
		if d.app == m.app && !d.gone && e.has(d) {
			m.of[d] = &delivery{held: !m.local.IsZero()}
			if d.here && !m.of[d].held {
				m.of[d].level = 1
			}
		}
	}
	for _, old := range s.messages {
		if m.collapse == "" || old.app != m.app || old.collapse != m.collapse || !old.ended.IsZero() {
			continue
		}
		waits := false
		for d, x := range old.of {
			if m.of[d] != nil {
				x.finish(herald.StateReplaced)
			}
			waits = waits || x.open()
		}
		if !waits {
			old.ended = now
		}
	}
	s.messages = append(s.messages, m)
	m.release(now, false)
}

// end takes what the node says to have ended of devices that were removed before
// the message came to them: it does so with the next step at the latest, and
// before it if that is when it goes through its last releases after a start.
func (m *message) end(gone int64) {
	if !m.again {
		return
	}
	for _, x := range m.of {
		if x.end == herald.StateDeviceGone {
			gone--
		}
	}
	for _, x := range m.of {
		if gone > 0 && x.gone && x.open() {
			x.finish(herald.StateDeviceGone)
			gone--
		}
	}
}

// withdraw is a withdrawal that was confirmed.
func (m *message) withdraw(now time.Time) {
	m.withdrawn, m.ended = true, now
	for _, x := range m.of {
		x.finish(herald.StateWithdrawn)
	}
}

// expire is what the clock does.
func (s *state) expire(now time.Time) {
	for _, m := range s.messages {
		if m.ended.IsZero() && !now.Before(m.expires) {
			m.ended = now
			for _, x := range m.of {
				x.finish(herald.StateExpired)
			}
		}
	}
}

// rebind gives a device another alias, or none.
func (s *state) rebind(d *device, alias string) {
	if d.alias == alias {
		return
	}
	d.alias = alias
	for _, m := range s.messages {
		if x := m.of[d]; x != nil && m.byAlias && m.ended.IsZero() {
			x.finish(herald.StateRebound)
		}
	}
}

// remove removes a device.
func (s *state) remove(d *device) {
	d.gone, d.here = true, false
	for _, m := range s.messages {
		switch x := m.of[d]; {
		case x == nil || !m.ended.IsZero():
		case x.held:
			x.gone = true
		default:
			x.finish(herald.StateDeviceGone)
		}
	}
}

// waiting lists what a device has to be sent when it connects.
func (s *state) waiting(d *device) (list []*message) {
	for _, m := range s.messages {
		if x := m.of[d]; x != nil && m.ended.IsZero() && x.open() && !x.held {
			list = append(list, m)
		}
	}
	return list
}

// counts is what the sender is told.
func (m *message) counts() herald.Counts {
	c := herald.Counts{States: map[herald.DeliveryState]int64{}}
	for d, x := range m.of {
		c.Target += d.many
		c.States[x.state()] += d.many
		for i, n := range []*int64{&c.Sent, &c.Received, &c.Displayed, &c.Clicked} {
			if x.level > i {
				*n += d.many
			}
		}
	}
	return c
}
