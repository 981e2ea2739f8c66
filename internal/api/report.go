package api

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/receipt"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// Bucket is the length of a step of a report's timeline.
type Bucket string

// The buckets.
const (
	BucketMinute Bucket = "minute"
	BucketHour   Bucket = "hour"
	BucketDay    Bucket = "day" // of UTC
)

// Buckets lists the buckets, shortest first.
var Buckets = []Bucket{BucketMinute, BucketHour, BucketDay}

// minutes is how many minutes a bucket has; 0 if it is none.
func (b Bucket) minutes() int64 {
	switch b {
	case BucketMinute:
		return 1
	case BucketHour:
		return 60
	case BucketDay:
		return 24 * 60
	}
	return 0
}

// A timeline without a bucket of the caller's has at most chosenBuckets; none
// has more than maxBuckets.
const (
	chosenBuckets = 180
	maxBuckets    = 2000
)

// unknown stands in reports for a platform or transport that nobody knows.
const unknown = "unknown"

// Report tells how a message fares: its funnel in all, by channel, by platform
// and over time.
func (s *Messages) Report(ctx context.Context, p Principal, id herald.MessageID, b Bucket) (Report, error) {
	if err := p.may(ScopeRead); err != nil {
		return Report{}, err
	}
	if b != "" && b.minutes() == 0 {
		return Report{}, herald.Invalid("bucket", "Write minute, hour or day, or leave it out.", "%.20q is not a bucket", string(b))
	}
	m, err := s.find(ctx, p.App, id)
	if err != nil {
		return Report{}, err
	}
	v, err := s.view(ctx, m)
	if err != nil {
		return Report{}, err
	}
	out := Report{MessageID: id, State: v.State, AcceptedAt: m.Accepted, EndedAt: v.EndedAt, Channels: []ChannelReport{}, Platforms: []PlatformReport{}}
	if v.Counts == nil {
		return out, nil // nobody knows yet who it is for
	}
	app, err := s.c.Registry.App(p.App)
	if err != nil {
		return out, err
	}
	reading, err := s.c.Ledger.Read(ctx, m)
	if err != nil {
		return out, err
	}
	names, groups := platformSets(app.Index)
	survey, err := reading.Survey(ctx, groups)
	if err != nil {
		return out, err
	}
	if _, err := s.find(ctx, p.App, id); err != nil {
		return out, err // it was purged meanwhile
	}
	// What was counted goes by what was read now: the parts of a report fit
	// each other, whatever happens meanwhile.
	whole := funnel(survey.Whole)
	out.Funnel, out.States = &whole, v.Counts.States
	out.Channels = channels(survey)
	for i, g := range survey.Groups {
		if g.Target > 0 {
			out.Platforms = append(out.Platforms, PlatformReport{names[i], funnel(g)})
		}
	}
	if survey.Minutes != nil {
		out.Timeline, err = timeline(survey, b)
	}
	return out, err
}

// platformSets gives the sets of the platforms as they are now, and the names
// of their groups, of which the last is of the devices in none.
func platformSets(x *sets.Index) (names []herald.Platform, groups []*sets.Set) {
	keys := make([]string, len(herald.Platforms))
	for i, p := range herald.Platforms {
		keys[i] = record.PlatformSet(p)
	}
	snapshot := x.Snapshot(keys)
	for _, key := range keys {
		groups = append(groups, snapshot.Set(key))
	}
	return append(slices.Clone(herald.Platforms), unknown), groups
}

// funnel turns counted devices into what is known, and what is not.
func funnel(f receipt.Funnel) Funnel {
	out := Funnel{Target: f.Target, Sent: f.Steps[0], Received: f.Steps[1], Displayed: f.Steps[2], Clicked: f.Steps[3]}
	// Who was sent it may have it without having said so; who has it may show
	// it without saying so. Who says that it was shown would report a click.
	out.Unknown = FunnelUnknown{
		Received: out.Sent - out.Received, Displayed: out.Sent - out.Displayed, Clicked: out.Sent - out.Displayed,
	}
	out.Rates = FunnelRates{
		Sent: rate(out.Sent, 0, f.Target), Received: rate(out.Received, out.Unknown.Received, f.Target),
		Displayed: rate(out.Displayed, out.Unknown.Displayed, f.Target), Clicked: rate(out.Clicked, out.Unknown.Clicked, f.Target),
	}
	return out
}

// rate is the part of the target that is known to have come so far; nil where
// nothing is known of it.
func rate(n, unknown, target int64) *float64 {
	if target == 0 || n == 0 && unknown > 0 {
		return nil
	}
	r := float64(n) / float64(target)
	return &r
}

func channels(s receipt.Survey) []ChannelReport {
	out := []ChannelReport{}
	if sent := s.Whole.Steps[0]; sent > 0 {
		live := s.Whole
		live.Target = sent
		f := funnel(live)
		c := ChannelReport{Channel: "live", Devices: sent, Funnel: &f}
		if s.Via != nil {
			c.Transports = maps.Clone(s.Via)
			for _, n := range s.Via {
				sent -= n
			}
			if sent > 0 {
				c.Transports[unknown] = sent
			}
		}
		out = append(out, c)
	}
	if n := s.Whole.Target - s.Whole.Steps[0]; n > 0 {
		out = append(out, ChannelReport{Channel: "none", Devices: n})
	}
	return out
}

// timeline puts minutes into buckets, the given ones or those that suit.
func timeline(s receipt.Survey, b Bucket) (*Timeline, error) {
	out := &Timeline{Bucket: cmp.Or(b, BucketMinute), Buckets: []TimelineBucket{}}
	left := s.Whole.Steps
	minutes := slices.Sorted(maps.Keys(s.Minutes))
	if len(minutes) > 0 {
		first, last := minutes[0], minutes[len(minutes)-1]
		for b == "" && out.Bucket != BucketDay && (last-first)/out.Bucket.minutes() >= chosenBuckets {
			out.Bucket = Buckets[slices.Index(Buckets, out.Bucket)+1]
		}
		size := out.Bucket.minutes()
		first -= first % size
		n := (last-first)/size + 1
		if n > maxBuckets {
			return nil, herald.Invalid("bucket", "Ask for longer buckets, or leave it out.", "the timeline would have %d buckets, more than %d", n, maxBuckets)
		}
		out.Buckets = make([]TimelineBucket, n)
		for i := range out.Buckets {
			out.Buckets[i].Time = time.Unix((first+int64(i)*size)*60, 0).UTC()
		}
		for _, minute := range minutes {
			at := &out.Buckets[(minute-first)/size]
			for i, to := range []*int64{&at.Sent, &at.Received, &at.Displayed, &at.Clicked} {
				*to += s.Minutes[minute][i]
				left[i] -= s.Minutes[minute][i]
			}
		}
	}
	out.Unknown = Steps{left[0], left[1], left[2], left[3]}
	return out, nil
}
