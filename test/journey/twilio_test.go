package journey_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/herald-push/herald/internal/provider/twilio"
	simtwilio "github.com/herald-push/herald/internal/sim/twilio"
)

// TestTwilioSignatures: the npm package of Twilio and Herald take the same calls
// for Twilio's, and refuse the same.
func TestTwilioSignatures(t *testing.T) {
	judge := useHelper(t, "twilio.mjs")
	const token, account = "12345", "AC00112233445566778899aabbccddeeff"
	forms := map[string]url.Values{
		"report":  {"MessageSid": {"SM1"}, "MessageStatus": {"delivered"}, "AccountSid": {account}, "ErrorCode": {""}},
		"empty":   {},
		"Unicode": {"Body": {"你好 🚚 é"}, "a": {"1"}, "B": {"2"}, "A": {"3"}},
		"lists":   {"x": {"b", "a", "b"}, "y": {"1"}},
	}
	for _, address := range []string{
		"https://push.example.com/v1/reports?c=1", "https://push.example.com:443/v1", "https://push.example.com:8443/v1", "http://push.example.com/", "https://push.example.com", "https://[2001:db8::1]/x", "https://push.example.com/?a=b:c&d=%27",
	} {
		for name, form := range forms {
			params := map[string]any{}
			for field, values := range form {
				if params[field] = values; len(values) == 1 {
					params[field] = values[0]
				}
			}
			var theirs string
			if err := json.Unmarshal(judge.ask(t, object{"cmd": "sign", "token": token, "url": address, "params": params}), &theirs); err != nil {
				t.Fatal(err)
			}
			ours := twilio.Sign(token, address, form)
			if ours != theirs {
				t.Errorf("%s, %s: signed %s, want %s", address, name, ours, theirs)
			}
			for what, c := range map[string]struct{ signature, address, token string }{
				"as it is": {ours, address, token}, "another token": {ours, address, "54321"}, "another address": {ours, strings.Replace(address, "push", "pull", 1), token}, "no signature": {"", address, token},
				"cut": {ours[1:], address, token}, "lower case": {strings.ToLower(ours), address, token}, "with the port": {ours, strings.Replace(address, ".com/", ".com:443/", 1), token}, "port 80": {ours, strings.Replace(address, ".com/", ".com:80/", 1), token},
				"without the port": {ours, strings.Replace(address, ":443", "", 1), token}, "without another port": {ours, strings.Replace(address, ":8443", "", 1), token},
			} {
				want := string(judge.ask(t, object{"cmd": "judge", "token": c.token, "signature": c.signature, "url": c.address, "params": params})) == "true"
				if got := twilio.Signed(c.token, c.signature, c.address, form); got != want {
					t.Errorf("%s, %s, %s: %v, it says %v", address, name, what, got, want)
				}
				if what == "as it is" && !want && !strings.Contains(address, ":8443") {
					t.Errorf("%s, %s: it refuses what it signed", address, name)
				}
			}
		}
	}
	// What the simulator signs is taken too.
	sim := simtwilio.New(simtwilio.Config{Account: account, Token: token, From: "+15550001000"})
	const at = "https://push.example.com/v1/reports"
	header, body := sim.Report(at, "SM1", "+8613912345678", "undelivered", "30005")
	form, err := url.ParseQuery(string(body))
	if err != nil {
		t.Fatal(err)
	}
	params := map[string]string{}
	for name := range form {
		params[name] = form.Get(name)
	}
	if got := string(judge.ask(t, object{"cmd": "judge", "token": token, "signature": header.Get("X-Twilio-Signature"), "url": at, "params": params})); got != "true" {
		t.Errorf("of the simulator's: %s", got)
	}
}
