package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/server/archive"
	"github.com/herald-push/herald/internal/store/dialect"
	"github.com/herald-push/herald/internal/store/moving"
	sqlite "github.com/herald-push/herald/internal/store/sqlite/driver"
)

// restoreFile is in a data folder while a backup is being unpacked into it.
const restoreFile = "restoring"

// VerifyBackup reads a backup as a restore would, and gives what is in it. The
// error says what is wrong with the file; rows that were damaged in the record
// already are in the manifest.
func VerifyBackup(ctx context.Context, path string, report Report) (_ archive.Manifest, err error) {
	dir, err := os.MkdirTemp("", "herald-verify-")
	if err != nil {
		return archive.Manifest{}, fmt.Errorf("server: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	to := filepath.Join(dir, databaseFile)
	c, err := unpack(path, to)
	if err != nil {
		return c.Manifest, err
	}
	return c.Manifest, inspect(ctx, c.Manifest, to, report)
}

// unpack writes the database of a backup into a file, and gives the rest.
func unpack(path, to string) (c archive.Content, err error) {
	in, err := os.Open(path)
	if err != nil {
		return c, fmt.Errorf("server: the backup cannot be read: %w", err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return c, fmt.Errorf("server: unpacking the backup: %w", err)
	}
	c, err = archive.Read(in, out)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return c, err
	}
	if c.Keys != (len(c.Small[keyFile]) > 0) {
		return c, herald.Errorf(herald.CodeInternal, "Take another backup.", "the backup is damaged: it does not have the keys that its manifest says")
	}
	return c, nil
}

// inspect compares an unpacked database with the manifest.
func inspect(ctx context.Context, m archive.Manifest, path string, report Report) (err error) {
	if err := sqlite.Check(ctx, path); err != nil {
		return err
	}
	a, err := attachFile(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	list, err := heads(ctx, a.conn)
	if err != nil {
		return err
	}
	found, err := sums(ctx, a, m.Schema, report)
	if err != nil {
		return err
	}
	same := slices.EqualFunc(found, m.Tables, func(a, b moving.Sum) bool { return a.Table == b.Table && a.Rows == b.Rows && a.SHA256 == b.SHA256 })
	if !same || !slices.Equal(list, m.Apps) {
		return herald.Errorf(herald.CodeInternal, "Take another backup.", "the backup is damaged: its rows are not those of the manifest")
	}
	return nil
}

// RestoreOptions says what is to be restored.
type RestoreOptions struct {
	// Path is the backup.
	Path string
	// Report is told how far it is; nil for nobody.
	Report Report
}

// Restore unpacks a backup into a data folder and a database that are empty. The
// log of each app begins a new epoch, so that nothing that was given out after
// the backup is taken for what comes now.
func Restore(ctx context.Context, cfg config.Config, o RestoreOptions) (m archive.Manifest, err error) {
	f, err := lockFolder(cfg.Data)
	if errors.Is(err, errLocked) {
		return m, herald.Errorf(herald.CodeConflict, "Stop it, or choose another folder with --data.", "a herald runs on the data folder %s", cfg.Data)
	}
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, f.lock.Close()) }()
	r := restore{cfg: cfg, folder: f, RestoreOptions: o}
	begun, err := r.free()
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, r.forget(begun, err)) }()
	if err := r.begin(); err != nil {
		return m, err
	}
	if r.content, err = unpack(o.Path, r.unpacked()); err != nil {
		return r.content.Manifest, err
	}
	m = r.content.Manifest
	if err := inspect(ctx, m, r.unpacked(), o.Report); err != nil {
		return m, err
	}
	if err := r.fits(); err != nil {
		return m, err
	}
	if m.Apps, err = r.renew(ctx); err != nil {
		return m, err
	}
	faults.Point("unpacked")
	if cfg.Store.Driver != config.StoreSQLite {
		if err := r.fill(ctx); err != nil {
			return m, err
		}
	}
	return m, r.finish(ctx)
}

type restore struct {
	cfg    config.Config
	folder *folder
	RestoreOptions
	content archive.Content
	to      *attached // a database server
	wrote   bool      // something that stays when it fails
}

// unpacked is the database while it is not in its place.
func (r *restore) unpacked() string { return r.folder.database() + ".restoring" }

func (r *restore) mark() string { return filepath.Join(r.cfg.Data, restoreFile) }

// free refuses a folder that is in use. begun says that a restore into it was
// interrupted, of which whatever is there is.
func (r *restore) free() (begun bool, err error) {
	driver, err := os.ReadFile(r.mark())
	if err == nil {
		return true, r.takeBack(string(driver))
	}
	_, err = os.Stat(r.folder.database())
	if err == nil && r.cfg.Store.Driver == config.StoreSQLite {
		return false, herald.Errorf(herald.CodeConflict, "Choose an empty folder with --data, or move what is there away; nothing was changed.",
			"the data folder %s has a database already", r.cfg.Data)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("server: the data folder cannot be read: %w", err)
	}
	return false, removeDatabase(r.unpacked())
}

// takeBack removes what an interrupted restore has left in the folder.
func (r *restore) takeBack(driver string) error {
	if driver != r.cfg.Store.Driver {
		return herald.Errorf(herald.CodeConflict, "Restore with the configuration that it was begun with, or choose another folder.",
			"a restore with store.driver %.20q was interrupted in the data folder %s", driver, r.cfg.Data)
	}
	err := removeDatabase(r.unpacked())
	if driver == config.StoreSQLite {
		err = errors.Join(err, removeDatabase(r.folder.database()))
	}
	return err
}

// begin marks the folder, so that no server starts on a part of what comes.
func (r *restore) begin() error {
	if err := writeFile(r.mark(), []byte(r.cfg.Store.Driver)); err != nil {
		return fmt.Errorf("server: writing to the data folder: %w", err)
	}
	return syncFolder(r.cfg.Data)
}

// forget takes back what a restore that failed has done, unless that stays: then
// the mark does too.
func (r *restore) forget(begun bool, failed error) error {
	var err error
	if r.to != nil {
		err = r.to.close()
	}
	if failed == nil || r.wrote || begun {
		return err
	}
	return errors.Join(err, removeDatabase(r.unpacked()), removeIfThere(r.mark()))
}

// fits refuses to put another key in the place of one.
func (r *restore) fits() error {
	there, err := os.ReadFile(filepath.Join(r.cfg.Data, keyFile))
	key := r.content.Small[keyFile]
	switch {
	case errors.Is(err, fs.ErrNotExist) && !r.content.Keys:
		return herald.Errorf(herald.CodeConflict, "Put "+keyFile+" of that installation into "+r.cfg.Data+" first; without it every device would have to register again.",
			"the backup was made without keys, and the data folder has no %s", keyFile)
	case errors.Is(err, fs.ErrNotExist):
		return r.fitsSecrets()
	case err != nil:
		return fmt.Errorf("server: reading the server key: %w", err)
	case r.content.Keys && !bytes.Equal(bytes.TrimSpace(there), bytes.TrimSpace(key)):
		return herald.Errorf(herald.CodeConflict, "Choose an empty folder with --data, or move it away.", "the data folder %s has the key of another installation", r.cfg.Data)
	}
	return r.fitsSecrets()
}

// fitsSecrets refuses to put keys that seal secrets in the place of others. A
// file that has those of the backup, and perhaps later ones, stays.
func (r *restore) fitsSecrets() error {
	content := r.content.Small[secretsFile]
	there, err := os.ReadFile(r.folder.secrets())
	if errors.Is(err, fs.ErrNotExist) || len(content) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("server: reading the keys of secrets: %w", err)
	}
	for line := range bytes.Lines(content) {
		if !bytes.Contains(there, bytes.TrimSpace(line)) {
			return herald.Errorf(herald.CodeConflict, "Choose an empty folder with --data, or put the keys of the backup into that file, behind the others.",
				"the data folder %s has a %s without the keys of the backup", r.cfg.Data, secretsFile)
		}
	}
	delete(r.content.Small, secretsFile)
	return nil
}

// renew brings the unpacked database to the present schema, and begins a new
// epoch of each app. What was given out in an epoch, before the backup and after
// it, means something in that epoch only. Two restores of one backup must not
// begin the same one, so that it follows the clock.
func (r *restore) renew(ctx context.Context) (_ []archive.App, err error) {
	a, err := attachFile(ctx, r.unpacked())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.close(), syncFile(r.unpacked())) }()
	if err := a.Raise(ctx, 0); err != nil {
		return nil, err
	}
	if err := moving.SetMark(ctx, a.conn, a.layout, dialect.MarkMoved, ""); err != nil {
		return nil, err
	}
	if _, err := a.conn.ExecContext(ctx, "UPDATE app_head SET epoch = MAX(epoch + 1, ?)", newEpoch(time.Now())); err != nil {
		return nil, fmt.Errorf("server: beginning a new epoch: %w", err)
	}
	return heads(ctx, a.conn)
}

// newEpoch is the seconds since the beginning of 2025, of which 32 bits are
// enough until 2161.
func newEpoch(now time.Time) int64 {
	return int64(now.Sub(time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)) / time.Second)
}

// fill copies the unpacked database into one of a server.
func (r *restore) fill(ctx context.Context) (err error) {
	tables, err := moving.Tables(ctx, 0)
	if err != nil {
		return err
	}
	from, err := attachFile(ctx, r.unpacked())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.close()) }()
	schema, err := moving.Version(ctx, from.conn, from.layout)
	if err != nil {
		return err
	}
	if r.to, err = attach(ctx, r.cfg.Store, "", true); err != nil {
		return held(err)
	}
	if err := moving.Begin(ctx, r.to.target(), tables, schema, "backup of "+r.content.Made.Format(time.RFC3339Nano), r.to.Raise); err != nil {
		return err
	}
	r.wrote = true
	_, err = moving.Move(ctx, tables, from.source(), r.to.target(), r.Report)
	return err
}

// held makes a refusal of the error that a database is another's.
func held(err error) error {
	if errors.Is(err, dialect.ErrHeld) {
		return herald.Errorf(herald.CodeConflict, "Stop the server first; nothing was changed.", "a server writes to the database")
	}
	return err
}

// finish puts everything into its place. What lets a server start comes last.
func (r *restore) finish(ctx context.Context) error {
	r.wrote = true
	if r.content.Keys {
		if err := writeFile(filepath.Join(r.cfg.Data, keyFile), r.content.Small[keyFile]); err != nil {
			return fmt.Errorf("server: writing the server key: %w", err)
		}
	}
	if b := r.content.Small[secretsFile]; len(b) > 0 {
		if err := writeFile(r.folder.secrets(), b); err != nil {
			return fmt.Errorf("server: writing the keys of secrets: %w", err)
		}
	}
	for name, b := range r.content.Below(certsFolder) {
		path := filepath.Join(r.folder.certificates(), filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("server: writing certificates: %w", err)
		}
		if err := writeFile(path, b); err != nil {
			return fmt.Errorf("server: writing certificates: %w", err)
		}
	}
	if r.cfg.Store.Driver == config.StoreSQLite {
		if err := os.Rename(r.unpacked(), r.folder.database()); err != nil {
			return fmt.Errorf("server: %w", err)
		}
	}
	if err := errors.Join(removeDatabase(r.unpacked()), syncFolder(r.cfg.Data)); err != nil {
		return err
	}
	faults.Point("placed")
	if err := errors.Join(removeIfThere(r.mark()), syncFolder(r.cfg.Data)); err != nil {
		return fmt.Errorf("server: %w", err)
	}
	if r.to == nil {
		return nil
	}
	// The last, because the database of a server is no part of the folder: what is
	// marked there can be begun again.
	return moving.SetMark(ctx, r.to.conn, r.to.layout, dialect.MarkMoving, "")
}

// writeFile writes a file for its owner only, and waits until it is on the disk.
func writeFile(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, bytes.NewReader(content))
	return errors.Join(err, f.Sync(), f.Close())
}
