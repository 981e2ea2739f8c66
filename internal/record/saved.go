package record

import (
	"time"

	"github.com/herald-push/herald"
)

// AudienceSegment is one version of a saved expression: it holds from its
// position in the app's log until the next version of the same name. Versions
// are kept for as long as a message may have been evaluated with them, so that
// the record tells what a segment meant then.
type AudienceSegment struct {
	Name     string
	Pos      herald.Pos
	Audience *herald.Audience // nil: deleted
	Created  time.Time        // of the first version
	Updated  time.Time        // of this one
}

// FileKind is what the lines of an uploaded file name.
type FileKind string

// The kinds of uploaded file, in the words of an audience.
const (
	FileOfIDs     FileKind = "registration_ids"
	FileOfAliases FileKind = "aliases"
)

// File is an uploaded list of devices, as it was resolved when it came. Its set
// is kept beside it, slab by slab.
type File struct {
	ID   herald.FileID
	Name string // as the uploader calls it; may be empty
	Kind FileKind
	// Pos is a log position at or before which every line was resolved. With
	// aliases, a device that changed its alias later is not meant any more.
	Pos        herald.Pos
	Lines      int64 // that were not empty
	Devices    int64
	Unknown    int64 // values that nobody has
	Duplicates int64 // values that came again
	Created    time.Time
	// Used is when it was last used, or, for a message that is scheduled,
	// when that will be.
	Used time.Time
}
