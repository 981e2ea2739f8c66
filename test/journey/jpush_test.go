package journey_test

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// jpushAnswer is what a call gave.
type jpushAnswer struct {
	Value  json.RawMessage
	Failed *struct {
		Name, Message string
		Status        int
	}
	Wire []struct {
		Method, Host, Path string
		Status             int
	}
}

// jpushClient is a client of JPush that runs in Node.
type jpushClient struct {
	s     *server
	style string
	told  map[string]bool // the calls that were made
}

func (c *jpushClient) call(t *testing.T, method string, args []any, build []any) jpushAnswer {
	t.Helper()
	c.told[method] = true
	command := object{"cmd": "call", "style": c.style, "url": c.s.url, "key": c.s.context.AppKey, "secret": c.s.context.MasterSecret, "method": method, "args": args}
	if build != nil {
		command["build"] = build
		c.told["push"] = true
	}
	var out jpushAnswer
	if err := json.Unmarshal(useHelper(t, "jpush.mjs").ask(t, command), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// answered makes a call and checks that it was answered with a status; it gives
// what the client made of it.
func (c *jpushClient) answered(t *testing.T, status int, method string, args ...any) string {
	t.Helper()
	return c.judge(t, status, method, c.call(t, method, args, nil))
}

// built is answered for a push.
func (c *jpushClient) built(t *testing.T, status int, method string, args []any, build ...any) string {
	t.Helper()
	return c.judge(t, status, method, c.call(t, method, args, build))
}

func (c *jpushClient) judge(t *testing.T, status int, method string, a jpushAnswer) string {
	t.Helper()
	if len(a.Wire) == 0 || a.Wire[len(a.Wire)-1].Status != status {
		t.Errorf("%s of %s: %+v, failed %+v; want status %d", method, c.style, a.Wire, a.Failed, status)
		return ""
	}
	if strings.HasSuffix(c.style, "callbacks") {
		return "" // the client calls every answer an error
	}
	if (a.Failed == nil) != (status == http.StatusOK) {
		t.Errorf("%s of %s: %s, failed %+v", method, c.style, a.Value, a.Failed)
	}
	return string(a.Value)
}

func jpushAs(s *server, style string) *jpushClient {
	return &jpushClient{s: s, style: style, told: map[string]bool{}}
}

// gave wraps what a function of the client's package gives.
func gave(name string, args ...any) object { return object{"$": []any{name, args}} }

// registerAs registers a device of a platform.
func (s *server) registerAs(t *testing.T, platform string) registered {
	t.Helper()
	r := s.call(t, "POST", "/v1/devices", "", object{"app_key": s.context.AppKey, "platform": platform})
	if r.status != http.StatusOK && r.status != http.StatusCreated {
		t.Fatalf("registering: status %d: %s", r.status, r.body)
	}
	return expect[registered](t, r, r.status)
}

// TestJPushClients has the official clients make every call that they offer.
func TestJPushClients(t *testing.T) {
	for _, style := range []string{"jpush-sdk", "jpush-async", "jpush-async with callbacks"} {
		t.Run(style, func(t *testing.T) {
			s := startServer(t)
			c := jpushAs(s, style)
			phone, tablet := s.registerAs(t, "android"), s.registerAs(t, "ios")
			c.devices(t, phone.RegistrationID, tablet.RegistrationID)
			id := c.pushes(t, phone.RegistrationID)
			c.reports(t, id, phone.RegistrationID)
			c.schedules(t)
			c.rest(t, phone.RegistrationID)
			c.all(t)
		})
	}
}

// devices makes the calls of the device API.
func (c *jpushClient) devices(t *testing.T, phone, tablet string) {
	t.Helper()
	same := func(got, want string) {
		t.Helper()
		if got != want && !strings.HasSuffix(c.style, "callbacks") {
			t.Errorf("%s: got %s, want %s", c.style, got, want)
		}
	}
	same(c.answered(t, 200, "updateDeviceTagAlias", phone, "alice", false, []string{"vip", "news"}, []string{}), `{}`)
	same(c.answered(t, 200, "updateDeviceTagAlias", tablet, "alice", false, []string{"news"}, []string{}), `{}`)
	same(c.answered(t, 200, "setMobile", phone, "13800138000"), `{}`)
	same(c.answered(t, 200, "getDeviceTagAlias", phone), `{"tags":["news","vip"],"alias":"alice","mobile":"13800138000"}`)
	same(c.answered(t, 200, "getTagList"), `{"tags":["news","vip"]}`)
	same(c.answered(t, 200, "isDeviceInTag", "vip", phone), `{"result":true}`)
	same(c.answered(t, 200, "addRemoveDevicesFromTag", "vip", []string{tablet}, []string{phone}), `{}`)
	same(c.answered(t, 200, "isDeviceInTag", "vip", phone), `{"result":false}`)
	same(c.answered(t, 200, "deleteTag", "vip", "android"), `{}`)
	same(c.answered(t, 200, "deleteTag", "vip", nil), `{}`)
	same(c.answered(t, 200, "deleteAlias", "nobody", nil), `{}`)
	same(c.answered(t, 200, "deleteAlias", "alice", "ios"), `{}`)
	if c.style != "jpush-sdk" { // it leaves the platform out, and so removes the whole alias
		c.answered(t, 200, "updateDeviceTagAlias", phone, "alice", false, []string{}, []string{})
	}
	same(c.answered(t, 200, "getAliasDeviceList", "alice", nil), `{"registration_ids":["`+phone+`"]}`)
	c.answered(t, 200, "getAliasDeviceList", "alice", "android")
	c.answered(t, 400, "getDeviceTagAlias", "18071adc030dcba91c0")
	if c.style != "jpush-sdk" {
		got := c.answered(t, 200, "getDeviceStatus", []string{phone})
		if c.style == "jpush-async" {
			same(got, `{"res":{"`+phone+`":{"online":true}}}`)
		}
	}
}

// pushes makes the calls of the push API and gives the ID of a message.
func (c *jpushClient) pushes(t *testing.T, phone string) string {
	t.Helper()
	var sent struct {
		Sendno string `json:"sendno"`
		ID     string `json:"msg_id"`
	}
	everybody := []any{"setAudience", []any{"all"}}
	all := []any{"setPlatform", []any{"all"}}
	hello := []any{"setNotification", []any{"Hello", gave("ios", "ios alert", "happy", 5), gave("android", "android alert", "T", 1, object{"k": "v"})}}
	got := c.built(t, 200, "send", nil, all, everybody, hello, []any{"setMessage", []any{"msg content", "title", "type", object{"a": 1}}}, []any{"setOptions", []any{4294967294, 60}})
	if !strings.HasSuffix(c.style, "callbacks") {
		if err := json.Unmarshal([]byte(got), &sent); err != nil || sent.Sendno != "4294967294" || sent.ID == "" {
			t.Errorf("%s: got %s", c.style, got)
		}
	}
	c.built(t, 200, "send", nil, []any{"setPlatform", []any{"ios", "android"}}, []any{"setAudience", []any{gave("tag", "news"), gave("tag_and", "news"), gave("alias", "alice", "bob"), gave("registration_id", phone)}}, hello)
	c.built(t, 200, "sendValidate", nil, all, everybody, hello)
	c.built(t, 400, "send", nil, all, []any{"setAudience", []any{gave("alias", "nobody")}}, hello)
	raw := any(`{"platform":"all","audience":"all","notification":{"alert":"x"}}`)
	if c.style == "jpush-async" {
		raw = object{"platform": "all", "audience": "all", "notification": object{"alert": "x"}}
	}
	c.answered(t, 200, "sendPush", raw)
	c.answered(t, 200, "validate", raw)
	if strings.HasSuffix(c.style, "callbacks") {
		list := expect[struct{ Messages []struct{ ID string } }](t, c.s.call(t, "GET", "/v1/messages", c.s.basic(), nil), http.StatusOK)
		return list.Messages[len(list.Messages)-1].ID
	}
	return sent.ID
}

// reports makes the calls of the report API. jpush-async leaves the query out.
func (c *jpushClient) reports(t *testing.T, id, phone string) {
	t.Helper()
	status, row := 200, `[{"msg_id":"`+id+`"`
	if c.style != "jpush-sdk" {
		status, row = 400, ""
	}
	has := func(got string) {
		t.Helper()
		if !strings.HasPrefix(got, row) {
			t.Errorf("%s: got %s", c.style, got)
		}
	}
	has(c.answered(t, status, "getReportReceiveds", id))
	has(c.answered(t, status, "getReportMessages", id))
	day := time.Now().UTC().Format("2006-01-02")
	if got := c.answered(t, status, "getReportUsers", "DAY", day, 1); status == 200 && !strings.HasPrefix(got, `{"time_unit":"DAY","start":"`+day+`","duration":1,"items":[`) {
		t.Errorf("%s: got %s", c.style, got)
	}
	if c.style == "jpush-sdk" {
		return
	}
	c.answered(t, status, "getReportReceivedDetail", id)
	c.answered(t, status, "getReportMessagesDetail", id)
	if got := c.answered(t, 200, "getReportStatusMessage", id, []string{phone}, nil); c.style == "jpush-async" && got != `{"res":{"`+phone+`":{"status":1}}}` {
		t.Errorf("%s: got %s", c.style, got)
	}
}

// schedules makes the calls of the schedule API.
func (c *jpushClient) schedules(t *testing.T) {
	t.Helper()
	in := func(d time.Duration) string {
		return time.Now().Add(d).In(time.FixedZone("Asia/Shanghai", 8*60*60)).Format("2006-01-02 15:04:05")
	}
	push := []any{[]any{"setPlatform", []any{"all"}}, []any{"setAudience", []any{"all"}}, []any{"setNotification", []any{"Hello"}}}
	once := append(push[:3:3], []any{"setSingleSchedule", []any{in(time.Hour)}})
	again := append(push[:3:3], []any{"setPeriodicalSchedule", []any{in(time.Hour), in(30 * 24 * time.Hour), "12:00:00", "week", 2, []string{"wed", "fri"}}})
	c.built(t, 200, "setSchedule", []any{"Schedule_Name", true}, once...)
	c.built(t, 200, "setSchedule", []any{"Schedule_Name_2", true}, again...)
	list := expect[struct {
		Total     int `json:"total_count"`
		Schedules []struct {
			ID string `json:"schedule_id"`
		}
	}](t, c.s.call(t, "GET", "/v3/schedules", c.s.basic(), nil), http.StatusOK)
	if list.Total != 2 {
		t.Fatalf("%d schedules", list.Total)
	}
	id := list.Schedules[1].ID
	starts := func(got, want string) {
		t.Helper()
		if !strings.HasPrefix(got, want) && !strings.HasSuffix(c.style, "callbacks") {
			t.Errorf("%s: got %s, want %s", c.style, got, want)
		}
	}
	starts(c.answered(t, 200, "getScheduleList", 1), `{"total_count":2,"total_pages":1,"page":1,"schedules":[{"schedule_id":"`)
	starts(c.answered(t, 200, "getSchedule", id), `{"schedule_id":"`+id+`","name":"Schedule_Name_2","enabled":true,"trigger":{"periodical":{`)
	if c.style == "jpush-sdk" { // whose builder for it calls a function that it does not have
		starts(c.answered(t, 200, "updateSchedule", id, `{"name":"Other","enabled":false}`), `{"schedule_id":"`+id+`","name":"Other","enabled":false,`)
	} else {
		starts(c.built(t, 200, "updateSchedule", []any{id, "Other", false}, []any{"setPeriodicalSchedule", []any{in(time.Hour), in(9 * 24 * time.Hour), "12:00:00", "week", 3, []string{"wed", "sun"}}}),
			`{"schedule_id":"`+id+`","name":"Other","enabled":false,`)
	}
	c.answered(t, 404, "getSchedule", "fb8fd1a4-5c91-11e6-a6b6-0021f653c902")
	starts(c.answered(t, 200, "delSchedule", id), `{}`)
}

// rest makes the calls that only one of them has.
func (c *jpushClient) rest(t *testing.T, phone string) {
	t.Helper()
	if strings.HasSuffix(c.style, "callbacks") {
		c.answered(t, 200, "getCid", 3, "push")
		push := []object{{"platform": "all", "target": phone, "notification": object{"alert": "x"}}}
		c.answered(t, 200, "batchPushByRegid", push) // it asks for the cids, and does not get further
		c.answered(t, 200, "batchPushByAlias", push)
	}
}

// all checks that every call that the client offers was made.
func (c *jpushClient) all(t *testing.T) {
	t.Helper()
	var offered []string
	if err := json.Unmarshal(useHelper(t, "jpush.mjs").ask(t, object{"cmd": "offered", "style": c.style}), &offered); err != nil || len(offered) < 20 {
		t.Fatalf("%d calls, %v", len(offered), err)
	}
	for _, name := range offered {
		if !c.told[name] {
			t.Errorf("%s offers %s, and nobody called it", c.style, name)
		}
	}
}

// TestPHPCallsJPush makes the calls of PHP's client, as curl in PHP makes them.
func TestPHPCallsJPush(t *testing.T) {
	php := need(t, "php")
	if out, err := exec.Command(php, "-r", `exit(function_exists("curl_init") ? 0 : 1);`).CombinedOutput(); err != nil {
		t.Skipf("unavailable: php-curl: %v %s", err, out)
	}
	s := startServer(t)
	phone := s.registerAs(t, "android").RegistrationID
	run := func(method, path, body string) (status int, answer string) {
		t.Helper()
		cmd := exec.Command(php, filepath.Join(interop, "jpush.php"), s.url+path, method, s.context.AppKey+":"+s.context.MasterSecret, body)
		cmd.Env = os.Environ()
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		first, answer, _ := strings.Cut(string(out), "\n")
		status, err = strconv.Atoi(first)
		if err != nil {
			t.Fatalf("%s", out)
		}
		return status, answer
	}
	var id string
	for _, c := range []struct{ method, path, body, want string }{
		{"POST", "/v3/push", `{"platform":{"0":"ios","2":"android"},"audience":{"registration_id":["` + phone + `"]},"notification":{"alert":"Hi"}}`, `{"sendno":"0","msg_id":"`},
		{"POST", "/v3//push/validate", `{"platform":"all","audience":"all","notification":{"alert":"Hi"},"options":{"apns_production":"false"}}`, `{"sendno":"0","msg_id":"0"}`},
		{"GET", "/v3/push/cid?count=2&type=push", "", `{"cidlist":["`},
		{"GET", "/v3/devices/" + phone, "", `{"tags":[],"alias":"","mobile":""}`},
		{"POST", "/v3/devices/" + phone, `{"tags":{"add":["a"]},"alias":"x"}`, `{}`},
		{"GET", "/v3/tags/a/registration_ids/" + phone, "", `{"result":true}`},
		{"GET", "/v3/aliases/x?platform=android", "", `{"registration_ids":["` + phone + `"]}`},
		{"DELETE", "/v3/aliases/x", "", `{}`},
		{"GET", "/v3/messages/?msg_ids=ID", "", `[{"msg_id":"ID"`},
		{"GET", "/v3/users/?time_unit=DAY&start=" + time.Now().UTC().Format("2006-01-02") + "&duration=1", "", `{"time_unit":"DAY"`},
		{"POST", "/v3/status/message", `{"msg_id":ID,"registration_ids":["` + phone + `"],"data":"2026-11-22"}`, `{"` + phone + `":{"status":1}}`},
		{"DELETE", "/v3/push/ID", "", `{}`},
	} {
		fill := strings.NewReplacer("ID", id).Replace
		status, got := run(c.method, fill(c.path), fill(c.body))
		if status != http.StatusOK || !strings.HasPrefix(got, fill(c.want)) {
			t.Errorf("%s %s: %d %s, want %s", c.method, c.path, status, got, c.want)
		}
		if id == "" {
			_, rest, _ := strings.Cut(got, `"msg_id":"`)
			id, _, _ = strings.Cut(rest, `"`)
		}
	}
}
