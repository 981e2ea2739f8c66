package api

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/sets"
)

// Register registers a device. p may be a stranger if r names the app.
func (s *Devices) Register(ctx context.Context, p Principal, r RegisterRequest) (RegisterAnswer, error) {
	app, installation, err := whose(p, r)
	if err != nil {
		return RegisterAnswer{}, err
	}
	if err := r.valid(); err != nil {
		return RegisterAnswer{}, err
	}
	alias, err := s.alias(p, app, aliasOf(r.Alias), r.AliasToken)
	if err != nil {
		return RegisterAnswer{}, err
	}
	if len(r.Tags) > 0 {
		if err := s.mayTag(p, app); err != nil {
			return RegisterAnswer{}, err
		}
		if err := validTags("tags", r.Tags); err != nil {
			return RegisterAnswer{}, err
		}
	}
	attributes, err := encodeAttributes(r.Attributes)
	if err != nil {
		return RegisterAnswer{}, err
	}
	addresses, err := s.deviceAddresses(r.Addresses)
	if err != nil {
		return RegisterAnswer{}, err
	}
	q := registry.RegisterRequest{
		App: app, Installation: installation, Platform: r.Platform, AppVersion: r.AppVersion, Language: r.Language,
		TimeZone: r.TimeZone, Alias: alias, Tags: r.Tags, Attributes: attributes, Addresses: addresses,
	}
	if q.Platform == "" {
		q.Platform = herald.PlatformOther
	}
	d, token, created, err := s.c.Registry.Register(ctx, q)
	if err != nil && alias != nil {
		return RegisterAnswer{}, s.unsure(app, err)
	}
	if err != nil {
		return RegisterAnswer{}, err
	}
	if alias != nil && !created {
		if err := s.rebound(ctx, d.App, sets.New(d.Ord), d.BoundPos); err != nil {
			return RegisterAnswer{}, err
		}
	}
	return RegisterAnswer{RegistrationID: d.ID, Token: token, Created: created}, nil
}

func aliasOf(a herald.Alias) *herald.Alias {
	if a == "" {
		return nil
	}
	return &a
}

// whose says which app and installation a registration is for.
func whose(p Principal, r RegisterRequest) (app herald.AppKey, installation string, err error) {
	app, installation = r.AppKey, r.Installation
	switch p.Kind {
	case Anonymous:
		if app == "" {
			return "", "", herald.Invalid("app_key", "Give the app key.", "it is not said which app the device belongs to")
		}
	case Key:
		if err := p.may(ScopeDevicesWrite); err != nil {
			return "", "", err
		}
	case Device:
		return "", "", herald.Errorf(herald.CodeForbidden, "Use PATCH /v1/devices/{registration_id} to change a device, or register with the app key.", "a device is registered already")
	case Page:
		if installation != "" && installation != p.Installation {
			return "", "", herald.Errorf(herald.CodeForbidden, "Leave installation out.", "a page may register only itself")
		}
		installation = p.Installation
	case GroupOfApps:
		return "", "", errGroup()
	case Master:
	}
	if p.App != "" {
		if app != "" && app != p.App {
			return "", "", herald.Errorf(herald.CodeForbidden, "Leave app_key out, or send the credentials of that app.", "the credentials are of another app")
		}
		app = p.App
	}
	if installation != "" {
		if err := registry.ValidInstallation("installation", installation); err != nil {
			return "", "", err
		}
	}
	return app, installation, nil
}

// valid checks what a device says of itself.
func (r *Profile) valid() error {
	if r.Platform != "" && !r.Platform.Valid() {
		return herald.Invalid("platform", "Use web, android, ios, hmos, quickapp, windows, macos, linux, embedded or other.", "%.40q is not a platform", string(r.Platform))
	}
	for field, v := range map[string]string{"app_version": r.AppVersion, "language": r.Language, "time_zone": r.TimeZone} {
		if v == "" {
			continue
		}
		if err := herald.ValidName(field, v); err != nil {
			return err
		}
	}
	if len(r.Language) > 35 {
		return herald.Invalid("language", "Use a BCP 47 tag such as zh-CN.", "%d bytes are more than 35", len(r.Language))
	}
	if r.TimeZone != "" {
		if _, err := time.LoadLocation(r.TimeZone); err != nil || r.TimeZone == "Local" {
			return herald.Invalid("time_zone", "Use an IANA name such as Asia/Shanghai.", "%.40q is not a time zone", r.TimeZone)
		}
	}
	return nil
}

// alias decides which alias a caller may bind: by a back end's word, by a
// signed token, or because the app lets devices claim one.
func (s *Devices) alias(p Principal, app herald.AppKey, plain *herald.Alias, token string) (*herald.Alias, error) {
	if token != "" {
		if plain != nil {
			return nil, herald.Invalid("alias", "Leave alias out.", "alias and alias_token exclude each other")
		}
		a, err := s.c.Registry.Alias(app, token)
		return &a, err
	}
	if plain == nil {
		return nil, nil
	}
	if *plain != "" {
		if err := herald.ValidName("alias", string(*plain)); err != nil {
			return nil, err
		}
	}
	if !p.Backend() {
		row, err := s.c.Registry.App(app)
		if err != nil {
			return nil, err
		}
		// Giving an alias up harms nobody; taking one on needs proof.
		if *plain != "" && !row.Row().Settings.DeviceAliases {
			return nil, herald.Errorf(herald.CodeForbidden, "Send alias_token, a JWT signed by the app's back end, or turn on device_aliases for the app.", "a device may not claim an alias by its own word")
		}
	}
	return plain, nil
}

func (s *Devices) mayTag(p Principal, key herald.AppKey) error {
	if p.Backend() {
		return nil
	}
	app, err := s.c.Registry.App(key)
	if err != nil {
		return err
	}
	if !app.Row().Settings.DeviceTags {
		return herald.Errorf(herald.CodeForbidden, "Let the back end set tags, or turn on device_tags for the app.", "a device may not set its tags")
	}
	return nil
}

func validTags(field string, tags []herald.Tag) error {
	if len(tags) > herald.MaxTagsPerDevice {
		return herald.Invalid(field, "Give at most 1000 tags.", "%d tags are too many", len(tags))
	}
	for i, t := range tags {
		if err := herald.ValidName(fmt.Sprintf("%s[%d]", field, i), string(t)); err != nil {
			return err
		}
	}
	return nil
}

// encodeAttributes checks attributes and gives them as JSON; nil for none.
func encodeAttributes(m map[string]string) ([]byte, error) {
	if len(m) == 0 {
		return nil, nil
	}
	if len(m) > herald.MaxAttributes {
		return nil, herald.Invalid("attributes", "Give at most 64.", "%d attributes are too many", len(m))
	}
	for k := range m {
		if err := herald.ValidName("attributes", k); err != nil {
			return nil, err
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	if len(b) > herald.MaxAttributeBytes {
		return nil, herald.Invalid("attributes", "Keep larger things in your own database.", "%d bytes as JSON are more than %d", len(b), herald.MaxAttributeBytes)
	}
	return b, nil
}

// mayRead and mayWrite check a call about one device: a device may see and
// change itself.
func (p Principal) mayRead(id herald.RegistrationID) error {
	if (p.Kind == Device || p.Kind == Page) && p.Device == id && id != "" {
		return nil
	}
	return p.may(ScopeDevicesRead)
}

func (p Principal) mayWrite(id herald.RegistrationID) error {
	if p.Kind == Device && p.Device == id {
		return nil
	}
	return p.may(ScopeDevicesWrite)
}

// Get shows a device; a device may see itself.
func (s *Devices) Get(ctx context.Context, p Principal, id herald.RegistrationID) (DeviceView, error) {
	if err := p.mayRead(id); err != nil {
		return DeviceView{}, err
	}
	d, err := s.c.Registry.Device(ctx, p.App, id)
	if err != nil {
		return DeviceView{}, err
	}
	return s.fullView(ctx, d)
}

// fullView is view with what is read from the record for one device alone.
func (s *Devices) fullView(ctx context.Context, d record.Device) (DeviceView, error) {
	v, err := s.view(d)
	if err == nil {
		v.Addresses, err = s.addressViews(ctx, d)
	}
	return v, err
}

func (s *Devices) view(d record.Device) (DeviceView, error) {
	app, err := s.c.Registry.App(d.App)
	if err != nil {
		return DeviceView{}, err
	}
	v := DeviceView{
		RegistrationID: d.ID, Alias: d.Alias, Tags: app.TagsOf(d.Ord), RegisteredAt: d.Created, SeenAt: d.Seen,
		Profile:    Profile{Platform: d.Platform, AppVersion: d.AppVersion, Language: d.Language, TimeZone: d.TimeZone},
		Transports: s.c.Presence.Transports(d.App, d.Ord),
	}
	v.Online = len(v.Transports) > 0
	if len(d.Attributes) > 0 {
		err = json.Unmarshal(d.Attributes, &v.Attributes)
	}
	return v, err
}

// List shows devices.
func (s *Devices) List(ctx context.Context, p Principal, q DeviceQuery) (DevicePage, error) {
	if err := p.may(ScopeDevicesRead); err != nil {
		return DevicePage{}, err
	}
	limit, err := pageSize(q.Limit)
	if err != nil {
		return DevicePage{}, err
	}
	var from herald.Ordinal
	if q.Cursor != "" {
		n, err := strconv.ParseUint(q.Cursor, 10, 32)
		if err != nil {
			return DevicePage{}, herald.Invalid("cursor", "Use the next_cursor of the page before.", "is not a cursor")
		}
		from = herald.Ordinal(n)
	}
	f := record.DeviceFilter{Alias: q.Alias, Platform: q.Platform}
	if q.Tag != "" || q.Online != nil {
		if f.Within, err = s.within(p.App, q, from, limit+1); err != nil {
			return DevicePage{}, err
		}
	}
	list, err := s.c.Registry.Devices(ctx, p.App, f, from, limit+1)
	if err != nil {
		return DevicePage{}, err
	}
	page := DevicePage{Devices: []DeviceView{}}
	if len(list) > limit {
		page.NextCursor = strconv.FormatUint(uint64(list[limit].Ord), 10)
		list = list[:limit]
	}
	for _, d := range list {
		v, err := s.view(d)
		if err != nil {
			return DevicePage{}, err
		}
		page.Devices = append(page.Devices, v)
	}
	return page, nil
}

// within gives the ordinals that a query by sets comes to, from one on: all of
// them where the record filters further, else one page.
func (s *Devices) within(key herald.AppKey, q DeviceQuery, from herald.Ordinal, page int) ([]herald.Ordinal, error) {
	app, err := s.c.Registry.App(key)
	if err != nil {
		return nil, err
	}
	online := s.c.Presence.Online(key)
	out := []herald.Ordinal{}
	app.Index.View(func(v sets.View) {
		set := sets.Range(v.Next())
		if q.Tag != "" {
			set = v.Set(record.TagSet(q.Tag)).Clone()
		}
		if q.Online != nil && *q.Online {
			set.And(online)
		} else if q.Online != nil {
			set.AndNot(online)
		}
		if q.Platform != "" {
			set.And(v.Set(record.PlatformSet(q.Platform)))
		}
		set.AndNot(v.Set(record.DeadSet))
		for o := range set.All() {
			if o < from {
				continue
			}
			if out = append(out, o); q.Alias == "" && len(out) == page {
				return
			}
		}
	})
	return out, nil
}

// Update changes a device; a device may change its own profile.
func (s *Devices) Update(ctx context.Context, p Principal, id herald.RegistrationID, u DeviceUpdate) (DeviceView, error) {
	if err := p.mayWrite(id); err != nil {
		return DeviceView{}, err
	}
	patch, err := s.patch(ctx, p, id, u)
	if err != nil {
		return DeviceView{}, err
	}
	d, err := s.c.Registry.Update(ctx, p.App, id, patch)
	if err != nil && patch.Alias != nil {
		return DeviceView{}, s.unsure(p.App, err)
	}
	if err != nil {
		return DeviceView{}, err
	}
	if patch.Alias != nil {
		if err := s.rebound(ctx, d.App, sets.New(d.Ord), d.BoundPos); err != nil {
			return DeviceView{}, err
		}
	}
	if u.Revoke {
		s.c.Presence.Disconnect(p.App, d.Ord, live.Reason{Code: live.CloseBadToken, Text: "the token was revoked"})
	}
	return s.fullView(ctx, d)
}

// Remove retires a device and erases what is known of it.
func (s *Devices) Remove(ctx context.Context, p Principal, id herald.RegistrationID) error {
	if err := p.mayWrite(id); err != nil {
		return err
	}
	d, err := s.c.Registry.Remove(ctx, p.App, id)
	if err != nil {
		return s.unsure(p.App, err)
	}
	return s.retired(ctx, d)
}
