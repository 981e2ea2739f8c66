package dialect

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"github.com/herald-push/herald/internal/faults"
)

// Migrate brings a schema forward by the files of a folder. There is no way
// back: a database of a newer Herald is refused, because this one does not know
// what its columns mean. The caller sees to it that nobody else does the same.
func Migrate(ctx context.Context, kind goose.Dialect, db *sql.DB, files fs.FS) error {
	p, err := goose.NewProvider(kind, db, files)
	if err != nil {
		return fmt.Errorf("store: reading the migrations: %w", err)
	}
	have, known, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("store: reading the version of the schema: %w", err)
	}
	if have > known {
		return fmt.Errorf("store: the database has schema %d, and this release of Herald knows schemas up to %d: "+
			"start the newer release again, or restore a backup made before the upgrade", have, known)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("store: bringing the schema from %d to %d: %w", have, known, err)
	}
	faults.Point("migrated")
	return nil
}
