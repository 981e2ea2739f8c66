package api

import (
	"context"
	"fmt"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// members resolves a change of members to ordinals, for a caller who may make
// it.
func (s *Devices) members(ctx context.Context, p Principal, m Members) (add, remove *sets.Set, unknown []herald.RegistrationID, err error) {
	if len(m.Add)+len(m.Remove) == 0 {
		return nil, nil, nil, herald.Invalid("add", "Give registration IDs in add or remove.", "nothing is to be changed")
	}
	if len(m.Add) > herald.MaxIDsPerCall || len(m.Remove) > herald.MaxIDsPerCall {
		return nil, nil, nil, herald.Invalid("add", "Make several calls.", "more than %d registration IDs", herald.MaxIDsPerCall)
	}
	unknown = []herald.RegistrationID{}
	resolve := func(field string, ids []herald.RegistrationID) (*sets.Set, error) {
		out := sets.New()
		for _, id := range ids {
			if !id.Valid() {
				return nil, herald.Invalid(field, "A registration ID has 20 characters of 0-9 and a-v.", "%.40q is not a registration ID", string(id))
			}
		}
		found, err := s.c.Registry.Ordinals(ctx, p.App, ids)
		for _, id := range ids {
			if o, ok := found[id]; ok {
				out.Add(o)
			} else {
				unknown = append(unknown, id)
			}
		}
		return out, err
	}
	if add, err = resolve("add", m.Add); err != nil {
		return nil, nil, nil, err
	}
	if remove, err = resolve("remove", m.Remove); err != nil {
		return nil, nil, nil, err
	}
	if sets.Common(add, remove) > 0 {
		return nil, nil, nil, herald.Invalid("add", "Name each device in one of the two lists.", "a device is in add and in remove")
	}
	return add, remove, unknown, nil
}

// ChangeTag puts a tag on devices and takes it off others.
func (s *Devices) ChangeTag(ctx context.Context, p Principal, t herald.Tag, m TagMembers) (MembersAnswer, error) {
	if err := p.may(ScopeDevicesWrite); err != nil {
		return MembersAnswer{}, err
	}
	if err := herald.ValidName("tag", string(t)); err != nil {
		return MembersAnswer{}, err
	}
	add, remove, unknown, err := s.tagMembers(ctx, p, m)
	if err != nil {
		return MembersAnswer{}, err
	}
	app, err := s.c.Registry.App(p.App)
	if err != nil {
		return MembersAnswer{}, err
	}
	a := MembersAnswer{Unknown: unknown}
	app.Index.View(func(v sets.View) {
		has := v.Set(record.TagSet(t))
		a.Added = sets.Minus(add, has).Len()
		a.Removed = sets.Common(remove, has)
	})
	return a, s.c.Registry.ChangeTag(ctx, p.App, t, add, remove)
}

// tagMembers is members with uploaded lists, whose devices may have been
// removed since.
func (s *Devices) tagMembers(ctx context.Context, p Principal, m TagMembers) (add, remove *sets.Set, unknown []herald.RegistrationID, err error) {
	add, remove, unknown = sets.New(), sets.New(), []herald.RegistrationID{}
	if len(m.AddFiles)+len(m.RemoveFiles) == 0 || len(m.Add)+len(m.Remove) > 0 {
		if add, remove, unknown, err = s.members(ctx, p, m.Members); err != nil {
			return nil, nil, nil, err
		}
	}
	app, err := s.c.Registry.App(p.App)
	if err != nil {
		return nil, nil, nil, err
	}
	for _, l := range []struct {
		field string
		ids   []herald.FileID
		into  *sets.Set
	}{{"add_files", m.AddFiles, add}, {"remove_files", m.RemoveFiles, remove}} {
		if len(l.ids) > herald.MaxSaved {
			return nil, nil, nil, herald.Invalid(l.field, "Make several calls.", "%d files are more than %d", len(l.ids), herald.MaxSaved)
		}
		for i, id := range l.ids {
			_, set, err := s.c.Registry.File(ctx, p.App, id)
			if herald.CodeOf(err) == herald.CodeNotFound {
				err = herald.Invalid(fmt.Sprintf("%s[%d]", l.field, i), "Upload the list again with POST /v1/files; a file is deleted 30 days after its last use.", "there is no file %.24q", string(id))
			}
			if err != nil {
				return nil, nil, nil, err
			}
			l.into.Or(set)
		}
	}
	app.Index.View(func(v sets.View) { add.AndNot(v.Set(record.DeadSet)) })
	if sets.Common(add, remove) > 0 {
		return nil, nil, nil, herald.Invalid("add", "Name each device on one of the two sides.", "a device is to be added and to be removed")
	}
	return add, remove, unknown, nil
}

// DeleteTag takes a tag off all devices.
func (s *Devices) DeleteTag(ctx context.Context, p Principal, t herald.Tag) error {
	if err := p.may(ScopeDevicesWrite); err != nil {
		return err
	}
	app, err := s.c.Registry.App(p.App)
	if err != nil {
		return err
	}
	var has *sets.Set
	app.Index.View(func(v sets.View) { has = v.Set(record.TagSet(t)).Clone() })
	if has.Empty() {
		return tagNotFound(t)
	}
	return s.c.Registry.ChangeTag(ctx, p.App, t, sets.New(), has)
}

func tagNotFound(t herald.Tag) error {
	return herald.Errorf(herald.CodeNotFound, "GET /v1/tags lists the tags in use.", "no device has the tag %.40q", string(t))
}

// Tag shows one tag; not_found if no device has it.
func (s *Devices) Tag(_ context.Context, p Principal, t herald.Tag) (TagView, error) {
	if err := p.may(ScopeDevicesRead); err != nil {
		return TagView{}, err
	}
	app, err := s.c.Registry.App(p.App)
	if err != nil {
		return TagView{}, err
	}
	v := TagView{Tag: t}
	app.Index.View(func(x sets.View) { v.Devices = alive(x, record.TagSet(t)) })
	if v.Devices == 0 {
		return v, tagNotFound(t)
	}
	return v, nil
}

func alive(x sets.View, set string) int64 {
	s := x.Set(set)
	return s.Len() - sets.Common(s, x.Set(record.DeadSet))
}

// Tags lists the tags in use; prefix may be empty.
func (s *Devices) Tags(_ context.Context, p Principal, prefix, cursor string, limit int) (TagPage, error) {
	if err := p.may(ScopeDevicesRead); err != nil {
		return TagPage{}, err
	}
	limit, err := pageSize(limit)
	if err != nil {
		return TagPage{}, err
	}
	app, err := s.c.Registry.App(p.App)
	if err != nil {
		return TagPage{}, err
	}
	page := TagPage{Tags: []TagView{}}
	// A page is full or the last one, although some tags are only on devices
	// that were removed.
	for {
		names := app.Index.NamesAfter(record.TagSet(herald.Tag(prefix)), record.TagSet(herald.Tag(cursor)), limit+1)
		app.Index.View(func(x sets.View) {
			for _, name := range names {
				t, _ := record.TagOf(name)
				cursor = string(t)
				if n := alive(x, name); n > 0 {
					page.Tags = append(page.Tags, TagView{t, n})
				}
			}
		})
		if len(page.Tags) > limit {
			page.Tags = page.Tags[:limit]
			page.NextCursor = string(page.Tags[limit-1].Tag)
			return page, nil
		}
		if len(names) <= limit {
			return page, nil
		}
	}
}

// PutAlias makes an alias without a device, and tells whether it is new.
func (s *Devices) PutAlias(ctx context.Context, p Principal, a herald.Alias) (AliasView, bool, error) {
	if err := p.may(ScopeDevicesWrite); err != nil {
		return AliasView{}, false, err
	}
	if err := herald.ValidName("alias", string(a)); err != nil {
		return AliasView{}, false, err
	}
	created, err := s.c.Registry.PutRecipient(ctx, p.App, a)
	if err != nil {
		return AliasView{}, false, err
	}
	v, err := s.aliasView(ctx, p.App, a)
	return v, created, err
}

// Alias shows who is bound to an alias.
func (s *Devices) Alias(ctx context.Context, p Principal, a herald.Alias) (AliasView, error) {
	if err := p.may(ScopeDevicesRead); err != nil {
		return AliasView{}, err
	}
	return s.aliasView(ctx, p.App, a)
}

func (s *Devices) aliasView(ctx context.Context, app herald.AppKey, a herald.Alias) (AliasView, error) {
	r, list, err := s.bound(ctx, app, a)
	if err != nil {
		return AliasView{}, err
	}
	v := AliasView{Alias: a, CreatedAt: r.Created, Devices: []DeviceView{}}
	for _, d := range list {
		view, err := s.view(d)
		if err != nil {
			return AliasView{}, err
		}
		v.Devices = append(v.Devices, view)
	}
	return v, nil
}

// bound finds an alias with its devices, of which it may have none; not_found if
// nobody has it.
func (s *Devices) bound(ctx context.Context, app herald.AppKey, a herald.Alias) (record.Recipient, []record.Device, error) {
	if err := herald.ValidName("alias", string(a)); err != nil {
		return record.Recipient{}, nil, err
	}
	found, err := s.c.Registry.Recipients(ctx, app, []herald.Alias{a})
	if err != nil {
		return record.Recipient{}, nil, err
	}
	r, ok := found[a]
	if !ok {
		return r, nil, herald.Errorf(herald.CodeNotFound, "Bind a device with POST /v1/aliases/{alias}, or make the alias with PUT.", "nobody has the alias %.40q", string(a))
	}
	list, err := s.c.Registry.Devices(ctx, app, record.DeviceFilter{Alias: a}, 0, herald.MaxDevicesByAlias)
	return r, list, err
}

// ChangeAlias binds devices to an alias and unbinds others, in one commit: all of
// them or none.
func (s *Devices) ChangeAlias(ctx context.Context, p Principal, a herald.Alias, m Members) (MembersAnswer, error) {
	if err := p.may(ScopeDevicesWrite); err != nil {
		return MembersAnswer{}, err
	}
	if err := herald.ValidName("alias", string(a)); err != nil {
		return MembersAnswer{}, err
	}
	_, _, unknown, err := s.members(ctx, p, m)
	if err != nil {
		return MembersAnswer{}, err
	}
	var list []record.Binding
	for _, id := range m.Remove { // first, which makes room
		list = append(list, record.Binding{ID: id, From: a})
	}
	for _, id := range m.Add {
		list = append(list, record.Binding{ID: id, Alias: a})
	}
	out := MembersAnswer{Unknown: unknown}
	done, err := s.bind(ctx, p.App, list, true)
	if err != nil {
		return out, err
	}
	for i, o := range done.Outcomes {
		switch {
		case o != record.BindDone:
		case i < len(m.Remove):
			out.Removed++
		default:
			out.Added++
		}
	}
	return out, nil
}

// bind changes the aliases of devices in one commit, and ends what waits for
// them by those that they have lost.
func (s *Devices) bind(ctx context.Context, app herald.AppKey, list []record.Binding, whole bool) (record.Bound, error) {
	b, err := s.c.Registry.Bind(ctx, app, list, whole)
	if err != nil || b.Pos == 0 {
		return b, s.unsure(app, err)
	}
	return b, s.rebound(ctx, app, b.Changed, b.Pos)
}

// DeleteAlias unbinds all devices of an alias and forgets it.
func (s *Devices) DeleteAlias(ctx context.Context, p Principal, a herald.Alias) error {
	if err := p.may(ScopeDevicesWrite); err != nil {
		return err
	}
	_, devices, err := s.bound(ctx, p.App, a)
	if err != nil {
		return err
	}
	var list []record.Binding
	for _, d := range devices {
		list = append(list, record.Binding{ID: d.ID, From: a})
	}
	if _, err := s.bind(ctx, p.App, list, true); err != nil {
		return err
	}
	return s.c.Registry.DeleteRecipient(ctx, p.App, a)
}
