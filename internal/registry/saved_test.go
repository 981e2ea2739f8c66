package registry_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
)

// uses is an expression that names segments.
func uses(names ...string) herald.Audience {
	if len(names) == 0 {
		return herald.Audience{Tags: []herald.Tag{"t"}}
	}
	return herald.Audience{Not: &herald.Audience{Segments: names}}
}

func TestSegments(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	a, _ := w.newApp()
	b, _ := w.newApp()
	put := func(name string, names ...string) error {
		_, _, err := w.PutSegment(ctx, a, name, uses(names...))
		return err
	}
	s, created, err := w.PutSegment(ctx, a, "base", uses())
	must(t, err)
	if !created || s.Pos == 0 {
		t.Errorf("created %v at %d", created, s.Pos)
	}
	again, created, err := w.PutSegment(ctx, a, "base", uses())
	must(t, err)
	if created || again.Pos != s.Pos {
		t.Error("what is saved already took a new version")
	}
	must(t, put("vip", "base"))
	must(t, put("top", "vip", "base"))
	w.restart(serverKey)

	for _, tt := range []struct {
		name, says string
		err        error
	}{
		{"itself", "would use itself: base uses base", put("base", "base")},
		{"a circle", "would use itself: base uses top uses base", put("base", "top")},
		{"unknown", `no segment "nobody"`, put("x", "nobody")},
		{"of another app", `no segment "base"`, func() error { _, _, err := w.PutSegment(ctx, b, "x", uses("base")); return err }()},
	} {
		var e *herald.Error
		if !errors.As(tt.err, &e) || e.Code != herald.CodeInvalidRequest || e.Remedy == "" || e.Field != "audience.segments" || !strings.Contains(e.Message, tt.says) {
			t.Errorf("%s: %v", tt.name, tt.err)
		}
	}
	err = w.DeleteSegment(ctx, a, "base")
	if herald.CodeOf(err) != herald.CodeConflict || !strings.Contains(err.Error(), "top, vip") {
		t.Errorf("deleting what others use: %v", err)
	}
	if err := w.DeleteSegment(ctx, b, "base"); herald.CodeOf(err) != herald.CodeNotFound {
		t.Errorf("deleting what another app has: %v", err)
	}
	if _, err := w.Segment(ctx, b, "base"); herald.CodeOf(err) != herald.CodeNotFound {
		t.Errorf("showing what another app has: %v", err)
	}
	must(t, w.DeleteSegment(ctx, a, "top"))
	must(t, w.DeleteSegment(ctx, a, "vip"))
	must(t, w.DeleteSegment(ctx, a, "base"))
	if list, err := w.Registry.Segments(ctx, a, "", 10); err != nil || len(list) != 0 {
		t.Errorf("all are deleted, and there are %v, %v", list, err)
	}
	// What a message was evaluated with stays known.
	all := uses("base")
	found, err := w.Expand(ctx, a, &all, s.Pos)
	must(t, err)
	if len(found) != 1 || found["base"] == nil {
		t.Errorf("as of then: %v", found)
	}
}

func TestSegmentLimits(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	a, _ := w.newApp()
	done := func(err error) { t.Helper(); must(t, err) }
	put := func(name string, x herald.Audience) error {
		_, _, err := w.PutSegment(ctx, a, name, x)
		return err
	}
	done(put("s1", uses()))
	for i := 2; i <= herald.MaxSegmentDepth; i++ {
		done(put(fmt.Sprint("s", i), uses(fmt.Sprint("s", i-1))))
	}
	last := fmt.Sprint("s", herald.MaxSegmentDepth)
	if err := put("deeper", uses(last)); herald.CodeOf(err) != herald.CodeInvalidRequest {
		t.Errorf("too deep: %v", err)
	}
	// Not only the segment itself: those above it would become too deep.
	done(put("below", uses()))
	if err := put("s1", uses("below")); herald.CodeOf(err) != herald.CodeInvalidRequest || !strings.Contains(err.Error(), last) {
		t.Errorf("one above it becomes too deep: %v", err)
	}
	long := uses()
	long.Tags = make([]herald.Tag, herald.MaxIDsPerCall)
	for i := range long.Tags {
		long.Tags[i] = herald.Tag(strings.Repeat("t", 100) + fmt.Sprint(i))
	}
	if err := put("long", long); herald.CodeOf(err) != herald.CodeTooLarge {
		t.Errorf("too long: %v", err)
	}
	w.sql(`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO segment SELECT app, 'more' || i, pos, audience, crc, created, updated FROM segment, n WHERE name = 's1'`,
		registry.MaxSegments-herald.MaxSegmentDepth-2)
	if err := put("one more", uses()); herald.CodeOf(err) != herald.CodeLimitReached {
		t.Errorf("too many: %v", err)
	}
	var many []string
	for i := range herald.MaxSaved {
		many = append(many, fmt.Sprint("more", i))
	}
	done(put("below", uses(many...)))
	if err := put("s2", uses("s1", "below")); herald.CodeOf(err) != herald.CodeInvalidRequest {
		t.Errorf("more than %d in all: %v", herald.MaxSaved, err)
	}
}

func TestFiles(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	a, _ := w.newApp()
	b, _ := w.newApp()
	upload := func(values ...string) record.File {
		t.Helper()
		builder, err := w.NewFile(ctx, a, "list")
		must(t, err)
		for _, v := range values {
			must(t, builder.Add(ctx, record.FileOfAliases, v))
		}
		f, err := builder.Finish(ctx, record.FileOfAliases, int64(len(values)))
		must(t, err)
		return f
	}
	f := upload("anna", "ben", "anna")
	if f.Lines != 3 || f.Unknown != 2 || f.Duplicates != 1 || f.Devices != 0 {
		t.Errorf("%+v", f)
	}
	w.pass(registry.FileRetention - time.Hour)
	if _, _, err := w.File(ctx, a, f.ID); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"show": func() error { _, err := w.FileInfo(ctx, b, f.ID); return err }(),
		"use":  func() error { _, _, err := w.File(ctx, b, f.ID); return err }(),
		"drop": w.DeleteFile(ctx, b, f.ID),
	} {
		if herald.CodeOf(err) != herald.CodeNotFound {
			t.Errorf("%s what another app has: %v", name, err)
		}
	}
	w.restart(serverKey)
	w.pass(registry.FileRetention - time.Hour)
	if _, err := w.FileInfo(ctx, a, f.ID); err != nil {
		t.Errorf("it was used in the meantime: %v", err)
	}
	w.pass(2 * time.Hour)
	if _, _, err := w.File(ctx, a, f.ID); herald.CodeOf(err) != herald.CodeNotFound {
		t.Errorf("unused for too long: %v", err)
	}
	if _, err := w.FileInfo(ctx, a, f.ID); herald.CodeOf(err) != herald.CodeNotFound {
		t.Errorf("shown although it is unused for too long: %v", err)
	}
	g := upload("x") // removes the other one
	if list, err := w.Registry.Files(ctx, a, "", 10); err != nil || len(list) != 1 || list[0].ID != g.ID {
		t.Errorf("%v, %v", list, err)
	}
	must(t, w.DeleteFile(ctx, a, g.ID))
}
