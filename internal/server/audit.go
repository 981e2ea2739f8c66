package server

import (
	"context"
	"time"
)

// forgetAtOnce is how many entries of the audit log one commit deletes.
const forgetAtOnce = 1000

// forgetAudit deletes the entries of the audit log that are older than they are
// to be kept.
func (s *Server) forgetAudit(ctx context.Context, now time.Time) error {
	if s.cfg.Audit.Keep == 0 {
		return nil
	}
	for _, app := range s.registry.Apps() {
		for more := true; more; {
			var err error
			if more, err = s.store.PurgeAudit(ctx, app, now.Add(-s.cfg.Audit.Keep), forgetAtOnce); err != nil {
				return err
			}
		}
	}
	return nil
}
