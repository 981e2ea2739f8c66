package jpush

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

const (
	toAll = `"platform":"all","audience":"all"`
	hello = `"notification":{"alert":"Hello"}`
)

func TestPushAnswersTwoTexts(t *testing.T) {
	n := newNode(t)
	n.register(herald.PlatformAndroid, "")
	n.do("POST", "/v3/push", `{`+toAll+`,`+hello+`,"options":{"sendno":4294967294}}`).want(t, 200, `{"sendno":"4294967294","msg_id":"…"}`)
	n.do("POST", "/v3/push", `{`+toAll+`,"notification":"Hello"}`).want(t, 200, `{"sendno":"0","msg_id":"…"}`)
	a := n.do("POST", "/v3/push", `{`+toAll+`,`+hello+`}`)
	var s sent
	if err := json.Unmarshal([]byte(a.text), &s); err != nil || !digits(s.ID) {
		t.Errorf("msg_id is %q", s.ID)
	}
	if got := a.Header().Get("Content-Length"); got != fmt.Sprint(len(a.text)) {
		t.Errorf("Content-Length %s of %d", got, len(a.text))
	}
}

func TestValidateSendsNothing(t *testing.T) {
	n := newNode(t)
	n.do("POST", "/v3/push/validate", `{`+toAll+`,`+hello+`}`).refused(t, 400, codeNobody)
	n.register(herald.PlatformAndroid, "")
	n.do("POST", "/v3//push/validate", `{`+toAll+`,`+hello+`,"options":{"sendno":7}}`).want(t, 200, `{"sendno":"7","msg_id":"0"}`)
	page, err := n.service.Messages.List(t.Context(), n.master, "", "", 10)
	if err != nil || len(page.Messages) != 0 {
		t.Errorf("%v, %v", page, err)
	}
}

func TestPushRefusals(t *testing.T) {
	n := newNode(t)
	n.register(herald.PlatformAndroid, "a", "t")
	long := strings.Repeat("x", 4001)
	options := func(s string) string { return toAll + `,` + hello + `,"options":{` + s + `}` }
	audience := func(s string) string { return `"platform":"all",` + hello + `,"audience":` + s }
	names := func(n int) string { return strings.TrimSuffix(strings.Repeat(`"x",`, n), ",") }
	for name, c := range map[string]struct {
		body string
		code int
	}{
		"no platform":               {`"audience":"all",` + hello, codeMissing},
		"no audience":               {`"platform":"all",` + hello, codeMissing},
		"null audience":             {audience(`null`), codeMissing},
		"says nothing":              {toAll, codeMissing},
		"empty message":             {toAll + `,"message":{}`, codeMissing},
		"notification of no text":   {toAll + `,"notification":{}`, codeMissing},
		"android of no text":        {toAll + `,"notification":{"android":{"title":"x"}}`, codeMissing},
		"message of no content":     {toAll + `,"message":{"title":"x"}`, codeMissing},
		"unknown platform":          {`"platform":["blackberry"],"audience":"all",` + hello, codeValue},
		"platform of a number":      {`"platform":1,"audience":"all",` + hello, codeValue},
		"no platform in the list":   {`"platform":[],"audience":"all",` + hello, codeValue},
		"audience of another text":  {audience(`"everybody"`), codeValue},
		"audience of a number":      {audience(`1`), codeValue},
		"empty audience":            {audience(`{}`), codeMissing},
		"empty lists":               {audience(`{"tag":[],"alias":[]}`), codeMissing},
		"21 tags":                   {audience(`{"tag":[` + names(21) + `]}`), codeValue},
		"1001 aliases":              {audience(`{"alias":[` + names(1001) + `]}`), codeValue},
		"two segments":              {audience(`{"segment":["a","b"]}`), codeValue},
		"unknown segment":           {audience(`{"segment":["a"]}`), codeValue},
		"unknown A/B test":          {audience(`{"abtest":["a"]}`), codeValue},
		"tag of 41 bytes":           {audience(`{"tag":["` + long[:41] + `"]}`), codeValue},
		"tag of a number":           {audience(`{"tag":[1]}`), codeValue},
		"tag of null":               {audience(`{"tag":[null]}`), codeValue},
		"tags with odd keys":        {audience(`{"tag":{"a":"b"}}`), codeValue},
		"unknown kind of audience":  {audience(`{"tags":["a"]}`), codeUnknown},
		"file elsewhere":            {audience(`{"file":{"file_id":"a"}}`), codeValue},
		"nobody":                    {audience(`{"alias":["nobody"]}`), codeNobody},
		"an ID of JPush":            {audience(`{"registration_id":["18071adc030dcba91c0"]}`), codeNobody},
		"live activity":             {audience(`{"live_activity_id":"x"}`), codeNobody},
		"unknown member":            {toAll + `,` + hello + `,"notifcation":{}`, codeUnknown},
		"unknown in notification":   {toAll + `,"notification":{"alert":"x","adnroid":{}}`, codeUnknown},
		"unknown in android":        {toAll + `,"notification":{"alert":"x","android":{"titel":"x"}}`, codeUnknown},
		"unknown in options":        {options(`"time_to_life":1`), codeUnknown},
		"unknown vendor":            {options(`"third_party_channel":{"nokia":{}}`), codeUnknown},
		"unknown in message":        {toAll + `,"message":{"msg_content":"x","extra":{}}`, codeUnknown},
		"alert of a number":         {toAll + `,"notification":{"alert":1}`, codeValue},
		"priority":                  {toAll + `,"notification":{"alert":"x","android":{"priority":3}}`, codeValue},
		"badge":                     {toAll + `,"notification":{"alert":"x","ios":{"badge":"many"}}`, codeValue},
		"sound":                     {toAll + `,"notification":{"alert":"x","ios":{"sound":1}}`, codeValue},
		"ios alert":                 {toAll + `,"notification":{"ios":{"alert":[1]}}`, codeValue},
		"interruption level":        {toAll + `,"notification":{"alert":"x","ios":{"interruption-level":"loud"}}`, codeValue},
		"extras of a text":          {toAll + `,"notification":{"alert":"x","ios":{"extras":"a"}}`, codeValue},
		"ttl below 0":               {options(`"time_to_live":-1`), codeValue},
		"ttl of 11 days":            {options(`"time_to_live":950400`), codeValue},
		"sendno of a fraction":      {options(`"sendno":1.5`), codeValue},
		"apns_production":           {options(`"apns_production":"yes"`), codeValue},
		"collapse of 65 bytes":      {options(`"apns_collapse_id":"` + long[:65] + `"`), codeValue},
		"duration":                  {options(`"big_push_duration":1401`), codeValue},
		"classification":            {options(`"classification":2`), codeValue},
		"distribution":              {options(`"third_party_channel":{"xiaomi":{"distribution":"always"}}`), codeValue},
		"active push with message":  {toAll + `,` + hello + `,"message":{"msg_content":"x"},"options":{"active_push":true}`, codeActivePush},
		"active push slowly":        {options(`"active_push":true,"big_push_duration":5`), codeActivePush},
		"in-app alone":              {toAll + `,"message":{"msg_content":"x"},"inapp_message":{"inapp_message":true}`, codeValue},
		"third without content":     {toAll + `,"message":{"msg_content":"x"},"notification_3rd":{"title":"x"}`, codeMissing},
		"SMS without template":      {toAll + `,` + hello + `,"sms_message":{"delay_time":5}`, codeMissing},
		"SMS after two days":        {toAll + `,` + hello + `,"sms_message":{"temp_id":1,"delay_time":172800}`, codeValue},
		"callback":                  {toAll + `,` + hello + `,"callback":{"type":16}`, codeValue},
		"cid":                       {toAll + `,` + hello + `,"cid":"a b"`, codeValue},
		"android too long":          {toAll + `,"notification":{"android":{"alert":"` + long + `"}}`, codeTooLong},
		"android too long together": {toAll + `,"notification":{"alert":"` + long[:2000] + `"},"message":{"msg_content":"` + long[:2000] + `"}`, codeTooLong},
		"ios too long":              {toAll + `,"notification":{"alert":"` + long[:2001] + `"}`, codeTooLong},
		"live activity and more":    {toAll + `,` + hello + `,"live_activity":{"ios":{"event":"start","content-state":{}}}`, codeValue},
		"live activity elsewhere":   {`"platform":["android"],"audience":"all","live_activity":{"ios":{"event":"start","content-state":{}}}`, codeValue},
		"only for others":           {`"platform":["ios"],"audience":"all","notification":{"android":{"alert":"x"}}`, codeMissing},
	} {
		t.Run(name, func(t *testing.T) {
			n.do("POST", "/v3/push", `{`+c.body+`}`).refused(t, 400, c.code)
		})
	}
	n.do("POST", "/v3/push", `{`+options(`"test_model":true`)+`}`).refused(t, 403, codeForbidden)
	n.do("POST", "/v3/push", ``).refused(t, 400, codeMissing)
	n.do("POST", "/v3/push", `{"platform":`).refused(t, 400, codeValue)
	n.do("POST", "/v3/push", `[]`).refused(t, 400, codeValue)
	n.do("POST", "/v3/push", "{\"platform\":\"\xff\"}").refused(t, 400, codeValue)
	n.do("POST", "/v3/push", `"`+strings.Repeat("x", herald.MaxRequestBytes)+`"`).refused(t, 400, codeTooLong)
}

func TestPushReaches(t *testing.T) {
	n := newNode(t)
	n.register(herald.PlatformAndroid, "alice", "news", "vip")
	n.register(herald.PlatformIOS, "alice", "news")
	n.register(herald.PlatformHMOS, "bob", "news")
	id := n.register(herald.PlatformWeb, "")
	_, _, err := n.service.Segments.Put(t.Context(), n.master, "test-7", api.SegmentRequest{Audience: herald.Audience{Tags: []herald.Tag{"vip"}}})
	must(t, err)
	for name, c := range map[string]struct {
		to   string
		want int64
	}{
		"all":                {`"platform":"all","audience":"all"`, 4},
		"all in a list":      {`"platform":["all"],"audience":"all"`, 4},
		"platforms":          {`"platform":["android","ios"],"audience":"all"`, 2},
		"one platform":       {`"platform":"hmos","audience":"all"`, 1},
		"platform with hole": {`"platform":{"0":"ios","2":"android"},"audience":"all"`, 2},
		"tag":                {`"platform":"all","audience":{"tag":["news","other"]}`, 3},
		"tag_and":            {`"platform":"all","audience":{"tag_and":["news","vip"]}`, 1},
		"tag_not":            {`"platform":"all","audience":{"tag_not":["news"]}`, 1},
		"tag and not":        {`"platform":"all","audience":{"tag":["news"],"tag_not":["vip"]}`, 2},
		"alias":              {`"platform":"all","audience":{"alias":["alice","bob"]}`, 3},
		"alias and platform": {`"platform":["ios"],"audience":{"alias":["alice","bob"]}`, 1},
		"registration ID":    {`"platform":"all","audience":{"registration_id":["` + string(id) + `","18071adc030dcba91c0"]}`, 1},
		"segment":            {`"platform":"all","audience":{"segment":["test-7"]}`, 1},
		"A/B test":           {`"platform":"all","audience":{"abtest":["test-7"]}`, 1},
		"empty list":         {`"platform":"all","audience":{"tag":["vip"],"alias":[]}`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			if got := n.view(n.pushed(`{` + c.to + `,` + hello + `}`)).Counts.Target; got != c.want {
				t.Errorf("for %d devices, want %d", got, c.want)
			}
		})
	}
}

func TestSameCIDSendsOnce(t *testing.T) {
	n := newNode(t)
	n.register(herald.PlatformAndroid, "")
	a := n.do("GET", "/v3/push/cid?count=2", "")
	var list cidList
	must(t, json.Unmarshal([]byte(a.text), &list))
	if len(list.List) != 2 || len(list.List[0]) != 61 || !strings.HasPrefix(list.List[0], string(n.app)+"-") || list.List[0] == list.List[1] {
		t.Fatalf("%q", a.text)
	}
	a.want(t, 200, `{"cidlist":["…","…"]}`)
	first := n.pushed(`{"cid":"` + list.List[0] + `",` + toAll + `,` + hello + `}`)
	if again := n.pushed(`{"cid":"` + list.List[0] + `",` + toAll + `,"notification":{"alert":"Another"}}`); again != first {
		t.Errorf("sent again, as %s and not %s", again, first)
	}
	if other := n.pushed(`{"cid":"` + list.List[1] + `",` + toAll + `,` + hello + `}`); other == first {
		t.Error("another cid got the same answer")
	}
	n.do("GET", "/v3/push/cid", "").want(t, 200, `{"cidlist":["…"]}`)
	for _, q := range []string{"count=0", "count=1001", "count=x", "type=other"} {
		n.do("GET", "/v3/push/cid?"+q, "").refused(t, 400, codeValue)
	}
}

func TestWithdraw(t *testing.T) {
	n := newNode(t)
	n.register(herald.PlatformAndroid, "")
	id := n.pushed(`{` + toAll + `,` + hello + `}`)
	for range 2 {
		n.do("DELETE", "/v3/push/"+id.String(), "").want(t, 200, `{}`)
	}
	if v := n.view(id); v.State != herald.MessageWithdrawn {
		t.Error(v.State)
	}
	n.do("DELETE", "/v3/push/1", "").refused(t, 400, codeValue)
	n.do("DELETE", "/v3/push/x", "").refused(t, 400, codeValue)
}

func TestBatch(t *testing.T) {
	n := newNode(t)
	id := n.register(herald.PlatformAndroid, "alice")
	n.register(herald.PlatformIOS, "alice")
	push := func(to string) string { return `{"platform":"all","target":"` + to + `",` + hello + `}` }
	list := `{"pushlist":{"c1":` + push(string(id)) + `,"c2":` + push("0000000000000000000v") + `,"c3":{"platform":"all",` + hello + `},"c4":1,"c 5":{}}}`
	for range 2 {
		n.do("POST", "/v3/push/batch/regid/single", list).want(t, 200,
			`{"c 5":{"error":{"code":1003,"message":"\"c 5\" is no cid"}},"c1":{"msg_id":"…"},"c2":{"error":{"code":1011,"message":"…"}},"c3":{"error":{"code":1002,"message":"…"}},"c4":{"error":{"code":1003,"message":"…"}}}`)
	}
	page, err := n.service.Messages.List(t.Context(), n.master, "", "", 10)
	if err != nil || len(page.Messages) != 1 {
		t.Errorf("%d messages, %v", len(page.Messages), err)
	}
	n.do("POST", "/v3/push/batch/alias/single", `{"pushlist":{"d1":`+push("alice")+`}}`).want(t, 200, `{"d1":{"msg_id":"…"}}`)
	n.do("POST", "/v3/push/batch/alias/single", `{}`).refused(t, 400, codeMissing)
	n.do("POST", "/v3/push/batch/alias/single", `{"pushlist":{}}`).refused(t, 400, codeValue)
	n.do("POST", "/v3/push/batch/alias/single", `{"pushlist":{},"more":1}`).refused(t, 400, codeUnknown)
	n.do("POST", "/v3/push/batch/alias/single", `{"pushlist":[]}`).refused(t, 400, codeValue)
}
