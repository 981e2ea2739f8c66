package herald_test

import (
	"encoding/json"
	"math"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/herald-push/herald"
)

// start is the zero of the time in message IDs (docs/design/001).
var start = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

func TestParseMessageID(t *testing.T) {
	tests := []struct {
		name, in string
		want     herald.MessageID // 0 is refused
	}{
		{"one", "1", 1},
		{"usual", "245870126268416001", 245870126268416001},
		{"largest", "9223372036854775807", math.MaxInt64},
		{"past int64", "9223372036854775808", 0},
		{"twenty digits", "10000000000000000000", 0},
		{"empty", "", 0},
		{"zero", "0", 0},
		{"leading zero", "01", 0},
		{"minus", "-1", 0},
		{"plus", "+1", 0},
		{"space before", " 1", 0},
		{"space behind", "1 ", 0},
		{"underscore", "1_000", 0},
		{"hexadecimal", "0x1f", 0},
		{"exponent", "1e3", 0},
		{"other digits", "1٢", 0},
		{"NUL", "1\x00", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := herald.ParseMessageID(tt.in)
			if got != tt.want || (err == nil) != (tt.want != 0) {
				t.Errorf("ParseMessageID(%q) = %d, %v; want %d", tt.in, got, err, tt.want)
			}
		})
	}
}

func FuzzParseMessageID(f *testing.F) {
	for _, s := range []string{"1", "0", "", "9223372036854775807", "9223372036854775808", "-5", "+5", "007", "1_0", "245870126268416001"} {
		f.Add(s)
	}
	canonical := regexp.MustCompile(`^[1-9][0-9]{0,18}$`)
	f.Fuzz(func(t *testing.T, s string) {
		id, err := herald.ParseMessageID(s)
		if err != nil {
			if id != 0 {
				t.Fatalf("%q is refused, and gives %d", s, id)
			}
			if n, e := strconv.ParseInt(s, 10, 64); e == nil && n > 0 && canonical.MatchString(s) {
				t.Fatalf("%q is refused: %v", s, err)
			}
			return
		}
		if id <= 0 || id.String() != s {
			t.Fatalf("%q gives %d, which is written %q", s, id, id)
		}
	})
}

func TestMessageIDInJSON(t *testing.T) {
	b, err := json.Marshal(map[string]herald.MessageID{"id": math.MaxInt64})
	if err != nil || string(b) != `{"id":"9223372036854775807"}` {
		t.Errorf("got %s, %v", b, err)
	}
	for _, tt := range []struct {
		name, in string
		want     herald.MessageID
	}{
		{"string", `"12"`, 12},
		{"number", `12`, 0},
		{"zero", `"0"`, 0},
		{"leading zero", `"012"`, 0},
		{"empty", `""`, 0},
		{"object", `{}`, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var id herald.MessageID
			if err := json.Unmarshal([]byte(tt.in), &id); id != tt.want || (err == nil) != (tt.want != 0) {
				t.Errorf("got %d, %v; want %d", id, err, tt.want)
			}
		})
	}
}

// TestMessageIDLayout holds the bits to docs/design/001.
func TestMessageIDLayout(t *testing.T) {
	now := start.Add(123456789 * time.Millisecond)
	g := herald.NewIDs(5, 0)
	for seq := range int64(3) {
		id := int64(g.Next(now))
		if got := id >> 22; got != 123456789 {
			t.Errorf("milliseconds %d, want 123456789", got)
		}
		if got := id >> 12 & 0x3ff; got != 5 {
			t.Errorf("node %d, want 5", got)
		}
		if got := id & 0xfff; got != seq {
			t.Errorf("sequence %d, want %d", got, seq)
		}
		if got := herald.MessageID(id).Time(); !got.Equal(now) || got.Location() != time.UTC {
			t.Errorf("time %v, want %v", got, now)
		}
	}
	last := start.Add((1<<41 - 1) * time.Millisecond)
	if last.Year() != 2094 || last.Month() != time.September {
		t.Errorf("41 bits of milliseconds end at %v, and the design note says September 2094", last)
	}
	if id := herald.NewIDs(herald.MaxNode, 0).Next(last); id <= 0 || id>>22 != 1<<41-1 || id>>12&0x3ff != 1023 {
		t.Errorf("the last millisecond of node 1023 gives %d", id)
	}
}

func TestIDsOfAStandingClock(t *testing.T) {
	now := start.Add(time.Hour)
	g := herald.NewIDs(3, 0)
	var last herald.MessageID
	for i := range 3 * 4096 {
		id := g.Next(now)
		if id <= last {
			t.Fatalf("ID %d after %d", id, last)
		}
		if got, want := id.Time(), now.Add(time.Duration(i/4096)*time.Millisecond); !got.Equal(want) {
			t.Fatalf("the time of ID number %d is %v, want %v", i, got, want)
		}
		last = id
	}
}

// TestIDsGrow lets the clock jump to and fro, also before 2025.
func TestIDsGrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		node := rapid.IntRange(0, herald.MaxNode).Draw(t, "node")
		g := herald.NewIDs(node, 0)
		var last herald.MessageID
		for _, ms := range rapid.SliceOfN(rapid.Int64Range(-5000, 5000), 1, 50).Draw(t, "clock") {
			now := start.Add(time.Duration(ms) * time.Millisecond)
			id := g.Next(now)
			if id <= last {
				t.Fatalf("at %d ms: ID %d after %d", ms, id, last)
			}
			if id.Time().Before(now) {
				t.Fatalf("at %d ms: the ID says %v", ms, id.Time())
			}
			if got := int(id >> 12 & 0x3ff); got != node {
				t.Fatalf("node %d, want %d", got, node)
			}
			last = id
		}
	})
}

// TestIDsAfterAKnownMaximum: whatever node made the highest ID that the record
// knows, and wherever the clock is now, a new generator stays above it.
func TestIDsAfterAKnownMaximum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := herald.NewIDs(rapid.IntRange(0, herald.MaxNode).Draw(t, "old node"), 0)
		at := rapid.Int64Range(0, 1<<40).Draw(t, "old clock")
		var known herald.MessageID
		for range rapid.IntRange(1, 20).Draw(t, "made") {
			known = before.Next(start.Add(time.Duration(at) * time.Millisecond))
		}
		now := start.Add(time.Duration(at+rapid.Int64Range(-10, 3).Draw(t, "gone")) * time.Millisecond)
		id := herald.NewIDs(rapid.IntRange(0, herald.MaxNode).Draw(t, "node"), known).Next(now)
		if id <= known {
			t.Fatalf("ID %d is not above %d", id, known)
		}
	})
}

func TestZeroIDs(t *testing.T) {
	var g herald.IDs
	if id := g.Next(start.Add(-time.Hour)); id <= 0 {
		t.Errorf("a clock before 2025 gives the ID %d", id)
	}
}

func TestIDsConcurrently(t *testing.T) {
	const routines, each = 8, 3000
	now := start.Add(time.Hour)
	g := herald.NewIDs(1, 0)
	made := make([][]herald.MessageID, routines)
	var wg sync.WaitGroup
	for r := range routines {
		wg.Go(func() {
			for range each {
				made[r] = append(made[r], g.Next(now))
			}
		})
	}
	wg.Wait()
	seen := make(map[herald.MessageID]bool, routines*each)
	for _, list := range made {
		for i, id := range list {
			if seen[id] {
				t.Fatalf("ID %d was made twice", id)
			}
			if seen[id] = true; i > 0 && list[i-1] >= id {
				t.Fatalf("one goroutine got %d after %d", id, list[i-1])
			}
		}
	}
}

const base32hex = "0123456789abcdefghijklmnopqrstuv"

func TestRegistrationIDForm(t *testing.T) {
	now := time.UnixMilli(1763718000123)
	seen := map[herald.RegistrationID]bool{}
	for range 20000 {
		id := herald.NewRegistrationID(now)
		if !id.Valid() {
			t.Fatalf("%q is not valid", id)
		}
		if seen[id] {
			t.Fatalf("%q was made twice", id)
		}
		seen[id] = true
	}
}

// TestRegistrationIDLayout reads 48 bits of time off the digits, and sees that
// text order is the order of time.
func TestRegistrationIDLayout(t *testing.T) {
	millis := func(id herald.RegistrationID) (v int64) {
		for i := range 10 { // 50 bits, the last two of which are random
			v = v<<5 | int64(strings.IndexByte(base32hex, id[i]))
		}
		return v >> 2
	}
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.Int64Range(0, 1<<48-1).Draw(t, "first")
		b := rapid.Int64Range(0, 1<<48-1).Draw(t, "second")
		x, y := herald.NewRegistrationID(time.UnixMilli(a)), herald.NewRegistrationID(time.UnixMilli(b))
		if millis(x) != a || millis(y) != b {
			t.Fatalf("%q says %d, want %d; %q says %d, want %d", x, millis(x), a, y, millis(y), b)
		}
		if a != b && (a < b) != (x < y) {
			t.Fatalf("%d gives %q, and %d gives %q", a, x, b, y)
		}
	})
}

// TestRegistrationIDRandom sees that each of the 52 low bits takes both values.
func TestRegistrationIDRandom(t *testing.T) {
	now := time.UnixMilli(0)
	var ones, zeros uint64
	for range 200 {
		var v uint64
		for _, c := range []byte(herald.NewRegistrationID(now))[9:] { // 55 bits
			v = v<<5 | uint64(strings.IndexByte(base32hex, c))
		}
		ones, zeros = ones|v, zeros|^v
	}
	const random = 1<<52 - 1
	if ones != random || zeros&random != random {
		t.Errorf("bits that were ever 1: %#x, ever 0: %#x; want 52 random bits", ones, zeros&random)
	}
}

func TestValidForms(t *testing.T) {
	const id, key = "06o2j5c9k40000abcduv", "abcdefghijklmnopqrst0189"
	for _, tt := range []struct {
		name string
		got  bool
		want bool
	}{
		{"registration ID", herald.RegistrationID(id).Valid(), true},
		{"registration ID of 19", herald.RegistrationID(id[1:]).Valid(), false},
		{"registration ID of 21", herald.RegistrationID(id + "0").Valid(), false},
		{"registration ID in capitals", herald.RegistrationID(strings.ToUpper(id)).Valid(), false},
		{"registration ID with w", herald.RegistrationID(id[1:] + "w").Valid(), false},
		{"registration ID of 20 bytes with é", herald.RegistrationID(id[2:] + "é").Valid(), false},
		{"empty registration ID", herald.RegistrationID("").Valid(), false},
		{"app key", herald.AppKey(key).Valid(), true},
		{"app key with z", herald.AppKey(key[1:] + "z").Valid(), true},
		{"app key of 23", herald.AppKey(key[1:]).Valid(), false},
		{"app key in capitals", herald.AppKey(strings.ToUpper(key)).Valid(), false},
		{"app key with a dot", herald.AppKey(key[1:] + ".").Valid(), false},
		{"new app key", herald.NewAppKey().Valid(), true},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: valid is %v, want %v", tt.name, tt.got, tt.want)
		}
	}
}

func FuzzRegistrationIDValid(f *testing.F) {
	for _, s := range []string{"", "06o2j5c9k40000abcduv", "06o2j5c9k40000abcduw", strings.Repeat("0", 20), strings.Repeat("\n", 20)} {
		f.Add(s)
	}
	form := regexp.MustCompile(`\A[0-9a-v]{20}\z`)
	f.Fuzz(func(t *testing.T, s string) {
		if got := herald.RegistrationID(s).Valid(); got != form.MatchString(s) {
			t.Errorf("Valid(%q) = %v", s, got)
		}
	})
}

// TestRandomCharacters counts characters. A draw by remainder would give the
// first ones 12 to 25 percent more; eight standard deviations are 8 percent.
func TestRandomCharacters(t *testing.T) {
	const each = 10000
	for _, tt := range []struct {
		name, alphabet string
		draw           func(n int) string
	}{
		{"secret", "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", herald.NewSecret},
		{"app key", "0123456789abcdefghijklmnopqrstuvwxyz", func(n int) string {
			var b strings.Builder
			for b.Len() < n {
				b.WriteString(string(herald.NewAppKey()))
			}
			return b.String()[:n]
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := each * len(tt.alphabet)
			text := tt.draw(n)
			if len(text) != n {
				t.Fatalf("%d characters, want %d", len(text), n)
			}
			var count [256]int
			for i := range len(text) {
				count[text[i]]++
			}
			for i := range len(tt.alphabet) {
				c := tt.alphabet[i]
				if got := count[c]; got < each*92/100 || got > each*108/100 {
					t.Errorf("%q came %d times, want about %d", c, got, each)
				}
				n -= count[c]
			}
			if n != 0 {
				t.Errorf("%d characters are not of the alphabet", n)
			}
		})
	}
}

func TestSecretLength(t *testing.T) {
	for _, n := range []int{0, 1, herald.SecretLen, 63, 64, 65, 1000} {
		if got := len(herald.NewSecret(n)); got != n {
			t.Errorf("NewSecret(%d) has %d characters", n, got)
		}
	}
	if one, two := herald.NewSecret(herald.SecretLen), herald.NewSecret(herald.SecretLen); one == two {
		t.Error("two secrets are equal")
	}
	if bits := math.Log2(62) * herald.SecretLen; int(bits) != 142 {
		t.Errorf("a master secret has %.1f bits; the documentation says 142", bits)
	}
}
