package record

import (
	"time"

	"github.com/herald-push/herald"
)

// Recipient is one reader: an alias, with its devices or with none. Its ordinal
// is another sequence than that of devices, and never used again either.
type Recipient struct {
	Ord     uint32
	Alias   herald.Alias
	Created time.Time
}
