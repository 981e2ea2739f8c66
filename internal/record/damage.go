package record

import "errors"

// ErrDamaged is in the chain of an error that says that stored bytes are not
// what was written. What rests on them cannot be had; asking again does not
// help, and what does not rest on them goes on.
var ErrDamaged = errors.New("record: the stored bytes are not those that were written")
