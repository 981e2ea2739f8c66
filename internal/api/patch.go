package api

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// patch checks a change to a device and turns it into one of the record.
func (s *Devices) patch(ctx context.Context, p Principal, id herald.RegistrationID, u DeviceUpdate) (out record.DevicePatch, err error) {
	profile := Profile{AppVersion: deref(u.AppVersion), Language: deref(u.Language), TimeZone: deref(u.TimeZone)}
	if err := profile.valid(); err != nil {
		return out, err
	}
	out = record.DevicePatch{AppVersion: u.AppVersion, Language: u.Language, TimeZone: u.TimeZone, Revoke: u.Revoke}
	if out.Alias, err = s.alias(p, p.App, u.Alias, u.AliasToken); err != nil {
		return out, err
	}
	if out.Addresses, err = s.deviceAddresses(u.Addresses); err != nil {
		return out, err
	}
	if u.Tags != nil || u.TagsAdd != nil || u.TagsRemove != nil {
		if err := s.mayTag(p, p.App); err != nil {
			return out, err
		}
	}
	if u.Tags == nil && u.Attributes == nil {
		out.AddTags, out.RemoveTags = u.TagsAdd, u.TagsRemove
		return out, validTagChanges(u)
	}
	d, err := s.c.Registry.Device(ctx, p.App, id)
	if err != nil {
		return out, err
	}
	if err := s.patchTags(&out, d, u); err != nil {
		return out, err
	}
	return out, patchAttributes(&out, d, u)
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func validTagChanges(u DeviceUpdate) error {
	if err := validTags("tags_add", u.TagsAdd); err != nil {
		return err
	}
	return validTags("tags_remove", u.TagsRemove)
}

// patchTags turns "all tags from now on" into what is added and removed.
func (s *Devices) patchTags(out *record.DevicePatch, d record.Device, u DeviceUpdate) error {
	if err := validTagChanges(u); err != nil {
		return err
	}
	out.AddTags, out.RemoveTags = u.TagsAdd, u.TagsRemove
	if u.Tags == nil {
		return nil
	}
	if u.TagsAdd != nil || u.TagsRemove != nil {
		return herald.Invalid("tags", "Give either tags, or tags_add and tags_remove.", "tags excludes tags_add and tags_remove")
	}
	if err := validTags("tags", *u.Tags); err != nil {
		return err
	}
	app, err := s.c.Registry.App(d.App)
	if err != nil {
		return err
	}
	has := app.TagsOf(d.Ord)
	for _, t := range *u.Tags {
		if !slices.Contains(has, t) {
			out.AddTags = append(out.AddTags, t)
		}
	}
	for _, t := range has {
		if !slices.Contains(*u.Tags, t) {
			out.RemoveTags = append(out.RemoveTags, t)
		}
	}
	return nil
}

// patchAttributes merges attributes; null removes one.
func patchAttributes(out *record.DevicePatch, d record.Device, u DeviceUpdate) error {
	if u.Attributes == nil {
		return nil
	}
	merged := map[string]string{}
	if len(d.Attributes) > 0 {
		if err := json.Unmarshal(d.Attributes, &merged); err != nil {
			return err
		}
	}
	for k, v := range u.Attributes {
		if v == nil {
			delete(merged, k)
		} else {
			merged[k] = *v
		}
	}
	b, err := encodeAttributes(merged)
	if b == nil {
		b = []byte("{}")
	}
	out.Attributes = b
	return err
}
