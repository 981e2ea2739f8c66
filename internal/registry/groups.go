package registry

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// GroupStore keeps groups of apps.
type GroupStore interface {
	// AppGroups lists every group, by key.
	AppGroups(ctx context.Context) ([]record.AppGroup, error)
	// PutAppGroup writes a group: a new one, or one that has changed.
	PutAppGroup(ctx context.Context, g record.AppGroup) error
	// DeleteAppGroup removes a group and what is kept of its messages;
	// not_found if there is none.
	DeleteAppGroup(ctx context.Context, key herald.GroupKey) error
}

// Limits of groups.
const (
	MaxGroups    = 1000 // of a server
	MaxGroupApps = 100  // in one group
)

// groups are those of the server, in memory as a whole.
type groups struct {
	// change makes one change at a time, from the record to memory; it is held
	// over a commit, and taken before mu.
	change sync.Mutex

	mu    sync.RWMutex // guards what follows
	byKey map[herald.GroupKey]record.AppGroup
}

func (r *Registry) loadGroups(ctx context.Context) error {
	list, err := r.store.AppGroups(ctx)
	if err != nil {
		return err
	}
	r.groups.mu.Lock()
	defer r.groups.mu.Unlock()
	r.groups.byKey = map[herald.GroupKey]record.AppGroup{}
	for _, g := range list {
		r.groups.byKey[g.Key] = g
	}
	return nil
}

// Group finds a group of apps.
func (r *Registry) Group(key herald.GroupKey) (record.AppGroup, error) {
	r.groups.mu.RLock()
	defer r.groups.mu.RUnlock()
	g, ok := r.groups.byKey[key]
	if !ok {
		return g, herald.Errorf(herald.CodeNotFound, "herald group list shows the groups of a server.", "there is no group with the key %.40q", string(key))
	}
	return g, nil
}

// Groups lists the groups, oldest first.
func (r *Registry) Groups() []record.AppGroup {
	r.groups.mu.RLock()
	defer r.groups.mu.RUnlock()
	out := make([]record.AppGroup, 0, len(r.groups.byKey))
	for _, g := range r.groups.byKey {
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b record.AppGroup) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Key, b.Key)) })
	return out
}

// GroupSecret checks a group key and its secret, and gives the group.
func (r *Registry) GroupSecret(key herald.GroupKey, secret string) (record.AppGroup, error) {
	r.groups.mu.RLock()
	g, known := r.groups.byKey[key]
	r.groups.mu.RUnlock()
	// An unknown group costs the same comparison as a wrong secret.
	hash, old := make([]byte, 32), []byte(nil)
	if known {
		hash = g.SecretHash
		if r.now().Before(g.OldUntil) {
			old = g.OldHash
		}
	}
	if (!sameSecret(hash, secret) && (old == nil || !sameSecret(old, secret))) || !known {
		return record.AppGroup{}, unauthorized("Check group key and secret; herald group rotate makes a new secret.", "the group key or its secret is wrong")
	}
	return g, nil
}

// CreateGroup makes a group with no app in it and gives its secret, which is
// not kept.
func (r *Registry) CreateGroup(ctx context.Context, name string) (g record.AppGroup, secret string, err error) {
	if err := herald.ValidName("name", name); err != nil {
		return g, "", err
	}
	r.groups.change.Lock()
	defer r.groups.change.Unlock()
	if len(r.Groups()) >= MaxGroups {
		return g, "", herald.Errorf(herald.CodeLimitReached, "Delete a group that is not used any more.", "a server has at most %d groups", MaxGroups)
	}
	secret = herald.NewSecret(herald.SecretLen)
	g = record.AppGroup{Key: herald.NewGroupKey(), Name: name, SecretHash: hashSecret(secret), Created: r.now().UTC().Truncate(time.Millisecond)}
	return g, secret, r.putGroup(ctx, g)
}

// putGroup writes a group to the record and then to memory; change is held.
func (r *Registry) putGroup(ctx context.Context, g record.AppGroup) error {
	if err := r.store.PutAppGroup(ctx, g); err != nil {
		return err
	}
	r.groups.mu.Lock()
	defer r.groups.mu.Unlock()
	r.groups.byKey[g.Key] = g
	return nil
}

// RotateGroup gives a group a new secret, and keeps the old one good for a
// while.
func (r *Registry) RotateGroup(ctx context.Context, key herald.GroupKey, keep time.Duration) (g record.AppGroup, secret string, err error) {
	if err := validKeep(keep); err != nil {
		return g, "", err
	}
	secret = herald.NewSecret(herald.SecretLen)
	g, err = r.changeGroup(ctx, key, func(g *record.AppGroup) error {
		g.OldHash, g.OldUntil = oldSecret(g.SecretHash, keep, r.now())
		g.SecretHash = hashSecret(secret)
		return nil
	})
	return g, secret, err
}

func (r *Registry) changeGroup(ctx context.Context, key herald.GroupKey, change func(*record.AppGroup) error) (record.AppGroup, error) {
	r.groups.change.Lock()
	defer r.groups.change.Unlock()
	g, err := r.Group(key)
	if err != nil {
		return g, err
	}
	g.Apps = slices.Clone(g.Apps) // what others hold must not change
	if err := change(&g); err != nil {
		return g, err
	}
	return g, r.putGroup(ctx, g)
}

// JoinGroup puts an app into a group; nothing changes if it is there.
func (r *Registry) JoinGroup(ctx context.Context, key herald.GroupKey, app herald.AppKey) (record.AppGroup, error) {
	if r.app(app) == nil {
		return record.AppGroup{}, herald.Errorf(herald.CodeNotFound, "herald app list shows the apps of a server.", "there is no app with the key %.24q", string(app))
	}
	return r.changeGroup(ctx, key, func(g *record.AppGroup) error {
		switch {
		case slices.Contains(g.Apps, app):
			return nil
		case len(g.Apps) >= MaxGroupApps:
			return herald.Errorf(herald.CodeLimitReached, "Make another group.", "a group has at most %d apps", MaxGroupApps)
		}
		g.Apps = append(g.Apps, app)
		return nil
	})
}

// LeaveGroup takes an app out of a group; not_found if it is not there.
func (r *Registry) LeaveGroup(ctx context.Context, key herald.GroupKey, app herald.AppKey) (record.AppGroup, error) {
	return r.changeGroup(ctx, key, func(g *record.AppGroup) error {
		i := slices.Index(g.Apps, app)
		if i < 0 {
			return herald.Errorf(herald.CodeNotFound, "herald group list shows which apps are in a group.", "the app %.24q is not in the group", string(app))
		}
		g.Apps = slices.Delete(g.Apps, i, i+1)
		return nil
	})
}

// DeleteGroup removes a group. Its apps, and what was sent to them, stay.
func (r *Registry) DeleteGroup(ctx context.Context, key herald.GroupKey) error {
	r.groups.change.Lock()
	defer r.groups.change.Unlock()
	if _, err := r.Group(key); err != nil {
		return err
	}
	if err := r.store.DeleteAppGroup(ctx, key); err != nil {
		return err
	}
	r.groups.mu.Lock()
	defer r.groups.mu.Unlock()
	delete(r.groups.byKey, key)
	return nil
}
