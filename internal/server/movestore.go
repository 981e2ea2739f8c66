package server

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/store/dialect"
	"github.com/herald-push/herald/internal/store/moving"
)

// MoveOptions says what is to be moved where.
type MoveOptions struct {
	// From and To name databases; see ParsePlace.
	From, To string
	// KeepSource lets servers start on the source afterwards.
	KeepSource bool
	// Report is told how far it is; nil for nobody.
	Report Report
}

// Moved is what was moved.
type Moved struct {
	From   string       `json:"from"`
	To     string       `json:"to"`
	Schema int64        `json:"schema"`
	Rows   int64        `json:"rows"`
	Tables []moving.Sum `json:"tables"`
}

// Damaged names rows whose checksums were wrong in the source already.
func (m *Moved) Damaged() []string { return moving.Damaged(m.Tables) }

// Place is a database as migrate-store names it.
type Place struct {
	Store config.Store
	// Folder is the data folder of the embedded database.
	Folder string
}

// ParsePlace reads the name of a database: sqlite:FOLDER, postgres://...,
// postgres:DSN or mysql:DSN; @FILE in the place of a DSN reads it from a file.
func ParsePlace(s string) (Place, error) {
	if info, err := os.Stat(s); err == nil && info.IsDir() {
		s = "sqlite:" + s
	}
	kind, rest, found := strings.Cut(s, ":")
	p := Place{}
	switch {
	case !found || rest == "":
	case kind == "sqlite":
		return Place{config.Store{Driver: config.StoreSQLite}, rest}, nil
	case (kind == "postgres" || kind == "postgresql") && strings.HasPrefix(rest, "//"):
		return Place{Store: config.Store{Driver: config.StorePostgres, DSN: s}}, nil
	case kind == "postgres":
		p.Store.Driver = config.StorePostgres
	case kind == "mysql":
		p.Store.Driver = config.StoreMySQL
	}
	if p.Store.Driver == "" { // what it is may be a secret
		return p, herald.Errorf(herald.CodeInvalidRequest,
			"Write sqlite:FOLDER, postgres://USER@HOST/DATABASE, mysql:USER@tcp(HOST:3306)/DATABASE, or postgres:@FILE and mysql:@FILE with the DSN in a file.",
			"one of the databases is not named as one")
	}
	if file, ok := strings.CutPrefix(rest, "@"); ok {
		p.Store.DSNFile = file
	} else {
		p.Store.DSN = rest
	}
	return p, nil
}

// open gets a database with its lock, as a server would.
func (p Place) open(ctx context.Context) (*attached, error) {
	if p.Store.Driver != config.StoreSQLite {
		a, err := attach(ctx, p.Store, "", true)
		return a, held(err)
	}
	f, err := lockFolder(p.Folder)
	if errors.Is(err, errLocked) {
		return nil, herald.Errorf(herald.CodeConflict, "Stop the server first; nothing was changed.", "a herald runs on the data folder %s", p.Folder)
	}
	if err != nil {
		return nil, err
	}
	err = f.interrupted()
	var a *attached
	if err == nil {
		a, err = attach(ctx, p.Store, f.database(), true)
	}
	if err != nil {
		return nil, errors.Join(err, f.lock.Close())
	}
	closer := a.closer
	a.closer = func() error { return errors.Join(closer(), f.lock.Close()) }
	return a, nil
}

// check refuses a source without a database, and a target without its key.
func (p Place) check(source bool) error {
	if p.Store.Driver != config.StoreSQLite {
		return nil
	}
	if source {
		return embedded(p.Folder)
	}
	_, err := os.Stat(filepath.Join(p.Folder, keyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return herald.Errorf(herald.CodeConflict, "Name the data folder that is used with the source, or copy "+keyFile+" from it first.",
			"the data folder %s has no %s, without which every device would have to register again", p.Folder, keyFile)
	}
	return err
}

// MoveStore moves the record from one database to another. While it does no
// server writes to either. It may be interrupted, and called again.
func MoveStore(ctx context.Context, o MoveOptions) (m Moved, err error) {
	from, err := ParsePlace(o.From)
	if err != nil {
		return m, err
	}
	to, err := ParsePlace(o.To)
	if err != nil {
		return m, err
	}
	m.From, m.To = from.Store.Driver, to.Store.Driver
	if from.Folder != "" && to.Folder != "" {
		return m, herald.Errorf(herald.CodeInvalidRequest, "Use herald backup and herald restore, or copy the folder of a server that is stopped.", "both databases are data folders")
	}
	if err := errors.Join(from.check(true), to.check(false)); err != nil {
		return m, err
	}
	source, err := from.open(ctx)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, source.close()) }()
	target, err := to.open(ctx)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, target.close()) }()
	return m, m.run(ctx, source, target, o)
}

// run moves from one to the other, both of which nobody else writes to.
func (m *Moved) run(ctx context.Context, source, target *attached, o MoveOptions) error {
	var err error
	if m.Schema, err = moving.Version(ctx, source.conn, source.layout); err != nil {
		return err
	}
	if m.Schema < firstShared {
		return herald.Errorf(herald.CodeConflict, "Start and stop a server of this release on the source first.", "the source has schema %d, which only one kind of database has", m.Schema)
	}
	id, err := m.identity(ctx, source)
	if err != nil {
		return err
	}
	if err := still(ctx, source, target, id); err != nil {
		return err
	}
	tables, err := moving.Tables(ctx, m.Schema)
	if err != nil {
		return err
	}
	if err := moving.Check(ctx, source.conn, source.layout, tables); err != nil {
		return err
	}
	if err := moving.Begin(ctx, target.target(), tables, m.Schema, id, target.Raise); err != nil {
		return err
	}
	if m.Tables, err = moving.Move(ctx, tables, source.source(), target.target(), o.Report); err != nil {
		return err
	}
	for _, t := range m.Tables {
		m.Rows += t.Rows
	}
	faults.Point("compared")
	// First the source is closed, then the target is opened: at no time can a
	// server be started on either.
	if !o.KeepSource {
		to := fmt.Sprintf("%s on %s", m.To, time.Now().UTC().Format(time.RFC3339))
		if err := moving.SetMark(ctx, source.conn, source.layout, dialect.MarkMoved, to); err != nil {
			return err
		}
	}
	faults.Point("closed")
	return moving.SetMark(ctx, target.conn, target.layout, dialect.MarkMoving, "")
}

// firstShared is the first schema that all kinds of databases have.
const firstShared = 6

// identity tells one record from another, so that half of one is not taken for
// half of another: by its first app, whose key is random.
func (m *Moved) identity(ctx context.Context, source *attached) (string, error) {
	if err := entire(ctx, source.conn); err != nil {
		return "", err
	}
	var first string
	err := source.conn.QueryRowContext(ctx, "SELECT app_key FROM app ORDER BY id LIMIT 1").Scan(&first)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("server: reading the apps: %w", err)
	}
	return m.From + " with " + cmp.Or(first, "no app"), nil
}

// still refuses a source that was moved before, unless that was interrupted at
// its end: what happened since is elsewhere.
func still(ctx context.Context, source, target *attached, id string) error {
	moved, err := dialect.Mark(ctx, source.conn, dialect.MarkMoved)
	if err != nil || moved == "" {
		return err
	}
	begun := ""
	schema, err := moving.Version(ctx, target.conn, target.layout)
	if err == nil && schema > 0 {
		begun, err = dialect.Mark(ctx, target.conn, dialect.MarkMoving)
	}
	if err == nil && begun != id {
		err = herald.Errorf(herald.CodeConflict, "Move from there; or, if nothing has happened there, go back first with herald migrate-store --reopen.",
			"the record was moved from the source to %s already", moved)
	}
	return err
}

// ReopenStore lets servers start again on a database that was moved.
func ReopenStore(ctx context.Context, from string) (err error) {
	p, err := ParsePlace(from)
	if err != nil {
		return err
	}
	if err := p.check(true); err != nil {
		return err
	}
	a, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	return moving.SetMark(ctx, a.conn, a.layout, dialect.MarkMoved, "")
}
