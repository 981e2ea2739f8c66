package receipt

import "time"

// BundleOf has bundles made of messages that are so old, and of so few.
func (l *Ledger) BundleOf(least int, after time.Duration) { l.bundling = bundling{least, after} }
