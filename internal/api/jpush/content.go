package jpush

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/herald-push/herald"
)

// The largest parts of a push, in bytes of JSON.
const (
	maxAndroid = 4000 // notification and message together
	maxIOS     = 2000 // the notification
	maxMessage = 4000
	maxWindows = 1000
)

// data is what an app gets as data of a message that came by this API. What is
// absent was not said.
type data struct {
	// Extras of the notification, for the platform of the device.
	Extras json.RawMessage `json:"extras,omitempty"`
	// Options are the other members of the platform's notification, by their
	// names: channel_id, style, intent and so on.
	Options map[string]json.RawMessage `json:"options,omitempty"`
	// Message is the custom message.
	Message *custom `json:"message,omitempty"`
	// InApp tells that the notification is meant to be shown within the app.
	InApp bool `json:"inapp_message,omitempty"`
	// Activity is of a live activity.
	Activity json.RawMessage `json:"live_activity,omitempty"`
}

// custom is a custom message.
type custom struct {
	Content          string          `json:"msg_content"`
	Title            string          `json:"title,omitempty"`
	ContentType      string          `json:"content_type,omitempty"`
	Extras           json.RawMessage `json:"extras,omitempty"`
	AlternateTitle   string          `json:"alternate_title,omitempty"`
	AlternateContent string          `json:"alternate_content,omitempty"`
}

func (d data) json() json.RawMessage {
	b, err := json.Marshal(d)
	if err != nil {
		panic(err) // of text, and of what was JSON
	}
	return b
}

func (d data) empty() bool {
	return d.Extras == nil && len(d.Options) == 0 && d.Message == nil && !d.InApp && d.Activity == nil
}

// content is what a push says, as it is read.
type content struct {
	p       *payload
	vendors vendorNotes

	notified bool // there is a notification
	alert    string
	shown    map[herald.Platform]herald.Notification // by platform
	said     map[herald.Platform]data
	sizes    map[herald.Platform]int // of the notification
	common   data                    // what devices on all platforms get
	message  int                     // the size of the custom message
	live     bool
}

// read reads what a push says.
func (c *content) read(o *object) {
	c.shown, c.said, c.sizes = map[herald.Platform]herald.Notification{}, map[herald.Platform]data{}, map[herald.Platform]int{}
	if raw := o.raw("notification"); raw != nil {
		c.readNotification(o, raw)
	}
	c.readMessage(o)
	if in := o.object("inapp_message"); in != nil {
		if v := in.truth("inapp_message"); v != nil && *v {
			if c.common.InApp = true; !c.notified {
				o.r.refuse(codeValue, "inapp_message needs a notification")
			}
		}
		in.done()
	}
	c.readActivity(o)
	version2 := bytes.Contains(notesOf(c.vendors, "notification_3rd_ver"), []byte("v2"))
	readThird(o, version2, c.vendors)
	if !c.notified && c.common.Message == nil && !c.live {
		o.r.refuse(codeMissing, "notification and message are missing; give one of them")
	}
}

// notesOf gives what was noted for every vendor under a name.
func notesOf(n vendorNotes, name string) []byte {
	raw, _ := n[herald.EveryVendor][name].(json.RawMessage)
	return raw
}

func (c *content) readNotification(body *object, raw json.RawMessage) {
	var alert string
	if json.Unmarshal(raw, &alert) == nil { // the short form of {"alert": …}
		c.alert, c.notified = alert, true
		return
	}
	o := body.r.object("notification", raw)
	if o == nil {
		return
	}
	hasAlert := o.has("alert")
	c.alert = o.text("alert")
	if alternate := o.text("alternate_alert"); alternate != "" {
		c.vendors.note(herald.EveryVendor, "alternate_alert", alternate)
	}
	for _, name := range slices.Sorted(maps.Keys(jpushPlatforms)) {
		if raw := o.raw(name); raw != nil {
			c.readPlatform(o, name, raw, hasAlert)
		}
	}
	if voip := o.raw("voip"); voip != nil && o.r.object("notification.voip", voip) != nil {
		c.vendors.note(herald.VendorAPNs, "voip", voip)
		c.notified = true
	}
	o.done()
	c.notified = c.notified || hasAlert || len(c.shown) > 0
	if !c.notified {
		o.r.refuse(codeMissing, "notification.alert is missing")
	}
}

// readPlatform reads the notification of one platform.
func (c *content) readPlatform(parent *object, name string, raw json.RawMessage, hasAlert bool) {
	platform := jpushPlatforms[name]
	in := parent.r.object(parent.path(name), raw)
	if in == nil {
		return
	}
	if !hasAlert && !in.has("alert") {
		in.r.refuse(codeMissing, "%s.alert is missing", in.at)
	}
	n, d := c.notification(in, platform)
	d.Options = map[string]json.RawMessage{}
	for member, v := range in.left {
		if string(v) != "null" && !slices.Contains([]string{"alert", "title", "extras"}, member) {
			d.Options[member] = compact(v)
		}
	}
	c.shown[platform], c.said[platform], c.sizes[platform] = n, d, len(compact(raw))
	readMembers(in, platformMembers[platform])
}

// notification reads those members of a platform that Herald has too. They stay
// to be checked.
func (c *content) notification(in *object, platform herald.Platform) (n herald.Notification, d data) {
	text := func(name string) (s string) {
		_ = json.Unmarshal(in.left[name], &s) // its form is checked later
		return s
	}
	n.Title, n.Body, n.Sound, n.Click = text("title"), text("alert"), text("sound"), clickOf(in.left["intent"])
	if s := text("big_pic_path"); isPicture(s) {
		n.Image = s
	}
	if raw := in.left["extras"]; raw != nil && string(raw) != "null" {
		d.Extras = compact(raw)
	}
	number := in.left["badge_set_num"]
	if platform == herald.PlatformIOS {
		number = in.left["badge"]
		c.readIOS(in, &n, &d)
	}
	if b, err := strconv.Atoi(string(bytes.Trim(number, `"`))); err == nil && b >= 0 && !bytes.ContainsAny(number, "+") {
		n.Badge = &b
	}
	return n, d
}

// readIOS reads the members of iOS that may be objects.
func (c *content) readIOS(in *object, n *herald.Notification, d *data) {
	var alert struct {
		Title string `json:"title"`
		Body  string `json:"body"`
	}
	if raw := in.left["alert"]; len(raw) > 0 && raw[0] == '{' {
		if json.Unmarshal(raw, &alert) != nil {
			in.r.refuse(codeValue, "%s.alert is no alert of APNs", in.at)
		}
		n.Title, n.Body = alert.Title, alert.Body
		c.vendors.note(herald.VendorAPNs, "alert", raw)
	} else if len(raw) > 0 && raw[0] != '"' && string(raw) != "null" {
		in.r.refuse(codeValue, "%s.alert must be a string or an object", in.at)
	}
	var sound struct {
		Name string `json:"name"`
	}
	if raw := in.left["sound"]; len(raw) > 0 && raw[0] == '{' && json.Unmarshal(raw, &sound) == nil {
		n.Sound = sound.Name
	} else if len(raw) > 0 && raw[0] != '"' && string(raw) != "null" {
		in.r.refuse(codeValue, "%s.sound must be a string or an object", in.at)
	}
	if raw := in.left["badge"]; len(raw) > 0 && string(raw) != "null" {
		s := string(bytes.Trim(raw, `"`))
		if _, err := strconv.Atoi(s); err != nil && s != "" {
			in.r.refuse(codeValue, "%s.badge must be a number, or such as \"+1\"", in.at)
		}
	}
	var level string
	if raw := in.left["interruption-level"]; json.Unmarshal(raw, &level) == nil && level != "" && !slices.Contains(levels, level) {
		in.r.refuse(codeValue, "%s.interruption-level must be one of %v", in.at, levels)
	}
}

// readMessage reads the custom message. An empty object counts as absent.
func (c *content) readMessage(body *object) {
	raw := body.left["message"]
	o := body.object("message")
	if o == nil || len(o.left) == 0 {
		return
	}
	m := &custom{Title: o.text("title"), ContentType: o.text("content_type"), AlternateTitle: o.text("alternate_title"), AlternateContent: o.text("alternate_content")}
	said := o.raw("msg_content")
	switch {
	case said == nil:
		o.r.refuse(codeMissing, "message.msg_content is missing")
	case json.Unmarshal(said, &m.Content) != nil:
		m.Content = string(compact(said)) // any JSON, as text
	}
	if extras := o.left["extras"]; o.object("extras") != nil {
		m.Extras = compact(extras)
	}
	o.done()
	c.common.Message, c.message = m, len(compact(raw))
}

// readActivity reads a live activity of iOS, which stands alone. Apps get it as
// data; nothing can start one on a device that is not connected.
func (c *content) readActivity(body *object) {
	raw := body.left["live_activity"]
	o := body.object("live_activity")
	if o == nil {
		return
	}
	if c.notified || c.common.Message != nil {
		o.r.refuse(codeValue, "live_activity excludes notification and message")
	}
	in := o.object("ios")
	if in == nil {
		o.r.refuse(codeMissing, "live_activity.ios is missing")
		return
	}
	if event := in.text("event"); !slices.Contains([]string{"start", "update", "end"}, event) {
		in.r.refuse(codeValue, "live_activity.ios.event must be start, update or end")
	}
	if in.object("content-state") == nil {
		in.r.refuse(codeMissing, "live_activity.ios.content-state is missing")
	}
	if !c.p.targets(herald.PlatformIOS) {
		in.r.refuse(codeValue, "live_activity is for the platform ios")
	}
	o.done()
	var activity struct {
		IOS json.RawMessage `json:"ios"`
	}
	_ = json.Unmarshal(raw, &activity) // it was read above
	c.live, c.common.Activity = true, compact(activity.IOS)
	c.vendors.note(herald.VendorAPNs, "live_activity", c.common.Activity)
}

// finish holds what was read against the limits, and makes a message of it.
func (c *content) finish(o *object) {
	if c.live {
		c.p.only([]herald.Platform{herald.PlatformIOS})
	} else if c.alert == "" && c.common.Message == nil && len(c.shown) > 0 {
		// Where nothing is said, nothing is sent.
		c.p.only(slices.Sorted(maps.Keys(c.shown)))
		if len(c.p.platforms) == 0 {
			o.r.refuse(codeMissing, "notification has nothing for the platforms that are named")
			return
		}
	}
	c.checkSizes(o)
	out := herald.Content{PlatformData: map[herald.Platform]json.RawMessage{}}
	if !c.common.empty() {
		out.Data = c.common.json()
	}
	if c.notified {
		out.Notification = &herald.Notification{Body: c.alert, Platforms: map[herald.Platform]herald.Notification{}}
	}
	for platform, n := range c.shown {
		if !c.p.targets(platform) {
			continue
		}
		out.Notification.Platforms[platform] = n
		d := c.said[platform]
		if d.empty() {
			continue // it is as for the others
		}
		d.Message, d.InApp = c.common.Message, c.common.InApp
		out.PlatformData[platform] = d.json()
	}
	c.put(out)
}

// put gives the message its content: without overrides where it is for one
// platform alone, and with a body for platforms that have no own.
func (c *content) put(out herald.Content) {
	if len(c.p.platforms) == 1 && !c.p.allOf {
		out, _ = out.For(c.p.platforms[0])
	}
	n := out.Notification
	if n != nil && len(n.Platforms) == 0 {
		n.Platforms = nil
	}
	if n != nil && n.Empty() {
		n = nil // "" shows nothing
	}
	if len(out.PlatformData) == 0 {
		out.PlatformData = nil
	}
	if n == nil && out.Data == nil && out.PlatformData == nil {
		out.Data = json.RawMessage("{}")
	}
	c.p.req.Notification, c.p.req.Data, c.p.req.PlatformData = n, out.Data, out.PlatformData
}

// checkSizes holds the parts of a push against their limits.
func (c *content) checkSizes(o *object) {
	of := func(p herald.Platform) int {
		if n, ok := c.sizes[p]; ok {
			return n
		}
		return len(c.alert)
	}
	for _, x := range []struct {
		platform   herald.Platform
		size, most int
		what       string
	}{
		{herald.PlatformAndroid, of(herald.PlatformAndroid) + c.message, maxAndroid, "notification and message for android"},
		{herald.PlatformIOS, of(herald.PlatformIOS), maxIOS, "notification for ios"},
		{herald.PlatformIOS, c.message, maxMessage, "message for ios"},
		{herald.PlatformHMOS, of(herald.PlatformHMOS) + c.message, maxAndroid, "notification and message for hmos"},
		{herald.PlatformWindows, c.sizes[herald.PlatformWindows], maxWindows, "notification for winphone"},
	} {
		if c.p.targets(x.platform) && x.size > x.most {
			o.r.refuse(codeTooLong, "the %s has %d bytes, more than %d", x.what, x.size, x.most)
		}
	}
}

// compact gives JSON without white space.
func compact(raw json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}
