package jpush

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

func (a *API) reportCalls() []call {
	return []call{
		on(http.MethodGet, "received", "received", func(x *exchange) (any, error) { return each(x, received) }),
		on(http.MethodGet, "received/detail", "receivedDetail", func(x *exchange) (any, error) { return each(x, receivedDetail) }),
		on(http.MethodGet, "messages", "messages", func(x *exchange) (any, error) { return each(x, counted) }),
		on(http.MethodGet, "messages/detail", "messagesDetail", func(x *exchange) (any, error) { return each(x, detailed) }),
		on(http.MethodGet, "users", "users", (*exchange).users),
		reading(http.MethodPost, "status/message", "messageStatus", (*exchange).messageStatus),
	}
}

// maxReported is how many messages one call may ask for.
const maxReported = 100

// report is what is known of a message.
type report struct {
	id        herald.MessageID
	platforms map[herald.Platform]api.Funnel
	whole     api.Funnel
	vendors   map[herald.Vendor]api.VendorCount
	notified  bool // it has a notification
	message   bool // it has a custom message
}

// each answers for the messages that a query names, in its order. Those that
// are not there, or not any more, are left out.
func each[T any](x *exchange, row func(report) T) (any, error) {
	ids, err := x.messageIDs()
	if err != nil {
		return nil, err
	}
	out := []T{}
	for _, id := range ids {
		r, err := x.report(id)
		if herald.CodeOf(err) == herald.CodeNotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, row(r))
	}
	return out, nil
}

func (x *exchange) messageIDs() ([]herald.MessageID, error) {
	list := x.query.Get("msg_ids")
	if list == "" {
		return nil, refuse(codeMissing, "msg_ids is missing")
	}
	var out []herald.MessageID
	for s := range strings.SplitSeq(list, ",") {
		s = strings.TrimSpace(s)
		if s == "" {
			continue
		}
		if !digits(s) {
			return nil, refuse(codeValue, "msg_ids has %.30q", s)
		}
		id, err := herald.ParseMessageID(strings.TrimLeft(s, "0"))
		if err != nil {
			continue // a number that no message has
		}
		if !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	if len(out) > maxReported {
		return nil, refuse(codeValue, "msg_ids names %d messages, more than %d", len(out), maxReported)
	}
	return out, nil
}

func (x *exchange) report(id herald.MessageID) (report, error) {
	r := report{id: id, platforms: map[herald.Platform]api.Funnel{}}
	ctx := x.r.Context()
	v, err := x.a.service.Messages.Get(ctx, x.p, id)
	if err != nil {
		return r, err
	}
	var d data
	_ = json.Unmarshal(v.Data, &d) // the data of other APIs may be anything
	for _, own := range v.PlatformData {
		var of data
		if _ = json.Unmarshal(own, &of); of.Message != nil {
			d.Message = of.Message
		}
	}
	r.notified, r.message = v.Notification != nil, d.Message != nil
	if !r.notified {
		r.message = true // what is not shown is a custom message
	}
	full, err := x.a.service.Messages.Report(ctx, x.p, id, "")
	if err != nil {
		return r, err
	}
	if full.Funnel != nil {
		r.whole = *full.Funnel
	}
	for _, p := range full.Platforms {
		r.platforms[p.Platform] = p.Funnel
	}
	r.vendors, err = x.a.service.Messages.VendorCounts(ctx, x.p, id)
	return r, err
}

// androidVendors are those whose ways lead to Android, as JPush names them.
var androidVendors = map[herald.Vendor]string{
	herald.VendorFCM: "fcm", herald.VendorHuawei: "huawei", herald.VendorHonor: "honor", herald.VendorXiaomi: "xiaomi", herald.VendorOPPO: "oppo",
	herald.VendorVivo: "vivo", herald.VendorMeizu: "meizu", herald.VendorASUS: "asus", herald.VendorNIO: "nio",
}

// by counts what went over vendors; nil if none of them was asked, which JPush
// tells from 0.
func (r report) by(is func(herald.Vendor) bool) (target, sent *int64) {
	for v, n := range r.vendors {
		if !is(v) {
			continue
		}
		if target == nil {
			target, sent = new(int64), new(int64)
		}
		*target, *sent = *target+n.Target, *sent+n.Sent
	}
	return target, sent
}

func isAPNs(v herald.Vendor) bool    { return v == herald.VendorAPNs }
func isAndroid(v herald.Vendor) bool { return androidVendors[v] != "" }

// android counts what JPush counts as Android: all that is not a platform of
// its own, so that the numbers sum to the whole.
func (r report) android() api.Funnel {
	out := r.whole
	for _, p := range []herald.Platform{herald.PlatformIOS, herald.PlatformHMOS, herald.PlatformQuickapp, herald.PlatformWindows} {
		f := r.platforms[p]
		out.Target, out.Sent, out.Received = out.Target-f.Target, out.Sent-f.Sent, out.Received-f.Received
		out.Displayed, out.Clicked = out.Displayed-f.Displayed, out.Clicked-f.Clicked
	}
	return out
}

type receivedRow struct {
	ID          string `json:"msg_id"`
	Android     int64  `json:"android_received"`
	APNsSent    *int64 `json:"ios_apns_sent"`
	APNs        *int64 `json:"ios_apns_received"`
	IOS         *int64 `json:"ios_msg_received"`
	WindowsSent *int64 `json:"wp_mpns_sent"`
}

func received(r report) receivedRow {
	out := receivedRow{ID: r.id.String(), Android: r.android().Received}
	if f, ok := r.platforms[herald.PlatformIOS]; ok {
		out.IOS = &f.Received
	}
	_, out.APNsSent = r.by(isAPNs)
	return out
}

type detailRow struct {
	ID           string `json:"msg_id"`
	JPush        int64  `json:"jpush_received"`
	AndroidSent  *int64 `json:"android_pns_sent"`
	Android      *int64 `json:"android_pns_received"`
	APNsSent     *int64 `json:"ios_apns_sent"`
	APNs         *int64 `json:"ios_apns_received"`
	IOS          *int64 `json:"ios_msg_received"`
	ActivitySent *int64 `json:"live_acivity_sent"`     // as JPush writes it
	Activity     *int64 `json:"live_acivity_received"` // as JPush writes it
	WindowsSent  *int64 `json:"wp_mpns_sent"`
	Quickapp     *int64 `json:"quickapp_jpush_received"`
	QuickappSent *int64 `json:"quickapp_pns_sent"`
	HMOSSent     *int64 `json:"hmos_hmpns_sent"`
	HMOS         *int64 `json:"hmos_hmpns_received"`
	HMOSOwnSent  *int64 `json:"hmos_msg_sent"`
	HMOSOwn      *int64 `json:"hmos_msg_received"`
}

func receivedDetail(r report) detailRow {
	out := detailRow{ID: r.id.String(), JPush: r.android().Received}
	if f, ok := r.platforms[herald.PlatformIOS]; ok {
		out.IOS = &f.Received
	}
	if f, ok := r.platforms[herald.PlatformQuickapp]; ok {
		out.Quickapp = &f.Received
	}
	if f, ok := r.platforms[herald.PlatformHMOS]; ok {
		out.HMOSOwnSent, out.HMOSOwn = &f.Sent, &f.Received
	}
	_, out.APNsSent = r.by(isAPNs)
	_, out.AndroidSent = r.by(isAndroid)
	return out
}

type countedRow struct {
	ID      string         `json:"msg_id"`
	Android androidCounts  `json:"android"`
	IOS     iosCounts      `json:"ios"`
	Windows *windowsCounts `json:"winphone"`
}

type androidCounts struct {
	Received int64 `json:"received"`
	Target   int64 `json:"target"`
	Online   int64 `json:"online_push"`
	Click    int64 `json:"click"`
	MsgClick int64 `json:"msg_click"`
}

type iosCounts struct {
	APNsSent   *int64 `json:"apns_sent"`
	APNsTarget *int64 `json:"apns_target"`
	APNs       *int64 `json:"apns_received"`
	Click      int64  `json:"click"`
	Target     int64  `json:"target"`
	Received   int64  `json:"received"`
}

type windowsCounts struct {
	Target int64 `json:"mpns_target"`
	Sent   int64 `json:"mpns_sent"`
	Click  int64 `json:"click"`
}

// clicks tells which of notification and message a click counts for.
func (r report) clicks(f api.Funnel) (notification, message int64) {
	if r.notified {
		return f.Clicked, 0
	}
	return 0, f.Clicked
}

func counted(r report) countedRow {
	a, i := r.android(), r.platforms[herald.PlatformIOS]
	click, msgClick := r.clicks(a)
	out := countedRow{ID: r.id.String(), Android: androidCounts{a.Received, a.Target, a.Sent, click, msgClick},
		IOS: iosCounts{Click: i.Clicked, Target: i.Target, Received: i.Received}}
	out.IOS.APNsTarget, out.IOS.APNsSent = r.by(isAPNs)
	return out
}

// detailedRow has the members of both forms that JPush gives this report.
type detailedRow struct {
	ID      string        `json:"msg_id"`
	JPush   ownCounts     `json:"jpush"`
	Android pnsCounts     `json:"android_pns"`
	IOS     iosDetail     `json:"ios"`
	Windows *struct{}     `json:"winphone"`
	Quick   *struct{}     `json:"quickapp"`
	Details messageDetail `json:"details"`
}

type ownCounts struct {
	Target   int64 `json:"target"`
	Online   int64 `json:"online_push"`
	Received int64 `json:"received"`
	Click    int64 `json:"click"`
	MsgClick int64 `json:"msg_click"`
}

type pnsCounts struct {
	Target   *int64 `json:"pns_target"`
	Sent     *int64 `json:"pns_sent"`
	Received *int64 `json:"pns_received"`
}

type iosDetail struct {
	APNsTarget *int64 `json:"apns_target"`
	APNsSent   *int64 `json:"apns_sent"`
	APNs       *int64 `json:"apns_received"`
	APNsClick  *int64 `json:"apns_click"`
	Target     int64  `json:"msg_target"`
	Received   int64  `json:"msg_received"`
}

type messageDetail struct {
	Notification *steps `json:"notification,omitempty"`
	Message      *steps `json:"message,omitempty"`
}

// steps are the five of the funnel, in all and by channel.
type steps struct {
	funnel
	Android map[string]funnel `json:"sub_android"`
	IOS     map[string]funnel `json:"sub_ios"`
	Quick   map[string]funnel `json:"sub_quickapp"`
	HMOS    map[string]funnel `json:"sub_hmos"`
}

type funnel struct {
	Target   int64 `json:"target"`
	Sent     int64 `json:"sent"`
	Received int64 `json:"received"`
	Display  int64 `json:"display"`
	Click    int64 `json:"click"`
}

func funnelOf(f api.Funnel) funnel {
	return funnel{f.Target, f.Sent, f.Received, f.Displayed, f.Clicked}
}

func detailed(r report) detailedRow {
	a, i := r.android(), r.platforms[herald.PlatformIOS]
	click, msgClick := r.clicks(a)
	s := &steps{funnel: funnelOf(r.whole), Android: map[string]funnel{"jg_android": funnelOf(a)}, IOS: map[string]funnel{}, Quick: map[string]funnel{}, HMOS: map[string]funnel{}}
	if f, ok := r.platforms[herald.PlatformQuickapp]; ok {
		s.Quick["quick_jg"] = funnelOf(f)
	}
	for v, n := range r.vendors {
		if name := androidVendors[v]; name != "" {
			s.Android[name] = funnel{Target: n.Target, Sent: n.Sent}
		} else if isAPNs(v) {
			s.IOS["apns"] = funnel{Target: n.Target, Sent: n.Sent}
		}
	}
	out := detailedRow{ID: r.id.String(), JPush: ownCounts{a.Target, a.Sent, a.Received, click, msgClick}, IOS: iosDetail{Target: i.Target, Received: i.Received}}
	out.Android.Target, out.Android.Sent = r.by(isAndroid)
	out.IOS.APNsTarget, out.IOS.APNsSent = r.by(isAPNs)
	if r.notified {
		out.Details.Notification = s
	}
	if r.message {
		out.Details.Message = s
	}
	return out
}

// What became of a message on a device.
const (
	statusDelivered = 0
	statusWaiting   = 1
	statusStranger  = 2 // the registration ID is not of this app
	statusUntouched = 3 // the message was not for the device
)

type deviceStatus struct {
	Status int `json:"status"`
}

func (x *exchange) messageStatus() (any, error) {
	o, err := readObject(x.body)
	if err != nil {
		return nil, err
	}
	id := o.number("msg_id", 1, 1<<63-1)
	ids := o.texts("registration_ids", maxTargets)
	o.text("date") // Herald keeps what it needs for 30 days, whatever the day
	o.text("data") // as one of the clients writes it
	o.done()
	switch {
	case o.r.err != nil:
		return nil, o.r.err
	case id == nil:
		return nil, refuse(codeMissing, "msg_id is missing")
	case len(ids) == 0:
		return nil, refuse(codeMissing, "registration_ids is missing")
	}
	states, err := x.a.service.Messages.States(x.r.Context(), x.p, herald.MessageID(*id), registrationIDs(ids))
	if err != nil {
		return nil, err
	}
	out := make(map[string]deviceStatus, len(ids))
	for _, id := range ids {
		state, known := states[herald.RegistrationID(id)]
		out[id] = deviceStatus{statusOf(state, known)}
	}
	return out, nil
}

func statusOf(state herald.DeliveryState, known bool) int {
	switch state {
	case herald.StateReceived, herald.StateDisplayed, herald.StateClicked:
		return statusDelivered
	case "":
		if !known {
			return statusStranger
		}
		return statusUntouched
	}
	return statusWaiting
}
