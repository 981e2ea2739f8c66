package dingtalk_test

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/provider/dingtalk"
	"github.com/herald-push/herald/internal/provider/providertest"
	"github.com/herald-push/herald/internal/sim"
	simdingtalk "github.com/herald-push/herald/internal/sim/dingtalk"
)

const (
	token  = "e4c5cc97eee1f0708ea90a6f67f108d18c523bb8f925755339b8e91c5cd169ba"
	secret = "SEC0f/rest=of+the&secret"
)

// world is a room with a robot.
type world struct {
	robot *simdingtalk.Robot
	providertest.Server
	header http.Header // that the room's answers bear
}

func newWorld(t *testing.T, c simdingtalk.Config) *world {
	t.Helper()
	if c.Token = token; c.PerMinute == 0 {
		c.PerMinute = -1
	}
	w := &world{robot: simdingtalk.New(c), header: http.Header{}}
	w.Server = providertest.ServeBearing(t, w.header, w.robot)
	return w
}

func (w *world) values(more ...string) map[string]string {
	v := map[string]string{"access_token": token, "secret": secret, "url": w.URL}
	for i := 0; i < len(more); i += 2 {
		v[more[i]] = more[i+1]
	}
	return v
}

func (w *world) provider(t *testing.T, now func() time.Time, more ...string) provider.Provider {
	t.Helper()
	return w.Open(t, dingtalk.New, w.values(more...), now)
}

func TestProvider(t *testing.T) {
	providertest.Run(t, func(t *testing.T) *providertest.Vendor {
		w := newWorld(t, simdingtalk.Config{Secret: secret})
		return &providertest.Vendor{
			Driver: dingtalk.Driver(), Good: w.values(), Wrong: w.values("access_token", "0123456789abcdef"), Egress: w.Egress(), Desk: w.Desk,
			Limit: 20_000, NoData: true, Secrets: []string{token, secret, "SEC0f%2F", "0123456789abcdef"},
			Shown: func() (out []providertest.Shown) {
				for _, p := range w.robot.Taken() {
					var said struct{ Markdown struct{ Title, Text string } }
					if err := json.Unmarshal(p.Body, &said); err != nil {
						t.Error(err)
					}
					title, body, _ := strings.Cut(strings.TrimPrefix(said.Markdown.Text, "### "), "\n\n")
					if title != said.Markdown.Title {
						t.Errorf("the title is %q in the list and %q in the room", said.Markdown.Title, title)
					}
					out = append(out, providertest.Shown{Title: title, Body: body})
				}
				return out
			},
		}
	})
}

func notification(n herald.Notification) herald.Content { return herald.Content{Notification: &n} }

func TestMessage(t *testing.T) {
	full := herald.Notification{Title: "Disk <full>", Body: "sda is\nfull\n\nbye", Image: "https://x/a.png", Click: "https://x/1?a&b"}
	for name, tt := range map[string]struct {
		n             herald.Notification
		to, options   string
		keyword, want string
	}{
		"markdown": {full, "", "", "", `{"msgtype":"markdown","markdown":{"title":"Disk <full>","text":"### Disk <full>\n\nsda is  \nfull\n\nbye\n\n![](https://x/a.png)\n\n[https://x/1?a&b](https://x/1?a&b)"}}`},
		"body":     {herald.Notification{Body: "first\nsecond"}, "", "", "", `{"msgtype":"markdown","markdown":{"title":"first","text":"first  \nsecond"}}`},
		"picture":  {herald.Notification{Image: "https://x/a"}, "", "", "", `{"msgtype":"markdown","markdown":{"title":"…","text":"![](https://x/a)"}}`},
		"title":    {herald.Notification{Title: "up again", Click: "https://x"}, "", "", "", `{"msgtype":"text","text":{"content":"up again\nhttps://x"}}`},
		"mentions": {herald.Notification{Title: "t", Body: "see @13800000000"}, "13800000000, +86-13900000000,+85212345678", `{"at":{"mobiles":["13900000000"],"user_ids":["u1"],"all":true}}`, "",
			`{"msgtype":"markdown","markdown":{"title":"t","text":"### t\n\nsee @13800000000\n\n@13900000000 @+85212345678 @u1"},"at":{"atMobiles":["13900000000","13800000000","+85212345678"],"atUserIds":["u1"],"isAtAll":true}}`},
		"mention in text":    {herald.Notification{Title: "t"}, "13800000000", "", "", `{"msgtype":"text","text":{"content":"t\n@13800000000"},"at":{"atMobiles":["13800000000"],"isAtAll":false}}`},
		"keyword":            {herald.Notification{Title: "t", Body: "b"}, "", "", "告警", `{"msgtype":"markdown","markdown":{"title":"t","text":"### t\n\nb\n\n告警"}}`},
		"keyword there":      {herald.Notification{Title: "告警 t", Body: "b"}, "", "", "告警", `{"msgtype":"markdown","markdown":{"title":"告警 t","text":"### 告警 t\n\nb"}}`},
		"text":               {full, "", `{"msgtype":"text"}`, "", `{"msgtype":"text","text":{"content":"Disk <full>\nsda is\nfull\n\nbye\nhttps://x/1?a&b"}}`},
		"own text":           {full, "", `{"text":{"content":"c"}}`, "kw", `{"msgtype":"text","text":{"content":"c\nkw"}}`},
		"own markdown":       {full, "", `{"msgtype":"markdown","markdown":{"text":"> a\n> b"}}`, "", `{"msgtype":"markdown","markdown":{"title":"Disk <full>","text":"> a\n> b"}}`},
		"own markdown alone": {herald.Notification{}, "", `{"markdown":{"title":"","text":"# a\nb"}}`, "", `{"msgtype":"markdown","markdown":{"title":"# a","text":"# a\nb"}}`},
		"link":               {full, "", `{"msgtype":"link"}`, "", `{"msgtype":"link","link":{"title":"Disk <full>","text":"sda is\nfull\n\nbye","messageUrl":"https://x/1?a&b","picUrl":"https://x/a.png"}}`},
		"own link": {full, "13800000000", `{"link":{"title":"t","text":"x","messageUrl":"https://y","picUrl":"https://z"}}`, "kw",
			`{"msgtype":"link","link":{"title":"t","text":"x kw","messageUrl":"https://y","picUrl":"https://z"}}`},
		"card": {full, "", `{"msgtype":"actionCard","actionCard":{"singleTitle":"Open","btnOrientation":"0"}}`, "kw",
			`{"msgtype":"actionCard","actionCard":{"title":"Disk <full>","text":"### Disk <full>\n\nsda is  \nfull\n\nbye\n\n![](https://x/a.png)\n\nkw","btnOrientation":"0","singleTitle":"Open","singleURL":"https://x/1?a&b"}}`},
		"card of the notification": {herald.Notification{Title: "t", Body: "b", Click: "https://x"}, "", `{"msgtype":"actionCard"}`, "",
			`{"msgtype":"actionCard","actionCard":{"title":"t","text":"### t\n\nb","singleTitle":"t","singleURL":"https://x"}}`},
		"card with buttons": {full, "", `{"actionCard":{"title":"t","text":"x","btnOrientation":"1","btns":[{"title":"yes","actionURL":"https://y"},{"title":"no","actionURL":"https://n"}]}}`, "",
			`{"msgtype":"actionCard","actionCard":{"title":"t","text":"x","btnOrientation":"1","btns":[{"title":"yes","actionURL":"https://y"},{"title":"no","actionURL":"https://n"}]}}`},
		"feed": {herald.Notification{}, "", `{"feedCard":{"links":[{"title":"a","messageURL":"https://a","picURL":"https://p"},{"title":"b","messageURL":"https://b"}]}}`, "kw",
			`{"msgtype":"feedCard","feedCard":{"links":[{"title":"a kw","messageURL":"https://a","picURL":"https://p"},{"title":"b","messageURL":"https://b"}]}}`},
	} {
		t.Run(name, func(t *testing.T) {
			c := simdingtalk.Config{Secret: secret}
			if tt.keyword != "" {
				c.Keywords = []string{tt.keyword}
			}
			w := newWorld(t, c)
			m := provider.Message{ID: 7, Content: notification(tt.n), Options: json.RawMessage(tt.options)}
			if _, err := w.provider(t, nil, "keyword", tt.keyword).Send(t.Context(), provider.Address{Token: tt.to}, &m); err != nil {
				t.Fatal(err)
			}
			if got := string(w.robot.Taken()[0].Body); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// TestRefusedHere: what cannot be said in a room is refused before a call.
func TestRefusedHere(t *testing.T) {
	w := newWorld(t, simdingtalk.Config{})
	p := w.provider(t, nil, "secret", "")
	many := strings.Repeat("13800000000,", 50) + "13800000001"
	for name, tt := range map[string]struct {
		n           *herald.Notification
		to, options string
	}{
		"data alone": {nil, "", ""}, "nothing": {&herald.Notification{Sound: "x"}, "", ""}, "unknown kind": {nil, "", `{"msgtype":"audio"}`},
		"two kinds":      {nil, "", `{"text":{"content":"a"},"markdown":{"title":"a","text":"b"}}`},
		"another member": {nil, "", `{"msgtype":"link","text":{"content":"a"}}`},
		"unknown member": {nil, "", `{"text":{"content":"a","colour":"red"}}`},
		"link to nobody": {&herald.Notification{Title: "t", Body: "b"}, "", `{"msgtype":"link"}`},
		"card without":   {&herald.Notification{Title: "t", Body: "b"}, "", `{"msgtype":"actionCard"}`},
		"empty button":   {&herald.Notification{Title: "t"}, "", `{"actionCard":{"btns":[{"title":"","actionURL":"https://x"}]}}`},
		"no feed":        {&herald.Notification{Title: "t"}, "", `{"msgtype":"feedCard"}`},
		"empty link":     {nil, "", `{"feedCard":{"links":[{"title":"a","messageURL":""}]}}`},
		"address":        {&herald.Notification{Title: "t"}, "13800000000,someone", ""},
		"many":           {&herald.Notification{Title: "t"}, many, ""},
		"mobile":         {&herald.Notification{Title: "t"}, "", `{"at":{"mobiles":["@x"]}}`}, "user": {&herald.Notification{Title: "t"}, "", `{"at":{"user_ids":["a b"]}}`},
	} {
		m := provider.Message{ID: 7, Content: herald.Content{Notification: tt.n, Data: json.RawMessage(`{"a":1}`)}, Options: json.RawMessage(tt.options)}
		_, err := p.Send(t.Context(), provider.Address{Token: tt.to}, &m)
		var e *provider.Error
		if !errors.As(err, &e) || e.Kind != provider.Rejected || e.Remedy == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	feed := `{"feedCard":{"links":[{"title":"` + strings.Repeat("a", 20_000) + `","messageURL":"https://a"}]}}`
	if _, err := p.Send(t.Context(), provider.Address{}, &provider.Message{Options: json.RawMessage(feed)}); provider.KindOf(err) != provider.TooLarge {
		t.Errorf("a large feed: %v", err)
	}
	if calls := w.Desk.Calls(); len(calls) != 0 {
		t.Errorf("%d calls", len(calls))
	}
}

// TestCodes: each documented error is one of the six kinds.
func TestCodes(t *testing.T) {
	w := newWorld(t, simdingtalk.Config{})
	plain, keyed := w.provider(t, nil, "secret", ""), w.provider(t, nil, "keyword", "kw")
	m := &provider.Message{ID: 1, Content: notification(herald.Notification{Title: "t"})}
	for _, tt := range []struct {
		code, text string
		p          provider.Provider
		want       provider.Kind
		says       string // in text or remedy
	}{
		{"310000", "keywords not in content, more: [x]", plain, provider.Rejected, "as its keyword"},
		{"310000", "description:关键词不匹配;solution:x", keyed, provider.Unauthorized, "Compare the credential's keyword"},
		{"310000", "sign not match", keyed, provider.Unauthorized, "once more"},
		{"310000", "description:机器人发送签名不匹配;solution:请确认签名和生成签名的时间戳必须都放在调用的网址中", plain, provider.Unauthorized, "ask for a signature"},
		{"310000", "invalid timestamp", keyed, provider.Unauthorized, "not now"},
		{"310000", "description:机器人发送签名过期;solution:签名生成时间和发送时间请保持在 timestampms 以内;", keyed, provider.Unauthorized, "not now"},
		{"310000", "invalid timestamp", plain, provider.Unauthorized, "ask for a signature"},
		{"310000", "ip 192.0.2.7 not in whitelist", keyed, provider.Unauthorized, "192.0.2.7"},
		{"310000", "description:something new", keyed, provider.Unauthorized, "something new"},
		{"130101", "send too fast", plain, provider.Throttled, "20 messages"}, {"410100", "", plain, provider.Throttled, "several robots"},
		{"300001", "token is not exist", plain, provider.Unauthorized, "mistyped"}, {"300005", "token is not exist", plain, provider.Unauthorized, "mistyped"},
		{"400101", "", plain, provider.Unauthorized, "mistyped"}, {"400106", "", plain, provider.Unauthorized, "removed"}, {"400102", "", plain, provider.Unauthorized, "disabled"},
		{"400013", "", plain, provider.Unauthorized, "dissolved"}, {"400105", "msgtype " + token, plain, provider.Rejected, "msgtype …"},
		{"430101", "不安全", plain, provider.Rejected, "不安全"}, {"430102", "", plain, provider.Rejected, "text"}, {"430103", "", plain, provider.Rejected, "picture"},
		{"430104", "", plain, provider.Rejected, "content"}, {"460101", "", plain, provider.TooLarge, "too long"}, {"-1", "系统繁忙", plain, provider.Unavailable, "busy"},
		{"99999", "new", plain, provider.Rejected, "new"},
	} {
		b, err := json.Marshal(map[string]any{"errcode": json.Number(tt.code), "errmsg": tt.text})
		if err != nil {
			t.Fatal(err)
		}
		w.Desk.Fail(sim.Fault{Status: 200, Body: string(b)})
		_, err = tt.p.Send(t.Context(), provider.Address{}, m)
		var e *provider.Error
		if !errors.As(err, &e) || e.Kind != tt.want || e.Code != tt.code || e.Text == "" || e.Remedy == "" || !strings.Contains(e.Text+e.Remedy, tt.says) || strings.Contains(e.Error(), token) {
			t.Errorf("%s %s: %+v", tt.code, tt.text, err)
		} else if wait := e.RetryAfter == 10*time.Minute; wait != (tt.want == provider.Throttled) {
			t.Errorf("%s: to be tried again after %s", tt.code, e.RetryAfter)
		}
	}
	for _, body := range []string{"", "{", "[]", `{"errmsg":"ok"}`, `{"errcode":"0"}`} {
		w.Desk.Fail(sim.Fault{Status: 200, Body: body})
		_, err := plain.Send(t.Context(), provider.Address{}, m)
		var e *provider.Error
		if !errors.As(err, &e) || e.Kind != provider.Unavailable || !e.Unknown {
			t.Errorf("%q: %+v", body, err)
		}
	}
}

// TestThrottled: the room's own limiter is met.
func TestThrottled(t *testing.T) {
	now := time.Now()
	w := newWorld(t, simdingtalk.Config{PerMinute: 20, Now: func() time.Time { return now }})
	p := w.provider(t, nil, "secret", "")
	m := &provider.Message{ID: 1, Content: notification(herald.Notification{Title: "t"})}
	for range 20 {
		if _, err := p.Send(t.Context(), provider.Address{}, m); err != nil {
			t.Fatal(err)
		}
	}
	_, err := p.Send(t.Context(), provider.Address{}, m)
	var e *provider.Error
	if !errors.As(err, &e) || e.Kind != provider.Throttled || e.RetryAfter != 10*time.Minute {
		t.Fatal(err)
	}
	now = now.Add(e.RetryAfter)
	if _, err := p.Send(t.Context(), provider.Address{}, m); err != nil {
		t.Error(err)
	}
	if r := dingtalk.Driver().Rate; r == nil || r.Calls >= 20 || r.Per != time.Minute || !r.Digest {
		t.Errorf("the driver asks for %+v", r)
	}
}

func TestVerify(t *testing.T) {
	skewed := http.Header{"Date": {time.Now().Add(5 * time.Hour).UTC().Format(http.TimeFormat)}}
	for name, tt := range map[string]struct {
		c      simdingtalk.Config
		more   []string
		header http.Header
		fault  sim.Fault
		kind   provider.Kind // "" if the credential is good
		says   string
	}{
		"good":            {c: simdingtalk.Config{Secret: secret}},
		"no secret":       {c: simdingtalk.Config{}, more: []string{"secret", ""}},
		"keyword":         {c: simdingtalk.Config{Keywords: []string{"kw"}}, more: []string{"secret", "", "keyword", "kw"}},
		"another secret":  {c: simdingtalk.Config{Secret: secret}, more: []string{"secret", "SECother"}, kind: provider.Unauthorized, says: "signature"},
		"secret missing":  {c: simdingtalk.Config{Secret: secret}, more: []string{"secret", ""}, kind: provider.Unauthorized, says: "signature"},
		"another token":   {c: simdingtalk.Config{}, more: []string{"access_token", "0123456789"}, kind: provider.Unauthorized, says: "no robot"},
		"wrong clock":     {c: simdingtalk.Config{Secret: "SECother"}, header: skewed, kind: provider.Unauthorized, says: "behind"},
		"keyword first":   {more: []string{"keyword", "kw"}, fault: sim.Fault{Status: 200, Body: `{"errcode":310000,"errmsg":"keywords not in content"}`}},
		"keyword missing": {fault: sim.Fault{Status: 200, Body: `{"errcode":310000,"errmsg":"keywords not in content"}`}, kind: provider.Unauthorized, says: "keywords"},
		"taken":           {fault: sim.Fault{Status: 200, Body: `{"errcode":0,"errmsg":"ok"}`}},
		"down":            {fault: sim.Fault{Status: 503}, kind: provider.Unavailable, says: "503"},
		"silent":          {fault: sim.Fault{Status: 200, Body: `{"errcode":130101}`}, kind: provider.Throttled, says: "20"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tt.c)
			maps.Copy(w.header, tt.header)
			w.Desk.Fail(tt.fault)
			err := w.provider(t, nil, tt.more...).(provider.Checker).Check(t.Context())
			var e *provider.Error
			if tt.kind == "" {
				if err != nil {
					t.Error(err)
				}
			} else if !errors.As(err, &e) || e.Kind != tt.kind || !strings.Contains(e.Text, tt.says) || e.Remedy == "" {
				t.Errorf("%+v", err)
			}
			if len(w.robot.Taken()) != 0 {
				t.Error("the room was shown something")
			}
		})
	}
}

func TestCredentials(t *testing.T) {
	for field, bad := range map[string]string{
		"access_token": "https://oapi.dingtalk.com/robot/send?access_token=" + token, "secret": "0123456789", "keyword": strings.Repeat("x", 201), "url": "https://10.0.0.1",
	} {
		v := map[string]string{"access_token": token, "secret": secret}
		v[field] = bad
		_, err := dingtalk.New(provider.Config{Values: v})
		var e *herald.Error
		if !errors.As(err, &e) || e.Field != field || e.Remedy == "" || strings.Contains(err.Error(), token) {
			t.Errorf("%s: %v", field, err)
		}
	}
	p, err := dingtalk.New(provider.Config{Values: map[string]string{"access_token": token}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}
