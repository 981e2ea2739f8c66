package dingtalk_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/provider/dingtalk"
	simdingtalk "github.com/herald-push/herald/internal/sim/dingtalk"
)

// FuzzRequest: whatever a message and its options are, the room is not sent what
// it refuses for its size or its keyword.
func FuzzRequest(f *testing.F) {
	f.Add("title", "body", "https://x", "13800000000", `{"at":{"all":true}}`, "kw", uint16(1))
	f.Add("标题", "长文本\"", "", "", `{"msgtype":"text"}`, "告警", uint16(3000))
	f.Add("", "", "", "", `{"link":{"title":"t","text":"x","messageUrl":"https://y"}}`, "k", uint16(0))
	f.Add("t", "kw b", "https://x", "", `{"msgtype":"actionCard","actionCard":{"btns":[{"title":"a","actionURL":"b"}]}}`, "kw", uint16(9000))
	f.Add("t", "b", "", "", `{"feedCard":{"links":[{"title":"a","messageURL":"b"}]}}`, "kw", uint16(1))
	f.Add("t", "\x01", "", "+86-138", `{"markdown":{"title":"","text":"# a\nb"}}`, "", uint16(20000))
	f.Fuzz(func(t *testing.T, title, body, click, to, options, keyword string, times uint16) {
		for _, s := range []string{title, body, click, to, keyword} {
			if !utf8.ValidString(s) {
				return
			}
		}
		if len(keyword) > 200 || strings.ContainsAny(keyword, "\r\n") || len(body)*int(times) > 100_000 {
			return
		}
		p, err := dingtalk.New(provider.Config{Values: map[string]string{"access_token": token, "keyword": keyword}})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		m := provider.Message{Content: notification(herald.Notification{Title: title, Body: strings.Repeat(body, int(times)), Click: click}), Options: json.RawMessage(options)}
		b, _, err := dingtalk.Request(p, provider.Address{Token: to}, &m)
		if err != nil {
			if e := (*provider.Error)(nil); !errors.As(err, &e) || e.Text == "" {
				t.Fatal(err)
			}
			return
		}
		robot := simdingtalk.New(simdingtalk.Config{Token: token, Keywords: []string{keyword}})
		q := httptest.NewRequest(http.MethodPost, "/robot/send?access_token="+token, strings.NewReader(string(b)))
		q.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		robot.ServeHTTP(rec, q)
		if answer := rec.Body.String(); !strings.Contains(answer, `"errcode":0`) && !strings.Contains(answer, `"errcode":40035`) { // a member that is needed is empty
			t.Fatalf("%.300s is answered %s", b, answer)
		}
	})
}
