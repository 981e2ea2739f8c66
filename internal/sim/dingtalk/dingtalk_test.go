package dingtalk_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/sim/dingtalk"
)

const secret = "SECsecret"

func sign(at time.Time, key string) string {
	stamp := strconv.FormatInt(at.UnixMilli(), 10)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(stamp + "\n" + key))
	return "&timestamp=" + stamp + "&sign=" + url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

func ask(t *testing.T, r *dingtalk.Robot, query, body string) (code int, text string) {
	t.Helper()
	q := httptest.NewRequest(http.MethodPost, "/robot/send?"+query, strings.NewReader(body))
	q.Header.Set("Content-Type", "application/json; charset=utf-8")
	rec := httptest.NewRecorder()
	r.ServeHTTP(rec, q)
	var said struct {
		Code int    `json:"errcode"`
		Text string `json:"errmsg"`
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &said); err != nil || rec.Code != http.StatusOK {
		t.Fatalf("%d %s, %v", rec.Code, rec.Body, err)
	}
	return said.Code, said.Text
}

const hi = `{"msgtype":"text","text":{"content":"hi news"}}`

func TestRobot(t *testing.T) {
	now := time.Now()
	r := dingtalk.New(dingtalk.Config{Token: "t", Secret: secret, Keywords: []string{"news", "alarm"}, PerMinute: -1, Now: func() time.Time { return now }})
	good := "access_token=t" + sign(now, secret)
	for _, tt := range []struct {
		query, body string
		code        int
		says        string
	}{
		{good, hi, 0, "ok"},
		{"access_token=t" + sign(now.Add(59*time.Minute), secret), hi, 0, "ok"},
		{"x=1", hi, 400101, ""}, {"access_token=u" + sign(now, secret), hi, 300001, "token is not exist"},
		{"access_token=t", hi, 310000, "timestamp"}, {"access_token=t" + sign(now.Add(-2*time.Hour), secret), hi, 310000, "timestamp"},
		{"access_token=t" + sign(now, "SECother"), hi, 310000, "签名不匹配"},
		{good, `{`, 40035, ""}, {good, `{"msgtype":7}`, 40035, ""}, {good, `{"msgtype":"verify","text":{"content":"news"}}`, 400105, ""}, {good, `{}`, 400105, ""},
		{good, `{"msgtype":"text","text":{"content":"hi"}}`, 310000, "keywords"}, {good, `{"msgtype":"text"}`, 40035, ""},
		{good, `{"msgtype":"text","text":{"content":"news` + strings.Repeat("x", 20_000) + `"}}`, 460101, ""},
		{good, `{"msgtype":"link","link":{"title":"news","text":"x","messageUrl":"https://x"}}`, 0, ""},
		{good, `{"msgtype":"link","link":{"title":"news","text":"x"}}`, 40035, ""},
		{good, `{"msgtype":"markdown","markdown":{"title":"x","text":"alarm"}}`, 0, ""},
		{good, `{"msgtype":"markdown","markdown":{"text":"alarm"}}`, 40035, ""},
		{good, `{"msgtype":"actionCard","actionCard":{"title":"news","text":"x","singleTitle":"a","singleURL":"b"}}`, 0, ""},
		{good, `{"msgtype":"actionCard","actionCard":{"title":"news","text":"x","btns":[{"title":"a","actionURL":"b"}]}}`, 0, ""},
		{good, `{"msgtype":"actionCard","actionCard":{"title":"news","text":"x","btns":[{"title":"a"}]}}`, 40035, ""},
		{good, `{"msgtype":"feedCard","feedCard":{"links":[{"title":"news","messageURL":"b"}]}}`, 0, ""},
		{good, `{"msgtype":"feedCard","feedCard":{"links":[]}}`, 40035, ""},
	} {
		if code, text := ask(t, r, tt.query, tt.body); code != tt.code || !strings.Contains(text, tt.says) {
			t.Errorf("%s %.80s: %d %s, want %d %s", tt.query, tt.body, code, text, tt.code, tt.says)
		}
	}
	if got := r.Taken(); len(got) != 7 || got[0].Kind != "text" || len(r.Taken()) != 0 {
		t.Errorf("taken %+v", got)
	}
	r.Disable()
	if code, _ := ask(t, r, good, hi); code != 400102 {
		t.Errorf("disabled: %d", code)
	}
	r.Dissolve()
	if code, _ := ask(t, r, good, hi); code != 400013 {
		t.Errorf("dissolved: %d", code)
	}
}

// TestSpeed: the 21st of a minute is refused, and all for ten minutes.
func TestSpeed(t *testing.T) {
	now := time.Now()
	r := dingtalk.New(dingtalk.Config{Token: "t", Now: func() time.Time { return now }})
	send := func(want int) {
		t.Helper()
		if code, _ := ask(t, r, "access_token=t", hi); code != want {
			t.Errorf("%d, want %d", code, want)
		}
	}
	for range 20 {
		send(0)
		now = now.Add(time.Second)
	}
	now = now.Add(40 * time.Second) // a minute after the first
	send(0)
	send(130101)
	now = now.Add(10*time.Minute - time.Second)
	send(130101)
	now = now.Add(time.Second)
	send(0)
}

func TestRequests(t *testing.T) {
	r := dingtalk.New(dingtalk.Config{Token: "t"})
	for _, tt := range []struct {
		method, path, kind string
		want               string
	}{
		{http.MethodGet, "/robot/send?access_token=t", "application/json", "43002"}, {http.MethodPost, "/robot/send?access_token=t", "text/plain", "43004"},
		{http.MethodPost, "/other", "application/json", "404"},
	} {
		q := httptest.NewRequest(tt.method, tt.path, strings.NewReader(hi))
		q.Header.Set("Content-Type", tt.kind)
		rec := httptest.NewRecorder()
		r.ServeHTTP(rec, q)
		if !strings.Contains(rec.Body.String(), tt.want) {
			t.Errorf("%s %s: %s", tt.method, tt.path, rec.Body)
		}
	}
}
