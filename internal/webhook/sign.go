package webhook

import (
	"errors"
	"fmt"
	"time"

	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/wire/signed"
)

// keys opens the secrets of a webhook that sign at a time.
func (s *Sender) keys(w *record.Webhook, now time.Time) ([][]byte, error) {
	var out [][]byte
	for _, k := range w.Secrets {
		if !k.Until.IsZero() && !now.Before(k.Until) {
			continue
		}
		text, _, err := s.c.Seal.Open(w.Place(), k.Sealed)
		if err != nil {
			return nil, fmt.Errorf("webhook: a secret cannot be opened; rotate it: %w", err)
		}
		key, err := signed.ParseSecret(string(text))
		if err != nil {
			return nil, err
		}
		out = append(out, key)
	}
	if len(out) == 0 {
		return nil, errors.New("webhook: there is no secret that is valid; rotate it")
	}
	return out, nil
}
