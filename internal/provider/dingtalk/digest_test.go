package dingtalk_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/provider/dingtalk"
	simdingtalk "github.com/herald-push/herald/internal/sim/dingtalk"
)

func digester(t testing.TB, keyword string) provider.Digester {
	t.Helper()
	p, err := dingtalk.New(provider.Config{Values: map[string]string{"access_token": token, "keyword": keyword}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p.(provider.Digester)
}

func TestDigest(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	list := []*provider.Message{
		{ID: 1, Priority: herald.PriorityHigh, Expires: at.Add(time.Hour), Content: notification(herald.Notification{Title: "Disk full", Body: "sda\nsdb", Click: "https://x/1"})},
		{ID: 2, Priority: herald.PriorityNormal, Expires: at, Content: notification(herald.Notification{Title: "up"}), CollapseKey: "k", Options: json.RawMessage(`{"at":{"mobiles":["13800000000"],"all":true}}`)},
		{ID: 3, Content: notification(herald.Notification{Body: "```\ncode"}), Options: json.RawMessage(`{"at":{"mobiles":["13800000000"],"user_ids":["u"]}}`)},
		{ID: 4, Options: json.RawMessage(`{"link":{"title":"l","text":"lt","messageUrl":"https://l","picUrl":"https://p"}}`)},
		{ID: 5, Options: json.RawMessage(`{"actionCard":{"title":"c","text":"ct","btns":[{"title":"yes","actionURL":"https://y"}]}}`)},
		{ID: 6, Options: json.RawMessage(`{"feedCard":{"links":[{"title":"f1","messageURL":"https://f1"},{"title":"f2","messageURL":"https://f2"}]}}`)},
		{ID: 7, Options: json.RawMessage(`{"markdown":{"title":"m","text":"**mt**"}}`)},
		{ID: 8, Content: notification(herald.Notification{Title: "not shown"}), Options: json.RawMessage(`{"text":{"content":"own"}}`)},
	}
	m, err := digester(t, "").Digest(list)
	if err != nil {
		t.Fatal(err)
	}
	const want = "#### 1. Disk full\n\nsda  \nsdb\n\n[https://x/1](https://x/1)\n\n#### 2. up\n\n#### 3.\n\n```  \ncode  \n```\n\n" +
		"#### 4. l\n\nlt\n\n![](https://p)\n\n[https://l](https://l)\n\n#### 5. c\n\nct\n\n[yes](https://y)\n\n#### 6.\n\n[f1](https://f1)\n\n[f2](https://f2)\n\n#### 7. m\n\n**mt**\n\n#### 8.\n\nown"
	if n := m.Content.Notification; n.Title != "8 messages" || n.Body != want {
		t.Errorf("%s\n%q\nwant\n%q", n.Title, n.Body, want)
	}
	if m.ID != 8 || m.Priority != herald.PriorityHigh || !m.Expires.Equal(at.Add(time.Hour)) || m.CollapseKey != "" || m.Shortened {
		t.Errorf("the message is %+v", m)
	}

	w := newWorld(t, simdingtalk.Config{Secret: secret, Keywords: []string{"kw"}})
	r, err := w.provider(t, nil, "keyword", "kw").Send(t.Context(), provider.Address{Token: "13900000000"}, m)
	if err != nil || r.Shortened {
		t.Fatalf("%+v, %v", r, err)
	}
	var said struct {
		Markdown struct{ Title, Text string }
		At       struct {
			Mobiles []string `json:"atMobiles"`
			Users   []string `json:"atUserIds"`
			All     bool     `json:"isAtAll"`
		}
	}
	if err := json.Unmarshal(w.robot.Taken()[0].Body, &said); err != nil {
		t.Fatal(err)
	}
	if said.Markdown.Title != "8 messages" || said.Markdown.Text != "### 8 messages\n\n"+want+"\n\n@13800000000 @13900000000 @u\n\nkw" {
		t.Errorf("shown %q", said.Markdown.Text)
	}
	if fmt.Sprint(said.At) != "{[13800000000 13900000000] [u] true}" {
		t.Errorf("mentioned %+v", said.At)
	}
}

// TestDigestFits: as much as fits is shown, and the rest is counted.
func TestDigestFits(t *testing.T) {
	d := digester(t, "")
	make := func(n, size int, word string) (list []*provider.Message) {
		for i := range n {
			list = append(list, &provider.Message{ID: herald.MessageID(i + 1), Content: notification(herald.Notification{Title: fmt.Sprintf("title %d", i), Body: strings.Repeat(word, size)})})
		}
		return list
	}
	for name, tt := range map[string]struct {
		list      []*provider.Message
		title     string
		shown     int
		shortened bool
		ends      string
	}{
		"few":        {make(2, 10, "a"), "2 messages", 2, false, "aaaaaaaaaa"},
		"long texts": {make(12, 5000, "a"), "12 messages", 12, true, "a…"},
		"one long":   {append(make(30, 10, "a"), make(1, 30_000, "b")...), "31 messages", 31, true, "b…"},
		"many":       {make(500, 300, "a"), "500 messages", 0, true, " more"},
		"Chinese":    {make(200, 300, "警"), "200 条消息", 0, true, " 条"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := d.Digest(tt.list)
			if err != nil {
				t.Fatal(err)
			}
			body := m.Content.Notification.Body
			shown := strings.Count(body, "#### ")
			if m.Content.Notification.Title != tt.title || m.Shortened != tt.shortened || tt.shown > 0 && shown != tt.shown || !strings.HasSuffix(body, tt.ends) {
				t.Errorf("%s, shortened %v, shown %d, ends %q", m.Content.Notification.Title, m.Shortened, shown, body[max(0, len(body)-40):])
			}
			if rest := len(tt.list) - shown; tt.shown == 0 && (shown < 20 || !strings.Contains(body, fmt.Sprintf("%d", rest))) {
				t.Errorf("%d are shown; %q", shown, body[len(body)-40:])
			}
			if tt.shortened && len(body) < 14_000 {
				t.Errorf("only %d bytes are used", len(body))
			}
			checkSent(t, m, "", tt.shortened)
		})
	}
}

// fifty are as many mobiles as an address may have, as long as they may be.
func fifty() []string {
	out := make([]string, 50)
	for i := range out {
		out[i] = fmt.Sprintf("+8521234567890123%04d", i)
	}
	return out
}

// checkSent sends a digest to a room that judges its size.
func checkSent(t *testing.T, m *provider.Message, keyword string, shortened bool) {
	t.Helper()
	w := newWorld(t, simdingtalk.Config{Secret: secret})
	r, err := w.provider(t, nil, "keyword", keyword).Send(t.Context(), provider.Address{Token: strings.Join(fifty(), ",")}, m)
	if err != nil || r.Shortened != shortened {
		t.Fatalf("%+v, %v", r, err)
	}
	var said struct{ Markdown struct{ Text string } }
	if err := json.Unmarshal(w.robot.Taken()[0].Body, &said); err != nil || !strings.Contains(said.Markdown.Text, m.Content.Notification.Body) {
		t.Errorf("the digest was cut once more, %v", err)
	}
}

func TestDigestOfBad(t *testing.T) {
	d := digester(t, "")
	good := &provider.Message{Content: notification(herald.Notification{Title: "t"})}
	var users []*provider.Message
	for i := range 51 {
		users = append(users, &provider.Message{Content: good.Content, Options: json.RawMessage(fmt.Sprintf(`{"at":{"user_ids":["u%d"]}}`, i))})
	}
	for name, list := range map[string][]*provider.Message{
		"none": nil, "options": {good, {Options: json.RawMessage(`{"x":1}`)}}, "data": {good, {Content: herald.Content{Data: json.RawMessage(`1`)}}}, "mentions": users,
	} {
		if _, err := d.Digest(list); provider.KindOf(err) != provider.Rejected {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzDigest: whatever the messages are, the digest fits, is UTF-8, shows them in
// their order and counts those that it does not show.
func FuzzDigest(f *testing.F) {
	f.Add("title", "body", "https://x", uint16(3), uint16(10), "")
	f.Add("标题\n\"", "长文本🙂\\\x01", "", uint16(80), uint16(400), "告警")
	f.Add("", "```\n", strings.Repeat("u", 600), uint16(300), uint16(100), "k")
	f.Add(strings.Repeat("t\x02", 400), "b", strings.Repeat("\x01", 499), uint16(40), uint16(1000), strings.Repeat("k", 200))
	f.Fuzz(func(t *testing.T, title, body, click string, n, times uint16, keyword string) {
		for _, s := range []string{title, body, click, keyword} {
			if !utf8.ValidString(s) {
				return
			}
		}
		if n = n%400 + 2; len(keyword) > 200 || strings.ContainsAny(keyword, "\r\n") || strings.TrimSpace(title+body) == "" || len(title)+len(click)+len(body)*int(times%2000) > 40_000 {
			return
		}
		list := make([]*provider.Message, n)
		for i := range list {
			list[i] = &provider.Message{ID: herald.MessageID(i + 1), Content: notification(herald.Notification{
				Title: title, Body: strings.Repeat(body, (int(times)+i)%2000), Click: click,
			})}
		}
		d := digester(t, keyword)
		p := d.(provider.Provider)
		m, err := d.Digest(list)
		if provider.KindOf(err) == provider.Rejected && err != nil {
			return // a message that has nothing to show, or addresses that leave no room
		}
		if err != nil {
			t.Fatal(err)
		}
		text := m.Content.Notification.Body
		if !utf8.ValidString(text) {
			t.Fatal("it is not UTF-8")
		}
		if b, cut, err := dingtalk.Request(p, provider.Address{Token: strings.Join(fifty(), ",")}, m); err != nil || cut || len(b) > 20_000 || !strings.Contains(string(b), "+85212345678901230049") {
			t.Fatalf("%d bytes, cut %v, %v", len(b), cut, err)
		}
		at, shown := 0, 0
		for shown < len(list) {
			next := strings.Index(text[at:], fmt.Sprintf("#### %d.", shown+1))
			if next < 0 {
				break
			}
			at, shown = at+next+1, shown+1
		}
		rest := len(list) - shown
		if rest > 0 && !strings.HasSuffix(text, fmt.Sprintf("and %d more", rest)) && !strings.HasSuffix(text, fmt.Sprintf("还有 %d 条", rest)) {
			t.Fatalf("%d of %d are shown, and it ends with %q", shown, len(list), text[max(0, len(text)-50):])
		}
		if rest > 0 && !m.Shortened {
			t.Fatal("it does not say that something is missing")
		}
	})
}
