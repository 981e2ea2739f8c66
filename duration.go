package herald

import (
	"strings"
	"time"
)

// Duration is a time span that is written as text, such as "10s" or "1h30m". A
// message may say "10s" and "1m" side by side, and nobody has to guess a unit.
type Duration time.Duration

// String writes the span with the units that it needs: "0s", "10s", "1h30m".
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText writes the span as [Duration.String] does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a span that is not negative. The record keeps times in
// milliseconds, so that nothing below one can be said.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil || v < 0 || v%time.Millisecond != 0 {
		return Invalid("", `Write a number with its unit, such as "10s", "5m" or "1h30m".`, "%.40q is not a time span", b)
	}
	*d = Duration(v)
	return nil
}
