package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"github.com/herald-push/herald/internal/faults"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema forward. There is no way back: a database of a
// newer Herald is refused, because this one does not know what its columns
// mean.
func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files)
	if err != nil {
		return fmt.Errorf("sqlite: reading the migrations: %w", err)
	}
	have, known, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("sqlite: reading the version of the schema: %w", err)
	}
	if have > known {
		return fmt.Errorf("sqlite: the database has schema %d, and this release of Herald knows schemas up to %d: "+
			"start the newer release again, or restore a backup made before the upgrade", have, known)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("sqlite: bringing the schema from %d to %d: %w", have, known, err)
	}
	faults.Point("migrated")
	return nil
}
