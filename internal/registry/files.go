package registry

import (
	"context"
	"hash/maphash"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// FileStore keeps uploaded lists as sets.
type FileStore interface {
	// PutFile writes a file with its set. It is found when it is whole.
	PutFile(ctx context.Context, app herald.AppKey, f record.File, set *sets.Set) error
	// File finds a file with its set; not_found if there is none.
	File(ctx context.Context, app herald.AppKey, id herald.FileID) (record.File, *sets.Set, error)
	// Files lists the files with an ID before one ("" for all), newest first.
	Files(ctx context.Context, app herald.AppKey, before herald.FileID, limit int) ([]record.File, error)
	// KeepFile notes that a file is used at a time; an earlier one than is
	// known changes nothing. not_found if there is no such file.
	KeepFile(ctx context.Context, app herald.AppKey, id herald.FileID, used time.Time) error
	FileDropper
}

// FileDropper removes files, and finds what a list of names comes to.
type FileDropper interface {
	// DeleteFile removes a file; not_found if there is none.
	DeleteFile(ctx context.Context, app herald.AppKey, id herald.FileID) error
	// DropFiles removes the files of an app that were last used before a time,
	// and those that were begun before another and are not whole.
	DropFiles(ctx context.Context, app herald.AppKey, usedBefore, begunBefore time.Time) error
	// Resolve finds the devices of distinct values of one kind, and how many
	// of the values somebody has.
	Resolve(ctx context.Context, app herald.AppKey, kind record.FileKind, values []string) (*sets.Set, int64, error)
	// BoundAfter gives the devices whose alias changed after a log position.
	BoundAfter(ctx context.Context, app herald.AppKey, after herald.Pos) (*sets.Set, error)
}

// Limits of files.
const (
	MaxFiles      = 1000                // of an app
	MaxFileLines  = 1_000_000           // of one
	FileRetention = 30 * 24 * time.Hour // after its last use
)

const (
	resolveSlice = 10_000         // values that are looked up together
	fileDraft    = 24 * time.Hour // how long an upload may take, which is far less
	usedStep     = time.Hour      // how exact the time of the last use is
)

// FileBuilder takes the values of a list one by one. It holds a slice of them,
// their hashes and the set, never the list. It is for one goroutine.
type FileBuilder struct {
	r      *Registry
	key    herald.AppKey
	f      record.File
	set    *sets.Set
	seed   maphash.Seed
	seen   map[uint64]struct{}
	values []string
	known  int64
}

// NewFile begins a file.
func (r *Registry) NewFile(ctx context.Context, key herald.AppKey, name string) (*FileBuilder, error) {
	app, err := r.App(key)
	if err != nil {
		return nil, err
	}
	at := r.now().UTC()
	if err := r.store.DropFiles(ctx, key, at.Add(-FileRetention), at.Add(-fileDraft)); err != nil {
		return nil, err
	}
	list, err := r.store.Files(ctx, key, "", MaxFiles)
	if err != nil {
		return nil, err
	}
	if len(list) >= MaxFiles {
		return nil, herald.Errorf(herald.CodeLimitReached, "Delete files that are not used any more, with DELETE /v1/files/{id}.", "an app has at most %d files", MaxFiles)
	}
	id := herald.FileID(herald.NewRegistrationID(at))
	record.AuditOf(ctx).Note(func(a *record.Audit) { a.Object = string(id) })
	return &FileBuilder{
		r: r, key: key, set: sets.New(), seed: maphash.MakeSeed(), seen: map[uint64]struct{}{},
		// The position is taken before anything is looked up: too early costs
		// a delivery that ends visibly, too late would reach the wrong person.
		f: record.File{ID: id, Name: name, Pos: app.position(), Created: at, Used: at},
	}, nil
}

// Add takes a valid value.
func (b *FileBuilder) Add(ctx context.Context, kind record.FileKind, value string) error {
	b.f.Kind = kind
	// Two values with the same hash of 64 bits would count as one; among a
	// million that happens once in thirty million files.
	h := maphash.String(b.seed, value)
	if _, again := b.seen[h]; again {
		b.f.Duplicates++
		return nil
	}
	b.seen[h] = struct{}{}
	if b.values = append(b.values, value); len(b.values) < resolveSlice {
		return nil
	}
	return b.resolve(ctx)
}

func (b *FileBuilder) resolve(ctx context.Context) error {
	if len(b.values) == 0 {
		return nil
	}
	set, known, err := b.r.store.Resolve(ctx, b.key, b.f.Kind, b.values)
	if err != nil {
		return err
	}
	b.set.Or(set)
	b.known += known
	b.values = b.values[:0]
	return nil
}

// Finish writes the file.
func (b *FileBuilder) Finish(ctx context.Context, kind record.FileKind, lines int64) (record.File, error) {
	if err := b.resolve(ctx); err != nil {
		return record.File{}, err
	}
	b.f.Kind, b.f.Lines = kind, lines
	b.f.Unknown, b.f.Devices = int64(len(b.seen))-b.known, b.set.Len()
	return b.f, b.r.store.PutFile(ctx, b.key, b.f, b.set)
}

// File finds a file and notes that it is used.
func (r *Registry) File(ctx context.Context, key herald.AppKey, id herald.FileID) (record.File, *sets.Set, error) {
	f, set, err := r.store.File(ctx, key, id)
	at := r.now().UTC()
	if err == nil && f.Used.Before(at.Add(-FileRetention)) || herald.CodeOf(err) == herald.CodeNotFound {
		return f, nil, fileNotFound(id)
	}
	if err == nil && f.Used.Before(at.Add(-usedStep)) {
		err = r.KeepFile(ctx, key, id, at)
	}
	return f, set, err
}

func fileNotFound(id herald.FileID) error {
	return herald.Errorf(herald.CodeNotFound, "Upload the list again with POST /v1/files; a file is deleted 30 days after its last use.", "there is no file %.24q", string(id))
}

// BoundAfter gives the devices whose alias changed after a log position: what a
// file of aliases, resolved at it, does not mean any more.
func (r *Registry) BoundAfter(ctx context.Context, key herald.AppKey, after herald.Pos) (*sets.Set, error) {
	return r.store.BoundAfter(ctx, key, after)
}

// FileInfo finds a file without using it.
func (r *Registry) FileInfo(ctx context.Context, key herald.AppKey, id herald.FileID) (record.File, error) {
	// Its neighbour in the list is found without its set.
	list, err := r.store.Files(ctx, key, id+"~", 1)
	if err == nil && (len(list) == 0 || list[0].ID != id || list[0].Used.Before(r.now().Add(-FileRetention))) {
		err = fileNotFound(id)
	}
	if err != nil {
		return record.File{}, err
	}
	return list[0], nil
}

// Files lists files with an ID before one ("" for all), newest first.
func (r *Registry) Files(ctx context.Context, key herald.AppKey, before herald.FileID, limit int) ([]record.File, error) {
	return r.store.Files(ctx, key, before, limit)
}

// KeepFile keeps a file for its retention after a time at which it is used.
func (r *Registry) KeepFile(ctx context.Context, key herald.AppKey, id herald.FileID, used time.Time) error {
	return r.store.KeepFile(ctx, key, id, used)
}

// DeleteFile removes a file.
func (r *Registry) DeleteFile(ctx context.Context, key herald.AppKey, id herald.FileID) error {
	err := r.store.DeleteFile(ctx, key, id)
	if herald.CodeOf(err) == herald.CodeNotFound {
		return fileNotFound(id)
	}
	return err
}
