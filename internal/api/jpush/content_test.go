package jpush

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

// read reads a push and gives the content of its message.
func read(t *testing.T, body string) (*payload, herald.Content) {
	t.Helper()
	o, err := readObject([]byte(body))
	must(t, err)
	p, err := readPayload(o, kind{})
	must(t, err)
	return p, herald.Content{Notification: p.req.Notification, Data: p.req.Data, PlatformData: p.req.PlatformData}
}

// TestWhatDevicesGet is the shape that docs/guide/from-jpush.md describes.
func TestWhatDevicesGet(t *testing.T) {
	const both = `{"platform":"all","audience":"all","notification":{"alert":"Hello","android":{"alert":"Hi","title":"T","extras":{"a":"1"},"channel_id":"c","sound":"ding","badge_set_num":3,"intent":{"url":"app://a/b"},"style":3,"big_pic_path":"https://a.example/b.png"},` +
		`"ios":{"alert":{"title":"I","body":"B","subtitle":"S"},"badge":"+1","sound":"","extras":{"b":{"c":[1]}},"content-available":true}},` +
		`"message":{"msg_content":"raw","content_type":"text","title":"M","extras":{"k":"v"}},"inapp_message":{"inapp_message":true}}`
	const message = `"message":{"msg_content":"raw","title":"M","content_type":"text","extras":{"k":"v"}},"inapp_message":true`
	for name, c := range map[string]struct {
		body     string
		platform herald.Platform
		want     string
	}{
		"android": {both, herald.PlatformAndroid, `{"notification":{"title":"T","body":"Hi","image":"https://a.example/b.png","click":"app://a/b","badge":3,"sound":"ding"},` +
			`"data":{"extras":{"a":"1"},"options":{"badge_set_num":3,"big_pic_path":"https://a.example/b.png","channel_id":"c","intent":{"url":"app://a/b"},"sound":"ding","style":3},` + message + `}}`},
		"ios":         {both, herald.PlatformIOS, `{"notification":{"title":"I","body":"B"},"data":{"extras":{"b":{"c":[1]}},"options":{"badge":"+1","content-available":true,"sound":""},` + message + `}}`},
		"web":         {both, herald.PlatformWeb, `{"notification":{"body":"Hello"},"data":{` + message + `}}`},
		"alert alone": {`{"platform":"all","audience":"all","notification":"Hello"}`, herald.PlatformIOS, `{"notification":{"body":"Hello"}}`},
		"message alone": {`{"platform":"all","audience":"all","message":{"msg_content":{"a":[1, 2]}}}`, herald.PlatformIOS,
			`{"data":{"message":{"msg_content":"{\"a\":[1,2]}"}}}`},
		"one platform": {`{"platform":"all","audience":"all","notification":{"android":{"alert":"Hi","extras":{"a":1}}}}`, herald.PlatformAndroid,
			`{"notification":{"body":"Hi"},"data":{"extras":{"a":1}}}`},
		"nothing is shown": {`{"platform":["android"],"audience":"all","notification":{"android":{"alert":"","extras":{"a":1}}}}`, herald.PlatformAndroid, `{"data":{"extras":{"a":1}}}`},
		"nothing at all":   {`{"platform":["android"],"audience":"all","notification":{"android":{"alert":""}}}`, herald.PlatformAndroid, `{"data":{}}`},
		"live activity": {`{"platform":"ios","audience":"all","live_activity":{"ios":{"event":"update","content-state":{"goal":1},"relevance-score":5}}}`, herald.PlatformIOS,
			`{"data":{"live_activity":{"event":"update","content-state":{"goal":1},"relevance-score":5}}}`},
		"an intent of Android": {`{"platform":"android","audience":"all","notification":{"android":{"alert":"Hi","intent":{"url":"intent:#Intent;component=a/b;end"}}}}`, herald.PlatformAndroid,
			`{"notification":{"body":"Hi","click":"intent:#Intent;component=a/b;end"},"data":{"options":{"intent":{"url":"intent:#Intent;component=a/b;end"}}}}`},
		"a script is no click": {`{"platform":"android","audience":"all","notification":{"android":{"alert":"Hi","intent":{"url":"javascript:alert(1)"}}}}`, herald.PlatformAndroid,
			`{"notification":{"body":"Hi"},"data":{"options":{"intent":{"url":"javascript:alert(1)"}}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			_, content := read(t, c.body)
			content, _ = content.For(c.platform)
			got, err := json.Marshal(content)
			must(t, err)
			if string(got) != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestOnlyWhereSomethingIsSaid(t *testing.T) {
	p, _ := read(t, `{"platform":"all","audience":"all","notification":{"android":{"alert":"a"},"ios":{"alert":"b"}}}`)
	b, err := json.Marshal(p.req.Audience)
	if err != nil || string(b) != `{"platforms":["android","ios"]}` {
		t.Errorf("%s, %v", b, err)
	}
}

func TestSlowPush(t *testing.T) {
	n := newNode(t)
	n.register(herald.PlatformAndroid, "")
	for options, want := range map[string][2]int64{
		`"big_push_duration":10`:                       {600, 86400 + 600},
		`"big_push_duration":10,"time_to_live":0`:      {600, 60 + 600},
		`"big_push_duration":1400,"time_to_live":3600`: {84000, 3600 + 84000},
	} {
		v := n.view(n.pushed(`{` + toAll + `,` + hello + `,"options":{` + options + `}}`))
		if v.Spread == nil || v.Spread.Over != want[0] || v.TTL != want[1] {
			t.Errorf("%s: %+v over a TTL of %d", options, v.Spread, v.TTL)
		}
	}
	if v := n.view(n.pushed(`{` + toAll + `,` + hello + `,"options":{"big_push_duration":0}}`)); v.Spread != nil {
		t.Errorf("%+v", v.Spread)
	}
}

func TestVendorsAreKept(t *testing.T) {
	n := newNode(t)
	phone, tablet := n.register(herald.PlatformAndroid, ""), n.register(herald.PlatformIOS, "")
	id := n.pushed(`{"platform":"all","audience":"all","notification":{"alert":"Hello","voip":{"k":1}},"notification_3rd":{"content":"x"},` +
		`"sms_message":{"temp_id":1250,"delay_time":3600},"callback":{"url":"https://a.example","type":3},` +
		`"options":{"apns_production":"false","apns_collapse_id":"news","time_to_live":60,"classification":1,"target_event":["jg_app_show"],` +
		`"third_party_channel":{"xiaomi":{"channel_id":"x1","distribution":"secondary_push","skip_quota":false}}}}`)
	v := n.view(id)
	b, err := json.Marshal(v.Vendors)
	must(t, err)
	const want = `{"all":{"callback":{"url":"https://a.example","type":3},"classification":1,"notification_3rd":{"content":"x"},"target_event":["jg_app_show"]},` +
		`"apns":{"collapse_id":"news","production":false,"voip":{"k":1}},"sms":{"message":{"temp_id":1250,"delay_time":3600}},` +
		`"xiaomi":{"channel_id":"x1","distribution":"secondary_push","skip_quota":false}}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
	if v.CollapseKey != "news" || v.TTL != 60 {
		t.Errorf("collapse key %q, TTL %d", v.CollapseKey, v.TTL)
	}
	for device, vendors := range map[herald.RegistrationID]string{phone: "all xiaomi sms", tablet: "all apns sms"} {
		trace, err := n.service.Messages.Trace(t.Context(), n.master, id, device)
		must(t, err)
		var via []string
		for _, s := range trace.Steps {
			if s.Event == "no_channel" {
				via = append(via, s.Via)
				if !strings.HasPrefix(s.Text, "No channel configured") {
					t.Error(s.Text)
				}
			}
		}
		if got := strings.Join(via, " "); got != vendors {
			t.Errorf("the trace tells of no channel to %q, want %q", got, vendors)
		}
	}
	self := api.Principal{Kind: api.Device, App: n.app, Device: phone}
	trace, err := n.service.Messages.Trace(t.Context(), self, id, phone)
	must(t, err)
	for _, s := range trace.Steps {
		if s.Event == "no_channel" {
			t.Errorf("a device is told of vendors: %+v", s)
		}
	}
}

// FuzzPayload reads pushes. Whatever comes, it is refused with a code, or it is
// a message that the service takes or refuses with a code.
func FuzzPayload(f *testing.F) {
	for _, s := range []string{
		`{` + toAll + `,` + hello + `}`, `{"platform":{"0":"ios"},"audience":{"tag":{"0":"a"},"tag_and":["b"]},"message":{"msg_content":1}}`,
		`{"platform":["android"],"audience":{"registration_id":["x"]},"notification":{"android":{"alert":"a","style":2,"inbox":{"a":"b"}}},"options":{"sendno":"5","time_to_live":"0","apns_production":"true"}}`,
		`{"platform":"ios","audience":{"live_activity_id":"x"},"live_activity":{"ios":{"event":"end","content-state":{}}}}`,
		`{"platform":"all","audience":"all","notification":{"ios":{"alert":{"body":"b"},"sound":{"name":"n"},"badge":1}},"options":{"third_party_channel":{"fcm":{"distribution_fcm":"pns"}}}}`,
		`{"platform":null,"audience":null}`, `[]`, `{"platform":"all","audience":"all","message":{}}`, `{"cid":"","sms_message":{"temp_id":1},"callback":{"url":"a"}}`,
	} {
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, body []byte, file bool) {
		o, err := readObject(body)
		if err == nil {
			var p *payload
			p, err = readPayload(o, kind{file: file})
			if err == nil {
				c := herald.Content{Notification: p.req.Notification, Data: p.req.Data, PlatformData: p.req.PlatformData}
				if c.Notification == nil && c.Data == nil && c.PlatformData == nil {
					t.Fatal("it says nothing")
				}
				if _, err := json.Marshal(c); err != nil {
					t.Fatal(err)
				}
				if a := p.req.Audience; !a.All && isEmpty(a) && len(a.Platforms) == 0 {
					t.Fatal("it is for everybody, and nobody said so")
				}
				return
			}
		}
		if told := areaPush.refusal(err); told.code == codeInternal || told.status < 400 {
			t.Fatalf("refused with %d, code %d: %v", told.status, told.code, err)
		}
	})
}
