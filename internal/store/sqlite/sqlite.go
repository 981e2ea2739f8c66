// Package sqlite keeps the record in one SQLite file: the store of a Herald
// that runs on one machine. What it promises is said in package store.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/store"
	"github.com/herald-push/herald/internal/store/sqlite/driver"
)

// Config says where the file is and who wants to know of commits.
type Config struct {
	// Path is the database file. It and its folder are made where missing.
	Path string
	// The rest is that of store.Config.
	Now        func() time.Time
	Log        *slog.Logger
	Inline     int
	OnSets     func(app herald.AppKey, e record.SetLogEntry)
	OnRelease  func(app herald.AppKey, pos herald.Pos)
	OnAccepted func(m *record.Message)
	OnTopics   func(app herald.AppKey, moves []record.TopicMove)
}

// DB is an open record.
type DB = store.DB

// Open opens or makes a database; see store.Open. Two processes must not open
// one file; who keeps them apart is the caller.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	return store.Open(ctx, cfg.store(driver.Config{Path: cfg.Path, Log: cfg.Log}))
}

func (c Config) store(d driver.Config) store.Config {
	return store.Config{Driver: driver.New(d), Now: c.Now, Log: c.Log, Inline: c.Inline, OnSets: c.OnSets, OnRelease: c.OnRelease, OnAccepted: c.OnAccepted, OnTopics: c.OnTopics}
}

// Bulk fills a new database with a large number of rows; see store.Bulk.
type Bulk struct {
	*store.Bulk
	path string
}

// BulkDevice is a device with the ordinal of its recipient, if it has one.
type BulkDevice = store.BulkDevice

// OpenBulk makes a database at a path where there is none, with one app.
func OpenBulk(ctx context.Context, cfg Config, app record.App) (*Bulk, error) {
	if _, err := os.Stat(cfg.Path); !errors.Is(err, fs.ErrNotExist) {
		return nil, herald.Errorf(herald.CodeConflict, "Choose an empty folder.", "there is a database at %s already", cfg.Path)
	}
	b, err := store.OpenBulk(ctx, cfg.store(driver.Config{Path: cfg.Path, Log: cfg.Log, Bulk: true}), app)
	if err != nil {
		return nil, err
	}
	return &Bulk{Bulk: b, path: cfg.Path}, nil
}

// Close closes the database and waits until it is on the disk.
func (b *Bulk) Close() error {
	if err := b.Bulk.Close(); err != nil {
		return err
	}
	f, err := os.OpenFile(b.path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	return errors.Join(f.Sync(), f.Close())
}
