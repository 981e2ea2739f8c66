package cli

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

const testGroup herald.GroupKey = "group-abcdefghijklmnopqrstuvwx"

// fakeGroups keeps one group in memory.
type fakeGroups struct {
	group *api.GroupSummary
	err   error
	kept  time.Duration
}

func (g *fakeGroups) CreateGroup(_ context.Context, name string) (api.GroupSecrets, error) {
	g.group = &api.GroupSummary{GroupKey: testGroup, Name: name, CreatedAt: time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)}
	return api.GroupSecrets{GroupKey: testGroup, Name: name, Secret: testSecret}, g.err
}

func (g *fakeGroups) ListGroups(context.Context) ([]api.GroupSummary, error) {
	if g.group == nil {
		return nil, g.err
	}
	return []api.GroupSummary{*g.group}, g.err
}

func (g *fakeGroups) find(key herald.GroupKey) error {
	if g.group == nil || g.group.GroupKey != key {
		return herald.Errorf(herald.CodeNotFound, "See the list.", "no such group")
	}
	return g.err
}

func (g *fakeGroups) ChangeGroup(_ context.Context, key herald.GroupKey, change api.GroupChange) (api.GroupSummary, error) {
	if err := g.find(key); err != nil {
		return api.GroupSummary{}, err
	}
	g.group.Apps = slices.DeleteFunc(append(g.group.Apps, change.Add...), func(app herald.AppKey) bool { return slices.Contains(change.Remove, app) })
	return *g.group, nil
}

func (g *fakeGroups) RotateGroup(_ context.Context, key herald.GroupKey, keep time.Duration) (api.GroupSecrets, error) {
	if err := g.find(key); err != nil {
		return api.GroupSecrets{}, err
	}
	g.kept = keep
	return api.GroupSecrets{GroupKey: key, Name: g.group.Name, Secret: "NEWNEWNEWNEWNEWNEWNEWNEW"}, nil
}

func (g *fakeGroups) DeleteGroup(_ context.Context, key herald.GroupKey) error {
	err := g.find(key)
	if err == nil {
		g.group = nil
	}
	return err
}

func TestGroup(t *testing.T) {
	w, a, _ := administered(t)
	var all strings.Builder
	for _, args := range [][]string{
		{"group", "list"}, {"group", "create", "shops"}, {"group", "add", string(testGroup), string(testKey), "bbbbbbbbbbbbbbbbbbbbbbbb"},
		{"group", "list"}, {"group", "remove", string(testGroup), string(testKey)}, {"group", "rotate", string(testGroup), "--keep", "1h"}, {"group", "delete", string(testGroup)},
	} {
		w.out.b.Reset()
		if code := w.run(t, args...); code != 0 {
			t.Errorf("%q: exit %d: %s", args, code, w.err)
		}
		all.WriteString("$ herald " + strings.Join(args, " ") + "\n" + w.out.String())
	}
	golden(t, "group", all.String())
	if a.kept != 0 || a.fakeGroups.kept != time.Hour {
		t.Errorf("kept for %v", a.fakeGroups.kept)
	}
	for _, args := range [][]string{{"list"}, {"create", "shops"}, {"add", string(testGroup), string(testKey)}, {"list"}, {"rotate", string(testGroup)}} {
		w.out.b.Reset()
		if code := w.run(t, append(append([]string{"group"}, args...), "--json")...); code != 0 || !json.Valid([]byte(w.out.String())) {
			t.Errorf("%q: exit %d: %s", args, code, w.out)
		}
	}
}

func TestGroupFails(t *testing.T) {
	w, a, _ := administered(t)
	for name, tt := range map[string]struct {
		want int
		args []string
	}{
		"no command":        {ExitUsage, nil},
		"no name":           {ExitUsage, []string{"create"}},
		"no app":            {ExitUsage, []string{"add", string(testGroup)}},
		"a wrong group key": {ExitUsage, []string{"add", string(testKey), string(testKey)}},
		"a wrong app key":   {ExitUsage, []string{"remove", string(testGroup), "x"}},
		"rotate what":       {ExitUsage, []string{"rotate", "x"}},
		"delete what":       {ExitUsage, []string{"delete", "x"}},
		"add to none":       {ExitRefused, []string{"add", string(testGroup), string(testKey)}},
		"rotate none":       {ExitRefused, []string{"rotate", string(testGroup)}},
		"delete none":       {ExitRefused, []string{"delete", string(testGroup)}},
	} {
		if code := w.run(t, append([]string{"group"}, tt.args...)...); code != tt.want {
			t.Errorf("%s: exit %d: %s", name, code, w.err)
		}
	}
	a.fakeGroups.err = errors.New("disk full")
	for _, args := range [][]string{{"group", "list"}, {"group", "create", "x"}} {
		if code := w.run(t, args...); code != ExitFailure {
			t.Errorf("%q: exit %d", args, code)
		}
	}
}
