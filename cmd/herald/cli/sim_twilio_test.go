package cli

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSimTwilio(t *testing.T) {
	w, folder := newWorld(t), filepath.Join(t.TempDir(), "sim")
	told := make(chan string, 10)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		told <- r.PostForm.Get("To") + " " + r.PostForm.Get("MessageStatus") + r.PostForm.Get("ErrorCode")
		if r.PostForm.Get("MessageStatus") == "undelivered" {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	defer app.Close()
	address, c, stop := playing(t, w, folder, "twilio", "--gone", "+8613900000000")
	authorization := "Basic " + base64.StdEncoding.EncodeToString([]byte("AC00000000000000000000000000000000:sim-auth-token"))
	for to, last := range map[string]string{"+8613912345678": "delivered", "+8613900000000": "undelivered30005"} {
		form := url.Values{"To": {to}, "From": {"+15550001000"}, "Body": {"the text"}, "StatusCallback": {app.URL}}
		status, answer := post(t, c, address+"/2010-04-01/Accounts/AC00000000000000000000000000000000/Messages.json", authorization,
			map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, []byte(form.Encode()))
		if status != http.StatusCreated {
			t.Errorf("%d %s", status, answer)
		}
		if first, second := <-told, <-told; first != to+" sent" || second != to+" "+last {
			t.Errorf("told %q, %q", first, second)
		}
	}
	// An answer comes before what is printed of it.
	for deadline := time.Now().Add(2 * time.Minute); !strings.Contains(w.err.String(), "was answered 418") || strings.Count(w.out.String(), "the text\n") < 2; {
		if time.Now().After(deadline) {
			t.Fatalf("printed\n%s%s", w.out, w.err)
		}
		<-time.After(time.Millisecond)
	}
	if code := stop(); code != 0 || !strings.Contains(w.out.String(), "+8613912345678  the text\n") {
		t.Errorf("exit code %d, printed\n%s%s", code, w.out, w.err)
	}
}
