package jpush

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

// payload is a push as it was read, and what it is for the service.
type payload struct {
	cid       string
	sendno    string
	override  herald.MessageID // the message that it replaces; 0 for none
	platforms []herald.Platform
	allOf     bool // platform was "all"
	req       api.SendRequest
	duration  int64 // seconds that it is spread over; 0 for at once
}

// kind says what is special about a push in one of the calls that take one.
type kind struct {
	single *herald.Audience // of an entry of a batch: who it is for is there already
	file   bool             // the audience is a file
	nested bool             // within a schedule, where a cid says nothing
}

// jpushPlatforms are the platforms that a push may name, and what Herald calls
// them.
var jpushPlatforms = map[string]herald.Platform{
	"android": herald.PlatformAndroid, "ios": herald.PlatformIOS, "hmos": herald.PlatformHMOS,
	"quickapp": herald.PlatformQuickapp, "winphone": herald.PlatformWindows,
}

// readPayload reads a push.
func readPayload(o *object, k kind) (*payload, error) {
	p := &payload{sendno: "0"}
	p.req.RequireTarget = true
	p.cid = o.text("cid")
	switch {
	case k.nested:
		p.cid = ""
	case !validCID(p.cid):
		o.r.refuse(codeValue, "cid must have at most 64 letters, digits, - and _")
	}
	p.readPlatform(o)
	vendors := vendorNotes{}
	p.readOptions(o, vendors)
	c := &content{p: p, vendors: vendors}
	c.read(o)
	var audience herald.Audience
	if k.single != nil {
		audience = *k.single
	} else {
		audience = readAudience(o, k.file)
	}
	readSMS(o, vendors)
	readCallback(o, vendors)
	o.done()
	if o.r.err != nil {
		return nil, o.r.err
	}
	c.finish(o)
	p.req.Audience = p.within(audience)
	p.spread()
	p.way(vendors)
	if p.override != 0 { // then the older message says which key it is
		p.req.Replaces, p.req.CollapseKey = p.override, ""
	}
	var err error
	if p.req.Vendors, err = vendors.options(); err != nil {
		return nil, err
	}
	return p, o.r.result()
}

// leastWait is how long the last device of a slow push may take to connect.
const leastWait = 60 // seconds

// spread makes a slow push of one that has a duration. What waits for devices
// that are away counts from when the last of them had its turn.
func (p *payload) spread() {
	if p.duration == 0 {
		return
	}
	wait := int64(herald.DefaultTTL / time.Second)
	if p.req.TTL != nil {
		wait = max(*p.req.TTL, leastWait)
	}
	wait += p.duration
	p.req.TTL, p.req.Spread = &wait, &herald.Spread{Over: p.duration}
}

// validCID checks an idempotency key; "" is none.
func validCID(s string) bool {
	return len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// readPlatform reads "all", one platform, or a list of them.
func (p *payload) readPlatform(o *object) {
	raw := o.raw("platform")
	if raw == nil {
		o.r.refuse(codeMissing, "platform is missing")
		return
	}
	var names []string
	var one string
	if json.Unmarshal(raw, &one) == nil {
		names = []string{one}
	} else {
		var err error
		if names, err = texts(raw); err != nil {
			o.r.refuse(codeValue, "platform must be \"all\" or a list of platforms")
			return
		}
	}
	if len(names) == 0 {
		o.r.refuse(codeValue, "platform names none")
	}
	for _, name := range names {
		name = strings.ToLower(name)
		known, ok := jpushPlatforms[name]
		switch {
		case name == "all":
			p.allOf = true
		case !ok:
			o.r.refuse(codeValue, "platform has %.20q", name)
		case !slices.Contains(p.platforms, known):
			p.platforms = append(p.platforms, known)
		}
	}
}

// targets reports whether the push is for a platform.
func (p *payload) targets(platform herald.Platform) bool {
	return p.allOf || slices.Contains(p.platforms, platform)
}

// only narrows the push to some platforms.
func (p *payload) only(platforms []herald.Platform) {
	var out []herald.Platform
	for _, q := range platforms {
		if p.targets(q) {
			out = append(out, q)
		}
	}
	p.platforms, p.allOf = out, false
}

// within adds the platforms to an audience.
func (p *payload) within(a herald.Audience) herald.Audience {
	if p.allOf {
		return a
	}
	a.All, a.Platforms = false, p.platforms
	return a
}

// The limits of an audience.
const (
	maxTags    = 20
	maxTargets = 1000
	maxName    = 40 // bytes of a tag or alias
)

// readAudience reads who a push is for. An empty list counts as absent.
func readAudience(o *object, file bool) (a herald.Audience) {
	raw := o.raw("audience")
	if raw == nil {
		o.r.refuse(codeMissing, "audience is missing")
		return a
	}
	var all string
	if json.Unmarshal(raw, &all) == nil {
		if all != "all" || file {
			o.r.refuse(codeValue, "audience must be \"all\" or an object, and for a file an object with it")
		}
		return herald.Audience{All: true}
	}
	in := o.r.object("audience", raw)
	if in == nil {
		return a
	}
	a.Tags = named[herald.Tag](in, "tag", maxTags)
	a.TagsAnd = named[herald.Tag](in, "tag_and", maxTags)
	a.TagsNot = named[herald.Tag](in, "tag_not", maxTags)
	a.Aliases = named[herald.Alias](in, "alias", maxTargets)
	if ids := in.texts("registration_id", maxTargets); len(ids) > 0 {
		a.RegistrationIDs = registrationIDs(ids)
	}
	a.Segments = in.texts("segment", 1)
	if test := in.texts("abtest", 1); len(test) > 0 {
		a.And = []herald.Audience{{Segments: test}}
	}
	if len(a.Segments) == 0 {
		a.Segments = nil
	}
	if in.text("live_activity_id") != "" {
		a.RegistrationIDs = []herald.RegistrationID{} // no device has one here
	}
	if f := in.object("file"); f != nil {
		id := f.text("file_id")
		f.done()
		switch {
		case !file:
			o.r.refuse(codeValue, "audience.file belongs to /v3/push/file")
		case id == "":
			o.r.refuse(codeMissing, "audience.file.file_id is missing")
		}
		a.Files = []herald.FileID{herald.FileID(id)}
	} else if file {
		o.r.refuse(codeMissing, "audience.file is missing")
	}
	in.done()
	if isEmpty(a) {
		o.r.refuse(codeMissing, "audience names nobody")
	}
	return a
}

func isEmpty(a herald.Audience) bool {
	return a.Tags == nil && a.TagsAnd == nil && a.TagsNot == nil && a.Aliases == nil && a.RegistrationIDs == nil &&
		a.Segments == nil && a.And == nil && a.Files == nil
}

// named takes a list of tags or aliases; nil if it is absent or empty.
func named[S ~string](o *object, name string, most int) []S {
	var out []S
	for _, s := range o.texts(name, most) {
		if !validName(s) {
			o.r.refuse(codeValue, "%s: %.60q is not a name of 1 to %d bytes", o.path(name), s, maxName)
		}
		out = append(out, S(s))
	}
	return out
}

func validName(s string) bool { return len(s) <= maxName && herald.ValidName("", s) == nil }

// registrationIDs gives those of some IDs that could be one of Herald's. What
// JPush itself gave out is that of a device that is not here.
func registrationIDs(ids []string) []herald.RegistrationID {
	out := []herald.RegistrationID{}
	for _, id := range ids {
		if r := herald.RegistrationID(id); r.Valid() {
			out = append(out, r)
		}
	}
	return out
}

// The limits of options.
const (
	maxTTL      = 10 * 24 * 60 * 60 // seconds
	maxDuration = 1400              // minutes
	maxCollapse = 64                // bytes
)

// optionsKept are those that only vendors or JPush's own products look at.
var optionsKept = []string{
	"target_event", "test_message", "receipt_id", "active_push", "need_backup", "business_operation_code", "notification_3rd_ver",
	"alternate_set", "geofence", "portal_extra", "auto_truncation", "mkt_enable", "notification_switch_filter",
}

func (p *payload) readOptions(body *object, vendors vendorNotes) {
	o := body.object("options")
	if o == nil {
		return
	}
	if n := o.number("sendno", math.MinInt64, math.MaxInt64); n != nil {
		p.sendno = strconv.FormatInt(*n, 10)
	}
	p.req.TTL = o.number("time_to_live", 0, maxTTL)
	if id := o.number("override_msg_id", 1, math.MaxInt64); id != nil {
		p.override = herald.MessageID(*id)
	}
	if v := o.truth("apns_production"); v != nil {
		vendors.note(herald.VendorAPNs, "production", *v)
	}
	if key := o.text("apns_collapse_id"); key != "" {
		if len(key) > maxCollapse || herald.ValidName("", key) != nil {
			o.r.refuse(codeValue, "options.apns_collapse_id must have at most %d bytes", maxCollapse)
		}
		p.req.CollapseKey = key
		vendors.note(herald.VendorAPNs, "collapse_id", key)
	}
	minutes := o.number("big_push_duration", 0, maxDuration)
	if minutes != nil {
		p.duration = *minutes * 60
	}
	if n := o.number("classification", 0, 1); n != nil {
		vendors.note(herald.EveryVendor, "classification", *n)
	}
	if test := o.truth("test_model"); test != nil && *test {
		// Who tests must not reach everybody.
		o.r.err = &refusal{status: 403, code: codeForbidden, message: "options.test_model: there are no test devices here; send to registration IDs"}
	}
	p.checkActive(o, body, minutes != nil)
	for _, name := range optionsKept {
		if v := o.raw(name); v != nil {
			vendors.note(herald.EveryVendor, name, v)
		}
	}
	readChannels(o, vendors)
	o.done()
}

// checkActive checks a push that waits for the screen to be on.
func (p *payload) checkActive(o, body *object, spread bool) {
	raw := o.left["active_push"]
	if active := o.truth("active_push"); active == nil || !*active {
		return
	}
	o.left["active_push"] = raw // it is kept
	if spread || body.has("message") || !body.has("notification") {
		o.r.refuse(codeActivePush, "options.active_push needs a notification alone, and no big_push_duration")
	}
}
