package twilio_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/herald-push/herald/internal/sim/twilio"
)

const (
	account = "AC00112233445566778899aabbccddeeff"
	path    = "/2010-04-01/Accounts/" + account + "/Messages.json"
	from    = "+15550001000"
	here    = "+8613912345678"
)

func ask(s *twilio.Service, method, path, user, password string, form url.Values) (int, string) {
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(user, password)
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, r)
	return rec.Code, rec.Body.String()
}

func TestMessages(t *testing.T) {
	s := twilio.New(twilio.Config{Account: account, Token: "t", Keys: map[string]string{"SK1": "s"}, From: from, Service: "MG1"})
	s.Remove("+8613900000000", 21610)
	long := strings.Repeat("x", 1601)
	for _, tt := range []struct {
		path, user, password, form string
		status                     int
		says                       string
	}{
		{path, account, "t", "To=%2B8613912345678&From=%2B15550001000&Body=hi", 201, `"num_segments":"1"`}, {path, "SK1", "s", "To=%2B8613912345678&MessagingServiceSid=MG1&Body=hi", 201, `"status":"accepted"`},
		{path, account, "t", "To=%2B8613912345678&From=%2B15550001000&Body=" + strings.Repeat("x", 161), 201, `"num_segments":"2"`}, {path, account, "t", "To=%2B8613912345678&From=%2B15550001000&MediaUrl=x", 201, "queued"},
		{path, account, "u", "", 401, "20003"}, {path, "SK2", "s", "", 401, "20003"}, {strings.Replace(path, "AC0", "AC1", 1), account, "t", "", 404, "20404"}, {path, account, "t", "", 400, "21604"},
		{path, account, "t", "To=139", 400, "21211"}, {path, account, "t", "To=%2B8613912345678", 400, "21603"}, {path, account, "t", "To=%2B8613912345678&From=x", 400, "21606"},
		{path, account, "t", "To=%2B8613912345678&MessagingServiceSid=MG2", 404, "21701"}, {path, account, "t", "To=%2B8613912345678&From=%2B15550001000", 400, "21602"},
		{path, account, "t", "To=%2B8613912345678&From=%2B15550001000&Body=" + long, 400, "21617"}, {path, account, "t", "To=%2B8613912345678&From=%2B15550001000&Body=x&ValidityPeriod=36001", 400, "21000"},
		{path, account, "t", "To=%2B8613912345678&From=%2B15550001000&Body=x&StatusCallback=nowhere", 400, "21609"}, {path, account, "t", "To=%2B8613900000000&From=%2B15550001000&Body=x", 400, "21610"},
	} {
		form, err := url.ParseQuery(tt.form)
		if err != nil {
			t.Fatal(err)
		}
		if status, answer := ask(s, http.MethodPost, tt.path, tt.user, tt.password, form); status != tt.status || !strings.Contains(answer, tt.says) {
			t.Errorf("%.100s: %d %s, want %d %s", tt.form, status, answer, tt.status, tt.says)
		}
	}
	if got := s.Taken(); len(got) != 4 || got[0].To != here || got[0].From != from || got[0].Body != "hi" || len(s.Taken()) != 0 {
		t.Errorf("taken %+v", got)
	}
	if status, answer := ask(s, http.MethodGet, path, account, "t", nil); status != 200 || !strings.Contains(answer, `"messages"`) {
		t.Errorf("%d %s", status, answer)
	}
	if status, _ := ask(s, http.MethodGet, path, account, "u", nil); status != 401 {
		t.Errorf("a wrong token: %d", status)
	}
}

// TestReports: what became of a message is told to its callback, in order.
func TestReports(t *testing.T) {
	var mu sync.Mutex
	var told []string
	s := twilio.New(twilio.Config{Account: account, Token: "t", From: from, Post: func(address string, h http.Header, body []byte) {
		form, _ := url.ParseQuery(string(body))
		mu.Lock()
		defer mu.Unlock()
		told = append(told, form.Get("To")+" "+form.Get("MessageStatus")+form.Get("ErrorCode"))
		if address != "https://x.example/r" || h.Get("X-Twilio-Signature") == "" {
			t.Errorf("%s %v", address, h)
		}
	}})
	s.Remove("+8613900000000", 30005)
	for _, to := range []string{here, "+8613900000000"} {
		if status, answer := ask(s, http.MethodPost, path, account, "t", url.Values{"To": {to}, "From": {from}, "Body": {"x"}, "StatusCallback": {"https://x.example/r"}}); status != 201 {
			t.Errorf("%d %s", status, answer)
		}
		s.Close()
	}
	if got := strings.Join(told, ", "); got != here+" sent, "+here+" delivered, +8613900000000 sent, +8613900000000 undelivered30005" {
		t.Error(got)
	}
}
