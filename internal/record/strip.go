package record

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/sets"
)

// A strip says for which of some group messages each of some neighbouring devices
// waits, so that what a device has to know of many messages is read at one
// place. Chunks have the same bits the other way round.
const (
	// BundleSize is how many messages a bundle has at most: the bits of a word.
	BundleSize = 64
	// StripSize is how many devices share a strip: with a word for each it has as
	// many bits as a slab has ordinals.
	StripSize = 1 << stripBits
	// StripsInSlab is how many strips a bundle has in a slab.
	StripsInSlab = sets.SlabSize / StripSize

	stripBits = 10
)

// Bundle is some messages for which there are strips in one slab.
type Bundle struct {
	Slab sets.Slab
	N    uint64             // of the app; its strips bear it
	Msgs []herald.MessageID // ascending, at most BundleSize; none: its strips are not all written
	// Stale has a bit for each message that may have been received, or have ended,
	// for more devices than the strips say. For those that are left, what they
	// say is all that the chunks have.
	Stale uint64
}

// Strip is a strip of a bundle, or some of its bits.
type Strip struct {
	N     uint64 // the bundle
	Block uint64 // see BlockOf
	Bits  *sets.Set
}

// BlockOf gives the strip in which a device is.
func BlockOf(o herald.Ordinal) uint64 { return uint64(o) >> stripBits }

// WordOf gives the place of a device in its strip.
func WordOf(o herald.Ordinal) int { return int(o) & (StripSize - 1) }

// StripBit gives the bit of a device and a message, by its place in the bundle,
// within a strip.
func StripBit(o herald.Ordinal, message int) herald.Ordinal {
	return herald.Ordinal(WordOf(o)*BundleSize + message)
}

// SetWord gives the bits of one device in a strip that AppendSet wrote, without
// making the set: it is for bytes whose checksum is right.
func SetWord(b []byte, o herald.Ordinal) (word uint64, err error) { return setWord(b, StripBit(o, 0)) }

// AppendBundle writes what a bundle is, but for its slab and number.
func AppendBundle(b []byte, of Bundle) []byte {
	b = binary.BigEndian.AppendUint64(b, of.Stale)
	for _, id := range of.Msgs {
		b = binary.BigEndian.AppendUint64(b, uint64(id))
	}
	return b
}

// ParseBundle reads what AppendBundle wrote.
func ParseBundle(b []byte) (out Bundle, err error) {
	if len(b) < 8 || len(b) > 8+8*BundleSize || len(b)%8 != 0 {
		return out, fmt.Errorf("record: %d bytes are not a bundle", len(b))
	}
	list := make([]herald.MessageID, 0, len(b)/8-1)
	for at := 8; at < len(b); at += 8 {
		id := herald.MessageID(binary.BigEndian.Uint64(b[at:]))
		if n := len(list); n > 0 && list[n-1] >= id {
			return out, errors.New("record: the messages of a bundle are not in ascending order")
		}
		list = append(list, id)
	}
	return Bundle{Msgs: list, Stale: binary.BigEndian.Uint64(b)}, nil
}
