package jpush

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

func (a *API) deviceCalls() []call {
	return []call{
		reading(http.MethodPost, "devices/status", "deviceStatus", (*exchange).deviceStatus),
		on(http.MethodGet, "devices/{id}", "showDevice", (*exchange).showDevice),
		changing(http.MethodPost, "devices/{id}", "updateDevice", (*exchange).updateDevice),
		on(http.MethodGet, "aliases/{alias}", "showAlias", (*exchange).showAlias),
		changing(http.MethodPost, "aliases/{alias}", "changeAlias", (*exchange).changeAlias),
		changing(http.MethodDelete, "aliases/{alias}", "deleteAlias", (*exchange).deleteAlias),
		on(http.MethodGet, "tags", "listTags", (*exchange).listTags),
		on(http.MethodGet, "tags/{tag}/registration_ids/{id}", "hasTag", (*exchange).hasTag),
		changing(http.MethodPost, "tags/{tag}", "changeTag", (*exchange).changeTag),
		changing(http.MethodDelete, "tags/{tag}", "deleteTag", (*exchange).deleteTag),
	}
}

// The limits of the device API.
const (
	maxTagChanges  = 100
	maxTagBytes    = 1000 // of the tags in one call
	maxAliasOf     = 10   // devices of an alias
	onlineFor      = 10 * time.Minute
	lastOnlineFor  = 48 * time.Hour
	dayForm        = "2006-01-02"
	secondForm     = "2006-01-02 15:04:05"
	maxListedTags  = 100
	maxAliasListed = 10
)

// deviceOf reads a registration ID in a path.
func (x *exchange) deviceOf(s string) (herald.RegistrationID, error) {
	id := herald.RegistrationID(s)
	if !id.Valid() {
		return "", unknownDevice(s)
	}
	return id, nil
}

func unknownDevice(id string) *refusal {
	return refuse(codeDeviceValue, "%.40q is no registration ID of this app", id)
}

type deviceAnswer struct {
	Tags   []herald.Tag `json:"tags"`
	Alias  herald.Alias `json:"alias"`
	Mobile string       `json:"mobile"`
}

func (x *exchange) device(id string) (api.DeviceView, error) {
	rid, err := x.deviceOf(id)
	if err != nil {
		return api.DeviceView{}, err
	}
	v, err := x.a.service.Devices.Get(x.r.Context(), x.p, rid)
	if herald.CodeOf(err) == herald.CodeNotFound {
		err = unknownDevice(id)
	}
	return v, err
}

func (x *exchange) showDevice() (any, error) {
	v, err := x.device(x.args[0])
	if err != nil {
		return nil, err
	}
	if v.Tags == nil {
		v.Tags = []herald.Tag{}
	}
	mobile, err := x.mobile(v)
	return deviceAnswer{v.Tags, v.Alias, mobile}, err
}

// updateDevice changes tags, alias and mobile number of a device; "" clears.
func (x *exchange) updateDevice() (any, error) {
	o, err := readObject(x.body)
	if err != nil {
		return nil, x.valued(err)
	}
	var u api.DeviceUpdate
	changeTags(o, &u)
	if o.has("alias") {
		alias := herald.Alias(o.text("alias"))
		if alias != "" && !validName(string(alias)) {
			o.r.refuse(codeDeviceValue, "alias must have 1 to %d bytes", maxName)
		}
		u.Alias = &alias
	}
	mobile, named := mobileIn(o)
	o.done()
	if o.r.err != nil {
		return nil, x.valued(o.r.err)
	}
	v, err := x.device(x.args[0])
	if err != nil {
		return nil, err
	}
	if u.Alias != nil && *u.Alias != "" && *u.Alias != v.Alias {
		if err := x.roomForAlias(*u.Alias); err != nil {
			return nil, err
		}
	}
	alias, phone := v.Alias, ""
	if u.Alias != nil && (*u.Alias != "" || mobile != "") {
		alias = *u.Alias // else the number that it had with its alias is meant
	}
	if named {
		phone = phoneOf(alias, mobile, &u)
	}
	_, err = x.a.service.Devices.Update(x.r.Context(), x.p, v.RegistrationID, u)
	if herald.CodeOf(err) == herald.CodeLimitReached && u.Alias != nil && *u.Alias != "" {
		return nil, refuse(codeDeviceAlias, "the alias has as many devices as it may have")
	}
	if err == nil && named && alias != "" {
		err = x.setPhone(alias, phone)
	}
	return nothing{}, err
}

// valued gives an error about a body the code of the area.
func (x *exchange) valued(err error) error {
	told := *x.area.refusal(err)
	switch told.code {
	case codeValue, codeMissing, codeUnknown, codeTooLong:
		told.code = x.area.value
	}
	return &told
}

// changeTags reads which tags a device gets and loses; "" takes all off.
func changeTags(o *object, u *api.DeviceUpdate) {
	raw := o.raw("tags")
	if raw == nil {
		return
	}
	if raw = bytes.TrimSpace(raw); string(raw) == `""` {
		u.Tags = &[]herald.Tag{}
		return
	}
	if string(raw) == "[]" {
		return // PHP writes an empty object so
	}
	in := o.r.object("tags", raw)
	if in == nil {
		return
	}
	size := 0
	for _, list := range []struct {
		name string
		into *[]herald.Tag
	}{{"add", &u.TagsAdd}, {"remove", &u.TagsRemove}} {
		for _, s := range in.texts(list.name, maxTagChanges) {
			if !validName(s) {
				o.r.refuse(codeDeviceValue, "tags.%s: %.60q must have 1 to %d bytes", list.name, s, maxName)
			}
			size += len(s)
			*list.into = append(*list.into, herald.Tag(s))
		}
	}
	if size > maxTagBytes {
		o.r.refuse(codeDeviceValue, "tags have %d bytes in all, more than %d", size, maxTagBytes)
	}
	in.done()
}

// roomForAlias refuses one more device than an alias may have here. Two calls at
// the same moment may pass it together; the service has a limit of its own.
func (x *exchange) roomForAlias(a herald.Alias) error {
	v, err := x.a.service.Devices.Alias(x.r.Context(), x.p, a)
	if herald.CodeOf(err) == herald.CodeNotFound {
		return nil
	}
	if err == nil && len(v.Devices) >= maxAliasOf {
		return refuse(codeDeviceAlias, "the alias has %d devices already", len(v.Devices))
	}
	return err
}

// platformsIn reads the platforms that a query names; nil for all.
func (x *exchange) platformsIn() ([]herald.Platform, error) {
	s := x.query.Get("platform")
	if s == "" || s == "all" {
		return nil, nil
	}
	var out []herald.Platform
	for name := range strings.SplitSeq(s, ",") {
		p, ok := jpushPlatforms[strings.ToLower(strings.TrimSpace(name))]
		if !ok {
			return nil, refuse(codeDeviceValue, "platform has %.20q", name)
		}
		out = append(out, p)
	}
	return out, nil
}

// aliased lists the devices of an alias, on the platforms of the query.
func (x *exchange) aliased() ([]api.DeviceView, error) {
	platforms, err := x.platformsIn()
	if err != nil {
		return nil, err
	}
	v, err := x.a.service.Devices.Alias(x.r.Context(), x.p, herald.Alias(x.args[0]))
	if herald.CodeOf(err) == herald.CodeNotFound {
		return nil, nil
	}
	out := v.Devices
	if platforms != nil {
		out = slices.DeleteFunc(out, func(d api.DeviceView) bool { return !slices.Contains(platforms, d.Platform) })
	}
	return out, err
}

type aliasAnswer struct {
	IDs []herald.RegistrationID `json:"registration_ids"`
}

type aliasData struct {
	Data []aliasDevice `json:"data"`
}

type aliasDevice struct {
	ID         herald.RegistrationID `json:"registration_id"`
	Platform   string                `json:"platform"`
	LastOnline string                `json:"last_online_date"`
}

func (x *exchange) showAlias() (any, error) {
	list, err := x.aliased()
	if err != nil {
		return nil, err
	}
	list = list[:min(len(list), maxAliasListed)]
	if x.query.Get("new_format") == "true" {
		out := aliasData{[]aliasDevice{}}
		for _, d := range list {
			out.Data = append(out.Data, aliasDevice{d.RegistrationID, platformName(d.Platform), d.SeenAt.In(x.a.cfg.Zone).Format(dayForm)})
		}
		return out, nil
	}
	out := aliasAnswer{[]herald.RegistrationID{}}
	for _, d := range list {
		out.IDs = append(out.IDs, d.RegistrationID)
	}
	return out, nil
}

// platformName is how JPush calls a platform; Herald's own name for those that
// it does not know.
func platformName(p herald.Platform) string {
	for name, q := range jpushPlatforms {
		if q == p {
			return name
		}
	}
	return string(p)
}

// changeAlias takes an alias off devices.
func (x *exchange) changeAlias() (any, error) {
	m, err := x.members()
	if err != nil {
		return nil, err
	}
	if len(m.Add) > 0 {
		return nil, refuse(codeDeviceValue, "registration_ids.add: an alias is put on a device with POST /v3/devices/{registration_id}")
	}
	_, err = x.a.service.Devices.ChangeAlias(x.r.Context(), x.p, herald.Alias(x.args[0]), m)
	return nothing{}, err
}

func (x *exchange) deleteAlias() (any, error) {
	alias := herald.Alias(x.args[0])
	list, err := x.aliased()
	if err != nil {
		return nil, err
	}
	if x.query.Get("platform") == "" {
		err = x.a.service.Devices.DeleteAlias(x.r.Context(), x.p, alias)
	} else if len(list) > 0 {
		m := api.Members{}
		for _, d := range list {
			m.Remove = append(m.Remove, d.RegistrationID)
		}
		_, err = x.a.service.Devices.ChangeAlias(x.r.Context(), x.p, alias, m)
	}
	if herald.CodeOf(err) == herald.CodeNotFound {
		err = nil // it is gone, as was asked
	}
	return nothing{}, err
}

type tagList struct {
	Tags []herald.Tag `json:"tags"`
}

func (x *exchange) listTags() (any, error) {
	page, err := x.a.service.Devices.Tags(x.r.Context(), x.p, "", "", maxListedTags)
	if err != nil {
		return nil, err
	}
	out := tagList{[]herald.Tag{}}
	for _, t := range page.Tags {
		out.Tags = append(out.Tags, t.Tag)
	}
	return out, nil
}

type tagAnswer struct {
	Result bool `json:"result"`
}

func (x *exchange) hasTag() (any, error) {
	v, err := x.device(x.args[1])
	if err != nil {
		return nil, err
	}
	return tagAnswer{slices.Contains(v.Tags, herald.Tag(x.args[0]))}, nil
}

// members reads devices to add and to remove. All of them have to be devices of
// the app.
func (x *exchange) members() (api.Members, error) {
	o, err := readObject(x.body)
	if err != nil {
		return api.Members{}, x.valued(err)
	}
	in := o.object("registration_ids")
	if o.r.err == nil && in == nil {
		return api.Members{}, refuse(codeDeviceValue, "registration_ids is missing")
	}
	var add, remove []string
	if in != nil {
		add, remove = in.texts("add", maxTargets), in.texts("remove", maxTargets)
		in.done()
	}
	o.done()
	if o.r.err != nil {
		return api.Members{}, x.valued(o.r.err)
	}
	if len(add)+len(remove) == 0 {
		return api.Members{}, refuse(codeDeviceValue, "registration_ids names no device")
	}
	m := api.Members{Add: registrationIDs(add), Remove: registrationIDs(remove)}
	for _, list := range [][]herald.RegistrationID{m.Add, m.Remove} {
		known, err := x.a.service.Devices.Find(x.r.Context(), x.p, list)
		if err != nil {
			return m, err
		}
		for _, id := range list {
			if _, ok := known[id]; !ok {
				return m, unknownDevice(string(id))
			}
		}
	}
	for i, list := range [][]string{add, remove} {
		if len(list) != len([][]herald.RegistrationID{m.Add, m.Remove}[i]) {
			return m, refuse(codeDeviceValue, "registration_ids has what is no registration ID of this app")
		}
	}
	return m, nil
}

func (x *exchange) changeTag() (any, error) {
	tag := x.args[0]
	if !validName(tag) {
		return nil, refuse(codeDeviceValue, "the tag must have 1 to %d bytes", maxName)
	}
	m, err := x.members()
	if err != nil {
		return nil, err
	}
	_, err = x.a.service.Devices.ChangeTag(x.r.Context(), x.p, herald.Tag(tag), api.TagMembers{Members: m})
	return nothing{}, err
}

func (x *exchange) deleteTag() (any, error) {
	platforms, err := x.platformsIn()
	if err != nil {
		return nil, err
	}
	if platforms == nil {
		err = x.a.service.Devices.DeleteTag(x.r.Context(), x.p, herald.Tag(x.args[0]))
	} else {
		err = x.a.service.Devices.DeleteTagOn(x.r.Context(), x.p, herald.Tag(x.args[0]), platforms...)
	}
	if herald.CodeOf(err) == herald.CodeNotFound {
		err = nil // it is gone, as was asked
	}
	return nothing{}, err
}

// presence says whether a device is there; nothing for one that is not of the
// app.
type presence struct {
	Online *bool  `json:"online,omitempty"`
	Last   string `json:"last_online_time,omitempty"`
}

func (x *exchange) deviceStatus() (any, error) {
	o, err := readObject(x.body)
	if err != nil {
		return nil, x.valued(err)
	}
	ids := o.texts("registration_ids", maxTargets)
	o.done()
	if o.r.err != nil {
		return nil, x.valued(o.r.err)
	}
	if len(ids) == 0 {
		return nil, refuse(codeDeviceValue, "registration_ids names no device")
	}
	known, err := x.a.service.Devices.Find(x.r.Context(), x.p, registrationIDs(ids))
	if err != nil {
		return nil, err
	}
	now := x.a.cfg.Now()
	out := make(map[string]presence, len(ids))
	for _, id := range ids {
		v, ok := known[herald.RegistrationID(id)]
		if !ok {
			out[id] = presence{}
			continue
		}
		ago := now.Sub(v.SeenAt)
		online := v.Online || ago < onlineFor
		one := presence{Online: &online}
		if !online && ago < lastOnlineFor {
			one.Last = v.SeenAt.In(x.a.cfg.Zone).Format(secondForm)
		}
		out[id] = one
	}
	return out, nil
}
