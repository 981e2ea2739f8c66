package receipt_test

import (
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// TestMayTarget: no is said only of what is in memory, and never wrongly.
func TestMayTarget(t *testing.T) {
	w := newWorld(t, t.TempDir())
	defer func() { w.end(false) }()
	small, alias := w.message(group, 0, 1, 2, 70_000), w.message(aliased, 0, 1, 2, 70_000)
	wide := w.message(group, 0, sets.Range(20_000).Ordinals()...)
	ended := w.finish(w.message(group, 0, 1, 2), herald.MessageExpired, herald.StateExpired)
	for _, when := range []string{"at first", "after a restart"} {
		for name, tt := range map[string]struct {
			m    *record.Message
			ord  herald.Ordinal
			want bool
		}{
			"of one cell": {small, 70_000, true}, "of one cell, another device": {small, 3, false},
			"by alias": {alias, 2, true}, "by alias, another device": {alias, 4, false},
			"of several cells": {wide, 19_999, true}, "of several cells, another device": {wide, 20_000, false},
			"ended": {ended, 1, true}, "ended, another device": {ended, 3, true},
		} {
			if got := w.ledger.MayTarget(app, tt.ord)(tt.m.ID); got != tt.want {
				t.Errorf("%s: %s: %v", when, name, got)
			}
		}
		if !w.ledger.MayTarget(app, 1)(1) {
			t.Errorf("%s: a message that is not known is none", when)
		}
		w.restart(false)
	}
}
