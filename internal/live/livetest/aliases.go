package livetest

import (
	"context"

	"github.com/herald-push/herald"
)

// Bind gives a device another alias, or none, and gives the log position of that.
func (w *World) Bind(m Member, a herald.Alias) herald.Pos {
	pos := w.Rebind(m)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.aliases == nil {
		w.aliases = map[herald.Ordinal]herald.Alias{}
	}
	w.aliases[m.Ord] = a
	return pos
}

// UseAlias is that of live.Aliases.
func (w *World) UseAlias(herald.AppKey) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rules.UseAlias()
}

// AliasesOf is that of live.Aliases.
func (w *World) AliasesOf(_ context.Context, _ herald.AppKey, ords []herald.Ordinal) (map[herald.Ordinal]herald.Alias, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[herald.Ordinal]herald.Alias{}
	for _, o := range ords {
		if a := w.aliases[o]; a != "" {
			out[o] = a
		}
	}
	return out, nil
}
