package api

import (
	"cmp"
	"context"
	"net/netip"
	"net/url"
	"strings"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// Basic checks an app key and master secret, or a group key and its secret.
func (s *Apps) Basic(_ context.Context, key herald.AppKey, secret string) (Principal, error) {
	if group := herald.GroupKey(key); group.Valid() {
		g, err := s.c.Registry.GroupSecret(group, secret)
		return Principal{Kind: GroupOfApps, Group: g.Key}, err
	}
	if err := s.c.Registry.Master(key, secret); err != nil {
		return Principal{}, err
	}
	app, err := s.c.Registry.App(key)
	if err != nil {
		return Principal{}, err
	}
	return Principal{Kind: Master, App: app.Key()}, nil
}

// Bearer checks a Bearer credential of any kind: key, device token, page token.
// from is the address of the caller, which keys may be bound to.
func (s *Apps) Bearer(ctx context.Context, token string, from netip.Addr) (Principal, error) {
	prefix, _, _ := strings.Cut(token, ".")
	switch prefix {
	case "hk1":
		k, err := s.c.Registry.Key(ctx, token, from)
		if err != nil {
			return Principal{}, err
		}
		p := Principal{Kind: Key, App: k.App, KeyID: k.ID, KeyName: k.Name}
		for _, scope := range k.Scopes {
			p.Scopes = append(p.Scopes, Scope(scope))
		}
		return p, nil
	case "hd1":
		a, err := s.c.Registry.DeviceToken(ctx, token)
		return Principal{Kind: Device, App: a.App, Device: a.ID, Ord: a.Ord}, err
	case "hp1":
		return s.page(ctx, token)
	}
	if strings.HasPrefix(prefix, "eyJ") { // a JWT in the place of a device token
		a, err := s.c.Registry.DeviceToken(ctx, token)
		return Principal{Kind: Device, App: a.App, Device: a.ID, Ord: a.Ord}, err
	}
	return Principal{}, herald.Errorf(herald.CodeUnauthorized, "Send a key (hk1…), a device token (hd1…), a JWT of a device or a page token (hp1…).", "the Bearer credential has no known form")
}

func (s *Apps) page(ctx context.Context, token string) (Principal, error) {
	app, installation, err := s.c.Registry.Page(ctx, token)
	if err != nil {
		return Principal{}, err
	}
	p := Principal{Kind: Page, App: app, Installation: installation}
	d, err := s.c.Registry.Installation(ctx, app, installation)
	if err == nil {
		p.Device, p.Ord = d.ID, d.Ord
	} else if herald.CodeOf(err) != herald.CodeNotFound {
		return Principal{}, err
	}
	return p, nil
}

// Get shows the caller's app.
func (s *Apps) Get(_ context.Context, p Principal) (AppView, error) {
	if err := p.may(ScopeManage); err != nil {
		return AppView{}, err
	}
	return s.view(p.App)
}

func (s *Apps) view(key herald.AppKey) (AppView, error) {
	app, err := s.c.Registry.App(key)
	if err != nil {
		return AppView{}, err
	}
	row := app.Row()
	v := AppView{
		AppKey: row.Key, Name: row.Name, CreatedAt: row.Created, DeviceAliases: row.Settings.DeviceAliases,
		DeviceTags: row.Settings.DeviceTags, Origins: row.Settings.Origins, Topics: topicRules(row.Settings.Topics), Approval: ApprovalRule(row.Settings.Approval), Caps: capViews(row.Settings.Caps),
		QuietHours: row.Settings.QuietHours, TimeZone: cmp.Or(row.Settings.TimeZone, "UTC"), Devices: app.Devices(), Online: s.c.Presence.Online(key).Len(),
	}
	if v.Origins == nil {
		v.Origins = []string{}
	}
	return v, nil
}

// Update changes the caller's app.
func (s *Apps) Update(ctx context.Context, p Principal, u AppUpdate) (AppView, error) {
	if err := p.may(ScopeManage); err != nil {
		return AppView{}, err
	}
	if u.Name != nil {
		if err := herald.ValidName("name", *u.Name); err != nil {
			return AppView{}, err
		}
	}
	if u.Origins != nil {
		for _, o := range *u.Origins {
			if err := validOrigin(o); err != nil {
				return AppView{}, err
			}
		}
	}
	if err := u.Topics.valid(); err != nil {
		return AppView{}, err
	}
	if err := u.validHours(); err != nil {
		return AppView{}, err
	}
	if u.Caps != nil {
		if err := validCaps(*u.Caps); err != nil {
			return AppView{}, err
		}
	}
	if u.Approval != nil && u.Approval.Above < 0 {
		return AppView{}, herald.Invalid("approval.above", "Give 0 or more.", "%d is no number of devices", u.Approval.Above)
	}
	_, err := s.c.Registry.UpdateApp(ctx, p.App, func(row *record.App) {
		set(&row.Name, u.Name)
		set(&row.Settings.DeviceAliases, u.DeviceAliases)
		set(&row.Settings.DeviceTags, u.DeviceTags)
		set(&row.Settings.Origins, u.Origins)
		u.Topics.apply(&row.Settings.Topics)
		set(&row.Settings.TimeZone, u.TimeZone)
		if q := u.QuietHours; q != nil {
			row.Settings.QuietHours = q.hours()
		}
		if u.Caps != nil {
			row.Settings.Caps = setCaps(row.Settings.Caps, *u.Caps, s.now())
		}
		if u.Approval != nil {
			row.Settings.Approval = record.ApprovalRule(*u.Approval)
		}
	})
	if err != nil {
		return AppView{}, err
	}
	if u.Topics != nil {
		s.c.Subscriptions.Recheck(p.App)
	}
	return s.view(p.App)
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// validOrigin checks a web origin (RFC 6454 section 6.2): scheme, host, port,
// and nothing behind.
func validOrigin(o string) error {
	u, err := url.Parse(o)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || o != u.Scheme+"://"+u.Host {
		return herald.Invalid("origins", "Write it as a browser sends it, such as https://www.example.com.", "%.60q is not a web origin", o)
	}
	return nil
}

// AllowedOrigin reports whether a browser at a web origin may use the app.
func (s *Apps) AllowedOrigin(app herald.AppKey, origin string) bool {
	return s.c.Registry.AllowedOrigin(app, origin)
}
