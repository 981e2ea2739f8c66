package dialect

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
)

// Setting is a value of a server that must be one of some.
type Setting struct {
	Name   string // of the check
	Query  string // gives one value
	Want   []string
	Means  string // what is wrong with another value
	Remedy string
}

// Want gives a setting with the values that are right.
func Want(name, query, means, remedy string, values ...string) Setting {
	return Setting{Name: name, Query: query, Want: values, Means: means, Remedy: remedy}
}

// Checks looks at settings.
func Checks(ctx context.Context, db *sql.DB, settings []Setting) []Check {
	var out []Check
	for _, s := range settings {
		var v string
		if err := db.QueryRowContext(ctx, s.Query).Scan(&v); err != nil {
			out = append(out, Check{Name: s.Name, Text: fmt.Sprintf("cannot be looked at: %v", err), Remedy: "Give the user of the database the right to read it."})
			continue
		}
		c := Check{Name: s.Name, Text: v + ": " + s.Means, Remedy: s.Remedy}
		for _, w := range s.Want {
			if v == w {
				c = Check{Name: s.Name, OK: true, Text: v}
			}
		}
		out = append(out, c)
	}
	return out
}

// Warn logs the checks that are not as they should be.
func Warn(log *slog.Logger, checks []Check) {
	for _, c := range checks {
		if !c.OK {
			log.Warn("store: the database is not set up as it should be", "check", c.Name, "found", c.Text, "remedy", c.Remedy)
		}
	}
}
