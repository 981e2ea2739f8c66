//go:build faults

package faults

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// diskEnv names a folder, which stands for the disk: it holds what would be
// there after a power cut.
const diskEnv = "FAULTS_DISK"

// Files in that folder that make the disk fail while they are there.
const (
	fullMark   = "full"   // no room for any write
	nosyncMark = "nosync" // every sync fails, and what it was to keep is gone
)

// layer stands between SQLite and its files. A write goes to the file, which is
// what the process sees, and reaches the disk when the file is synced; by
// chance all or half of it does at once, so that order is not kept either.
type layer struct {
	dir string

	mu      sync.Mutex // guards what follows
	open    func(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32
	remove  func(tls *libc.TLS, vfs, name uintptr, dirSync int32) int32
	patched map[uintptr]*sqlite3.Tsqlite3_io_methods // by the methods that they stand for
	files   map[uintptr]opened                       // what SQLite has open
	byName  map[string]*onDisk
	looked  time.Time       // when marks were looked for
	marks   map[string]bool // that were found then

	functions []any
}

// opened is one open file: the database, its log and its journal have methods
// of their own kind.
type opened struct {
	*onDisk
	methods *sqlite3.Tsqlite3_io_methods
}

// onDisk is one file of the database.
type onDisk struct {
	real, kept string // paths: what the process sees, what the disk has
	disk       *os.File
	whole      bool // the next sync takes all of it
	pending    []write
}

// write is one change that the disk may not have yet; without data the file
// ends at its place.
type write struct {
	at   int64
	data []byte
}

var disk = sync.OnceValue(func() *layer {
	dir := os.Getenv(diskEnv)
	if dir == "" {
		return nil
	}
	l := &layer{dir: dir, patched: map[uintptr]*sqlite3.Tsqlite3_io_methods{}, files: map[uintptr]opened{}, byName: map[string]*onDisk{}}
	l.install()
	return l
})

// Disk puts the layer under the files of the database, if the environment asks
// for it.
func Disk() { disk() }

// pointer is how transpiled C keeps a function. The collector does not see it
// there, so that the layer keeps it too.
func pointer[F any](l *layer, f F) uintptr {
	p := any(f)
	l.functions = append(l.functions, p)
	return (*[2]uintptr)(unsafe.Pointer(&p))[1]
}

// function is the other way.
func function[F any](p uintptr) F {
	return *(*F)(unsafe.Pointer(&p))
}

// at gives the object behind an address of transpiled C.
func at[T any](p uintptr) *T { return *(**T)(unsafe.Pointer(&p)) }

func (l *layer) install() {
	tls := libc.NewTLS()
	defer tls.Close()
	v := at[sqlite3.Tsqlite3_vfs](sqlite3.Xsqlite3_vfs_find(tls, 0))
	l.open = function[func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32](v.FxOpen)
	l.remove = function[func(*libc.TLS, uintptr, uintptr, int32) int32](v.FxDelete)
	v.FxOpen, v.FxDelete = pointer(l, l.xOpen), pointer(l, l.xDelete)
}

func (l *layer) xOpen(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32 {
	rc := l.open(tls, vfs, name, file, flags, out)
	const ours = sqlite3.SQLITE_OPEN_MAIN_DB | sqlite3.SQLITE_OPEN_WAL | sqlite3.SQLITE_OPEN_MAIN_JOURNAL
	if rc != sqlite3.SQLITE_OK || flags&ours == 0 || name == 0 {
		return rc
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	f := at[sqlite3.Tsqlite3_file](file)
	original := at[sqlite3.Tsqlite3_io_methods](f.FpMethods)
	if l.patched[f.FpMethods] == nil {
		m := *original
		m.FxClose, m.FxWrite, m.FxTruncate, m.FxSync = pointer(l, l.xClose), pointer(l, l.xWrite), pointer(l, l.xTruncate), pointer(l, l.xSync)
		l.patched[f.FpMethods] = &m
	}
	path := libc.GoString(name)
	d := l.byName[path]
	if d == nil {
		d = &onDisk{real: path, kept: filepath.Join(l.dir, filepath.Base(path))}
		// What an earlier process left in the file is not on the disk for sure.
		a, errA := os.ReadFile(d.real)
		b, errB := os.ReadFile(d.kept)
		d.whole = errA == nil && (errB != nil || !bytes.Equal(a, b))
		l.byName[path] = d
	}
	l.files[file] = opened{d, original}
	f.FpMethods = uintptr(unsafe.Pointer(l.patched[f.FpMethods]))
	return rc
}

func (l *layer) xDelete(tls *libc.TLS, vfs, name uintptr, dirSync int32) int32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	path := libc.GoString(name)
	if d := l.byName[path]; d != nil {
		d.close()
		_ = os.Remove(d.kept)
		delete(l.byName, path)
	}
	return l.remove(tls, vfs, name, dirSync)
}

func (l *layer) xClose(tls *libc.TLS, file uintptr) int32 {
	l.mu.Lock()
	o := l.files[file]
	delete(l.files, file)
	l.mu.Unlock()
	return function[func(*libc.TLS, uintptr) int32](o.methods.FxClose)(tls, file)
}

func (l *layer) xWrite(tls *libc.TLS, file, buf uintptr, n int32, at int64) int32 {
	l.mu.Lock()
	if l.marked(fullMark) {
		l.mu.Unlock()
		return sqlite3.SQLITE_FULL
	}
	o := l.files[file]
	o.change(write{at, bytes.Clone(unsafe.Slice(*(**byte)(unsafe.Pointer(&buf)), n))})
	l.mu.Unlock()
	return function[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](o.methods.FxWrite)(tls, file, buf, n, at)
}

func (l *layer) xTruncate(tls *libc.TLS, file uintptr, size int64) int32 {
	l.mu.Lock()
	o := l.files[file]
	o.change(write{at: size})
	l.mu.Unlock()
	return function[func(*libc.TLS, uintptr, int64) int32](o.methods.FxTruncate)(tls, file, size)
}

// xSync takes what is pending to the disk. A sync that fails loses it, as the
// kernel does: the next one would succeed without it.
func (l *layer) xSync(_ *libc.TLS, file uintptr, _ int32) int32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.files[file].onDisk
	if l.marked(nosyncMark) {
		d.whole, d.pending = false, nil
		return sqlite3.SQLITE_IOERR_FSYNC
	}
	if err := d.sync(); err != nil {
		return sqlite3.SQLITE_IOERR_FSYNC
	}
	return sqlite3.SQLITE_OK
}

// marked looks for a mark, at most every few milliseconds; l.mu is held.
func (l *layer) marked(name string) bool {
	if now := time.Now(); now.Sub(l.looked) > 5*time.Millisecond {
		l.looked, l.marks = now, map[string]bool{}
		for _, mark := range []string{fullMark, nosyncMark} {
			_, err := os.Stat(filepath.Join(l.dir, mark))
			l.marks[mark] = err == nil
		}
	}
	return l.marks[name]
}

func (d *onDisk) change(w write) {
	if d.whole {
		return
	}
	d.pending = append(d.pending, w)
	switch rand.IntN(8) {
	case 0:
		_ = d.keep(w) // what does not get there early gets there later
	case 1:
		if w.data != nil {
			_ = d.keep(write{w.at, w.data[:len(w.data)/2]})
		}
	}
}

func (d *onDisk) sync() error {
	if d.whole {
		b, err := os.ReadFile(d.real)
		if err == nil {
			err = os.WriteFile(d.kept+".new", b, 0o600)
		}
		if err == nil {
			d.close()
			err = os.Rename(d.kept+".new", d.kept)
		}
		d.whole = err != nil
		return err
	}
	err := d.keep(d.pending...)
	if err == nil {
		d.pending = nil
	}
	return err
}

// close ends what is open on the disk: the next write opens the file anew.
func (d *onDisk) close() {
	if d.disk != nil {
		_ = d.disk.Close() // nothing is buffered
		d.disk = nil
	}
}

func (d *onDisk) keep(list ...write) (err error) {
	if d.disk == nil {
		if d.disk, err = os.OpenFile(d.kept, os.O_WRONLY|os.O_CREATE, 0o600); err != nil {
			return err
		}
	}
	for _, w := range list {
		if w.data == nil {
			// It never makes a file longer.
			if i, serr := d.disk.Stat(); serr == nil && i.Size() > w.at {
				err = errors.Join(err, d.disk.Truncate(w.at))
			}
			continue
		}
		_, werr := d.disk.WriteAt(w.data, w.at)
		err = errors.Join(err, werr)
	}
	return err
}
