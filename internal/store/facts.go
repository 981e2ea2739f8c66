package store

import (
	"encoding/json"
	"fmt"

	"github.com/herald-push/herald/internal/record"
)

// factsOf gives what the column of the facts of a message holds: NULL for the
// many that have none.
func factsOf(f *record.Facts) ([]byte, error) {
	if f == nil {
		return nil, nil
	}
	b, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("store: writing the facts of a message: %w", err)
	}
	return b, nil
}

// planned reports whether the facts of a message say that it is released in
// steps. What else they hold may be of any size and is not read.
func planned(b []byte) bool {
	var f struct {
		Planned bool `json:"planned"`
	}
	return len(b) > 0 && json.Unmarshal(b, &f) == nil && f.Planned
}

// parseFacts gives a message its facts, which have a checksum of their own,
// because a device that connects is read bodies alone.
func parseFacts(m *record.Message, b []byte, crc int64) error {
	if len(b) == 0 && crc == 0 {
		return nil
	}
	row := func() string { return fmt.Sprintf("msg %s %d (facts)", m.App, m.ID) }
	if err := verify(b, crc, row); err != nil {
		return err
	}
	m.Facts = &record.Facts{}
	if err := json.Unmarshal(b, m.Facts); err != nil {
		return damaged(row(), err)
	}
	return nil
}
