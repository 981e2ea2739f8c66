package dialect

import (
	"context"
	"database/sql"
	"errors"
	"runtime"
	"time"
)

// Pools are the connections to a database server. A driver that opened them
// offers what is done with them.
type Pools struct {
	Readers *sql.DB
	Writers *sql.DB // of which one connection is used
}

// Limit bounds the pools. A connection that reads is kept for a while.
func (p *Pools) Limit() {
	p.Writers.SetMaxOpenConns(1)
	p.Readers.SetMaxOpenConns(connections())
	p.Readers.SetMaxIdleConns(connections())
	p.Readers.SetConnMaxIdleTime(10 * time.Minute)
}

// KeepNoWriter has a connection that writes made anew each time: one that lay
// idle may be lost, which nobody has noticed.
func (p *Pools) KeepNoWriter() { p.Writers.SetMaxIdleConns(-1) }

// connections is how many read at once.
func connections() int { return max(4, 2*runtime.GOMAXPROCS(0)) }

// Forget closes the idle connections of the readers.
func (p *Pools) Forget() {
	p.Readers.SetMaxIdleConns(-1)
	p.Readers.SetMaxIdleConns(connections())
}

// Close closes the pools that were opened.
func (p *Pools) Close() error {
	var errs []error
	for _, pool := range []*sql.DB{p.Readers, p.Writers} {
		if pool != nil {
			errs = append(errs, pool.Close())
		}
	}
	return errors.Join(errs...)
}

// Writer connects and has hold take the lock. unreachable says what an error of
// connecting means.
func (p *Pools) Writer(ctx context.Context, hold func(context.Context, *sql.Conn) error, unreachable func(error) error) (*sql.Conn, error) {
	conn, err := p.Writers.Conn(ctx)
	if err != nil {
		return nil, unreachable(err)
	}
	if err := hold(ctx, conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}
