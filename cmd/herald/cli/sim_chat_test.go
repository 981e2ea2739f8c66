package cli

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/wire/signed"
)

// printed gives a value that a simulator has printed for a credential.
func printed(t *testing.T, w *world, name string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^  ` + name + ` +(\S+)$`).FindStringSubmatch(w.out.String())
	if m == nil {
		t.Fatalf("no %s in\n%s", name, w.out)
	}
	return m[1]
}

func TestSimDingTalk(t *testing.T) {
	w := newWorld(t)
	address, c, stop := playing(t, w, filepath.Join(t.TempDir(), "sim"), "dingtalk", "--keyword", "news", "--per-minute", "2")
	secret, stamp := printed(t, w, "secret"), fmt.Sprint(time.Now().UnixMilli())
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(stamp + "\n" + secret))
	at := address + "/robot/send?access_token=" + printed(t, w, "access_token") + "&timestamp=" + stamp + "&sign=" + url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	for _, tt := range []struct{ text, says string }{{"no keyword", "310000"}, {"some news", `"errcode":0`}, {"more news", "130101"}} {
		status, answer := post(t, c, at, "", map[string]string{"Content-Type": "application/json"}, []byte(`{"msgtype":"text","text":{"content":"`+tt.text+`"}}`))
		if status != 200 || !strings.Contains(answer, tt.says) {
			t.Errorf("%s: %d %s", tt.text, status, answer)
		}
	}
	if code := stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if out := w.out.String(); strings.Count(out, "msgtype") != 1 || !strings.Contains(out, `"some news"`) || printed(t, w, "keyword") != "news" {
		t.Errorf("printed\n%s", out)
	}
	bad := newWorld(t)
	if code := bad.run(t, "sim", "dingtalk", "--per-minute", "0"); code != 2 {
		t.Errorf("exit code %d, %s", code, bad.err)
	}
}

func TestSimWebhook(t *testing.T) {
	w := newWorld(t)
	address, c, stop := playing(t, w, filepath.Join(t.TempDir(), "sim"), "webhook", "--gone", "room-2")
	key, err := signed.ParseSecret(printed(t, w, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		to, id string
		want   int
	}{{"room-1", "msg_1", 204}, {"room-1", "msg_1", 204}, {"room-2", "msg_2", 410}} {
		body := []byte(`{"type":"message","to":"` + tt.to + `"}`)
		header := map[string]string{}
		for name, v := range signed.Headers(tt.id, time.Now(), body, key) {
			header[name] = v[0]
		}
		if status, answer := post(t, c, address+"/hook", "", header, body); status != tt.want {
			t.Errorf("%s: %d %s", tt.to, status, answer)
		}
	}
	if code := stop(); code != 0 || strings.Count(w.out.String(), `msg_1  {"type":"message","to":"room-1"}`) != 1 {
		t.Errorf("exit code %d, printed\n%s", code, w.out)
	}
}
