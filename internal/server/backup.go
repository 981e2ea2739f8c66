package server

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/server/archive"
	"github.com/herald-push/herald/internal/store/dialect"
	"github.com/herald-push/herald/internal/store/moving"
	sqlite "github.com/herald-push/herald/internal/store/sqlite/driver"
	"github.com/herald-push/herald/internal/version"
)

// Report is told how far a piece of work is: what is done of all, in rows, or
// in bytes when a file is written.
type Report = moving.Report

// BackupOptions says what a backup is to be.
type BackupOptions struct {
	// Path is the file, which must not be there yet; or a folder, in which a file
	// is named after the time.
	Path string
	// NoKeys leaves out the server key and the certificates.
	NoKeys bool
	// Report is told how far it is; nil for nobody.
	Report Report
}

// Backup writes the record of an installation, as it is at one moment, and what
// else is in its data folder into one file. A server may be running on it.
func Backup(ctx context.Context, cfg config.Config, o BackupOptions) (path string, m archive.Manifest, err error) {
	b := backup{cfg: cfg, BackupOptions: o}
	if path, err = b.place(); err != nil {
		return "", m, err
	}
	key, err := b.key()
	if err != nil {
		return "", m, err
	}
	part, err := newPart(path)
	if err != nil {
		return "", m, err
	}
	defer func() { err = errors.Join(err, part.remove()) }()
	b.manifest = archive.Manifest{Version: version.Version(), Made: time.Now().UTC().Truncate(time.Millisecond), Store: cfg.Store.Driver, Keys: !o.NoKeys}
	if err := b.snapshot(ctx, part.database()); err != nil {
		return "", m, err
	}
	if err := b.describe(ctx, part.database()); err != nil {
		return "", m, err
	}
	faults.Point("snapshot")
	if err := b.write(part, key); err != nil {
		return "", m, err
	}
	faults.Point("written")
	return path, b.manifest, part.finish()
}

type backup struct {
	cfg config.Config
	BackupOptions
	manifest archive.Manifest
}

func (b *backup) place() (string, error) {
	path := b.Path
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		path = filepath.Join(path, time.Now().UTC().Format("herald-20060102T150405Z.tar"))
		_, err = os.Stat(path)
	}
	if err == nil {
		return "", herald.Errorf(herald.CodeConflict, "Name another file, or remove it.", "%s is there already", path)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("server: the backup cannot be written: %w", err)
	}
	return path, nil
}

// key reads the server key, without which a backup is of little use.
func (b *backup) key() ([]byte, error) {
	if b.cfg.Store.Driver == config.StoreSQLite {
		if err := embedded(b.cfg.Data); err != nil {
			return nil, err
		}
	}
	if b.NoKeys {
		return nil, nil
	}
	key, err := os.ReadFile(filepath.Join(b.cfg.Data, keyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, herald.Errorf(herald.CodeNotFound, "Name the data folder of the server with --data; or leave the keys out with --no-keys.",
			"there is no %s in the data folder %s", keyFile, b.cfg.Data)
	}
	if err != nil {
		return nil, fmt.Errorf("server: reading the server key: %w", err)
	}
	return key, nil
}

// embedded refuses a data folder without a database.
func embedded(folder string) error {
	_, err := os.Stat(filepath.Join(folder, databaseFile))
	if errors.Is(err, fs.ErrNotExist) {
		return herald.Errorf(herald.CodeNotFound, "Name the data folder of the server with --data.", "there is no database in the data folder %s", folder)
	}
	if err != nil {
		return fmt.Errorf("server: the data folder cannot be read: %w", err)
	}
	return nil
}

// snapshot writes the record into a file of SQLite.
func (b *backup) snapshot(ctx context.Context, path string) error {
	if b.cfg.Store.Driver == config.StoreSQLite {
		return sqlite.Snapshot(ctx, filepath.Join(b.cfg.Data, databaseFile), path)
	}
	from, err := b.attach(ctx, false)
	if err != nil {
		return err
	}
	return errors.Join(from.copyTo(ctx, path, b.Report), from.close())
}

func (b *backup) attach(ctx context.Context, lock bool) (*attached, error) {
	return attach(ctx, b.cfg.Store, "", lock)
}

// copyTo copies what a database holds at one moment.
func (a *attached) copyTo(ctx context.Context, path string, report Report) (err error) {
	tx, err := a.conn.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead})
	if err != nil {
		return fmt.Errorf("server: reading the database: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // nothing was written
	schema, err := moving.Version(ctx, tx, a.layout)
	if err != nil {
		return err
	}
	if schema == 0 {
		return herald.Errorf(herald.CodeNotFound, "Check store.dsn.", "there is no record in the database")
	}
	if err := entire(ctx, tx); err != nil {
		return err
	}
	tables, err := moving.Tables(ctx, schema)
	if err == nil {
		err = moving.Check(ctx, tx, a.layout, tables)
	}
	if err != nil {
		return err
	}
	to, err := attachFile(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.close()) }()
	if err := to.Raise(ctx, schema); err != nil {
		return err
	}
	_, err = moving.Move(ctx, tables, moving.Source{DB: tx, Layout: a.layout}, to.target(), report)
	return err
}

// describe fills the manifest from the copy, and refuses one that is not whole.
func (b *backup) describe(ctx context.Context, path string) (err error) {
	a, err := attachFile(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close(), syncFile(path)) }()
	m := &b.manifest
	if m.Schema, err = moving.Version(ctx, a.conn, a.layout); err != nil {
		return err
	}
	if err := entire(ctx, a.conn); err != nil {
		return err
	}
	if m.Apps, err = heads(ctx, a.conn); err != nil {
		return err
	}
	m.Tables, err = sums(ctx, a, m.Schema, b.Report)
	return err
}

// entire refuses a database that is half of another.
func entire(ctx context.Context, db dialect.Queryer) error {
	mark, err := dialect.Mark(ctx, db, dialect.MarkMoving)
	if err == nil && mark != "" {
		err = herald.Errorf(herald.CodeConflict, "Finish that first.", "the database is not whole: rows are being moved into it")
	}
	return err
}

func sums(ctx context.Context, a *attached, schema int64, report Report) ([]moving.Sum, error) {
	tables, err := moving.Tables(ctx, schema)
	if err != nil {
		return nil, err
	}
	if err := moving.Check(ctx, a.conn, a.layout, tables); err != nil {
		return nil, err
	}
	return moving.Sums(ctx, tables, a.source(), report)
}

func heads(ctx context.Context, conn *sql.Conn) ([]archive.App, error) {
	out := []archive.App{}
	rows, err := conn.QueryContext(ctx, "SELECT a.app_key, a.name, h.epoch, h.pos, h.next_ord FROM app a JOIN app_head h ON h.app = a.id ORDER BY a.id")
	if err != nil {
		return nil, fmt.Errorf("server: reading the apps: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var a archive.App
		if err := rows.Scan(&a.Key, &a.Name, &a.Epoch, &a.Pos, &a.NextOrd); err != nil {
			return nil, fmt.Errorf("server: reading the apps: %w", err)
		}
		out = append(out, a)
	}
	return out, rows.Err()
}

// write puts everything into the file.
func (b *backup) write(p *part, key []byte) (err error) {
	w := archive.NewWriter(p.file, b.manifest.Made)
	db, err := os.Open(p.database())
	if err != nil {
		return fmt.Errorf("server: reading the copy: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	info, err := db.Stat()
	if err != nil {
		return fmt.Errorf("server: reading the copy: %w", err)
	}
	if !b.NoKeys {
		if err := w.Add(keyFile, int64(len(key)), bytes.NewReader(key)); err != nil {
			return err
		}
		if err := addSecrets(w, b.cfg.Data); err != nil {
			return err
		}
		if err := w.AddFolder(certsFolder, filepath.Join(b.cfg.Data, certsFolder)); err != nil {
			return err
		}
	}
	var content io.Reader = db
	if b.Report != nil {
		content = &counting{db, 0, info.Size(), b.Report}
	}
	if err := w.Add(archive.Database, info.Size(), content); err != nil {
		return err
	}
	return w.Close(&b.manifest)
}

// addSecrets adds the keys of the data folder that seal secrets, if there are
// any. They are read behind the snapshot: whatever key sealed what is in that
// was in the file before.
func addSecrets(w *archive.Writer, folder string) error {
	b, err := os.ReadFile(filepath.Join(folder, secretsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("server: reading the keys of secrets: %w", err)
	}
	return w.Add(secretsFile, int64(len(b)), bytes.NewReader(b))
}

// counting reports what was read.
type counting struct {
	io.Reader
	done, all int64
	report    Report
}

// Writing is the piece of work of which bytes are reported.
const Writing = "writing"

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.done += int64(n)
	c.report(Writing, c.done, c.all)
	return n, err
}

// part is a file that is being written. It has its name when it is whole and on
// the disk. One that was left by a process that ended is written over.
type part struct {
	path string
	file *os.File
}

func newPart(path string) (*part, error) {
	f, err := os.OpenFile(path+".part", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("server: the backup cannot be written: %w", err)
	}
	if err := lockExclusive(f); err != nil {
		return nil, errors.Join(herald.Errorf(herald.CodeConflict, "Wait until it is done, or name another file.", "another backup to %s is being made", path), f.Close())
	}
	p := &part{path, f}
	if err := errors.Join(f.Truncate(0), removeDatabase(p.database())); err != nil {
		return nil, errors.Join(fmt.Errorf("server: the backup cannot be written: %w", err), f.Close())
	}
	return p, nil
}

// database is the copy of the record while the file is made.
func (p *part) database() string { return p.path + ".part.db" }

func (p *part) finish() error {
	if err := errors.Join(p.file.Sync(), p.file.Close()); err != nil {
		return fmt.Errorf("server: writing the backup: %w", err)
	}
	p.file = nil
	if err := os.Rename(p.path+".part", p.path); err != nil {
		return fmt.Errorf("server: writing the backup: %w", err)
	}
	return syncFolder(filepath.Dir(p.path))
}

// remove takes away what is not needed any more.
func (p *part) remove() error {
	var errs []error
	if p.file != nil {
		errs = append(errs, p.file.Close(), removeIfThere(p.path+".part"))
	}
	return errors.Join(append(errs, removeDatabase(p.database()))...)
}

// removeDatabase removes a file of SQLite with its log.
func removeDatabase(path string) error {
	return errors.Join(removeIfThere(path), removeIfThere(path+"-wal"), removeIfThere(path+"-shm"))
}

// syncFile waits until a file is on the disk.
func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	return errors.Join(f.Sync(), f.Close())
}

// attached is a database whose rows are taken or put in.
type attached struct {
	dialect.Mover
	closer func() error
	conn   *sql.Conn
	layout dialect.Layout
}

// attach connects to a database. Of the embedded one the caller has the folder.
func attach(ctx context.Context, c config.Store, file string, lock bool) (*attached, error) {
	d, err := databaseDriver(c, file, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	m, ok := d.(dialect.Mover)
	if !ok {
		return nil, errors.Join(fmt.Errorf("server: the store %s cannot be moved", c.Driver), d.Close())
	}
	conn, err := m.Attach(ctx, lock)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return &attached{m, d.Close, conn, m.Layout()}, nil
}

func attachFile(ctx context.Context, path string) (*attached, error) {
	return attach(ctx, config.Store{Driver: config.StoreSQLite}, path, true)
}

func (a *attached) source() moving.Source { return moving.Source{DB: a.conn, Layout: a.layout} }
func (a *attached) target() moving.Target { return moving.Target{Conn: a.conn, Layout: a.layout} }
func (a *attached) close() error          { return errors.Join(a.conn.Close(), a.closer()) }
