package audience

import (
	"context"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// list is an uploaded file as it is needed to evaluate.
type list struct {
	set  *sets.Set
	kind record.FileKind
	pos  herald.Pos
}

// lists reads the files that an expression names. Segments name none.
func (e *Evaluator) lists(ctx context.Context, key herald.AppKey, a *herald.Audience) (map[herald.FileID]list, error) {
	out := map[herald.FileID]list{}
	for _, id := range FilesOf(a) {
		f, set, err := e.registry.File(ctx, key, id)
		if herald.CodeOf(err) == herald.CodeNotFound {
			return nil, herald.Invalid("audience.files", "Upload the list again with POST /v1/files; a file is deleted 30 days after its last use.", "there is no file %.24q", string(id))
		}
		if err != nil {
			return nil, err
		}
		out[id] = list{set, f.Kind, f.Pos}
	}
	if len(out) > herald.MaxSaved {
		return nil, herald.Invalid("audience.files", "Send several messages.", "%d files are more than %d", len(out), herald.MaxSaved)
	}
	return out, nil
}

// current puts the files into what was found. A device that changed its alias
// after a file of aliases was resolved is not meant any more: it may be another
// person's by now.
func (e *Evaluator) current(ctx context.Context, key herald.AppKey, lists map[herald.FileID]list, f *found) error {
	f.files = make(map[herald.FileID]list, len(lists))
	for id, l := range lists {
		if l.kind == record.FileOfAliases {
			changed, err := e.registry.BoundAfter(ctx, key, l.pos)
			if err != nil {
				return err
			}
			f.any, l.set = true, sets.Minus(l.set, changed)
		}
		f.files[id] = l
	}
	return nil
}

// FilesOf lists the files that an expression names, each as often as it does.
func FilesOf(a *herald.Audience) (out []herald.FileID) {
	a.Walk(func(x *herald.Audience, _ bool) { out = append(out, x.Files...) })
	return out
}

// byFile gives the devices in any of some files.
func (w *walk) byFile(ids []herald.FileID) operand {
	x := own(sets.New())
	for _, id := range ids {
		x = x.or(operand{w.found.files[id].set, false})
	}
	return x
}

// bySegment gives the devices in any of some segments.
func (w *walk) bySegment(names []string) operand {
	x := own(sets.New())
	for _, name := range names {
		set, known := w.saved[name]
		if !known {
			set = w.eval(w.found.segments[name]).set
			if w.saved == nil {
				w.saved = map[string]*sets.Set{}
			}
			w.saved[name] = set
		}
		x = x.or(operand{set, false})
	}
	return x
}

// byAlias reports whether an expression chooses devices by alias: itself, in a
// segment or by a file.
func (f found) byAlias(a *herald.Audience) (chooses bool) {
	type visit struct {
		segment  string
		positive bool
	}
	seen := map[visit]bool{}
	var look func(a *herald.Audience, under bool)
	look = func(a *herald.Audience, under bool) {
		a.Walk(func(x *herald.Audience, positive bool) {
			positive = positive == under // under a not, a not chooses
			if positive && x.Aliases != nil {
				chooses = true
			}
			for _, id := range x.Files {
				if positive && f.files[id].kind == record.FileOfAliases {
					chooses = true
				}
			}
			for _, name := range x.Segments {
				if v := (visit{name, positive}); !seen[v] {
					seen[v] = true
					look(f.segments[name], positive)
				}
			}
		})
	}
	look(a, true)
	return chooses
}
