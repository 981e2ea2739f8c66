package jpush

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/record"
)

var auditAll = api.AuditQuery{}

// receive reports what a device did with a message.
func (n *node) receive(id herald.MessageID, device herald.RegistrationID, event herald.DeliveryState) {
	n.t.Helper()
	a, err := n.service.Receipts.Report(n.t.Context(), n.master, api.ReceiptsRequest{Receipts: []api.Receipt{{ID: id, Event: event, RegistrationID: device}}})
	if err != nil || a.Accepted != 1 {
		n.t.Fatalf("%+v, %v", a, err)
	}
}

// TestReportsOfVendors: what went over vendors is counted by how JPush names
// them, and is null where none was asked.
func TestReportsOfVendors(t *testing.T) {
	n := newNode(t)
	n.register(herald.PlatformIOS, "")
	id := n.pushed(`{` + toAll + `,` + hello + `}`)
	for _, c := range []record.AttemptCount{
		{Vendor: herald.VendorAPNs, Fate: record.FateAccepted, Count: 5}, {Vendor: herald.VendorAPNs, Fate: record.FateAccepted, Step: 2, Count: 1},
		{Vendor: herald.VendorAPNs, Fate: record.FateFailed, Code: "unregistered", Count: 2}, {Vendor: herald.VendorAPNs, Fate: record.FateSkipped, Count: 50},
		{Vendor: herald.VendorFCM, Fate: record.FateUnknown, Count: 3}, {Vendor: herald.VendorHuawei, Fate: record.FateAccepted, Count: 4},
		{Vendor: herald.VendorHuawei, Fate: record.FateDiscarded, Count: 1}, {Vendor: herald.VendorWebPush, Fate: record.FateAccepted, Count: 100},
	} {
		c.Owner = record.OwnerDevice
		n.attempts.counts = append(n.attempts.counts, c)
	}
	n.attempts.counts = append(n.attempts.counts, record.AttemptCount{Vendor: herald.VendorTwilio, Owner: record.OwnerRecipient, Fate: record.FateAccepted, Count: 9})
	for path, list := range map[string][]string{
		"received":        {`"ios_apns_sent":6,"ios_apns_received":null,`, `"wp_mpns_sent":null`},
		"received/detail": {`"android_pns_sent":4,"android_pns_received":null,"ios_apns_sent":6,`},
		"messages":        {`"ios":{"apns_sent":6,"apns_target":8,"apns_received":null,`},
		"messages/detail": {`"android_pns":{"pns_target":8,"pns_sent":4,"pns_received":null}`, `"ios":{"apns_target":8,"apns_sent":6,`,
			`"fcm":{"target":3,"sent":0,`, `"huawei":{"target":5,"sent":4,`, `"sub_ios":{"apns":{"target":8,"sent":6,`},
	} {
		a := n.do("GET", "/v3/"+path+"?msg_ids="+id.String(), "")
		for _, want := range list {
			if !strings.Contains(a.text, want) {
				t.Errorf("%s: %s\nhas no %s", path, a.text, want)
			}
		}
		if strings.Contains(a.text, "100") || strings.Contains(a.text, "webpush") {
			t.Errorf("%s: what JPush has no name for is counted: %s", path, a.text)
		}
	}
}

func TestReports(t *testing.T) {
	n := newNode(t)
	phone, tablet := n.register(herald.PlatformAndroid, ""), n.register(herald.PlatformIOS, "")
	id := n.pushed(`{` + toAll + `,` + hello + `}`)
	n.receive(id, phone, herald.StateReceived)
	n.receive(id, phone, herald.StateClicked)
	n.do("GET", "/v3/received?msg_ids="+id.String()+",7", "").want(t, 200,
		fmt.Sprintf(`[{"msg_id":"%s","android_received":1,"ios_apns_sent":null,"ios_apns_received":null,"ios_msg_received":0,"wp_mpns_sent":null}]`, id))
	n.do("GET", "/v3/report/received/detail?msg_ids="+id.String(), "").want(t, 200,
		fmt.Sprintf(`[{"msg_id":"%s","jpush_received":1,"android_pns_sent":null,"android_pns_received":null,"ios_apns_sent":null,"ios_apns_received":null,"ios_msg_received":0,"live_acivity_sent":null,"live_acivity_received":null,"wp_mpns_sent":null,"quickapp_jpush_received":null,"quickapp_pns_sent":null,"hmos_hmpns_sent":null,"hmos_hmpns_received":null,"hmos_msg_sent":null,"hmos_msg_received":null}]`, id))
	n.do("GET", "/v3/messages/?msg_ids="+id.String(), "").want(t, 200,
		fmt.Sprintf(`[{"msg_id":"%s","android":{"received":1,"target":1,"online_push":1,"click":1,"msg_click":0},"ios":{"apns_sent":null,"apns_target":null,"apns_received":null,"click":0,"target":1,"received":0},"winphone":null}]`, id))
	a := n.do("GET", "/v3/messages/detail?msg_ids="+id.String(), "")
	for _, want := range []string{`"jpush":{"target":1,"online_push":1,"received":1,"click":1,"msg_click":0}`, `"details":{"notification":{"target":2,"sent":1,"received":1,"display":1,"click":1,"sub_android":{"jg_android":{"target":1,`} {
		if !strings.Contains(a.text, want) {
			t.Errorf("%s\nhas no %s", a.text, want)
		}
	}
	n.do("POST", "/v3/status/message", fmt.Sprintf(`{"msg_id":%s,"registration_ids":["%s","%s","%s","x"],"data":"2026-11-22"}`, id, phone, tablet, stranger)).want(t, 200,
		fmt.Sprintf(`{"%s":{"status":2},"%s":{"status":0},"%s":{"status":1},"x":{"status":2}}`, stranger, phone, tablet))
	late := n.register(herald.PlatformIOS, "")
	n.do("POST", "/v3/status/message", fmt.Sprintf(`{"msg_id":"%s","registration_ids":["%s"],"date":"2026-11-22"}`, id, late)).want(t, 200, fmt.Sprintf(`{"%s":{"status":3}}`, late))
	for _, path := range []string{"received", "received/detail", "messages", "messages/detail"} {
		n.do("GET", "/v3/"+path, "").refused(t, 400, codeMissing)
		n.do("GET", "/v3/"+path+"?msg_ids=a", "").refused(t, 400, codeValue)
		n.do("GET", "/v3/"+path+"?msg_ids=0,99999999999999999", "").want(t, 200, `[]`)
	}
	many := ""
	for i := range maxReported + 1 {
		many += fmt.Sprint(i+1) + ","
	}
	n.do("GET", "/v3/received?msg_ids="+many, "").refused(t, 400, codeValue)
	for body, code := range map[string]int{`{}`: codeMissing, `{"msg_id":1}`: codeMissing, `{"msg_id":"x","registration_ids":["a"]}`: codeValue,
		`{"msg_id":1,"registration_ids":["a"]}`: codeValue, `{"msg_id":1,"registration_ids":["a"],"x":1}`: codeUnknown} {
		n.do("POST", "/v3/status/message", body).refused(t, 400, code)
	}
}

func TestReportOfMessage(t *testing.T) {
	n := newNode(t)
	n.register(herald.PlatformHMOS, "")
	n.register(herald.PlatformQuickapp, "")
	id := n.pushed(`{` + toAll + `,"message":{"msg_content":"x"}}`)
	a := n.do("GET", "/v3/messages/detail?msg_ids="+id.String(), "")
	if !strings.Contains(a.text, `"details":{"message":{"target":2,`) || !strings.Contains(a.text, `"quick_jg":{"target":1,`) {
		t.Error(a.text)
	}
	a = n.do("GET", "/v3/received/detail?msg_ids="+id.String(), "")
	if !strings.Contains(a.text, `"hmos_msg_sent":0,"hmos_msg_received":0`) || !strings.Contains(a.text, `"quickapp_jpush_received":0`) {
		t.Error(a.text)
	}
}

func TestUsers(t *testing.T) {
	n := newNode(t)
	n.mu.Lock()
	n.now = time.Date(2026, 11, 20, 4, 30, 0, 0, time.UTC) // half past twelve in Beijing
	n.mu.Unlock()
	n.register(herald.PlatformAndroid, "")
	n.register(herald.PlatformIOS, "")
	n.seen(0, 1)
	n.pass(24 * time.Hour)
	n.register(herald.PlatformAndroid, "")
	n.seen(2)
	n.do("GET", "/v3/users?time_unit=DAY&start=2026-11-19&duration=3", "").want(t, 200,
		`{"time_unit":"DAY","start":"2026-11-19","duration":3,"items":[{"time":"2026-11-19"},{"time":"2026-11-20","android":{"new":1,"active":1},"ios":{"new":1,"active":1}},{"time":"2026-11-21","android":{"new":1,"active":1}}]}`)
	n.do("GET", "/v3/users/?time_unit=HOUR&start=2026-11-20%2012&duration=2", "").want(t, 200,
		`{"time_unit":"HOUR","start":"2026-11-20 12","duration":2,"items":[{"time":"2026-11-20 12","android":{"new":1},"ios":{"new":1}},{"time":"2026-11-20 13"}]}`)
	n.do("GET", "/v3/users?time_unit=MONTH&start=2026-11&duration=1", "").want(t, 200,
		`{"time_unit":"MONTH","start":"2026-11","duration":1,"items":[{"time":"2026-11","android":{"new":2,"active":2},"ios":{"new":1,"active":1}}]}`)
	for query, code := range map[string]int{
		"": codeMissing, "time_unit=DAY": codeMissing, "time_unit=WEEK&start=2026-11-20&duration=1": codeValue, "time_unit=DAY&start=2026-11-20&duration=x": codeValue,
		"time_unit=DAY&start=2026-11-20&duration=61": codeValue, "time_unit=DAY&start=2026-11&duration=1": codeReportStart, "time_unit=MONTH&start=2026-11-20&duration=1": codeReportStart,
		"time_unit=DAY&start=2026-09-01&duration=1": codeReportTooOld, "time_unit=HOUR&start=2026-11-20+23&duration=2": codeValue,
	} {
		n.do("GET", "/v3/users?"+query, "").refused(t, 400, code)
	}
}

// upload makes a form with a file.
func upload(part, text string) (body, contentType string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	_ = w.WriteField("ttl", "720")
	f, _ := w.CreateFormFile(part, "people.txt")
	_, _ = f.Write([]byte(text))
	_ = w.Close()
	return b.String(), w.FormDataContentType()
}

func TestFiles(t *testing.T) {
	n := newNode(t)
	id := n.register(herald.PlatformAndroid, "alice")
	n.register(herald.PlatformIOS, "bob")
	n.do("GET", "/v3/files", "").want(t, 200, `{"total_count":0,"files":[]}`)
	send := func(path, part, text string) answer {
		body, form := upload(part, text)
		return n.do("POST", path, body, "Content-Type", form)
	}
	a := send("/v3/files/alias", "filename", "alice\nbob\ncarol\n")
	a.want(t, 200, `{"file_id":"…"}`)
	file := strings.Split(a.text, `"`)[3]
	made, expires := n.clock().In(Beijing).Format(secondForm), n.clock().In(Beijing).AddDate(0, 0, 30).Format(secondForm)
	detail := fmt.Sprintf(`{"type":"alias","file_id":"%s","file_name":"people.txt","create_time":"%s","expire_time":"%s"}`, file, made, expires)
	n.do("GET", "/v3/files/"+file, "").want(t, 200, detail)
	n.do("GET", "/v3/files/", "").want(t, 200, `{"total_count":1,"files":[`+detail+`]}`)
	send("/v3/files/registration_id", "filename", string(id)+"\n").want(t, 200, `{"file_id":"…"}`)
	push := `{"platform":"all","audience":{"file":{"file_id":"` + file + `"}},` + hello + `}`
	n.do("POST", "/v3/push/file", push).want(t, 200, `{"sendno":"0","msg_id":"…"}`)
	n.do("POST", "/v3/push/file", `{`+toAll+`,`+hello+`}`).refused(t, 400, codeValue)
	n.do("POST", "/v3/push/file", `{"platform":"all","audience":{"tag":["a"]},`+hello+`}`).refused(t, 400, codeMissing)
	n.do("POST", "/v3/push/file", `{"platform":"all","audience":{"file":{}},`+hello+`}`).refused(t, 400, codeMissing)
	n.do("DELETE", "/v3/files/"+file, "").want(t, 200, `{}`)
	n.do("DELETE", "/v3/files/"+file, "").refused(t, 400, codeValue)
	n.do("GET", "/v3/files/"+file, "").refused(t, 400, codeValue)
	n.do("POST", "/v3/push/file", push).refused(t, 400, codeValue)
	send("/v3/files/alias", "file", "alice\n").refused(t, 400, codeMissing)
	send("/v3/files/alias", "filename", "\n").refused(t, 400, codeValue)
	send("/v3/files/alias", "filename", strings.Repeat("0123456789\n", maxFile/10)).refused(t, 400, codeTooLong)
	n.do("POST", "/v3/files/alias", "alice").refused(t, 400, codeValue)
	n.do("POST", "/v3/files/alias", "alice", "Content-Type", "multipart/form-data; boundary=x").refused(t, 400, codeMissing)
}
