package bench

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/audience"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/sets"
	"github.com/herald-push/herald/internal/store/sqlite"
)

// present is the time of seeding in tests.
func present() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

// opened is a seeded folder, opened without a server.
type opened struct {
	Seeded
	p         Population
	db        *sqlite.DB
	registry  *registry.Registry
	app       *registry.App
	evaluator *audience.Evaluator
}

func seeded(t *testing.T, s Seeding) *opened {
	t.Helper()
	s.Folder, s.Population.Now = t.TempDir(), present()
	out, err := Seed(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := ReadSeeded(s.Folder)
	if err != nil || kept != out {
		t.Fatalf("the folder says %+v (%v), want %+v", kept, err, out)
	}
	o := &opened{Seeded: out, p: out.Population()}
	o.db, err = sqlite.Open(t.Context(), sqlite.Config{
		Path: filepath.Join(s.Folder, "herald.db"), Now: present,
		OnSets: func(key herald.AppKey, e record.SetLogEntry) { o.registry.OnSets(key, e) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.db.Close() })
	o.registry = registry.New(registry.Config{Store: o.db, ServerKey: make([]byte, 32), Now: present})
	if err := o.registry.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if o.app, err = o.registry.App(out.AppKey); err != nil {
		t.Fatal(err)
	}
	o.evaluator = audience.New(audience.Config{Registry: o.registry, Online: func(herald.AppKey) *sets.Set { return sets.New() }, Now: present})
	return o
}

// TestSeed makes a folder of 200,000 devices and holds what a server would
// read of it to a model that asks each device.
func TestSeed(t *testing.T) {
	s := Seeding{Population: Population{Seed: 7, Devices: 200_000, Tags: 200, SmallTags: 500}, Messages: 5}
	o := seeded(t, s)
	model := newNaive(&o.p)
	t.Run("counts", func(t *testing.T) { o.checkCounts(t, model) })
	t.Run("sets", func(t *testing.T) { o.checkSets(t, model) })
	t.Run("expressions", func(t *testing.T) { o.checkExpressions(t, model) })
	t.Run("devices", func(t *testing.T) { o.checkDevices(t, model) })
	t.Run("messages", func(t *testing.T) { o.checkMessages(t) })
	t.Run("bulk changes", func(t *testing.T) { o.checkChanges(t, model) })
}

func (o *opened) checkCounts(t *testing.T, model *naive) {
	all := model.living(model.combine(nil, true))
	if o.app.Devices() != all || o.Alive != all {
		t.Errorf("%d devices are alive, and %d by the seed; want %d", o.app.Devices(), o.Alive, all)
	}
	if share := float64(all) / float64(o.p.Devices); share < 0.89 || share > 0.91 {
		t.Errorf("%.3f of the devices are alive, want nine of ten", share)
	}
	if err := o.registry.Master(o.AppKey, o.MasterSecret); err != nil {
		t.Errorf("the master secret: %v", err)
	}
	h, err := o.db.Head(t.Context(), o.AppKey)
	if err != nil || h.NextOrd != uint64(o.p.Devices) {
		t.Errorf("the next ordinal is %d (%v)", h.NextOrd, err)
	}
}

func (o *opened) checkSets(t *testing.T, model *naive) {
	o.app.Index.View(func(v sets.View) {
		if got, want := v.Names(""), slices.Sorted(maps.Keys(model.named)); !slices.Equal(got, want) {
			t.Fatalf("%d sets, want %d", len(got), len(want))
		}
		for name, want := range model.named {
			got, n := v.Set(name), int64(0)
			for i := range o.p.Devices {
				if want.has(i) {
					n++
					if !got.Contains(herald.Ordinal(i)) {
						t.Fatalf("%s lacks %d", name, i)
					}
				}
			}
			if got.Len() != n {
				t.Fatalf("%s has %d members, want %d", name, got.Len(), n)
			}
		}
	})
}

func (o *opened) checkExpressions(t *testing.T, model *naive) {
	check := func(what string, a herald.Audience) int64 {
		t.Helper()
		if err := a.Validate(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		got, err := o.evaluator.Evaluate(t.Context(), o.AppKey, a)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		image := model.eval(&a)
		if want := model.living(image); got.Devices != want || got.Direct != nil && int64(len(got.Direct)) != want {
			text, _ := json.Marshal(a)
			t.Errorf("%s comes to %d devices (%d listed), want %d: %s", what, got.Devices, len(got.Direct), want, text)
		}
		for i := range 2000 { // a sample of the members
			i = i * 97 % o.p.Devices
			o := herald.Ordinal(i)
			if want := image.has(i) && (got.Direct == nil || !model.dead.has(i)); got.Image.Contains(o) != want {
				t.Fatalf("%s: %d is in it: %v", what, o, !want)
			}
		}
		return got.Devices
	}
	check("all", herald.Audience{All: true})
	some := 0
	for i := range 300 {
		if check("an expression", o.p.Expression(i)) > 0 {
			some++
		}
		if i < 20 {
			if n := check("a dense expression", o.p.Dense(i)); n < int64(o.p.Devices)/10 {
				t.Errorf("dense expression %d comes to %d devices", i, n)
			}
		}
	}
	if some < 200 {
		t.Errorf("only %d of 300 expressions choose anybody", some)
	}
}

func (o *opened) checkDevices(t *testing.T, model *naive) {
	r := random(3)
	for range 200 {
		ord := herald.Ordinal(r.below(o.p.Devices))
		want := o.p.Profile(ord)
		d, err := o.registry.Device(t.Context(), o.AppKey, o.p.RegistrationID(ord))
		if want.Dead {
			if herald.CodeOf(err) != herald.CodeNotFound {
				t.Errorf("the dead device %d: %v", ord, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		alias := herald.Alias("")
		if want.Alias >= 0 {
			alias = AliasName(want.Alias)
		}
		if d.Ord != ord || d.Platform != want.Platform || d.AppVersion != want.Version || d.Language != want.Language || d.Alias != alias {
			t.Errorf("device %d is %+v, want %+v", ord, d, want)
		}
		if i, err := o.registry.Installation(t.Context(), o.AppKey, o.p.Installation(ord)); err != nil || i.Ord != ord {
			t.Errorf("the installation of %d is %d, %v", ord, i.Ord, err)
		}
		var tags []herald.Tag
		for name, set := range model.named {
			if tag, ok := record.TagOf(name); ok && set.has(int(ord)) {
				tags = append(tags, tag)
			}
		}
		slices.Sort(tags)
		if got := o.app.TagsOf(ord); !slices.Equal(got, tags) {
			t.Errorf("device %d has the tags %v, want %v", ord, got, tags)
		}
		if alias != "" {
			found, err := o.registry.OrdinalsByAlias(t.Context(), o.AppKey, []herald.Alias{alias})
			if err != nil || !slices.Contains(found[alias], ord) {
				t.Errorf("device %d is not found by %s: %v, %v", ord, alias, found, err)
			}
		}
	}
}

// image gives whom a message is for, with those that are dead.
func (o *opened) image(t *testing.T, m *record.Message) *sets.Set {
	if image, ok := m.Group.Whole(); ok {
		return image
	}
	out := sets.New()
	slabs, err := o.db.TargetSlabs(t.Context(), o.AppKey, m.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, slab := range slabs {
		err := o.db.Cells(t.Context(), o.AppKey, slab, []herald.MessageID{m.ID}, false, func(c record.Chunk) error {
			if c.State == record.TargetState {
				out.Or(c.Bits)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func (o *opened) checkMessages(t *testing.T) {
	groups, err := o.db.LiveGroups(t.Context(), o.AppKey)
	if err != nil || len(groups) != o.Messages {
		t.Fatalf("%d live group messages (%v), want %d", len(groups), err, o.Messages)
	}
	for _, m := range groups {
		living := sets.Minus(o.image(t, m), o.registry.DeadAt(o.AppKey, m.EvalPos))
		states := map[herald.DeliveryState]*sets.Set{herald.StateSent: sets.New(), herald.StateReceived: sets.New()}
		err := o.db.StateChunks(t.Context(), o.AppKey, m.ID, func(c record.Chunk) error {
			states[c.State].Or(c.Bits)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		sent, received := states[herald.StateSent], states[herald.StateReceived]
		if m.Target != living.Len() || !sets.Minus(sent, living).Empty() || !sets.Minus(received, sent).Empty() {
			t.Errorf("message %d: target %d, %d living, %d sent, %d received", m.ID, m.Target, living.Len(), sent.Len(), received.Len())
		}
		if share := float64(received.Len()) / float64(m.Target); share < 0.48 || share > 0.52 {
			t.Errorf("%.3f have received message %d, want half", share, m.ID)
		}
		target, err := o.evaluator.Evaluate(t.Context(), o.AppKey, m.Audience)
		if err != nil || !sets.Equal(target.Image, o.image(t, m)) {
			t.Errorf("the target of message %d is not its audience: %v", m.ID, err)
		}
	}
}

// checkChanges: a tag that many get is seen by the next evaluation, whatever
// form its set has, and is there after a fold and a restart.
func (o *opened) checkChanges(t *testing.T, model *naive) {
	ctx := context.WithoutCancel(t.Context())
	members := sets.New()
	for i := 0; i < 30_000; i += 1000 {
		part := sets.New()
		for j := range 1000 {
			part.Add(herald.Ordinal((i + j) * 6))
		}
		members.Or(part)
		if err := o.registry.ChangeTag(ctx, o.AppKey, "bulk", part, sets.New()); err != nil {
			t.Fatal(err)
		}
		got, err := o.evaluator.Evaluate(ctx, o.AppKey, herald.Audience{Tags: []herald.Tag{"bulk"}})
		want := int64(0)
		for ord := range members.All() {
			if !model.dead.has(int(ord)) {
				want++
			}
		}
		if err != nil || got.Devices != want {
			t.Fatalf("after %d devices got the tag %d have it (%v), want %d", members.Len(), got.Devices, err, want)
		}
	}
	if err := o.registry.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	again := registry.New(registry.Config{Store: o.db, ServerKey: make([]byte, 32), Now: present})
	if err := again.Load(ctx); err != nil {
		t.Fatal(err)
	}
	app, err := again.App(o.AppKey)
	if err != nil {
		t.Fatal(err)
	}
	v := app.Index.Snapshot([]string{record.TagSet("bulk")})
	if !sets.Equal(v.Set(record.TagSet("bulk")), members) {
		t.Errorf("after a restart %d have the tag, want %d", v.Set(record.TagSet("bulk")).Len(), members.Len())
	}
}

// TestSeedAgain: the same number makes the same, and another one does not.
func TestSeedAgain(t *testing.T) {
	dump := func(seed uint64) (Seeded, map[string]string) {
		s := Seeding{Population: Population{Seed: seed, Devices: 3000, Tags: 20, SmallTags: 100}, Messages: 2}
		o := seeded(t, s)
		out := map[string]string{}
		err := o.db.SetChunks(t.Context(), o.AppKey, func(c record.SetChunk) error {
			b, err := c.Bits.MarshalBinary()
			out[c.Set] += string(b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		devices, err := o.db.Devices(t.Context(), o.AppKey, record.DeviceFilter{}, 0, 5000)
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(devices)
		if err != nil {
			t.Fatal(err)
		}
		out["devices"] = string(b)
		return o.Seeded, out
	}
	a, inA := dump(1)
	b, inB := dump(1)
	c, inC := dump(2)
	if a != b || !maps.Equal(inA, inB) {
		t.Error("the same seed makes another folder")
	}
	if a.AppKey == c.AppKey || maps.Equal(inA, inC) {
		t.Error("another seed makes the same folder")
	}
}

func TestSeedRefused(t *testing.T) {
	fine := Seeding{Population: Population{Seed: 1, Devices: 10, Tags: 5}, Messages: 1}
	for _, tt := range []struct {
		name, field string
		change      func(*Seeding)
	}{
		{"no device", "devices", func(s *Seeding) { s.Population.Devices = 0 }},
		{"no tag", "tags", func(s *Seeding) { s.Population.Tags = 0 }},
		{"too many tags", "tags", func(s *Seeding) { s.Population.Tags = 1 << 16 }},
		{"too many small tags", "small-tags", func(s *Seeding) { s.Population.SmallTags = 1e8 }},
		{"too many messages", "messages", func(s *Seeding) { s.Messages = 1e6 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := fine
			s.Folder = filepath.Join(t.TempDir(), "new")
			tt.change(&s)
			_, err := Seed(t.Context(), s)
			if herald.CodeOf(err) != herald.CodeInvalidRequest || !strings.Contains(err.Error(), tt.field) {
				t.Errorf("got %v", err)
			}
			if _, err := os.Stat(s.Folder); !os.IsNotExist(err) {
				t.Errorf("the folder was made: %v", err)
			}
		})
	}
	t.Run("a folder in use", func(t *testing.T) {
		s := fine
		s.Folder, s.Population.Now = t.TempDir(), present()
		if _, err := Seed(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if _, err := Seed(t.Context(), s); herald.CodeOf(err) != herald.CodeConflict {
			t.Errorf("seeded twice: %v", err)
		}
	})
	t.Run("given up", func(t *testing.T) {
		s := fine
		s.Folder = t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Seed(ctx, s); err == nil {
			t.Error("a cancelled context makes a folder")
		}
	})
	if _, err := ReadSeeded(t.TempDir()); herald.CodeOf(err) != herald.CodeNotFound {
		t.Errorf("an empty folder: %v", err)
	}
}
