package bench

import (
	"fmt"
	"math"
	"sort"
	"time"

	"github.com/herald-push/herald"
)

// Population says how many devices an app has, and how they are spread. What
// each device is follows from Seed and its ordinal alone, so that a test can
// ask again what a stored device should be.
type Population struct {
	Seed    uint64
	Devices int
	// Tags are common ones, of which each device has TagsPerDevice; how often
	// they occur follows Zipf's law.
	Tags int
	// SmallTags are tags of SmallTagSize devices each.
	SmallTags int
	// Now is the present. Devices were made before it, and seen on one of the
	// 60 days before it.
	Now time.Time

	zipf []uint16 // the tag of each 1/65,536 of a draw
}

// Shares and sizes of a population.
const (
	TagsPerDevice = 8
	SmallTagSize  = 10

	aliasShare   = 0.6
	deadShare    = 0.1
	perAlias     = 1.4 // devices of an alias, on average
	versions     = 20
	seenDays     = 60
	drawsByTag   = 1 << 16
	msPerDevice  = 200 // between two registrations
	idRandomBits = 52
)

// Profile is what a device is.
type Profile struct {
	Platform herald.Platform
	Version  string
	Language string
	TimeZone string
	Dead     bool
	Alias    int // the ordinal of its recipient; -1: none
	DaysAgo  int // when it was seen
	Tags     [TagsPerDevice]uint16
}

// weighted is a value and its share of 256.
type weighted struct {
	value string
	share int
}

// The shares add up to 256.
func platformShares() []weighted {
	return []weighted{{"android", 128}, {"ios", 77}, {"web", 38}, {"hmos", 13}}
}

func languageShares() []weighted {
	return []weighted{{"zh-CN", 110}, {"en-US", 50}, {"en-GB", 20}, {"zh-TW", 20}, {"de-DE", 16}, {"pt-BR", 16}, {"ja", 16}, {"ar", 8}}
}

func timeZones() []string {
	return []string{"Asia/Shanghai", "America/New_York", "Europe/London", "Europe/Berlin", "America/Sao_Paulo", "Asia/Tokyo"}
}

func pick(list []weighted, draw uint8) string {
	n := int(draw)
	for _, w := range list {
		if n -= w.share; n < 0 {
			return w.value
		}
	}
	return list[len(list)-1].value
}

// random is splitmix64: a good sequence from any seed, in two lines.
type random uint64

func (r *random) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (r *random) below(n int) int { return int(r.next() % uint64(n)) }

// stream gives the sequence of one thing: a purpose and a number.
func (p *Population) stream(purpose, n uint64) random {
	r := random(p.Seed ^ purpose*0xd1342543de82ef95)
	r += random(r.next() ^ n*0xaf251af3b0f025b5)
	r.next()
	return r
}

// Purposes of streams.
const (
	ofProfile = iota + 1
	ofIdentity
	ofSmallTag
	ofRemoval
	ofMessage
	ofReceipt
	ofExpression
	ofSecret
)

// draws gives the table by which common tags are drawn.
func (p *Population) draws() []uint16 {
	if p.zipf != nil {
		return p.zipf
	}
	sum, upto := 0.0, make([]float64, p.Tags)
	for i := range upto {
		sum += 1 / float64(i+1)
		upto[i] = sum
	}
	p.zipf = make([]uint16, drawsByTag)
	for i := range p.zipf {
		x := (float64(i) + 0.5) / drawsByTag * sum
		p.zipf[i] = uint16(min(sort.SearchFloat64s(upto, x), p.Tags-1))
	}
	return p.zipf
}

// Profile tells what a device is.
func (p *Population) Profile(o herald.Ordinal) Profile {
	r := p.stream(ofProfile, uint64(o))
	bits := r.next()
	d := Profile{
		Platform: herald.Platform(pick(platformShares(), uint8(bits))),
		Language: pick(languageShares(), uint8(bits>>8)),
		TimeZone: timeZones()[uint8(bits>>16)%6],
		Version:  fmt.Sprintf("%d.%d.0", 5+uint8(bits>>24)%versions/10, uint8(bits>>24)%versions%10),
		Alias:    -1,
	}
	d.Dead = float64(r.next()>>11)/(1<<53) < deadShare
	if a := r.next(); float64(a>>11)/(1<<53) < aliasShare {
		d.Alias = r.below(p.Recipients())
	}
	// Half were seen today or yesterday; the rest thins out.
	u := float64(r.next()>>11) / (1 << 53)
	d.DaysAgo = int(math.Pow(u, 4) * seenDays)
	zipf := p.draws()
	for n := 0; n < min(TagsPerDevice, p.Tags); {
		t := zipf[uint16(r.next())]
		if !contains(d.Tags[:n], t) {
			d.Tags[n] = t
			n++
		}
	}
	return d
}

func contains(list []uint16, t uint16) bool {
	for _, x := range list {
		if x == t {
			return true
		}
	}
	return false
}

// Recipients is the number of aliases.
func (p *Population) Recipients() int { return max(1, int(float64(p.Devices)*aliasShare/perAlias)) }

// AliasName is the alias of a recipient.
func AliasName(n int) herald.Alias { return herald.Alias(fmt.Sprintf("user-%08d", n)) }

// TagName is the name of a common tag.
func TagName(n int) herald.Tag { return herald.Tag(fmt.Sprintf("interest-%03d", n)) }

// SmallTagName is the name of a small tag.
func SmallTagName(n int) herald.Tag { return herald.Tag(fmt.Sprintf("group-%07d", n)) }

// SmallTag lists the devices of a small tag. A device may come twice.
func (p *Population) SmallTag(n int) (out [SmallTagSize]herald.Ordinal) {
	r := p.stream(ofSmallTag, uint64(n))
	for i := range out {
		out[i] = herald.Ordinal(r.below(p.Devices))
	}
	return out
}

// Created is when a device registered: evenly spaced, up to an hour ago.
func (p *Population) Created(o herald.Ordinal) time.Time {
	return p.Now.Add(-time.Hour - time.Duration(p.Devices-int(o))*msPerDevice*time.Millisecond)
}

// RegistrationID is the name of a device.
func (p *Population) RegistrationID(o herald.Ordinal) herald.RegistrationID {
	const digits = "0123456789abcdefghijklmnopqrstuv"
	r := p.stream(ofIdentity, uint64(o))
	high, low := uint64(p.Created(o).UnixMilli()), r.next()&(1<<idRandomBits-1)
	var out [herald.RegistrationIDLen]byte
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = digits[low&31]
		low = low>>5 | (high&31)<<(idRandomBits-5)
		high >>= 5
	}
	return herald.RegistrationID(out[:])
}

// Installation is the installation ID of a device.
func (p *Population) Installation(o herald.Ordinal) string {
	return fmt.Sprintf("bench-device-%010d", o)
}
