package store

import (
	"context"
	"database/sql"
	"sync"

	"github.com/herald-push/herald/internal/store/dialect"
)

// maxStatements bounds the statements that a pool keeps; the texts are
// constants, but for lists of different lengths.
const maxStatements = 256

// pool is the reading connections. It keeps its statements prepared: compiling
// one costs more than running it.
type pool struct {
	*sql.DB
	driver dialect.Driver

	mu         sync.RWMutex
	statements map[string]*sql.Stmt
}

// statement gives a prepared statement; nil if there are too many of them, or
// it cannot be prepared, which running it will say.
func (p *pool) statement(ctx context.Context, q string) *sql.Stmt {
	p.mu.RLock()
	s, n := p.statements[q], len(p.statements)
	p.mu.RUnlock()
	if s != nil || n >= maxStatements {
		return s
	}
	s, err := p.PrepareContext(ctx, p.driver.SQL(q))
	if err != nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if first := p.statements[q]; first != nil {
		_ = s.Close()
		return first
	}
	if p.statements == nil {
		p.statements = map[string]*sql.Stmt{}
	}
	p.statements[q] = s
	return s
}

// QueryContext runs a query on any connection.
func (p *pool) QueryContext(ctx context.Context, q string, args ...any) (*sql.Rows, error) {
	rows, err := p.query(ctx, q, args)
	if err != nil && p.stale(ctx, err) {
		rows, err = p.query(ctx, q, args)
	}
	return rows, err
}

func (p *pool) query(ctx context.Context, q string, args []any) (*sql.Rows, error) {
	if s := p.statement(ctx, q); s != nil {
		return s.QueryContext(ctx, args...)
	}
	return p.DB.QueryContext(ctx, p.driver.SQL(q), args...)
}

// stale reports whether an error comes of a connection that was lost while
// nobody used it, so that reading may be tried once more on another.
func (p *pool) stale(ctx context.Context, err error) bool {
	remote, ok := p.driver.(dialect.Remote)
	if !ok || ctx.Err() != nil || p.driver.Kind(err) != dialect.Lost {
		return false
	}
	remote.Forget()
	return true
}

// QueryRowContext runs a query for one row on any connection.
func (p *pool) QueryRowContext(ctx context.Context, q string, args ...any) *sql.Row {
	row := p.queryRow(ctx, q, args)
	if err := row.Err(); err != nil && p.stale(ctx, err) {
		row = p.queryRow(ctx, q, args)
	}
	return row
}

func (p *pool) queryRow(ctx context.Context, q string, args []any) *sql.Row {
	if s := p.statement(ctx, q); s != nil {
		return s.QueryRowContext(ctx, args...)
	}
	return p.DB.QueryRowContext(ctx, p.driver.SQL(q), args...)
}

// snapshot is one reading transaction.
type snapshot struct {
	pool    *pool
	tx      *sql.Tx
	missing []string // to be prepared when the connection is free again
}

// QueryContext runs a query within the transaction.
func (s *snapshot) QueryContext(ctx context.Context, q string, args ...any) (*sql.Rows, error) {
	s.pool.mu.RLock()
	known := s.pool.statements[q]
	s.pool.mu.RUnlock()
	if known != nil {
		return s.tx.StmtContext(ctx, known).QueryContext(ctx, args...)
	}
	// Preparing needs a connection, and there may be none while this one is held.
	s.missing = append(s.missing, q)
	return s.tx.QueryContext(ctx, s.pool.driver.SQL(q), args...)
}

// view runs reads that must agree with each other on one snapshot.
func (p *pool) view(ctx context.Context, read func(*snapshot) error) error {
	s := &snapshot{pool: p}
	if err := s.run(ctx, read); err != nil {
		return err
	}
	for _, q := range s.missing {
		p.statement(ctx, q)
	}
	return nil
}

func (s *snapshot) run(ctx context.Context, read func(*snapshot) error) (err error) {
	options := &sql.TxOptions{ReadOnly: true, Isolation: s.pool.driver.Snapshot()}
	if s.tx, err = s.pool.BeginTx(ctx, options); err != nil && s.pool.stale(ctx, err) {
		s.tx, err = s.pool.BeginTx(ctx, options)
	}
	if err != nil {
		return wrap(err)
	}
	defer s.tx.Rollback()
	return read(s)
}
