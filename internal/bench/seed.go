package bench

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/server"
	"github.com/herald-push/herald/internal/sets"
	"github.com/herald-push/herald/internal/store/sqlite"
)

// Seeding says what to seed and where.
type Seeding struct {
	Folder     string
	Population Population
	// Messages is the number of live group messages, each to a random set of
	// about half of the devices, received by half of those.
	Messages int
	// Sparse is the number of live messages to few devices: those who have
	// two tags that are both rare.
	Sparse   int
	Progress *Progress
}

// Seeded is what a seeded folder holds. It is kept in the folder as well, so
// that other commands find the app and know the population.
type Seeded struct {
	AppKey       herald.AppKey `json:"app_key"`
	MasterSecret string        `json:"master_secret"`
	Seed         uint64        `json:"seed"`
	Devices      int           `json:"devices"`
	Alive        int64         `json:"alive"`
	Tags         int           `json:"tags"`
	SmallTags    int           `json:"small_tags"`
	Messages     int           `json:"messages"`
	Now          time.Time     `json:"now"`
}

const seededFile = "bench.json"

// ReadSeeded reads what Seed left in a folder.
func ReadSeeded(folder string) (s Seeded, err error) {
	b, err := os.ReadFile(filepath.Join(folder, seededFile))
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		err = herald.Errorf(herald.CodeNotFound, "Make the folder with \"herald bench seed\".", "the folder was not seeded: %v", err)
	}
	return s, err
}

// Population is the population of a seeded folder.
func (s Seeded) Population() Population {
	return Population{Seed: s.Seed, Devices: s.Devices, Tags: s.Tags, SmallTags: s.SmallTags, Now: s.Now}
}

// Check refuses what cannot be seeded.
func (s *Seeding) Check() error {
	p := s.Population
	switch {
	case p.Devices < 1 || p.Devices > 1<<31:
		return herald.Invalid("devices", "Give 1 to 2147483648.", "%d devices cannot be made", p.Devices)
	case p.Tags < 1 || p.Tags > 1<<16-1:
		return herald.Invalid("tags", "Give 1 to 65535.", "%d tags cannot be made", p.Tags)
	case p.SmallTags < 0 || p.SmallTags > 1e7:
		return herald.Invalid("small-tags", "Give 0 to 10000000.", "%d tags cannot be made", p.SmallTags)
	case s.Messages < 0 || s.Sparse < 0 || s.Messages+s.Sparse > herald.MaxGroupMessages:
		return herald.Invalid("messages", fmt.Sprintf("Give 0 to %d.", herald.MaxGroupMessages), "%d messages cannot be made", s.Messages+s.Sparse)
	}
	return nil
}

// seeder is one run of Seed.
type seeder struct {
	Seeding
	bulk   *sqlite.Bulk
	out    Seeded
	named  map[string]*sets.Set // all but the small tags
	dead   *sets.Set
	common []*sets.Set // by tag
	ids    *herald.IDs
}

// Seed makes a data folder that a server can be started on.
func Seed(ctx context.Context, s Seeding) (out Seeded, err error) {
	if err := s.Check(); err != nil {
		return Seeded{}, err
	}
	s.Population.Now = s.Population.Now.UTC().Truncate(time.Millisecond)
	s.Population.draws()
	p := &s.Population
	key := make([]byte, 0, 32)
	for r := p.stream(ofSecret, 1); len(key) < 32; {
		key = binary.BigEndian.AppendUint64(key, r.next())
	}
	database, release, err := server.Prepare(s.Folder, key)
	if err != nil {
		return Seeded{}, err
	}
	defer func() { err = errors.Join(err, release()) }()
	run := &seeder{Seeding: s, named: map[string]*sets.Set{}, dead: sets.New(), ids: herald.NewIDs(0, 0)}
	run.out = Seeded{
		AppKey: herald.AppKey(p.text(2, herald.AppKeyLen, 36)), MasterSecret: p.text(3, herald.SecretLen, 62), Seed: p.Seed,
		Devices: p.Devices, Tags: p.Tags, SmallTags: p.SmallTags, Messages: s.Messages + s.Sparse, Now: p.Now,
	}
	app := record.App{Key: run.out.AppKey, Name: "bench", SecretHash: registry.HashSecret(run.out.MasterSecret), Created: p.Created(0).UTC().Truncate(time.Millisecond)}
	run.bulk, err = sqlite.OpenBulk(ctx, sqlite.Config{Path: database, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return p.Now }}, app)
	if err != nil {
		return Seeded{}, err
	}
	err = run.fill(ctx)
	if err = errors.Join(err, run.bulk.Close()); err != nil {
		return Seeded{}, err
	}
	return run.out, run.write()
}

// text draws a text from the digits and letters.
func (p *Population) text(n uint64, length, alphabet int) string {
	const letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	r := p.stream(ofSecret, n)
	out := make([]byte, length)
	for i := range out {
		out[i] = letters[r.below(alphabet)]
	}
	return string(out)
}

func (s *seeder) write() error {
	b, err := json.MarshalIndent(s.out, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.Folder, seededFile), append(b, '\n'), 0o600)
}

// fill writes the database from left to right, each table in the order of its
// keys.
func (s *seeder) fill(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		s.recipients, s.devices, s.messages, s.writeSets, s.smallTags, s.index,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

const rowsInStep = 20_000

// steps calls do for consecutive parts of [0, n), with progress.
func (s *seeder) steps(ctx context.Context, what string, n, size int, do func(from, to int) error) error {
	s.Progress.Begin(what)
	for from := 0; from < n; from += size {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := do(from, min(from+size, n)); err != nil {
			return err
		}
		s.Progress.At(min(from+size, n), n)
	}
	s.Progress.End(n)
	return nil
}

func (s *seeder) recipients(ctx context.Context) error {
	created := s.Population.Created(0)
	return s.steps(ctx, "aliases", s.Population.Recipients(), rowsInStep, func(from, to int) error {
		list := make([]herald.Alias, 0, to-from)
		for i := from; i < to; i++ {
			list = append(list, AliasName(i))
		}
		return s.bulk.Recipients(ctx, list, created)
	})
}

// devices writes the rows of devices, and gathers the sets that they are in.
func (s *seeder) devices(ctx context.Context) error {
	p := &s.Population
	members := map[string][]uint32{} // of this step
	err := s.steps(ctx, "devices", p.Devices, rowsInStep, func(from, to int) error {
		list := make([]sqlite.BulkDevice, 0, to-from)
		for i := from; i < to; i++ {
			o := herald.Ordinal(i)
			d := p.Profile(o)
			for _, name := range p.setsOf(&d) {
				members[name] = append(members[name], uint32(o))
			}
			list = append(list, s.row(o, &d))
		}
		for name, ords := range members {
			if s.named[name] == nil {
				s.named[name] = sets.New()
			}
			s.named[name].AddMany(ords)
			members[name] = ords[:0]
		}
		return s.bulk.Devices(ctx, list)
	})
	for _, set := range s.named {
		set.Optimize()
	}
	if dead := s.named[record.DeadSet]; dead != nil {
		s.dead = dead
	}
	s.out.Alive = int64(p.Devices) - s.dead.Len()
	for i := range p.Tags {
		s.common = append(s.common, s.named[record.TagSet(TagName(i))])
	}
	return err
}

func (s *seeder) row(o herald.Ordinal, d *Profile) sqlite.BulkDevice {
	p := &s.Population
	if d.Dead {
		return sqlite.BulkDevice{Device: record.Device{Ord: o, Removed: true}}
	}
	row := sqlite.BulkDevice{Device: record.Device{
		Ord: o, ID: p.RegistrationID(o), Installation: registry.InstallationHash(p.Installation(o)), Platform: d.Platform,
		AppVersion: d.Version, Language: d.Language, TimeZone: d.TimeZone, Created: p.Created(o), Seen: p.seen(o, d),
	}}
	if d.Alias >= 0 {
		row.Bound, row.Recipient = true, uint32(d.Alias)
	}
	return row
}

// seen is when a device was here: not before it registered.
func (p *Population) seen(o herald.Ordinal, d *Profile) time.Time {
	at := p.Now.AddDate(0, 0, -d.DaysAgo)
	if c := p.Created(o); at.Before(c) {
		return c
	}
	return at
}

// setsOf names the sets that a device is in, but for small tags.
func (p *Population) setsOf(d *Profile) []string {
	row := record.Device{Platform: d.Platform, AppVersion: d.Version, Language: d.Language, TimeZone: d.TimeZone}
	var out []string
	for _, c := range record.ProfileChanges(nil, &row) {
		out = append(out, c.Set)
	}
	for _, t := range d.Tags[:min(TagsPerDevice, p.Tags)] {
		out = append(out, record.TagSet(TagName(int(t))))
	}
	if d.DaysAgo <= 30 {
		out = append(out, record.SeenSet(p.Now.AddDate(0, 0, -d.DaysAgo)))
	}
	if d.Dead {
		out = append(out, record.DeadSet)
	}
	return out
}

// writeSets writes the sets but for those of small tags.
func (s *seeder) writeSets(ctx context.Context) error {
	head, err := s.bulk.Head(ctx)
	if err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(s.named))
	return s.steps(ctx, "sets", len(names), 1, func(i, _ int) error {
		return s.bulk.Sets(ctx, chunks(names[i], s.named[names[i]], head.Pos))
	})
}

// chunks cuts a set as an index would keep it.
func chunks(name string, set *sets.Set, upto herald.Pos) (out []record.SetChunk) {
	for part, bits := range sets.Parts(name, set) {
		out = append(out, record.SetChunk{Set: part.Set, Slab: part.Slab, Whole: part.Whole, Upto: upto, Bits: bits})
	}
	return out
}

func (s *seeder) smallTags(ctx context.Context) error {
	head, err := s.bulk.Head(ctx)
	if err != nil || s.Population.SmallTags == 0 {
		return err
	}
	return s.steps(ctx, "small tags", s.Population.SmallTags, rowsInStep, func(from, to int) error {
		var list []record.SetChunk
		for i := from; i < to; i++ {
			ords := s.Population.SmallTag(i)
			list = append(list, chunks(record.TagSet(SmallTagName(i)), sets.New(ords[:]...), head.Pos)...)
		}
		return s.bulk.Sets(ctx, list)
	})
}

func (s *seeder) index(ctx context.Context) error {
	s.Progress.Begin("indexes")
	n := 0
	err := s.bulk.Index(ctx, func(i, of int) {
		n = of
		s.Progress.At(i, of)
	})
	s.Progress.End(n)
	return err
}
