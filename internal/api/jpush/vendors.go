package jpush

import (
	"encoding/json"
	"slices"

	"github.com/herald-push/herald"
)

// vendorNotes collects what a push says for vendors.
type vendorNotes map[herald.Vendor]map[string]any

func (n vendorNotes) note(v herald.Vendor, name string, value any) {
	if n[v] == nil {
		n[v] = map[string]any{}
	}
	n[v][name] = value
}

// options gives the notes as the service takes them.
func (n vendorNotes) options() (herald.VendorOptions, error) {
	if len(n) == 0 {
		return nil, nil
	}
	out := herald.VendorOptions{}
	for v, notes := range n {
		b, err := json.Marshal(notes)
		if err != nil {
			return nil, err
		}
		out[v] = b
	}
	return out, nil
}

// channelVendors are the keys of third_party_channel.
var channelVendors = map[string]herald.Vendor{
	"xiaomi": herald.VendorXiaomi, "huawei": herald.VendorHuawei, "honor": herald.VendorHonor, "meizu": herald.VendorMeizu,
	"oppo": herald.VendorOPPO, "vivo": herald.VendorVivo, "fcm": herald.VendorFCM, "nio": herald.VendorNIO,
	"asus": herald.VendorASUS, "hmos": herald.VendorHMOS,
}

// channelValues are what those members of a vendor may say that have to be one
// of a few words.
var channelValues = map[string][]string{
	"distribution":           {"jpush", "ospush", "first_ospush", "secondary_push"},
	"distribution_fcm":       {"jpush", "fcm", "pns", "secondary_fcm_push", "secondary_pns_push"},
	"distribution_customize": {"jpush", "first_ospush", "secondary_push"},
	"importance":             {"LOW", "NORMAL", "HIGH"},
}

// readChannels reads third_party_channel: what each vendor is told. The members
// are the vendors', and more come every year; the words that choose a channel
// are checked.
func readChannels(options *object, vendors vendorNotes) {
	o := options.object("third_party_channel")
	if o == nil {
		return
	}
	for name, vendor := range channelVendors {
		in := o.object(name)
		if in == nil {
			continue
		}
		for member, values := range channelValues {
			raw, ok := in.left[member]
			if !ok || string(raw) == "null" {
				continue
			}
			var s string
			if json.Unmarshal(raw, &s) != nil || s != "" && !slices.Contains(values, s) {
				o.r.refuse(codeValue, "%s must be one of %v", in.path(member), values)
			}
		}
		for member, raw := range in.left {
			if string(raw) != "null" {
				vendors.note(vendor, member, raw)
			}
		}
	}
	o.done()
}

// readSMS reads what is sent as text message where the push was not received.
func readSMS(body *object, vendors vendorNotes) {
	raw := body.left["sms_message"]
	o := body.object("sms_message")
	if o == nil {
		return
	}
	old := o.text("content") != ""
	if o.number("temp_id", 1, 1<<53) == nil && !old {
		o.r.refuse(codeMissing, "sms_message.temp_id is missing")
	}
	o.number("signid", 0, 1<<53)
	o.number("delay_time", 0, 86400)
	o.truth("active_filter")
	o.object("temp_para")
	o.done()
	vendors.note(herald.VendorSMS, "message", raw)
}

// readCallback reads where JPush would report to. Herald reports to the app's
// webhooks; what was asked for is kept with the message.
func readCallback(body *object, vendors vendorNotes) {
	raw := body.left["callback"]
	o := body.object("callback")
	if o == nil {
		return
	}
	o.text("url")
	o.number("type", 0, 15)
	o.object("params")
	o.done()
	vendors.note(herald.EveryVendor, "callback", raw)
}

// readThird reads what vendors show for a message without a notification while
// the app is not running.
func readThird(body *object, version2 bool, vendors vendorNotes) {
	raw := body.left["notification_3rd"]
	o := body.object("notification_3rd")
	if o == nil {
		return
	}
	if version2 {
		for _, name := range []string{"android", "ios", "hmos"} {
			if in := o.object(name); in != nil {
				readMembers(in, platformMembers[jpushPlatforms[name]])
			}
		}
		o.done()
	} else {
		if o.text("content") == "" {
			o.r.refuse(codeMissing, "notification_3rd.content is missing")
		}
		readMembers(o, thirdMembers)
	}
	vendors.note(herald.EveryVendor, "notification_3rd", raw)
}
