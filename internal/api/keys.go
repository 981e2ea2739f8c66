package api

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
)

// KeyRequest is the body of POST /v1/keys.
type KeyRequest struct {
	Name      string     `json:"name" minLength:"1" maxLength:"128"`
	Scopes    []string   `json:"scopes" minItems:"1" doc:"What the key may do: messages:send, messages:read, devices:read, devices:write, receipts:write, webhooks:read, webhooks:write, credentials:read, credentials:write."`
	ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"When the key is refused from; by default never."`
	Networks  []string   `json:"networks,omitempty" maxItems:"100" doc:"Addresses and networks (CIDR) from which the key may be used; by default any."`
}

// KeyUpdate is the body of PATCH /v1/keys/{id}. Absent members stay as they
// are.
type KeyUpdate struct {
	Name      *string    `json:"name,omitempty" minLength:"1" maxLength:"128"`
	Scopes    *[]string  `json:"scopes,omitempty" minItems:"1" doc:"All scopes of the key from now on."`
	ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"When the key is refused from. It can be moved, not taken away."`
	Networks  *[]string  `json:"networks,omitempty" maxItems:"100" doc:"All addresses and networks from now on; an empty list allows any."`
}

// KeyRotation is the body of POST /v1/keys/{id}/rotate.
type KeyRotation struct {
	Keep *int64 `json:"keep,omitempty" minimum:"0" maximum:"2592000" default:"86400" doc:"Seconds for which the old secret stays good; 0 refuses it at once."`
}

// KeyView is a Bearer key without its secret.
type KeyView struct {
	ID             string     `json:"id"`
	Name           string     `json:"name"`
	Scopes         []string   `json:"scopes"`
	CreatedAt      time.Time  `json:"created_at"`
	LastUsedAt     *time.Time `json:"last_used_at,omitempty" doc:"To about a minute."`
	ExpiresAt      *time.Time `json:"expires_at,omitempty" doc:"When it is refused from; absent: never."`
	Networks       []string   `json:"networks,omitempty" doc:"Networks from which it may be used; absent: any."`
	OldSecretUntil *time.Time `json:"old_secret_until,omitempty" doc:"How long the secret before the last rotation is good; absent if it is not."`
}

// KeyAnswer is a new key, or one with a new secret. It is the only time that
// the key itself is shown.
type KeyAnswer struct {
	KeyView
	Key string `json:"key" doc:"Send it as: Authorization: Bearer <key>."`
}

// KeyList lists the keys of an app.
type KeyList struct {
	Keys []KeyView `json:"keys"`
}

// Keys lists the app's Bearer keys.
func (s *Apps) Keys(_ context.Context, p Principal) (KeyList, error) {
	if err := p.may(ScopeManage); err != nil {
		return KeyList{}, err
	}
	out := KeyList{Keys: []KeyView{}}
	for _, k := range s.c.Registry.Keys(p.App) {
		out.Keys = append(out.Keys, s.keyView(k))
	}
	return out, nil
}

func (s *Apps) keyView(k record.APIKey) KeyView {
	v := KeyView{ID: k.ID, Name: k.Name, Scopes: k.Scopes, CreatedAt: k.Created}
	if !k.LastUsed.IsZero() {
		v.LastUsedAt = &k.LastUsed
	}
	if !k.Expires.IsZero() {
		v.ExpiresAt = &k.Expires
	}
	if k.OldHash != nil && s.c.Now().Before(k.OldUntil) {
		v.OldSecretUntil = &k.OldUntil
	}
	for _, n := range k.Networks {
		v.Networks = append(v.Networks, n.String())
	}
	return v
}

// CreateKey makes a Bearer key.
func (s *Apps) CreateKey(ctx context.Context, p Principal, r KeyRequest) (KeyAnswer, error) {
	if err := p.may(ScopeManage); err != nil {
		return KeyAnswer{}, err
	}
	u, err := s.validKey(KeyUpdate{Name: &r.Name, Scopes: &r.Scopes, ExpiresAt: r.ExpiresAt, Networks: &r.Networks})
	if err != nil {
		return KeyAnswer{}, err
	}
	row := record.APIKey{Name: *u.Name, Scopes: *u.Scopes, Networks: *u.Networks}
	set(&row.Expires, u.Expires)
	k, whole, err := s.c.Registry.CreateKey(ctx, p.App, row)
	if err != nil {
		return KeyAnswer{}, err
	}
	return KeyAnswer{KeyView: s.keyView(k), Key: whole}, nil
}

// UpdateKey changes what a Bearer key may do; its secret stays.
func (s *Apps) UpdateKey(ctx context.Context, p Principal, id string, r KeyUpdate) (KeyView, error) {
	if err := p.may(ScopeManage); err != nil {
		return KeyView{}, err
	}
	u, err := s.validKey(r)
	if err != nil {
		return KeyView{}, err
	}
	k, err := s.c.Registry.UpdateKey(ctx, p.App, id, u)
	if err != nil {
		return KeyView{}, err
	}
	return s.keyView(k), nil
}

// RotateKey gives a Bearer key a new secret; the old one is good for a while.
func (s *Apps) RotateKey(ctx context.Context, p Principal, id string, r KeyRotation) (KeyAnswer, error) {
	if err := p.may(ScopeManage); err != nil {
		return KeyAnswer{}, err
	}
	keep := registry.DefaultKeep
	if r.Keep != nil {
		// Beyond a year it would not fit into a duration; MaxKeep refuses it.
		keep = time.Duration(min(max(*r.Keep, -1), 366*24*3600)) * time.Second
	}
	k, whole, err := s.c.Registry.RotateKey(ctx, p.App, id, keep)
	if err != nil {
		return KeyAnswer{}, err
	}
	return KeyAnswer{KeyView: s.keyView(k), Key: whole}, nil
}

// DeleteKey makes a Bearer key invalid at once.
func (s *Apps) DeleteKey(ctx context.Context, p Principal, id string) error {
	if err := p.may(ScopeManage); err != nil {
		return err
	}
	return s.c.Registry.DeleteKey(ctx, p.App, id)
}

// validKey checks what is to be said of a key.
func (s *Apps) validKey(r KeyUpdate) (u registry.KeyUpdate, err error) {
	if r.Name != nil {
		if err := herald.ValidName("name", *r.Name); err != nil {
			return u, err
		}
		u.Name = r.Name
	}
	if r.Scopes != nil {
		scopes, err := validScopes(*r.Scopes)
		if err != nil {
			return u, err
		}
		u.Scopes = &scopes
	}
	if r.ExpiresAt != nil {
		at := r.ExpiresAt.UTC().Truncate(time.Millisecond)
		if !at.After(s.c.Now()) || at.Year() > 9999 {
			return u, herald.Invalid("expires_at", "Give a time to come, or delete the key.", "the key would be refused from the beginning")
		}
		u.Expires = &at
	}
	if r.Networks != nil {
		networks, err := parseNetworks(*r.Networks)
		if err != nil {
			return u, err
		}
		u.Networks = &networks
	}
	return u, nil
}

func validScopes(list []string) ([]string, error) {
	known := make([]string, len(GrantableScopes))
	for i, scope := range GrantableScopes {
		known[i] = string(scope)
	}
	if len(list) == 0 {
		return nil, herald.Invalid("scopes", "Name at least one of: "+strings.Join(known, ", ")+".", "the key would be allowed nothing")
	}
	for _, scope := range list {
		if !slices.Contains(known, scope) {
			return nil, herald.Invalid("scopes", "Use some of: "+strings.Join(known, ", ")+".", "%.40q is not a scope", scope)
		}
	}
	scopes := slices.Clone(list)
	slices.Sort(scopes)
	return slices.Compact(scopes), nil
}

// parseNetworks reads addresses and networks. What could mean something else
// than it says is refused: 10.1.2.3/8 is a whole network or one address.
func parseNetworks(list []string) ([]netip.Prefix, error) {
	if len(list) > registry.MaxNetworks {
		return nil, herald.Invalid("networks", "Join neighbouring networks to larger ones.", "a key has at most %d networks", registry.MaxNetworks)
	}
	var out []netip.Prefix
	for i, text := range list {
		field := "networks[" + strconv.Itoa(i) + "]"
		n, err := netip.ParsePrefix(text)
		if addr, e := netip.ParseAddr(text); e == nil && addr.Zone() == "" {
			n, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		switch {
		case err != nil:
			return nil, herald.Invalid(field, "Write an address such as 203.0.113.7, or a network such as 10.0.0.0/8 or 2001:db8::/32.", "%.60q is not a network", text)
		case n.Addr().Is4In6():
			return nil, herald.Invalid(field, "Write it as an IPv4 network.", "%s is an IPv4 network in the form of IPv6", n)
		case n != n.Masked():
			return nil, herald.Invalid(field, "Write "+n.Masked().String()+" for the network, or "+n.Addr().String()+" for the one address.", "%s has bits behind its length", n)
		}
		out = append(out, n)
	}
	slices.SortFunc(out, netip.Prefix.Compare)
	return slices.Compact(out), nil
}
