package jpush

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/herald-push/herald"
)

// way gives a push the route that its distributions and its sms_message come to.
// One that says nothing of either goes as its app has it. With a time_to_live of
// 0 it reaches only who is connected, and what was asked for is kept and shown.
func (p *payload) way(vendors vendorNotes) {
	ttl := herald.DefaultTTL
	if p.req.TTL != nil {
		ttl = time.Duration(*p.req.TTL) * time.Second
	}
	if ttl == 0 {
		return
	}
	steps := distributed(vendors, p.req.Notification != nil)
	if sms := smsStep(vendors, p.req.Notification, ttl); sms != nil {
		if steps == nil {
			steps = herald.DefaultRoute().Steps
		}
		steps = append(steps, *sms)
	}
	if steps != nil {
		p.req.Route = &herald.RouteUse{Steps: steps}
	}
}

// turn is when a vendor has its turn.
type turn int

const (
	later turn = iota // for whom live does not reach, as where nothing is said
	first             // before live
	never
)

// turns are what the words of a distribution come to. A vendor that is to go
// alone goes first: who has no token of it, or an old one, gets the push live.
var turns = map[string]turn{"secondary_push": later, "first_ospush": first, "ospush": first, "jpush": never}

// fcmWords are those of distribution_fcm, for a device that has both a token of
// FCM and one of its maker: which of the two has its turn before the other, and
// when. jpush is for distribution to say.
var fcmWords = map[string]struct {
	fcm bool
	at  turn
}{"fcm": {true, first}, "secondary_fcm_push": {true, later}, "pns": {false, first}, "secondary_pns_push": {false, later}}

// distributed gives the steps that the distributions of vendors come to: first
// those before live, then live, then the rest, and among these FCM before the
// vendors for which it is preferred. nil if nothing is said. A push without a
// notification goes by distribution_customize.
func distributed(notes vendorNotes, notified bool) []herald.RouteStep {
	member := "distribution"
	if !notified {
		member = "distribution_customize"
	}
	said := false
	at := map[herald.Vendor]turn{}
	var behind []herald.Vendor // vendors that come after FCM
	for _, v := range herald.ChannelVendor.Vendors() {
		if t, ok := turns[word(notes, v, member)]; ok {
			at[v], said = t, true
		}
		prefers, ok := fcmWords[word(notes, v, "distribution_fcm")]
		if !ok || v == herald.VendorFCM || !notified {
			continue
		}
		said = true
		whose := v
		if prefers.fcm {
			behind = append(behind, v)
			whose = herald.VendorFCM
		}
		if word(notes, whose, member) == "" { // else that says when
			at[whose] = prefers.at
		}
	}
	if !said {
		return nil
	}
	before := grouped(at, first, behind)
	live := herald.RouteStep{Channel: herald.ChannelLive, Unless: herald.StateReceived}
	if len(before) > 0 {
		live.Unless = herald.StateSent
	}
	return slices.Concat(before, []herald.RouteStep{live}, grouped(at, later, behind))
}

// grouped gives the steps of the vendors with one turn: FCM stands before those
// that come behind it, if there are any.
func grouped(at map[herald.Vendor]turn, when turn, behind []herald.Vendor) (out []herald.RouteStep) {
	var parts [3][]herald.Vendor
	for _, v := range herald.ChannelVendor.Vendors() {
		switch {
		case at[v] != when:
		case slices.Contains(behind, v):
			parts[2] = append(parts[2], v)
		case v == herald.VendorFCM && len(behind) > 0:
			parts[1] = append(parts[1], v)
		default:
			parts[0] = append(parts[0], v)
		}
	}
	for _, part := range parts {
		if len(part) > 0 {
			out = append(out, vendorStep(part))
		}
	}
	return out
}

// vendorStep is the step of some vendors.
func vendorStep(list []herald.Vendor) herald.RouteStep {
	s := herald.RouteStep{Channel: herald.ChannelVendor, Unless: herald.StateSent}
	if len(list) == 1 {
		s.Vendor = list[0]
		return s
	}
	for _, v := range herald.ChannelVendor.Vendors() {
		if !slices.Contains(list, v) {
			s.Except = append(s.Except, v)
		}
	}
	return s
}

// word is a text that was noted for a vendor; "" for none.
func word(notes vendorNotes, v herald.Vendor, name string) (s string) {
	raw, _ := notes[v][name].(json.RawMessage)
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// smsStep is the step of sms_message: a text message to whom the push has not
// reached after delay_time, or at once to everybody. It comes before the push
// ends. Its text is content, or that of the notification: templates of text
// messages are at JPush. nil if there is none, or nothing to say in it.
func smsStep(notes vendorNotes, n *herald.Notification, ttl time.Duration) *herald.RouteStep {
	raw, _ := notes[herald.VendorSMS]["message"].(json.RawMessage)
	var m struct {
		Content string      `json:"content"`
		Delay   json.Number `json:"delay_time"`
	}
	if raw == nil || json.Unmarshal(raw, &m) != nil {
		return nil
	}
	seconds, _ := m.Delay.Int64() // it was checked; absent is 0
	s := &herald.RouteStep{Channel: herald.ChannelSMS, Unless: herald.StateReceived, After: herald.Duration(min(time.Duration(seconds)*time.Second, ttl))}
	if seconds == 0 {
		s.Unless = herald.StateClicked // which nobody has at once
	}
	switch {
	case m.Content != "":
		s.Notification = &herald.Notification{Body: m.Content}
	case n == nil:
		return nil
	case n.Title == "" && n.Body == "":
		if s.Notification = anyText(n); s.Notification == nil {
			return nil
		}
	}
	return s
}

// anyText is the text of the first platform that has one: a telephone number
// belongs to none.
func anyText(n *herald.Notification) *herald.Notification {
	for _, p := range herald.Platforms {
		if own := n.Platforms[p]; own.Title != "" || own.Body != "" {
			return &herald.Notification{Title: own.Title, Body: own.Body}
		}
	}
	return nil
}
