// Package dialect is what the kinds of SQL databases do each in their own way,
// as the store needs it: opening, a few statements, and what errors mean. A
// driver knows nothing of the record; the store knows nothing of a database
// but its [Driver].
package dialect

import (
	"context"
	"database/sql"
)

// Driver is one kind of database. But for Open and Close its methods may be
// called from any goroutine.
type Driver interface {
	Opener
	Speaker
}

// Opener opens a database, once.
type Opener interface {
	// Open brings the schema up to date and gives the pool that reads and the
	// only connection that writes. What it opened before an error is for Close.
	Open(ctx context.Context) (readers *sql.DB, writer *sql.Conn, err error)
	// Close closes the pools of both. The writer is closed before.
	Close() error
}

// Speaker knows the words of a database.
type Speaker interface {
	// SQL puts a statement of the store into the words of this database. The
	// store speaks SQLite, without numbered parameters; see [Words].
	SQL(q string) string
	// Say gives the statement for a phrase, or "" if nothing has to be said.
	Say(p Phrase) string
	// Snapshot is the isolation of reads that must agree with each other.
	Snapshot() sql.IsolationLevel
	// Kind tells what an error of the database means.
	Kind(err error) Kind
	// Remedy is what an operator does about an error that goes on: a sentence.
	Remedy() string
}

// Remote is a driver of a database server: its connections get lost, and come
// back. The session of its writer holds a lock of the database, so that who
// writes is the only one.
type Remote interface {
	// Again gives another writer in the place of one that was lost. When it has
	// one, what the lost one sent has been done or never will be.
	Again(ctx context.Context) (*sql.Conn, error)
	// Forget closes the connections of the readers that nobody uses: when one
	// is lost, mostly all are.
	Forget()
}

// Keeper is a driver that works beside the commits.
type Keeper interface {
	// Start begins. Nothing may be written to a database that is not trusted;
	// failed is told of an error after which it is not. Both may be called
	// until Stop has returned.
	Start(trusted func() bool, failed func(error))
	// Committed comes after each commit, Between after each group while the
	// database is trusted, from the goroutine that writes. The error of Between
	// is as for failed.
	Committed()
	Between(writer *sql.Conn) error
	Stop()
}

// Phrase is a statement that each database has its own words for.
type Phrase int

// The phrases.
const (
	Begin    Phrase = iota // begins a transaction that writes
	SyncOn                 // commits are durable from now on
	SyncOff                // commits need not be durable before a later one is
	ScrubOn                // what is deleted from now on is overwritten
	ScrubOff               // no longer
)

// Kind is what an error means for those who met it.
type Kind int

// The kinds.
const (
	Other    Kind = iota // it is about the statement
	Conflict             // a row with this key exists
	Again                // the transaction may be run again as it was
	Shared               // it is about the database, whatever the statement
	Full                 // there is no room; otherwise as Shared
	Lost                 // the connection is gone; of a commit, whether it was done is not known
	Broken               // the disk or the file cannot be trusted any more
)

// Examiner is a driver that can say whether the database is set up as the
// promises need it.
type Examiner interface {
	// Examine connects by itself and changes nothing. The first check is
	// whether the database can be reached; if it cannot there is no other.
	Examine(ctx context.Context) []Check
}

// Check is one thing that was looked at.
type Check struct {
	Name   string
	OK     bool
	Text   string // what was found
	Remedy string // a full sentence, unless OK
}
