package dialect

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/faults"
)

// Migrate brings a schema forward by the files of a folder. There is no way
// back: a database of a newer Herald is refused, because this one does not know
// what its columns mean; so is one that is not whole. The caller sees to it that
// nobody else does the same.
func Migrate(ctx context.Context, kind goose.Dialect, db *sql.DB, files fs.FS) error {
	p, have, known, err := versions(ctx, kind, db, files)
	if err != nil {
		return err
	}
	if have > 0 {
		if err := whole(ctx, db); err != nil {
			return err
		}
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("store: bringing the schema from %d to %d: %w", have, known, err)
	}
	faults.Point("migrated")
	return nil
}

// Raise is what Mover.Raise does, by the files of a folder.
func Raise(ctx context.Context, kind goose.Dialect, db *sql.DB, files fs.FS, version int64) error {
	p, have, known, err := versions(ctx, kind, db, files)
	if err != nil {
		return err
	}
	if version > known {
		return herald.Errorf(herald.CodeConflict, "Use the release of Herald that wrote it, or a later one.",
			"the rows are of schema %d, and this release knows schemas up to %d", version, known)
	}
	if version == 0 {
		version = known
	}
	if _, err := p.UpTo(ctx, version); err != nil {
		return fmt.Errorf("store: bringing the schema from %d to %d: %w", have, version, err)
	}
	return nil
}

func versions(ctx context.Context, kind goose.Dialect, db *sql.DB, files fs.FS) (p *goose.Provider, have, known int64, err error) {
	p, err = goose.NewProvider(kind, db, files)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("store: reading the migrations: %w", err)
	}
	have, known, err = p.GetVersions(ctx)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("store: reading the version of the schema: %w", err)
	}
	if have > known {
		return nil, 0, 0, fmt.Errorf("store: the database has schema %d, and this release of Herald knows schemas up to %d: "+
			"start the newer release again, or restore a backup made before the upgrade", have, known)
	}
	return p, have, known, nil
}
