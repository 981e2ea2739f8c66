package jpush

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
)

const stranger = "0000000000000000000v" // a registration ID that nobody has

func TestDevice(t *testing.T) {
	n := newNode(t)
	id := string(n.register(herald.PlatformAndroid, ""))
	path := "/v3/devices/" + id
	n.do("GET", path, "").want(t, 200, `{"tags":[],"alias":"","mobile":""}`)
	for _, step := range []struct{ body, want string }{
		{`{"tags":{"add":["a","b"]},"alias":"alice","mobile":"13800138000"}`, `{"tags":["a","b"],"alias":"alice","mobile":"13800138000"}`},
		{`{"tags":{"add":["c"],"remove":["a"]}}`, `{"tags":["b","c"],"alias":"alice","mobile":"13800138000"}`},
		{`{"tags":[],"alias":null}`, `{"tags":["b","c"],"alias":"alice","mobile":"13800138000"}`},
		{`{"tags":{}}`, `{"tags":["b","c"],"alias":"alice","mobile":"13800138000"}`},
		{`{"tags":"","alias":"","mobile":""}`, `{"tags":[],"alias":"","mobile":""}`},
	} {
		n.do("POST", path, step.body).want(t, 200, `{}`)
		n.do("GET", path, "").want(t, 200, step.want)
	}
	for name, body := range map[string]string{
		"nothing": ``, "no JSON": `{`, "a list": `[]`, "alias of a number": `{"alias":1}`, "long alias": `{"alias":"` + strings.Repeat("x", 41) + `"}`,
		"tags of a number": `{"tags":1}`, "long tag": `{"tags":{"add":["` + strings.Repeat("x", 41) + `"]}}`, "unknown": `{"tag":""}`,
		"unknown below": `{"tags":{"set":[]}}`, "mobile": `{"mobile":"call me"}`, "101 tags": `{"tags":{"add":[` + strings.TrimSuffix(strings.Repeat(`"x",`, 101), ",") + `]}}`,
		"1001 bytes": `{"tags":{"add":[` + strings.TrimSuffix(strings.Repeat(`"`+strings.Repeat("x", 40)+`",`, 26), ",") + `]}}`,
	} {
		t.Run(name, func(t *testing.T) { n.do("POST", path, body).refused(t, 400, codeDeviceValue) })
	}
	for _, unknown := range []string{stranger, "18071adc030dcba91c0"} {
		n.do("GET", "/v3/devices/"+unknown, "").refused(t, 400, codeDeviceValue)
		n.do("POST", "/v3/devices/"+unknown, `{"alias":"x"}`).refused(t, 400, codeDeviceValue)
	}
}

// The number of a device with an alias is that of the person, whom SMS reach.
func TestMobile(t *testing.T) {
	n := newNode(t)
	device := func() string { return "/v3/devices/" + string(n.register(herald.PlatformAndroid, "")) }
	a, b := device(), device()
	mobile := func(path, want string) {
		t.Helper()
		if got := n.do("GET", path, ""); !strings.Contains(got.text, `"mobile":"`+want+`"`) {
			t.Errorf("%s: got %s, want the mobile %q", path, got.text, want)
		}
	}
	phone := func(want string) {
		t.Helper()
		got := ""
		list, err := n.service.Devices.Addresses(t.Context(), n.master, "alice")
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range list.Addresses {
			if v.InvalidAt == nil {
				got += v.Kind + " " + v.Token
			}
		}
		if got != want {
			t.Errorf("alice has %q, want %q", got, want)
		}
	}
	for _, step := range []struct{ path, body, a, b, phone string }{
		{a, `{"mobile":"13800138000"}`, "13800138000", "", ""},
		{a, `{"alias":"alice"}`, "13800138000", "", ""},
		{a, `{"mobile":"13800138001"}`, "13800138001", "", "phone +8613800138001"},
		{b, `{"alias":"alice"}`, "13800138001", "13800138001", "phone +8613800138001"},
		{b, `{"mobile":"+44-2079460000"}`, "+442079460000", "+442079460000", "phone +442079460000"},
		{b, `{"mobile":"1"}`, "", "1", ""}, // no number: as it was before there were addresses
		{a, `{"mobile":"13800138002"}`, "13800138002", "1", "phone +8613800138002"},
		{b, `{"mobile":""}`, "", "", ""},
		{a, `{"mobile":"13800138003"}`, "13800138003", "13800138003", "phone +8613800138003"},
		{a, `{"alias":"","mobile":"13800138004"}`, "13800138004", "13800138003", "phone +8613800138003"},
		{b, `{"alias":"","mobile":""}`, "13800138004", "", ""},
	} {
		n.do("POST", step.path, step.body).want(t, 200, `{}`)
		mobile(a, step.a)
		mobile(b, step.b)
		if step.phone != "" {
			phone(step.phone)
		}
	}
	phone("")
}

func TestAliasHasTenDevices(t *testing.T) {
	n := newNode(t)
	for range maxAliasOf {
		n.register(herald.PlatformAndroid, "alice")
	}
	id := n.register(herald.PlatformAndroid, "")
	n.do("POST", "/v3/devices/"+string(id), `{"alias":"alice"}`).refused(t, 400, codeDeviceAlias)
	one := n.register(herald.PlatformIOS, "bob")
	n.do("POST", "/v3/devices/"+string(one), `{"alias":"bob"}`).want(t, 200, `{}`)
}

func TestAliases(t *testing.T) {
	n := newNode(t)
	a, b := n.register(herald.PlatformAndroid, "alice"), n.register(herald.PlatformIOS, "alice")
	day := n.clock().In(Beijing).Format(dayForm)
	n.do("GET", "/v3/aliases/alice", "").want(t, 200, fmt.Sprintf(`{"registration_ids":["%s","%s"]}`, a, b))
	n.do("GET", "/v3/aliases/alice/?platform=ios", "").want(t, 200, fmt.Sprintf(`{"registration_ids":["%s"]}`, b))
	n.do("GET", "/v3/aliases/alice?platform=android,ios&new_format=true", "").want(t, 200,
		fmt.Sprintf(`{"data":[{"registration_id":"%s","platform":"android","last_online_date":"%s"},{"registration_id":"%s","platform":"ios","last_online_date":"%s"}]}`, a, day, b, day))
	n.do("GET", "/v3/aliases/nobody", "").want(t, 200, `{"registration_ids":[]}`)
	n.do("GET", "/v3/aliases/nobody?new_format=true", "").want(t, 200, `{"data":[]}`)
	n.do("GET", "/v3/aliases/alice?platform=symbian", "").refused(t, 400, codeDeviceValue)

	n.do("DELETE", "/v3/aliases/alice/?platform=ios", "").want(t, 200, `{}`)
	n.do("GET", "/v3/device/aliases/alice", "").want(t, 200, fmt.Sprintf(`{"registration_ids":["%s"]}`, a))
	n.do("POST", "/v3/aliases/alice", `{"registration_ids":{"remove":["`+string(a)+`"]}}`).want(t, 200, `{}`)
	n.do("GET", "/v3/aliases/alice", "").want(t, 200, `{"registration_ids":[]}`)
	n.do("DELETE", "/v3/aliases/alice", "").want(t, 200, `{}`)
	n.do("DELETE", "/v3/aliases/alice", "").want(t, 200, `{}`)
	n.do("DELETE", "/v3/aliases/alice?platform=x", "").refused(t, 400, codeDeviceValue)
	for _, body := range []string{``, `{}`, `{"registration_ids":{}}`, `{"registration_ids":{"add":["` + string(a) + `"]}}`, `{"registration_ids":{"remove":["` + stranger + `"]}}`, `{"registration_ids":{"remove":["x"]}}`, `{"registration_ids":{"remove":[1]}}`} {
		n.do("POST", "/v3/aliases/alice", body).refused(t, 400, codeDeviceValue)
	}
}

func TestTags(t *testing.T) {
	n := newNode(t)
	a, b := string(n.register(herald.PlatformAndroid, "")), string(n.register(herald.PlatformIOS, ""))
	n.do("GET", "/v3/tags", "").want(t, 200, `{"tags":[]}`)
	n.do("POST", "/v3/tags/vip", `{"registration_ids":{"add":["`+a+`","`+b+`"]}}`).want(t, 200, `{}`)
	n.do("GET", "/v3/tags/", "").want(t, 200, `{"tags":["vip"]}`)
	n.do("GET", "/v3/tags/vip/registration_ids/"+a, "").want(t, 200, `{"result":true}`)
	n.do("POST", "/v3/tags/vip", `{"registration_ids":{"remove":["`+a+`"]}}`).want(t, 200, `{}`)
	n.do("GET", "/v3/tags/vip/registration_ids/"+a, "").want(t, 200, `{"result":false}`)
	n.do("GET", "/v3/tags/vip/registration_ids/"+stranger, "").refused(t, 400, codeDeviceValue)
	n.do("DELETE", "/v3/tags/vip/?platform=android", "").want(t, 200, `{}`)
	n.do("GET", "/v3/tags/vip/registration_ids/"+b, "").want(t, 200, `{"result":true}`)
	n.do("DELETE", "/v3/tags/vip?platform=ios,android", "").want(t, 200, `{}`)
	n.do("GET", "/v3/device/tags/vip/registration_ids/"+b, "").want(t, 200, `{"result":false}`)
	n.do("DELETE", "/v3/tags/vip", "").want(t, 200, `{}`)
	n.do("DELETE", "/v3/tags/vip?platform=x", "").refused(t, 400, codeDeviceValue)
	n.do("POST", "/v3/tags/"+strings.Repeat("x", 41), `{"registration_ids":{"add":["`+a+`"]}}`).refused(t, 400, codeDeviceValue)
	n.do("POST", "/v3/tags/vip", `{"registration_ids":{"add":["`+stranger+`"]}}`).refused(t, 400, codeDeviceValue)
	// A tag with a slash and one of another alphabet come percent-encoded.
	n.do("POST", "/v3/tags/a%2Fb%E5%8D%97", `{"registration_ids":{"add":["`+a+`"]}}`).want(t, 200, `{}`)
	n.do("GET", "/v3/tags", "").want(t, 200, `{"tags":["a/b南"]}`)
}

func TestDeviceStatus(t *testing.T) {
	n := newNode(t)
	a := string(n.register(herald.PlatformAndroid, ""))
	ask := func() answer {
		return n.do("POST", "/v3/devices/status/", `{"registration_ids":["`+a+`","`+stranger+`","x"]}`)
	}
	ask().want(t, 200, fmt.Sprintf(`{"%s":{},"%s":{"online":true},"x":{}}`, stranger, a))
	seen := n.clock()
	n.pass(11 * time.Minute)
	ask().want(t, 200, fmt.Sprintf(`{"%s":{},"%s":{"online":false,"last_online_time":"%s"},"x":{}}`, stranger, a, seen.In(Beijing).Format(secondForm)))
	n.pass(48 * time.Hour)
	ask().want(t, 200, fmt.Sprintf(`{"%s":{},"%s":{"online":false},"x":{}}`, stranger, a))
	n.crowd.on.Add(0)
	ask().want(t, 200, fmt.Sprintf(`{"%s":{},"%s":{"online":true},"x":{}}`, stranger, a))
	for _, body := range []string{``, `{}`, `{"registration_ids":[]}`, `{"registration_ids":["a"],"b":1}`} {
		n.do("POST", "/v3/devices/status", body).refused(t, 400, codeDeviceValue)
	}
}

func TestChangesAreAudited(t *testing.T) {
	n := newNode(t)
	id := string(n.register(herald.PlatformAndroid, "alice"))
	n.do("POST", "/v3/devices/"+id, `{"mobile":"1"}`).want(t, 200, `{}`)
	n.do("DELETE", "/v3/aliases/alice", "").want(t, 200, `{}`)
	page, err := n.service.Apps.Audit(t.Context(), n.master, auditAll)
	must(t, err)
	var got []string
	for _, e := range page.Entries {
		got = append(got, e.Operation+" "+e.Object)
	}
	if len(got) != 2 || !strings.HasPrefix(got[0], "deleteAlias alias:") || got[1] != "updateDevice "+id {
		t.Errorf("%q", got)
	}
}
