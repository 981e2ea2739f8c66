package herald

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// AppKey is the public name of an app: exactly 24 characters of [0-9a-z].
type AppKey string

// RegistrationID is the public name of a device: 20 characters of [0-9a-v],
// lower case. The first 48 bits are the Unix time in milliseconds, so that
// IDs sort by the time they were made; the other 52 bits are random.
type RegistrationID string

// Alias is the app's own name for a user: 1 to 128 bytes of UTF-8.
type Alias string

// Tag is a label on devices: 1 to 128 bytes of UTF-8.
type Tag string

// Ordinal is the number of a device within its app. Ordinals are taken when
// the device registers and are never used again.
type Ordinal uint32

// Pos is a place in the log of one app. Visible order is Pos order.
type Pos uint64

// Epoch tells the lives of an app's log apart: a restore from backup starts a
// new one. The first is 1.
type Epoch uint32

// MessageID names a message: a positive int64 that grows with time. In JSON it
// is a decimal string, because JavaScript's numbers end at 2^53.
//
// Layout, from the top: sign (0), 41 bits of milliseconds since 2025-01-01 UTC,
// 10 bits of node, 12 bits of sequence.
type MessageID int64

const (
	idEpochMillis  = 1735689600000 // 2025-01-01T00:00:00Z
	idNodeBits     = 10
	idSequenceBits = 12
)

// MaxNode is the highest node number that an ID generator takes.
const MaxNode = 1<<idNodeBits - 1

// String gives the decimal form.
func (id MessageID) String() string { return strconv.FormatInt(int64(id), 10) }

// Time is the moment the ID was made, to the millisecond.
func (id MessageID) Time() time.Time {
	return time.UnixMilli(int64(id)>>(idNodeBits+idSequenceBits) + idEpochMillis).UTC()
}

// MarshalText writes the decimal form (RFC 8259 string in JSON).
func (id MessageID) MarshalText() ([]byte, error) {
	return strconv.AppendInt(nil, int64(id), 10), nil
}

// UnmarshalText reads the decimal form; see [ParseMessageID].
func (id *MessageID) UnmarshalText(b []byte) error {
	v, err := ParseMessageID(string(b))
	if err != nil {
		return err
	}
	*id = v
	return nil
}

// ParseMessageID reads the decimal form of a message ID. It refuses signs,
// leading zeros, zero itself and anything past int64.
func ParseMessageID(s string) (MessageID, error) {
	if s == "" || len(s) > 19 || s[0] < '1' || s[0] > '9' {
		return 0, fmt.Errorf("herald: message ID %.24q is not a positive decimal number", s)
	}
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("herald: message ID %.24q is not a positive decimal number", s)
	}
	return MessageID(v), nil
}

// IDs makes message IDs that grow strictly, for one node. The zero value makes
// IDs of node 0. It is safe for use by several goroutines.
type IDs struct {
	mu   sync.Mutex
	node int64
	last int64 // the last ID without its node bits: millis<<sequence | sequence
}

// NewIDs gives a generator for a node (0 to [MaxNode]) whose IDs are all above
// after, the highest ID that the record already knows (0 if it knows none).
func NewIDs(node int, after MessageID) *IDs {
	// The node stands above the sequence, so that another node's ID of the same
	// millisecond may be above all of ours: begin with the next millisecond.
	millis := int64(after) >> (idNodeBits + idSequenceBits)
	return &IDs{node: int64(node & MaxNode), last: millis<<idSequenceBits | (1<<idSequenceBits - 1)}
}

// Next gives the next ID. When the clock stands still or goes back, or 4,096
// IDs were made within one millisecond, it runs ahead of the clock instead of
// repeating itself.
func (g *IDs) Next(now time.Time) MessageID {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := max((now.UnixMilli()-idEpochMillis)<<idSequenceBits, g.last+1)
	g.last = n
	millis, seq := n>>idSequenceBits, n&(1<<idSequenceBits-1)
	return MessageID(millis<<(idNodeBits+idSequenceBits) | g.node<<idSequenceBits | seq)
}

const (
	base32hex = "0123456789abcdefghijklmnopqrstuv"
	base36    = "0123456789abcdefghijklmnopqrstuvwxyz"
	base62    = base36 + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// Lengths of the identifiers, in characters.
const (
	RegistrationIDLen = 20
	AppKeyLen         = 24
	SecretLen         = 24
)

// NewRegistrationID makes a registration ID for a device that registers now.
func NewRegistrationID(now time.Time) RegistrationID {
	// 100 bits in 20 digits of 5 bits: the time in the top 48, then 52 random.
	var b [16]byte
	rand.Read(b[8:])
	low := binary.BigEndian.Uint64(b[8:]) & (1<<52 - 1)
	high := uint64(now.UnixMilli()) & (1<<48 - 1)
	var out [RegistrationIDLen]byte
	for i := RegistrationIDLen - 1; i >= 0; i-- {
		out[i] = base32hex[low&31]
		low = low>>5 | (high&31)<<47
		high >>= 5
	}
	return RegistrationID(out[:])
}

// Valid reports whether the ID has the form of a registration ID.
func (id RegistrationID) Valid() bool { return hasForm(string(id), RegistrationIDLen, base32hex) }

// Valid reports whether the key has the form of an app key.
func (k AppKey) Valid() bool { return hasForm(string(k), AppKeyLen, base36) }

// NewAppKey makes a random app key.
func NewAppKey() AppKey { return AppKey(randomString(AppKeyLen, base36)) }

// NewSecret makes a random secret of n characters of [0-9A-Za-z]; a master
// secret has [SecretLen] of them, which is 142 bits.
func NewSecret(n int) string { return randomString(n, base62) }

func hasForm(s string, length int, alphabet string) bool {
	if len(s) != length {
		return false
	}
	for i := range len(s) {
		if strings.IndexByte(alphabet, s[i]) < 0 {
			return false
		}
	}
	return true
}

// randomString draws each character without bias: bytes past the largest
// multiple of the alphabet's size are thrown away.
func randomString(n int, alphabet string) string {
	limit := 256 - 256%len(alphabet)
	out := make([]byte, 0, n)
	var buf [64]byte
	for len(out) < n {
		rand.Read(buf[:])
		for _, b := range buf {
			if int(b) < limit && len(out) < n {
				out = append(out, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(out)
}
