package jpush

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-push/herald"
)

// TestPushRoute holds what pushes say of channels against the routes that their
// messages are shown with.
func TestPushRoute(t *testing.T) {
	n := newNode(t)
	n.register(herald.PlatformAndroid, "")
	n.register(herald.PlatformIOS, "")
	channels := func(s string) string { return hello + `,"options":{"third_party_channel":{` + s + `}}` }
	const (
		live   = `{"channel":"live","unless":"received"}`
		behind = `{"channel":"live","unless":"sent"}`
		any    = `{"channel":"vendor","unless":"sent"}`
	)
	only := func(v string) string { return `{"channel":"vendor","vendor":"` + v + `","unless":"sent"}` }
	but := func(list ...string) string {
		return `{"channel":"vendor","except":["` + strings.Join(list, `","`) + `"],"unless":"sent"}`
	}
	all := []string{"fcm", "huawei", "honor", "xiaomi", "oppo", "vivo", "meizu", "nio", "asus", "hmos"}
	each := func(word string) string {
		var s []string
		for _, v := range all {
			s = append(s, `"`+v+`":{"distribution":"`+word+`"}`)
		}
		return channels(strings.Join(s, ","))
	}
	sms := func(unless, after string) string {
		if after != "" {
			after = `,"after":"` + after + `"`
		}
		return `{"channel":"sms","unless":"` + unless + `"` + after + `}`
	}
	const content = `{"channel":"sms","unless":"received","after":"10s","notification":{"body":"%s"}}`
	for name, tc := range map[string]struct {
		members string
		want    []string // nil: no route
	}{
		"nothing":                {hello, nil},
		"another member":         {channels(`"xiaomi":{"channel_id":"c"}`), nil},
		"live, else the vendor":  {channels(`"xiaomi":{"distribution":"secondary_push"}`), []string{live, any}},
		"the vendor first":       {channels(`"xiaomi":{"distribution":"first_ospush"}`), []string{only("xiaomi"), behind, but("xiaomi")}},
		"the vendor alone":       {channels(`"xiaomi":{"distribution":"ospush"}`), []string{only("xiaomi"), behind, but("xiaomi")}},
		"live alone":             {channels(`"xiaomi":{"distribution":"jpush"}`), []string{live, but("xiaomi")}},
		"two first, one never":   {channels(`"vivo":{"distribution":"jpush"},"oppo":{"distribution":"first_ospush"},"huawei":{"distribution":"ospush"}`), []string{but("apns", "fcm", "honor", "xiaomi", "vivo", "meizu", "nio", "asus", "hmos", "wns", "webpush"), behind, but("huawei", "oppo", "vivo")}},
		"all first":              {each("first_ospush"), []string{but("apns", "wns", "webpush"), behind, but(all...)}},
		"all never":              {each("jpush"), []string{live, but(all...)}},
		"FCM first":              {channels(`"xiaomi":{"distribution_fcm":"fcm"}`), []string{only("fcm"), behind, but("fcm", "xiaomi"), only("xiaomi")}},
		"FCM before the maker":   {channels(`"xiaomi":{"distribution_fcm":"secondary_fcm_push"}`), []string{live, but("fcm", "xiaomi"), only("fcm"), only("xiaomi")}},
		"the maker before FCM":   {channels(`"xiaomi":{"distribution_fcm":"pns"}`), []string{only("xiaomi"), behind, but("xiaomi")}},
		"the maker, then FCM":    {channels(`"xiaomi":{"distribution_fcm":"secondary_pns_push"}`), []string{live, any}},
		"FCM as both say":        {channels(`"fcm":{"distribution":"jpush"},"xiaomi":{"distribution_fcm":"fcm"}`), []string{live, but("fcm", "xiaomi"), only("xiaomi")}},
		"a word for FCM of FCM":  {channels(`"fcm":{"distribution_fcm":"fcm"}`), nil},
		"an empty word":          {channels(`"xiaomi":{"distribution":""}`), nil},
		"of a notification":      {channels(`"xiaomi":{"distribution_customize":"first_ospush"}`), nil},
		"of a message":           {`"message":{"msg_content":"a"},"options":{"third_party_channel":{"xiaomi":{"distribution":"jpush","distribution_customize":"first_ospush"}}}`, []string{only("xiaomi"), behind, but("xiaomi")}},
		"of a message, none":     {`"message":{"msg_content":"a"},"options":{"third_party_channel":{"xiaomi":{"distribution":"jpush","distribution_fcm":"fcm"}}}`, nil},
		"now or never":           {hello + `,"sms_message":{"temp_id":1},"options":{"time_to_live":0,"third_party_channel":{"xiaomi":{"distribution":"ospush"}}}`, nil},
		"a text message":         {hello + `,"sms_message":{"temp_id":1,"delay_time":90}`, []string{live, any, sms("received", "1m30s")}},
		"a text message at once": {hello + `,"sms_message":{"temp_id":1}`, []string{live, any, sms("clicked", "")}},
		"a quoted delay":         {hello + `,"sms_message":{"temp_id":"1","delay_time":"60"}`, []string{live, any, sms("received", "1m")}},
		"longer than the push":   {hello + `,"sms_message":{"temp_id":1,"delay_time":3600},"options":{"time_to_live":60}`, []string{live, any, sms("received", "1m")}},
		"with a text of its own": {hello + `,"sms_message":{"content":"Call us","delay_time":10}`, []string{live, any, fmt.Sprintf(content, "Call us")}},
		"of one platform":        {`"notification":{"ios":{"alert":"On iOS"}},"sms_message":{"temp_id":1,"delay_time":10}`, []string{live, any, sms("received", "10s")}},
		"of two platforms":       {`"notification":{"ios":{"alert":"On iOS"},"android":{"alert":"On Android"}},"sms_message":{"temp_id":1,"delay_time":10}`, []string{live, any, fmt.Sprintf(content, "On Android")}},
		"of a message in words":  {`"message":{"msg_content":"a"},"sms_message":{"content":"b","delay_time":10}`, []string{live, any, fmt.Sprintf(content, "b")}},
		"of a message, no words": {`"message":{"msg_content":"a"},"sms_message":{"temp_id":1,"delay_time":10}`, nil},
		"both": {hello + `,"sms_message":{"temp_id":1,"delay_time":10},"options":{"third_party_channel":{"oppo":{"distribution":"first_ospush"}}}`,
			[]string{only("oppo"), behind, but("oppo"), sms("received", "10s")}},
	} {
		t.Run(name, func(t *testing.T) {
			v := n.view(n.pushed(`{` + toAll + `,` + tc.members + `}`))
			if tc.want == nil {
				if v.Route != nil {
					t.Errorf("it goes by %+v", v.Route)
				}
				return
			}
			if v.Route == nil {
				t.Fatal("it has no route")
			}
			b, err := json.Marshal(v.Route.Steps)
			must(t, err)
			if diff := cmp.Diff("["+strings.Join(tc.want, ",")+"]", string(b)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Whatever is said of vendors comes to a route that is taken, in which no vendor
// has its turn twice.
func TestPushRouteIsWhole(t *testing.T) {
	pick := func(r *rand.Rand, words []string) json.RawMessage {
		b, err := json.Marshal(words[r.IntN(len(words))])
		must(t, err)
		return b
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		notes := vendorNotes{}
		for _, v := range channelVendors {
			for member, words := range channelValues {
				if r.IntN(2) == 0 {
					notes.note(v, member, pick(r, words))
				}
			}
		}
		notes.note(herald.VendorSMS, "message", json.RawMessage(`{"temp_id":1,"delay_time":60}`))
		p := &payload{}
		p.req.Notification = &herald.Notification{Title: "x"}
		if r.IntN(4) == 0 {
			p.req.Notification = nil
		}
		p.way(notes)
		if p.req.Route == nil {
			continue
		}
		route := herald.Route{Steps: p.req.Route.Steps}
		must(t, route.Validate("route", herald.DefaultTTL))
		for _, v := range herald.ChannelVendor.Vendors() {
			turns := 0
			for i := range route.Steps {
				if route.Steps[i].Takes(v) {
					turns++
				}
			}
			said := turnOf(notes, v, p.req.Notification != nil)
			if turns > 1 || said == "jpush" && turns != 0 || said != "" && said != "jpush" && turns != 1 {
				t.Fatalf("%s, with %q, has %d turns in %+v", v, said, turns, route)
			}
		}
	}
}

// turnOf is the word that counts for a vendor.
func turnOf(notes vendorNotes, v herald.Vendor, notified bool) string {
	if notified {
		return word(notes, v, "distribution")
	}
	return word(notes, v, "distribution_customize")
}
