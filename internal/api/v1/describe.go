package v1

import (
	"github.com/danielgtaylor/huma/v2"

	"github.com/herald-push/herald"
)

// memberTexts describes members whose type does not do it in a doc tag. A key
// is a member's name, or schema and name where it means something of its own.
//
//nolint:gosec // texts about tokens, not tokens
var memberTexts = map[string]string{
	"accepted_at":                "When the message was accepted.",
	"FilePage.files":             "The files on this page.",
	"FileView.expires_at":        "30 days after its last use.",
	"SegmentPage.segments":       "The segments on this page.",
	"SegmentView.updated_at":     "When it was last changed.",
	"add":                        "Devices that get it.",
	"alias":                      "The app's own name for a user.",
	"alias_token":                "A JWT, signed by the app's back end, that binds an alias.",
	"app_key":                    "Public name of the app.",
	"app_version":                "Version of the app on the device.",
	"attributes":                 "Free names and values; at most 64, 4 KiB as JSON.",
	"audience":                   "Who the message is for.",
	"clicked":                    "Devices on which it was clicked.",
	"collapse_key":               "A newer message with the same key replaces this one where it was not received yet.",
	"counts":                     "How the message fares. Absent in lists and while it is scheduled.",
	"created_at":                 "When it was made.",
	"SchedulePage.schedules":     "In the order in which they were made.",
	"ScheduleOccurrences.zone":   "The time zone of the trigger, or recipient.",
	"MessageSchedule.id":         "ID of the schedule.",
	"MessageSchedule.occurrence": "When the message was due; of one that somebody asked for: when that was.",
	"ScheduleActor.kind":         "The master secret, or a key.",
	"data":                       "Any JSON for the app itself.",
	"detail":                     "What is wrong.",
	"device_aliases":             "Devices may claim an alias without a signed token.",
	"device_tags":                "Devices may change their own tags.",
	"devices":                    "How many devices there are.",
	"displayed":                  "Devices that displayed it.",
	"ended_at":                   "When it was withdrawn, replaced or expired.",
	"changes":                    "What was and what is.",
	"entries":                    "Newest first.",
	"AuditView.id":               "ID of the entry.",
	"key_id":                     "ID of the key.",
	"operation":                  "What was done.",
	"actor":                      "Who did it.",
	"event":                      "What happened.",
	"expires_at":                 "End of its TTL.",
	"field":                      "The member, parameter or header at fault.",
	"id":                         "Message ID.",
	"keys":                       "The keys, oldest first.",
	"language":                   "BCP 47, e.g. zh-CN.",
	"message_id":                 "Message ID.",
	"messages":                   "Newest first.",
	"name":                       "A name for people.",
	"next_cursor":                "Give it as cursor to get the next page; absent on the last.",
	"notification":               "The visible part.",
	"online":                     "How many are connected now.",
	"ordering_key":               "Messages with the same key arrive in the order they were accepted.",
	"origins":                    "Web origins that may use the app; empty means any.",
	"platform":                   "The kind of system that the device runs.",
	"priority":                   "Orders messages that wait for the same device.",
	"receipts":                   "At most 1,000.",
	"received":                   "Devices that received it.",
	"registered_at":              "When the device registered first.",
	"registration_id":            "Public name of the device.",
	"remove":                     "Devices that lose it.",
	"removed":                    "Devices that had it and have it no more.",
	"scopes":                     "What the key may do: messages:send, messages:read, devices:read, devices:write, receipts:write, webhooks:read, webhooks:write, credentials:read, credentials:write.",
	"send_at":                    "When it is, or was, to be sent.",
	"sent":                       "Devices to which it was sent.",
	"state":                      "What has become of the message.",
	"states":                     "Each device of the target in exactly one state: pending, sent, received, displayed, clicked, or an end. States with no device are left out.",
	"steps":                      "In the order of time.",
	"stored":                     "True: message and audience are on stable storage. False only for TTL 0.",
	"tag":                        "The tag.",
	"tags":                       "Labels of the device.",
	"tags_add":                   "Tags to put on it, beside those it has.",
	"tags_remove":                "Tags to take off it.",
	"target":                     "Devices in the audience.",
	"time":                       "When.",
	"topic":                      "Name of the topic.",
	"topics":                     "Which topics devices may use.",
	"time_zone":                  "IANA name, e.g. Asia/Shanghai.",
	"unknown":                    "Registration IDs and aliases in the audience that nobody has.",

	"AppUpdate.time_zone":       "IANA name: that of devices that name none. Empty: UTC.",
	"AppView.time_zone":         "IANA name: that of devices that name none.",
	"AppView.quiet_hours":       "Hours of the day, by the clock of each device, in which it is not sent what can wait.",
	"MessageView.spread":        "Over which time it is released.",
	"SendRequest.spread":        "Release it over a time, in steps, instead of to all at once.",
	"paused":                    "Nobody more is released it until it is resumed.",
	"quiet_hours":               "Whether a device in the app's quiet hours gets it when they end.",
	"release":                   "How far the release is of a message that is not released to all at once.",
	"send_at_local":             "When it is, or was, to be sent by the clock of each device.",
	"Release.devices":           "Those of the audience.",
	"Release.steps":             "Releases that were made.",
	"BindAnswer.unknown":        "Registration IDs that nobody has.",
	"AppView.approval":          "Which messages a second key has to approve before they are sent.",
	"AliasView.devices":         "The devices that are bound to it.",
	"DevicePage.devices":        "In the order of registration.",
	"DeviceView.online":         "Whether it is connected now.",
	"KeyAnswer.id":              "ID of the key.",
	"KeyView.id":                "ID of the key.",
	"TagPage.tags":              "In byte order.",
	"TopicPage.topics":          "In byte order; those asked for by name in the order of the request.",
	"TemplatePage.templates":    "In byte order of their names.",
	"TemplateView.updated_at":   "When it was last changed.",
	"RouteList.routes":          "In byte order of their names, at most 50.",
	"RouteView.updated_at":      "When it was last changed.",
	"GroupMessageApp.counts":    "How that message fares; absent while it is scheduled.",
	"GroupMessagePage.messages": "Newest first.",
}

// describeMembers gives every member a description.
func describeMembers(all map[string]*huma.Schema) {
	for schema, s := range all {
		for name, p := range s.Properties {
			listsAreNotNull(p)
			if p.Description == "" {
				p.Description = memberTexts[name]
			}
			if own := memberTexts[schema+"."+name]; own != "" {
				p.Description = own
			}
		}
	}
}

// listsAreNotNull undoes huma's assumption that a list may be null.
func listsAreNotNull(s *huma.Schema) {
	if s.Type == huma.TypeArray {
		s.Nullable = false
		listsAreNotNull(s.Items)
	}
	if values, ok := s.AdditionalProperties.(*huma.Schema); ok {
		listsAreNotNull(values)
	}
}

// describeBinding makes the alias of a binding what it is in JSON: a string or
// null.
func describeBinding(all map[string]*huma.Schema) {
	all["AliasBinding"].Properties["alias"] = &huma.Schema{Type: huma.TypeString, Nullable: true,
		Description: "The alias that the device gets in the place of another; null unbinds it."}
}

// describeFormats adds the patterns of the identifiers.
func describeFormats(all map[string]*huma.Schema) {
	patterns := map[string]string{
		"message_id":      "^[1-9][0-9]{0,18}$",
		"registration_id": "^[0-9a-v]{20}$",
		"app_key":         "^[0-9a-z]{24}$",
	}
	for _, s := range all {
		for name, p := range s.Properties {
			if pattern := patterns[name]; pattern != "" {
				p.Pattern = pattern
			}
		}
	}
	for _, name := range []string{"SendAnswer", "MessageView", "Receipt"} {
		all[name].Properties["id"].Pattern = patterns["message_id"]
	}
	for _, name := range []string{"SendRequest", "MessageView"} {
		all[name].Properties["replaces"].Pattern = patterns["message_id"]
	}
}

// audienceMembers describes the members of an audience.
var audienceMembers = map[string]string{
	"registration_ids":   "Any of these devices, at most 1,000.",
	"aliases":            "Devices bound to any of these aliases, at most 1,000.",
	"tags":               "Devices with any of these tags.",
	"tags_and":           "Devices with all of these tags.",
	"tags_not":           "Devices with none of these tags.",
	"platforms":          "Devices on any of these platforms.",
	"languages":          "Devices with any of these languages (BCP 47); \"zh\" includes \"zh-CN\".",
	"app_versions":       "Devices with any of these versions of the app.",
	"active_within_days": "Devices that were seen within so many days.",
	"online":             "Devices that are connected now (true), or are not (false).",
	"and":                "All of these audiences.",
	"or":                 "Any of these audiences.",
	"not":                "Devices that are not in this audience.",
	"segments":           "Devices in any of these saved expressions (PUT /v1/segments/{name}), as they are when the audience is evaluated.",
	"files":              "Devices in any of these uploaded lists (POST /v1/files), as they were when they were uploaded.",
	"topic":              "Devices that are subscribed to this topic now; the set is fixed when the message is accepted or, with send_at, when it falls due.",
}

// describeAudience makes the audience what it is in JSON: a word or an object.
func describeAudience(all map[string]*huma.Schema) {
	object := all["Audience"]
	if object == nil {
		panic("v1: no operation has an audience")
	}
	object.Description = "Members are joined by AND, values within a member by OR. At least one member; at most 8 levels and 100 objects."
	for name, p := range object.Properties {
		p.Description = audienceMembers[name]
	}
	object.Properties["active_within_days"].Enum = []any{1, 7, 30}
	platform := object.Properties["platforms"].Items
	for _, p := range herald.Platforms {
		platform.Enum = append(platform.Enum, string(p))
	}
	all["AudienceObject"] = object
	all["Audience"] = &huma.Schema{
		Description: "Who a message is for.",
		OneOf: []*huma.Schema{
			{Type: huma.TypeString, Enum: []any{"all"}, Description: "Every device of the app."},
			{Ref: "#/components/schemas/AudienceObject"},
		},
		Examples: []any{"all", map[string]any{"tags": []any{"vip"}}},
	}
}

// describeRoute makes the route of a message what it is in JSON: a name or an
// object.
func describeRoute(all map[string]*huma.Schema) {
	object := all["RouteUse"]
	if object == nil {
		panic("v1: no operation has a route")
	}
	object.Description = "Steps of this message alone."
	all["RouteSteps"] = object
	most := herald.MaxNameBytes
	all["RouteUse"] = &huma.Schema{
		Description: "By which ways a message goes to people.",
		OneOf: []*huma.Schema{
			{Type: huma.TypeString, MaxLength: &most, Description: "The name of a route of the app."},
			{Ref: "#/components/schemas/RouteSteps"},
		},
		Examples: []any{"urgent", map[string]any{"steps": []any{map[string]any{"channel": "live"}, map[string]any{"channel": "sms", "after": "1m"}}}},
	}
}
