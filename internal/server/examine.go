package server

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/doctor"
	"github.com/herald-push/herald/internal/store/dialect"
)

// ExamineStore checks the database server that a configuration names; for the
// embedded store there is none. It changes nothing, and may run beside a server.
func ExamineStore(ctx context.Context, c config.Store) []doctor.Finding {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	d, err := databaseDriver(c, "", slog.New(slog.DiscardHandler))
	if err != nil {
		f := doctor.Finding{Check: "database", State: doctor.Failure, Text: err.Error(), Remedy: "Correct store.dsn."}
		if e := (*herald.Error)(nil); errors.As(err, &e) {
			f.Remedy = e.Remedy
		}
		return []doctor.Finding{f}
	}
	x, ok := d.(dialect.Examiner)
	if !ok {
		return nil
	}
	var out []doctor.Finding
	for _, c := range x.Examine(ctx) {
		f := doctor.Finding{Check: c.Name, State: doctor.Failure, Text: c.Text, Remedy: c.Remedy}
		if c.Name != "database" {
			f.Check = "db " + c.Name
		}
		if c.OK {
			f.State = doctor.OK
		}
		out = append(out, f)
	}
	return out
}
