// Package sqlite keeps the record in one SQLite file: the store of a Herald
// that runs on one machine. What it promises is said in package store.
package sqlite

import (
	"context"

	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/store"
)

// Config says where the file is and who wants to know of commits.
type Config = store.Config

// DB is an open record.
type DB = store.DB

// Bulk fills a new database with a large number of rows.
type Bulk = store.Bulk

// BulkDevice is a device with the ordinal of its recipient, if it has one.
type BulkDevice = store.BulkDevice

// Open opens or makes a database; see store.Open.
func Open(ctx context.Context, cfg Config) (*DB, error) { return store.Open(ctx, cfg) }

// OpenBulk makes a database at a path where there is none, with one app.
func OpenBulk(ctx context.Context, cfg Config, app record.App) (*Bulk, error) {
	return store.OpenBulk(ctx, cfg, app)
}
