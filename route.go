package herald

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Channel is a way to reach people.
type Channel string

// The channels. Each but ChannelLive has vendors, which a step may name.
const (
	ChannelLive    Channel = "live"    // a connection of the device to Herald
	ChannelVendor  Channel = "vendor"  // the push service of the device's maker or browser
	ChannelSMS     Channel = "sms"     // a text message to the person's telephone
	ChannelEmail   Channel = "email"   // the person's mailbox
	ChannelChat    Channel = "chat"    // a chat room, or the person in a chat
	ChannelWebhook Channel = "webhook" // a signed call to an address of the app's choice
)

// Channels lists every channel, in the order of the documentation.
var Channels = []Channel{ChannelLive, ChannelVendor, ChannelSMS, ChannelEmail, ChannelChat, ChannelWebhook}

// Valid reports whether the channel is known.
func (c Channel) Valid() bool {
	for _, known := range Channels {
		if c == known {
			return true
		}
	}
	return false
}

// Vendors lists the vendors behind a channel, in the order of the documentation.
func (c Channel) Vendors() []Vendor {
	var out []Vendor
	for _, v := range vendorPlatforms {
		if v.channel == c && c != "" {
			out = append(out, v.vendor)
		}
	}
	return out
}

// Channel is the one that a vendor is behind; "" for [EveryVendor] and
// [VendorSMS], which stand for several.
func (v Vendor) Channel() Channel {
	for _, known := range vendorPlatforms {
		if known.vendor == v {
			return known.channel
		}
	}
	return ""
}

// PerRecipient reports whether the channel reaches a person and not a device, so
// that a step acts once for all devices of an alias.
func (c Channel) PerRecipient() bool {
	return c == ChannelSMS || c == ChannelEmail || c == ChannelChat || c == ChannelWebhook
}

// Route says by which ways a message goes to people, in order.
type Route struct {
	Steps []RouteStep `json:"steps" minItems:"1" maxItems:"8" doc:"The ways, in the order in which they are tried."`
}

// RouteStep is one way of a route, and when it is taken.
type RouteStep struct {
	Channel Channel `json:"channel" enum:"live,vendor,sms,email,chat,webhook" doc:"The way: live (a connection of the device to Herald), vendor (the push service of its maker or browser), sms, email, chat or webhook. The last four act once for a person, not for each device."`
	// Vendor is the only one of the channel that the step uses; "" for whichever
	// the device or the app has.
	Vendor Vendor `json:"vendor,omitempty" maxLength:"32" doc:"Only this vendor of the channel, such as apns or twilio. Default: the first that there is an address and a credential for."`
	// Except are vendors of the channel that the step does not use.
	Except     []Vendor `json:"except,omitempty" maxItems:"32" doc:"Every vendor of the channel but these. Not with vendor."`
	Credential string   `json:"credential,omitempty" maxLength:"128" doc:"Name of the app's credential with the vendor, where it has several. Default: the one without a name."`
	// Unless is how far a delivery may be for the step to be left out; "" means
	// received. See [RouteStep.Until].
	Unless DeliveryState `json:"unless,omitempty" enum:"sent,received,displayed,clicked" default:"received" doc:"The step is left out where the message has come so far by then: sent (handed over), received, displayed or clicked."`
	// After counts from when the message is released.
	After Duration `json:"after,omitempty" pattern:"^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$" doc:"When the step is taken, counted from the release of the message: 10s, 5m, 1h30m; 0s, the default, is at once. It does not fall from step to step, and is at most the ttl."`
	// Notification is in the place of the message's; nil for the same.
	Notification *Notification `json:"notification,omitempty" doc:"What is shown by this way, in the place of the message's notification."`
	// Options are what the vendor is told, an object; nil for what the message
	// says for it.
	Options json.RawMessage `json:"options,omitempty" doc:"What the vendor is told on this step, an object with its own members, in the place of what vendors says for it. On the channel vendor it needs a vendor."`
}

// Takes reports whether the step goes by a vendor.
func (s *RouteStep) Takes(v Vendor) bool {
	return s.Channel != "" && v.Channel() == s.Channel && (s.Vendor == "" || s.Vendor == v) && !slices.Contains(s.Except, v)
}

// Until is how far a delivery may be for the step to be left out.
func (s *RouteStep) Until() DeliveryState {
	if s.Unless == "" {
		return StateReceived
	}
	return s.Unless
}

// Limits of routes.
const (
	MaxRouteSteps = 8
	MaxRouteBytes = MaxMessageBytes // a route as JSON, with what its steps say
	MaxRoutes     = 50              // named ones of an app
)

// DefaultRouteName is the named route that an app's messages take which name
// none.
const DefaultRouteName = "default"

// DefaultRoute is what a message takes where neither it nor its app says
// anything: who is connected gets it live, all others by the vendor of their
// device, at once.
func DefaultRoute() Route {
	return Route{Steps: []RouteStep{{Channel: ChannelLive, Unless: StateReceived}, {Channel: ChannelVendor, Unless: StateSent}}}
}

// LiveRoute reaches who is connected, and nobody else.
func LiveRoute() Route {
	return Route{Steps: []RouteStep{{Channel: ChannelLive, Unless: StateReceived}}}
}

// Within is the route with those steps alone that a message with a TTL can take:
// with a TTL of 0 that is live, at once; else what comes by the end of the TTL.
// The boolean tells whether all of them are.
func (r Route) Within(ttl time.Duration) (Route, bool) {
	if n := len(r.Steps); n > 0 && ttl > 0 && time.Duration(r.Steps[n-1].After) <= ttl {
		return r, true // times do not fall
	}
	var out Route
	for _, s := range r.Steps {
		if time.Duration(s.After) <= ttl && (ttl > 0 || s.Channel == ChannelLive) {
			out.Steps = append(out.Steps, s)
		}
	}
	return out, len(out.Steps) == len(r.Steps)
}

// LiveStep is the place of the first step that is live; -1 if none is.
func (r Route) LiveStep() int {
	return slices.IndexFunc(r.Steps, func(s RouteStep) bool { return s.Channel == ChannelLive })
}

// Filled is the route with the condition of each step written out.
func (r Route) Filled() Route {
	out := Route{Steps: append([]RouteStep(nil), r.Steps...)}
	for i := range out.Steps {
		out.Steps[i].Unless = out.Steps[i].Until()
	}
	return out
}

// StepField is what the field of an error calls a step of a route; at is the
// member that the route is, "" for none.
func StepField(at string, i int) string {
	if at != "" {
		at += "."
	}
	return at + "steps[" + strconv.Itoa(i) + "]"
}

// Validate checks a route for messages with a TTL. What the notifications of
// steps say is checked where that of a message is. The fields of errors begin
// with at, the member that the route is; "" for none.
func (r *Route) Validate(at string, ttl time.Duration) error {
	all := strings.TrimPrefix(at+".steps", ".")
	switch n := len(r.Steps); {
	case n == 0:
		return Invalid(all, `Give at least one step, such as {"channel":"live"}, or leave the route out.`, "the route has no steps")
	case n > MaxRouteSteps:
		return Invalid(all, "Give fewer, or send several messages.", "%d steps are more than %d", n, MaxRouteSteps)
	}
	options, before := 0, Duration(0)
	for i := range r.Steps {
		s := &r.Steps[i]
		where := StepField(at, i)
		if err := s.validate(where, ttl); err != nil {
			return err
		}
		if s.After < before {
			return Invalid(where+".after", "Put the steps into the order of their times.", "%s is before the %s of the step before", s.After, before)
		}
		before = s.After
		if options += len(s.Options); options > MaxVendorBytes {
			return Invalid(where+".options", "Say less to vendors.", "%d bytes of options are more than %d", options, MaxVendorBytes)
		}
	}
	b, err := json.Marshal(r)
	if err != nil {
		return Invalid(all, "Send an object as the documentation of route shows.", "is not JSON")
	}
	if len(b) > MaxRouteBytes {
		return Invalid(all, "Say less in the steps.", "%d bytes as JSON are more than %d", len(b), MaxRouteBytes)
	}
	return nil
}

func (s *RouteStep) validate(at string, ttl time.Duration) error {
	if !s.Channel.Valid() {
		return Invalid(at+".channel", "Use one of: "+joined(Channels)+".", "%.40q is not a channel", string(s.Channel))
	}
	if err := s.validVendor(at); err != nil {
		return err
	}
	switch s.Unless {
	case "", StateSent, StateReceived, StateDisplayed, StateClicked:
	default:
		return Invalid(at+".unless", "Write sent, received, displayed or clicked.", "%.40q is not how far a message comes", string(s.Unless))
	}
	switch after := time.Duration(s.After); {
	case after < 0 || after%time.Millisecond != 0:
		return Invalid(at+".after", `Write it as "10s", in whole milliseconds.`, "%s is out of range", s.After)
	case ttl == 0 && s.Channel != ChannelLive:
		return Invalid(at+".channel", "Give a ttl above 0, or leave the step out.", "a message with TTL 0 goes to whoever is connected now, and not by %s", s.Channel)
	case ttl == 0 && after > 0:
		return Invalid(at+".after", "Give a ttl above 0, or leave after out.", "a message with TTL 0 cannot wait for a step")
	case after > ttl:
		return Invalid(at+".after", "Give the message a longer ttl, or take the step earlier.", "the message has expired %s after its release, before the step at %s", Duration(ttl), s.After)
	}
	return nil
}

func (s *RouteStep) validVendor(at string) error {
	own := s.Channel.Vendors()
	switch {
	case s.Vendor != "" && len(own) == 0:
		return Invalid(at+".vendor", "Leave vendor out.", "the channel %s has no vendors", s.Channel)
	case s.Vendor != "" && s.Vendor.Channel() != s.Channel:
		return Invalid(at+".vendor", "Use one of: "+joined(own)+", or leave it out.", "%.40q is not a vendor of the channel %s", string(s.Vendor), s.Channel)
	case len(s.Except) > 0:
		if err := s.validExcept(at, own); err != nil {
			return err
		}
	}
	return s.validSaid(at, own)
}

func (s *RouteStep) validExcept(at string, own []Vendor) error {
	if s.Vendor != "" {
		return Invalid(at+".except", "Leave one of them out.", "stands beside vendor")
	}
	for i, v := range s.Except {
		switch field := at + ".except[" + strconv.Itoa(i) + "]"; {
		case !slices.Contains(own, v):
			return Invalid(field, "Name vendors of the channel.", "%.40q is not a vendor of the channel %s", string(v), s.Channel)
		case slices.Contains(s.Except[:i], v):
			return Invalid(field, "Remove it.", "the vendor is there twice")
		}
	}
	if len(s.Except) == len(own) {
		return Invalid(at+".except", "Leave the step out.", "no vendor of the channel %s is left", s.Channel)
	}
	return nil
}

// validSaid checks what else the step says; own are the vendors of its channel.
func (s *RouteStep) validSaid(at string, own []Vendor) error {
	switch {
	case s.Credential != "" && len(own) == 0:
		return Invalid(at+".credential", "Leave credential out.", "the channel %s needs no credential", s.Channel)
	case s.Notification != nil && s.Channel == ChannelLive:
		return Invalid(at+".notification", "Leave it out, and say it in the notification of the message.", "a message never changes for those who get it live")
	case len(s.Options) == 0:
		return validCredential(at, s.Credential)
	case s.Options[0] != '{' || !json.Valid(s.Options):
		return Invalid(at+".options", "Write an object with what the vendor is told.", "an object is expected")
	case len(own) == 0:
		return Invalid(at+".options", "Leave options out.", "the channel %s has no vendor to be told anything", s.Channel)
	case s.Channel == ChannelVendor && s.Vendor == "":
		return Invalid(at+".vendor", "Name the vendor that is told so, or use the message's vendors, which says something for each.", "options of a step are for one vendor")
	}
	return validCredential(at, s.Credential)
}

func validCredential(at, name string) error {
	if name == "" {
		return nil
	}
	return ValidName(at+".credential", name)
}

// Digest has messages with one key that come within a window become one, by the
// ways that act once for a person.
type Digest struct {
	Key    string   `json:"key" minLength:"1" maxLength:"128" doc:"Messages with the same key become one."`
	Window Duration `json:"window" pattern:"^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$" doc:"How long the first of them waits for others, such as 5m: from 1s to 24h, and at most the ttl."`
}

// How long the window of a digest may be.
const (
	MinDigestWindow = time.Second
	MaxDigestWindow = 24 * time.Hour
)

// Validate checks the digest of a message with a TTL.
func (d *Digest) Validate(ttl time.Duration) error {
	if err := ValidName("digest.key", d.Key); err != nil {
		return err
	}
	switch w := time.Duration(d.Window); {
	case w < MinDigestWindow || w > MaxDigestWindow:
		return Invalid("digest.window", `Write a time from "1s" to "24h".`, "%s is out of range", d.Window)
	case ttl == 0:
		return Invalid("ttl", "Give a ttl above 0 with digest.", "a message with TTL 0 cannot wait for others")
	case w > ttl:
		return Invalid("digest.window", "Give the message a longer ttl, or a shorter window.", "the message has expired %s after its release, before the window of %s ends", Duration(ttl), d.Window)
	}
	return nil
}

func joined[T ~string](list []T) string {
	s := make([]string, len(list))
	for i, v := range list {
		s[i] = string(v)
	}
	return strings.Join(s, ", ")
}
