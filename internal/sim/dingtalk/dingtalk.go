// Package dingtalk plays a custom robot of DingTalk and its room. It judges
// token, signature, speed, kind and keyword, in this order, and answers always
// with 200. It shows nothing to anybody; it keeps what it took.
package dingtalk

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/herald-push/herald/internal/sim"
)

// Config says what the robot is.
type Config struct {
	Token string
	// Secret is what signs; "" if the robot asks for no signature.
	Secret string
	// Keywords are those of which a text has to have one; none if it need not.
	Keywords []string
	// PerMinute is how many messages the room takes; 0 is the vendor's 20, and a
	// negative number no limit.
	PerMinute int
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Post is what the room was shown.
type Post struct {
	Kind string          // such as markdown
	Body json.RawMessage // the whole request
}

const (
	perMinute = 20
	silence   = 10 * time.Minute
	maxBody   = 20_000
	// How far the clocks may differ.
	maxSkew = time.Hour
)

// Robot is the simulator.
type Robot struct {
	sim.Tray[Post] // what was taken

	cfg Config

	mu     sync.Mutex // guards what follows
	recent []time.Time
	silent time.Time // until then nothing is taken
	down   string    // "disabled" or "dissolved"
}

// New makes a robot.
func New(c Config) *Robot {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.PerMinute == 0 {
		c.PerMinute = perMinute
	}
	return &Robot{cfg: c}
}

// Disable has the robot be disabled, and Dissolve has its room be gone.
func (r *Robot) Disable() { r.set("disabled") }

// Dissolve has the room be gone.
func (r *Robot) Dissolve() { r.set("dissolved") }

func (r *Robot) set(down string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = down
}

// problem is an error of the vendor.
type problem struct {
	code int
	text string
}

// ServeHTTP answers as the vendor does.
func (r *Robot) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if q.URL.Path != "/robot/send" {
		http.NotFound(w, q)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	p := r.take(q)
	if p == nil {
		p = &problem{0, "ok"}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"errcode": p.code, "errmsg": p.text})
}

func (r *Robot) take(q *http.Request) *problem {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.cfg.Now()
	kind, _, err := mime.ParseMediaType(q.Header.Get("Content-Type"))
	switch {
	case q.Method != http.MethodPost:
		return &problem{43002, "不合法的请求方法"}
	case err != nil || kind != "application/json":
		return &problem{43004, "无效的HTTP HEADER Content-Type"}
	}
	if p := r.known(q.URL.Query().Get("access_token")); p != nil {
		return p
	}
	if p := r.signed(q, now); p != nil {
		return p
	}
	if p := r.slow(now); p != nil {
		return p
	}
	body, err := io.ReadAll(q.Body)
	if err != nil || !json.Valid(body) {
		return &problem{40035, "缺少参数 json"}
	}
	if len(body) > maxBody {
		return &problem{460101, "message too long, exceed 20000 bytes"}
	}
	kind, said, p := read(body)
	if p != nil {
		return p
	}
	if !r.keyed(said) {
		return &problem{310000, "keywords not in content, more: [https://open.dingtalk.com]"}
	}
	r.Put(Post{kind, body})
	return nil
}

func (r *Robot) known(token string) *problem {
	switch {
	case token == "":
		return &problem{400101, "access_token不存在"}
	case token != r.cfg.Token:
		return &problem{300001, "token is not exist"}
	case r.down == "disabled":
		return &problem{400102, "机器人已停用"}
	case r.down != "":
		return &problem{400013, "群已被解散"}
	}
	return nil
}

func (r *Robot) signed(q *http.Request, now time.Time) *problem {
	if r.cfg.Secret == "" {
		return nil
	}
	stamp := q.URL.Query().Get("timestamp")
	millis, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || now.Sub(time.UnixMilli(millis)).Abs() > maxSkew {
		return &problem{310000, "invalid timestamp, more: [https://open.dingtalk.com]"}
	}
	mac := hmac.New(sha256.New, []byte(r.cfg.Secret))
	_, _ = fmt.Fprintf(mac, "%s\n%s", stamp, r.cfg.Secret)
	given, err := base64.StdEncoding.DecodeString(q.URL.Query().Get("sign"))
	if err != nil || !hmac.Equal(given, mac.Sum(nil)) {
		return &problem{310000, "description:机器人发送签名不匹配;solution:请确认签名和生成签名的时间戳必须都放在调用的网址中，请确认机器人的密钥加密和填写正确;"}
	}
	return nil
}

// slow counts a message. One too many within a minute, and none is taken for ten.
func (r *Robot) slow(now time.Time) *problem {
	if r.cfg.PerMinute < 0 {
		return nil
	}
	fast := &problem{130101, "send too fast, exceed 20 times per minute"}
	if now.Before(r.silent) {
		return fast
	}
	for len(r.recent) > 0 && now.Sub(r.recent[0]) >= time.Minute {
		r.recent = r.recent[1:]
	}
	if len(r.recent) >= r.cfg.PerMinute {
		r.silent, r.recent = now.Add(silence), nil
		return fast
	}
	r.recent = append(r.recent, now)
	return nil
}

func (r *Robot) keyed(said string) bool {
	for _, k := range r.cfg.Keywords {
		if strings.Contains(said, k) {
			return true
		}
	}
	return len(r.cfg.Keywords) == 0
}

// read gives the kind of a message and all that its readers see, and refuses what
// lacks something.
func read(body []byte) (kind, said string, _ *problem) {
	var m struct {
		Kind     string `json:"msgtype"`
		Text     struct{ Content string }
		Link     struct{ Title, Text, MessageURL, PicURL string }
		Markdown struct{ Title, Text string }
		Card     struct {
			Title, Text, SingleTitle, SingleURL string
			Buttons                             []struct{ Title, ActionURL string } `json:"btns"`
		} `json:"actionCard"`
		Feed struct {
			Links []struct{ Title, MessageURL, PicURL string }
		} `json:"feedCard"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return "", "", &problem{40035, "缺少参数 json"}
	}
	need := []string{}
	switch m.Kind {
	case "text":
		need = append(need, m.Text.Content)
	case "link":
		need = append(need, m.Link.Title, m.Link.Text, m.Link.MessageURL)
	case "markdown":
		need = append(need, m.Markdown.Title, m.Markdown.Text)
	case "actionCard":
		need = append(need, m.Card.Title, m.Card.Text)
		if len(m.Card.Buttons) == 0 {
			need = append(need, m.Card.SingleTitle, m.Card.SingleURL)
		}
		for _, b := range m.Card.Buttons {
			need = append(need, b.Title, b.ActionURL)
		}
	case "feedCard":
		if len(m.Feed.Links) == 0 {
			need = append(need, "")
		}
		for _, l := range m.Feed.Links {
			need = append(need, l.Title, l.MessageURL)
		}
	default:
		return "", "", &problem{400105, "不支持的消息类型"}
	}
	for _, s := range need {
		if s == "" {
			return "", "", &problem{40035, "缺少参数"}
		}
	}
	return m.Kind, strings.Join(need, "\n"), nil
}
