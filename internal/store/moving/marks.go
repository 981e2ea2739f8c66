package moving

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/store/dialect"
)

// Begin prepares a target for what is named: it is empty, and gets the schema of
// a version, or it is where this was begun before. raise is Mover.Raise.
func Begin(ctx context.Context, to Target, tables []Table, version int64, what string, raise func(context.Context, int64) error) error {
	have, err := Version(ctx, to.Conn, to.Layout)
	if err != nil {
		return err
	}
	begun := ""
	if have > 0 {
		if begun, err = dialect.Mark(ctx, to.Conn, dialect.MarkMoving); err != nil {
			return err
		}
	}
	switch {
	case begun == "":
		if err := Empty(ctx, tables, to.Conn, to.Layout); err != nil {
			return err
		}
	case begun != what:
		return herald.Errorf(herald.CodeConflict, "Finish what was begun, or name an empty database.", "something else is being moved into the target: %s", begun)
	}
	if have > version {
		return herald.Errorf(herald.CodeConflict, "Start and stop a server of this release on the source, or name an empty database.",
			"the target has schema %d, and the source schema %d", have, version)
	}
	if err := raise(ctx, version); err != nil {
		return err
	}
	if err := Check(ctx, to.Conn, to.Layout, tables); err != nil {
		return err
	}
	if begun != "" {
		return nil
	}
	return SetMark(ctx, to.Conn, to.Layout, dialect.MarkMoving, what)
}

// SetMark writes a row of meta; "" takes it away.
func SetMark(ctx context.Context, conn *sql.Conn, layout dialect.Layout, name, value string) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("moving: marking the database: %w", err)
	}
	defer tx.Rollback()
	remove, write := &statement{numbered: layout.Numbered}, &statement{numbered: layout.Numbered}
	remove.WriteString("DELETE FROM meta WHERE name = ")
	remove.parameter()
	_, err = tx.ExecContext(ctx, remove.String(), name)
	if err == nil && value != "" {
		write.WriteString("INSERT INTO meta (name, value) VALUES (")
		write.list(2, func(int) { write.parameter() })
		write.WriteString(")")
		_, err = tx.ExecContext(ctx, write.String(), name, value)
	}
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		return fmt.Errorf("moving: marking the database: %w", err)
	}
	return nil
}
