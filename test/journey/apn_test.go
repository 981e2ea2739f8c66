package journey_test

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// apnResult is what npm @parse/node-apn was told of a notification.
type apnResult struct {
	Status, Sent, Failed int
	Device, ID, Reason   string
	Timestamp            int64 // in milliseconds
	Error                string
}

// TestAPNsSimulator has a provider of another maker push to Apple as the binary
// plays it, with the key and the certificate that it writes.
func TestAPNsSimulator(t *testing.T) {
	judge := useHelper(t, "apn.mjs")
	folder, here, gone := t.TempDir(), strings.Repeat("0a1b2c3d", 8), strings.Repeat("dead", 16)
	out := simulate(t, "apns", "--folder", folder, "--gone", gone)
	printed := func(name string) string {
		t.Helper()
		line := strings.Fields(out.find(t, regexp.MustCompile(`(?m)^ +`+name+` +\S+$`), nil))
		return line[1]
	}
	url, topic, keyID, teamID := printed("url"), printed("topic"), printed("key_id"), printed("team_id")
	key, authority := filepath.Join(folder, "AuthKey_"+keyID+".p8"), filepath.Join(folder, "ca.pem")
	const id = "0b7c1f0e-5c0f-4d5e-9a53-3f6f3b8f7c11"
	alert := object{"id": id, "topic": topic, "pushType": "alert", "alert": object{"title": "早上好", "body": "Parcel 42"}, "badge": 3,
		"sound": "default", "collapseId": "parcel", "expiry": 0, "payload": object{"order": "42"}}
	send := func(keyID, ca, device string, notification object) (r apnResult) {
		t.Helper()
		said := judge.ask(t, object{"cmd": "send", "url": url, "ca": ca, "device": device, "notification": notification,
			"token": object{"key": key, "keyId": keyID, "teamId": teamID}})
		if err := json.Unmarshal(said, &r); err != nil {
			t.Fatalf("%s: %v", said, err)
		}
		return r
	}

	if r := send(keyID, authority, gone, object{"topic": topic, "pushType": "alert", "alert": "for nobody"}); r.Status != 410 || r.Failed != 1 || r.Sent != 0 ||
		r.Device != gone || r.Reason != "Unregistered" || r.Timestamp == 0 {
		t.Errorf("for a token that is gone it is told %+v", r)
	}
	if r := send("ANOTHERKEY", authority, here, object{"topic": topic, "pushType": "alert", "alert": "for nobody"}); r.Status != 403 || r.Failed != 1 || r.Reason != "InvalidProviderToken" {
		t.Errorf("with the ID of another key it is told %+v", r)
	}
	if r := send(keyID, "", here, object{"topic": topic, "pushType": "alert", "alert": "for nobody"}); r.Status != 0 || r.Failed != 1 || !strings.Contains(r.Error, "certificate") {
		t.Errorf("without the certificate it is told %+v", r)
	}
	if r := send(keyID, authority, here, alert); r.Status != 200 || r.Sent != 1 || r.Failed != 0 || r.Device != here || r.ID != id {
		t.Errorf("for an alert it is told %+v", r)
	}
	if r := send(keyID, authority, here, object{"topic": topic, "pushType": "background", "priority": 5, "contentAvailable": true,
		"payload": object{"sync": "inbox"}}); r.Status != 200 || r.Sent != 1 || r.Failed != 0 || r.ID == "" {
		t.Errorf("for a background push it is told %+v", r)
	}

	for kind, want := range map[string]object{
		"alert": {"order": "42", "aps": map[string]any{
			"alert": map[string]any{"title": "早上好", "body": "Parcel 42"}, "badge": 3.0, "sound": "default",
		}},
		"background": {"sync": "inbox", "aps": map[string]any{"content-available": 1.0}},
	} {
		line := out.find(t, regexp.MustCompile(`(?m)^0a1b2c3d…1b2c3d  `+kind+`  \{.*\}\n`), nil)
		var got object
		if err := json.Unmarshal([]byte(line[strings.Index(line, "{"):]), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("of the %s it shows %s, want %v (%v)", kind, line, want, err)
		}
	}
	if text, _ := out.now(); strings.Contains(text, "for nobody") {
		t.Errorf("it shows what it refused:\n%s", text)
	}
}
