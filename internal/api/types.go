package api

import (
	"encoding/json"
	"time"

	"github.com/herald-push/herald"
)

// SendRequest is the body of POST /v1/messages.
type SendRequest struct {
	Audience      herald.Audience      `json:"audience" doc:"Who the message is for: \"all\", or an object."`
	Notification  *herald.Notification `json:"notification,omitempty" doc:"The visible part. A message may have only data."`
	Data          json.RawMessage      `json:"data,omitempty" doc:"Any JSON for the app itself."`
	TTL           *int64               `json:"ttl,omitempty" minimum:"0" maximum:"2592000" default:"86400" doc:"Seconds the message may wait, from the moment it is due. 0 reaches only who is connected now, and is not stored."`
	Priority      herald.Priority      `json:"priority,omitempty" enum:"low,normal,high" default:"normal"`
	CollapseKey   string               `json:"collapse_key,omitempty" maxLength:"128" doc:"A newer message with the same key replaces this one where it was not received yet."`
	OrderingKey   string               `json:"ordering_key,omitempty" maxLength:"128" doc:"Messages with the same key arrive in the order they were accepted. Default: one order for the app."`
	SendAt        *time.Time           `json:"send_at,omitempty" doc:"When to send, at most a year ahead. The audience is evaluated then."`
	RequireTarget bool                 `json:"require_target,omitempty" doc:"Refuse the message (422) if the audience is empty."`
	Spread        *herald.Spread       `json:"spread,omitempty" doc:"Release it over a time, in steps, instead of to all at once. It can be paused, resumed and stopped on the way."`
	SendAtLocal   string               `json:"send_at_local,omitempty" pattern:"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}$" doc:"When to send by the clock of each device, as 2026-11-22T09:00:00. A device that names no time zone has that of the app. The audience is evaluated when the first zone of the world reaches it, and the ttl counts from when the last one does."`
	QuietHours    string               `json:"quiet_hours,omitempty" enum:"respect,ignore" doc:"Whether a device that is in the quiet hours of the app gets it when they end. Default: respect, but for messages of high priority, with a ttl of 0, or with send_at_local."`
	Template      *TemplateUse         `json:"template,omitempty" doc:"Makes the content from a template, in the place of notification; data, if it is given, is in the place of the template's."`
	Category      string               `json:"category,omitempty" maxLength:"128" doc:"What kind of message it is for the app, such as news: frequency caps and reports go by it. Devices are not told."`
	Replaces      herald.MessageID     `json:"replaces,omitempty" doc:"An older message that this one overrides. The older one ends as replaced wherever it was not received, also for devices that this one is not for; this one takes its collapse key (its ID, if it has none), so that devices that show the older one show this one in its place. Not with collapse_key or a ttl of 0."`
	// PlatformData and Vendors: see herald.Content and herald.VendorOptions.
	PlatformData map[herald.Platform]json.RawMessage `json:"platform_data,omitempty" doc:"Data that differs on one platform, by its name: its devices get it in the place of data."`
	Vendors      herald.VendorOptions                `json:"vendors,omitempty" doc:"What vendors are told beside the content, an object by the name of each: apns, fcm, huawei, honor, xiaomi, oppo, vivo, meizu, nio, asus, hmos, wns, sms, or all. It is kept with the message and shown, and no device gets it. Where no channel to a vendor is configured, the trace says so."`
	// Route, Debug and Digest: see herald.Route and herald.Digest.
	Route  *herald.RouteUse `json:"route,omitempty" doc:"By which ways the message goes to people, in order: the name of a route of the app (PUT /v1/routes/{name}), or steps. Default: the route of the app called default, of which steps that come after the ttl are left out; where there is none, live for who is connected, and else the vendor of the device at once. With a ttl of 0 only live."`
	Debug  bool             `json:"debug,omitempty" doc:"Keep what is said with vendors about this message, without secrets, if it is for at most 1,000 devices."`
	Digest *herald.Digest   `json:"digest,omitempty" doc:"Have messages with the same key that come within a window become one, on ways that act once for a person. Not with a ttl of 0."`
}

// SendAnswer is what an accepted message is answered with.
type SendAnswer struct {
	ID       herald.MessageID `json:"id"`
	Target   *int64           `json:"target" doc:"Devices in the audience; null if the message is scheduled."`
	Estimate *int64           `json:"estimate,omitempty" doc:"For a scheduled message: what the target would be now."`
	Unknown  int64            `json:"unknown" doc:"Registration IDs and aliases in the audience that nobody has."`
	Stored   bool             `json:"stored" doc:"True: message and audience are on stable storage. False only for TTL 0."`
	Awaiting bool             `json:"awaiting_approval,omitempty" doc:"True: it is for more devices than the app lets one key send to, and waits for another key: POST /v1/messages/{id}:approve."`
}

// MessageView is a message as its sender sees it.
type MessageView struct {
	ID           herald.MessageID     `json:"id"`
	State        herald.MessageState  `json:"state" enum:"awaiting_approval,scheduled,sending,done,withdrawn,expired,replaced,rejected"`
	Audience     herald.Audience      `json:"audience"`
	Notification *herald.Notification `json:"notification,omitempty"`
	Data         json.RawMessage      `json:"data,omitempty"`
	TTL          int64                `json:"ttl" doc:"Seconds."`
	Priority     herald.Priority      `json:"priority"`
	CollapseKey  string               `json:"collapse_key,omitempty"`
	OrderingKey  string               `json:"ordering_key,omitempty"`
	Category     string               `json:"category,omitempty" doc:"What kind of message it is for the app."`
	Replaces     herald.MessageID     `json:"replaces,omitempty" doc:"The older message that this one overrides."`
	Approval     *ApprovalView        `json:"approval,omitempty" doc:"Of a message that a second key has to approve, or had to."`
	Template     *TemplateSource      `json:"template,omitempty" doc:"The template that its content was made from. What is changed there later does not change the message."`
	Stored       bool                 `json:"stored"`
	AcceptedAt   time.Time            `json:"accepted_at"`
	SendAt       *time.Time           `json:"send_at,omitempty"`
	ExpiresAt    time.Time            `json:"expires_at"`
	EndedAt      *time.Time           `json:"ended_at,omitempty"`
	Unknown      int64                `json:"unknown"`
	// Spread, SendAtLocal and QuietHours are as they were sent.
	Spread      *herald.Spread `json:"spread,omitempty"`
	SendAtLocal string         `json:"send_at_local,omitempty"`
	QuietHours  string         `json:"quiet_hours,omitempty"`
	// Release is absent if the message is released to all at once.
	Release *Release `json:"release,omitempty" doc:"How far the release is of a message that is not released to all at once."`
	Paused  bool     `json:"paused,omitempty" doc:"Nobody more is released it until it is resumed."`
	// Segments is absent in lists and while the message is scheduled.
	Segments map[string]herald.Audience `json:"segments,omitempty" doc:"What the segments in the audience stood for when it was evaluated."`
	// Counts is absent while the message is scheduled, and in a list if what is
	// needed for it is damaged.
	Counts       *herald.Counts                      `json:"counts,omitempty"`
	PlatformData map[herald.Platform]json.RawMessage `json:"platform_data,omitempty" doc:"Data that differs on one platform."`
	Vendors      herald.VendorOptions                `json:"vendors,omitempty" doc:"What vendors are told beside the content."`
	Route        *MessageRoute                       `json:"route,omitempty" doc:"By which ways it goes to people. Absent: live for who is connected, and else the vendor of the device at once; with a ttl of 0 only live."`
	Debug        bool                                `json:"debug,omitempty" doc:"What is said with vendors about it is kept."`
	Digest       *herald.Digest                      `json:"digest,omitempty" doc:"With which messages it becomes one."`
	// Schedule is absent if no schedule made the message.
	Schedule *MessageSchedule `json:"schedule,omitempty" doc:"The schedule that made the message, and the occurrence that it was made for."`
}

// MessageSchedule says which occurrence of a schedule a message was made for.
type MessageSchedule struct {
	ID         herald.ScheduleID `json:"id"`
	Occurrence time.Time         `json:"occurrence"`
}

// Release says how far the release of a message is.
type Release struct {
	Devices  int64      `json:"devices" doc:"Those of the audience."`
	Released int64      `json:"released" doc:"Of these, whom it was released to. The others count as pending."`
	Steps    int64      `json:"steps" doc:"Releases that were made."`
	NextAt   *time.Time `json:"next_at,omitempty" doc:"When the next one is made; absent if none is."`
	Stopped  bool       `json:"stopped,omitempty" doc:"Who was not released it never gets it, and counts as withdrawn."`
}

// MessagePage is one page of messages, newest first.
type MessagePage struct {
	Messages   []MessageView `json:"messages"`
	NextCursor string        `json:"next_cursor,omitempty" doc:"Give it as cursor to get the next page; absent on the last."`
}

// Trace is what happened to one message on one device.
type Trace struct {
	MessageID      herald.MessageID      `json:"message_id"`
	RegistrationID herald.RegistrationID `json:"registration_id"`
	State          herald.DeliveryState  `json:"state,omitempty" doc:"Absent if the device is not in the message's target."`
	Summary        string                `json:"summary" doc:"A sentence that says what became of the message here, and why."`
	Steps          []TraceStep           `json:"steps"`
}

// TraceStep is one event in a trace.
type TraceStep struct {
	Time  time.Time `json:"time"`
	Event string    `json:"event" doc:"accepted, scheduled, released, no_channel (the message says something for a vendor of which the app has no credential), vendor_accepted, vendor_failed, vendor_unknown or vendor_skipped (what came of asking a vendor), or a delivery state."`
	Via   string    `json:"via,omitempty" doc:"The transport or way by which it came."`
	Text  string    `json:"text" doc:"The same in words."`
}

// Estimate says how many devices an audience comes to.
type Estimate struct {
	Devices int64 `json:"devices"`
	Online  int64 `json:"online" doc:"Of these, connected to this node now."`
	Unknown int64 `json:"unknown"`
}

// Profile is what a device says of itself.
type Profile struct {
	Platform   herald.Platform `json:"platform,omitempty" enum:"web,android,ios,hmos,quickapp,windows,macos,linux,embedded,other" default:"other"`
	AppVersion string          `json:"app_version,omitempty" maxLength:"128"`
	Language   string          `json:"language,omitempty" maxLength:"35" doc:"BCP 47, e.g. zh-CN."`
	TimeZone   string          `json:"time_zone,omitempty" maxLength:"64" doc:"IANA name, e.g. Asia/Shanghai."`
}

// RegisterRequest is the body of POST /v1/devices.
type RegisterRequest struct {
	AppKey       herald.AppKey     `json:"app_key,omitempty" doc:"Which app the device belongs to. May be left out when the Authorization header says it."`
	Installation string            `json:"installation,omitempty" minLength:"16" maxLength:"128" doc:"A random secret that the installation keeps. The same installation gets the same registration ID back; without one each call makes a new device."`
	Alias        herald.Alias      `json:"alias,omitempty" maxLength:"128" doc:"Needs a back end's credentials, or an app that allows it; else use alias_token."`
	AliasToken   string            `json:"alias_token,omitempty" maxLength:"4096" doc:"A JWT, signed by the app's back end, that binds an alias."`
	Tags         []herald.Tag      `json:"tags,omitempty" maxItems:"1000" doc:"Needs a back end's credentials, or an app that allows it."`
	Attributes   map[string]string `json:"attributes,omitempty"`
	Addresses    []DeviceAddress   `json:"addresses,omitempty" maxItems:"20" doc:"Vendors' ways to the device. Those of other vendors stay as they are."`
	Profile
}

// RegisterAnswer is what a device is told when it registers.
type RegisterAnswer struct {
	RegistrationID herald.RegistrationID `json:"registration_id"`
	Token          string                `json:"token" doc:"The device token. It is a secret of the device."`
	Created        bool                  `json:"created" doc:"False if the installation was known."`
}

// DeviceView is a device as its app sees it.
type DeviceView struct {
	RegistrationID herald.RegistrationID `json:"registration_id"`
	Profile
	Alias        herald.Alias      `json:"alias,omitempty"`
	Tags         []herald.Tag      `json:"tags"`
	Attributes   map[string]string `json:"attributes,omitempty"`
	Online       bool              `json:"online"`
	Transports   []string          `json:"transports,omitempty" doc:"Of the sessions that are open now."`
	RegisteredAt time.Time         `json:"registered_at"`
	SeenAt       time.Time         `json:"seen_at" doc:"Last registration or connection, to about a minute."`
	// Addresses are absent in lists.
	Addresses []DeviceAddressView `json:"addresses,omitempty" doc:"Vendors' ways to the device, newest first, also those that are not valid any more, at most five of a vendor."`
}

// DevicePage is one page of devices, in the order of registration.
type DevicePage struct {
	Devices    []DeviceView `json:"devices"`
	NextCursor string       `json:"next_cursor,omitempty"`
}

// DeviceUpdate is the body of PATCH /v1/devices/{registration_id}. Absent
// members stay as they are.
type DeviceUpdate struct {
	AppVersion *string            `json:"app_version,omitempty" maxLength:"128"`
	Language   *string            `json:"language,omitempty" maxLength:"35"`
	TimeZone   *string            `json:"time_zone,omitempty" maxLength:"64"`
	Alias      *herald.Alias      `json:"alias,omitempty" doc:"\"\" removes it. What waits for the old alias ends as rebound on this device."`
	AliasToken string             `json:"alias_token,omitempty" maxLength:"4096"`
	Tags       *[]herald.Tag      `json:"tags,omitempty" maxItems:"1000" doc:"All tags of the device from now on."`
	TagsAdd    []herald.Tag       `json:"tags_add,omitempty" maxItems:"1000"`
	TagsRemove []herald.Tag       `json:"tags_remove,omitempty" maxItems:"1000"`
	Attributes map[string]*string `json:"attributes,omitempty" doc:"Merged with those it has; null removes one."`
	Addresses  []DeviceAddress    `json:"addresses,omitempty" maxItems:"20" doc:"Those of other vendors stay as they are."`
	Revoke     bool               `json:"revoke_tokens,omitempty" doc:"Every token of the device dies; it has to register again."`
}

// DeviceQuery selects devices for listing.
type DeviceQuery struct {
	Alias    herald.Alias
	Tag      herald.Tag
	Platform herald.Platform
	Online   *bool
	Cursor   string
	Limit    int
}

// Members is the body of POST /v1/tags/{tag} and POST /v1/aliases/{alias}:
// devices to add and to remove.
type Members struct {
	Add    []herald.RegistrationID `json:"add,omitempty" maxItems:"1000"`
	Remove []herald.RegistrationID `json:"remove,omitempty" maxItems:"1000"`
}

// TagMembers is the body of POST /v1/tags/{tag}. Beside devices by name it takes
// uploaded lists, of up to a million devices each.
type TagMembers struct {
	Members
	AddFiles    []herald.FileID `json:"add_files,omitempty" maxItems:"100" doc:"Lists from POST /v1/files; all their devices get the tag."`
	RemoveFiles []herald.FileID `json:"remove_files,omitempty" maxItems:"100" doc:"Lists whose devices lose it."`
}

// MembersAnswer says what a change of members did.
type MembersAnswer struct {
	Added   int64                   `json:"added" doc:"Devices that have it now and did not before."`
	Removed int64                   `json:"removed"`
	Unknown []herald.RegistrationID `json:"unknown" doc:"Registration IDs that nobody has."`
}

// AliasView is an alias, which is a recipient, with its devices.
type AliasView struct {
	Alias     herald.Alias `json:"alias"`
	CreatedAt time.Time    `json:"created_at" doc:"When the alias was first bound, or made."`
	Devices   []DeviceView `json:"devices"`
}

// TagView is a tag with the number of its devices.
type TagView struct {
	Tag     herald.Tag `json:"tag"`
	Devices int64      `json:"devices"`
}

// TagPage is one page of tags, in byte order.
type TagPage struct {
	Tags       []TagView `json:"tags"`
	NextCursor string    `json:"next_cursor,omitempty"`
}

// Receipt is one reported event, in the body of POST /v1/receipts.
type Receipt struct {
	ID             herald.MessageID      `json:"id"`
	Event          herald.DeliveryState  `json:"event" enum:"received,displayed,clicked,withdrawn" doc:"withdrawn: the device has removed a message that was withdrawn."`
	RegistrationID herald.RegistrationID `json:"registration_id,omitempty" doc:"Whose receipt it is; left out by a device, which reports its own."`
}

// ReceiptsRequest is the body of POST /v1/receipts: events, or a cursor that
// says "I have everything of mine up to here", or both.
type ReceiptsRequest struct {
	Receipts []Receipt `json:"receipts,omitempty" maxItems:"1000"`
	Cursor   string    `json:"cursor,omitempty" doc:"For devices only."`
}

// ReceiptsAnswer says how many receipts were taken.
type ReceiptsAnswer struct {
	Accepted int64 `json:"accepted" doc:"Receipts that named a message of this device (again or for the first time)."`
	Unknown  int64 `json:"unknown" doc:"Receipts for messages that the device was not sent."`
}

// AppView is an app as its owner sees it.
type AppView struct {
	AppKey    herald.AppKey `json:"app_key"`
	Name      string        `json:"name"`
	CreatedAt time.Time     `json:"created_at"`
	// DeviceAliases, DeviceTags and Origins: see the settings of the record.
	DeviceAliases bool     `json:"device_aliases" doc:"Devices may claim an alias without a signed token."`
	DeviceTags    bool     `json:"device_tags" doc:"Devices may change their own tags."`
	Origins       []string `json:"origins" doc:"Web origins that may connect; empty means any."`
	// Topics are the rules as they work: a list that was never set shows its
	// default.
	Topics   TopicRules   `json:"topics"`
	Approval ApprovalRule `json:"approval"`
	Caps     []CapRule    `json:"caps" doc:"How many messages of a category a device gets."`
	// QuietHours is absent if there are none.
	QuietHours *herald.QuietHours `json:"quiet_hours,omitempty" doc:"Hours of the day, by the clock of each device, in which it is not sent what can wait."`
	TimeZone   string             `json:"time_zone" doc:"IANA name: that of devices that name none."`
	Devices    int64              `json:"devices"`
	Online     int64              `json:"online"`
}

// TopicRules say which topics devices may use.
type TopicRules struct {
	Subscribe []herald.TopicFilter `json:"subscribe" doc:"Topics that devices may subscribe to, as filters; # is all of them, and the default."`
	Publish   []herald.TopicFilter `json:"publish" doc:"Topics that devices may publish to; by default none."`
}

// AppUpdate is the body of PATCH /v1/app.
type AppUpdate struct {
	Name          *string           `json:"name,omitempty" minLength:"1" maxLength:"128"`
	DeviceAliases *bool             `json:"device_aliases,omitempty"`
	DeviceTags    *bool             `json:"device_tags,omitempty"`
	Origins       *[]string         `json:"origins,omitempty" maxItems:"100"`
	Topics        *TopicRulesUpdate `json:"topics,omitempty" doc:"Which topics devices may use. Subscriptions that are not allowed any more end."`
	QuietHours    *QuietHoursUpdate `json:"quiet_hours,omitempty" doc:"Hours of the day, by the clock of each device, in which it is not sent what can wait; it gets it when they end. Both empty: there are none."`
	TimeZone      *string           `json:"time_zone,omitempty" maxLength:"64" doc:"IANA name: that of devices that name none. Empty: UTC."`
	Caps          *[]CapRule        `json:"caps,omitempty" maxItems:"20" doc:"All frequency caps from now on; an empty list has none. A rule that is new is for messages that are due from then on."`
	Approval      *ApprovalRule     `json:"approval,omitempty" doc:"Which messages a second key has to approve before they are sent."`
}

// QuietHoursUpdate sets quiet hours.
type QuietHoursUpdate struct {
	From string `json:"from" doc:"When they begin, as 22:00; empty for none."`
	To   string `json:"to" doc:"When they end, as 08:00; before from, it is of the next day."`
}

// TopicRulesUpdate changes the rules about topics. A list that is absent stays
// as it is.
type TopicRulesUpdate struct {
	Subscribe *[]herald.TopicFilter `json:"subscribe,omitempty" maxItems:"100" doc:"All filters from now on. + stands for one level, # at the end for any number of them, the level {registration_id} for the device's own, {alias} for its alias. An empty list allows nothing, # everything."`
	Publish   *[]herald.TopicFilter `json:"publish,omitempty" maxItems:"100" doc:"All filters from now on, as in subscribe."`
}

// TopicQuery selects topics: some by name, or those with a prefix that somebody
// is subscribed to.
type TopicQuery struct {
	Topics []herald.Topic // nil: by prefix
	Prefix string
	Cursor string
	Limit  int
}

// TopicView is a topic with the number of who is subscribed now.
type TopicView struct {
	Topic    herald.Topic `json:"topic"`
	Devices  int64        `json:"devices" doc:"Devices that are subscribed now."`
	Sessions int64        `json:"sessions" doc:"Their sessions that are subscribed; a device may have several."`
}

// TopicPage is one page of topics, in byte order.
type TopicPage struct {
	Topics     []TopicView `json:"topics"`
	NextCursor string      `json:"next_cursor,omitempty"`
}
