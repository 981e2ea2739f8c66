package twilio

import (
	"encoding/json"
	"strconv"

	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/provider"
)

// refusal reads an answer that is none of success.
func refusal(a egress.Answer) *provider.Error {
	var said struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	if json.Unmarshal(a.Body, &said) != nil || said.Code == 0 {
		return provider.OfStatus(a.Status, a.RetryAfter)
	}
	e := known(said.Code)
	if e == nil {
		e = provider.OfStatus(a.Status, a.RetryAfter)
	}
	return tell(e, said.Code, said.Message, a)
}

// of is the error of a code that came without a status.
func of(code int, message string) *provider.Error {
	e := known(code)
	if e == nil {
		e = &provider.Error{Kind: provider.Rejected, Text: "the message was not delivered", Remedy: "Look the code up in Twilio's list of errors."}
	}
	return tell(e, code, message, egress.Answer{})
}

func tell(e *provider.Error, code int, message string, a egress.Answer) *provider.Error {
	e.Code, e.RetryAfter = strconv.Itoa(code), a.RetryAfter
	if message != "" {
		e.Text += ": Twilio says " + strconv.Quote(message[:min(len(message), 200)])
	}
	return e
}

// known is what a code means for us; nil for one that is not in the table.
//
// A code that one wrong setting would cause for every number is Unauthorized, so
// that nothing is lost by it.
func known(code int) *provider.Error {
	for _, row := range codes() {
		for _, c := range row.codes {
			if c == code {
				return &provider.Error{Kind: row.kind, Text: row.text, Remedy: row.remedy}
			}
		}
	}
	return nil
}

type meaning struct {
	kind         provider.Kind
	codes        []int
	text, remedy string
}

func codes() []meaning {
	const later = "Nothing has to be done if it passes."
	return []meaning{
		{provider.Unauthorized, []int{20003, 20404}, "Twilio does not let us in", "Check account_sid and auth_token, or the API key, with verify."},
		{provider.Unauthorized, []int{20005, 20006, 30002}, "the account is not active", "Look at its state in Twilio's console."},
		{provider.Unauthorized, []int{21212, 21603, 21606, 21659, 21660, 21661, 30034}, "Twilio does not send from this sender", "Set from to a number of the account that may send SMS, or use a messaging service."},
		{provider.Unauthorized, []int{21701, 21702, 21703, 21704, 21705}, "the messaging service does not exist, or has no number", "Check messaging_service_sid."},
		{provider.Unauthorized, []int{21609, 21626}, "Twilio does not take the callback", "Set callback to a public address, or leave it empty."},
		{provider.Throttled, []int{20429, 14107, 21611, 30001, 30022, 30023}, "too much at once for the account or its number", "Send more slowly, or from more numbers."},
		{provider.Unregistered, []int{21211, 21214, 21217, 21614, 30005, 30006}, "no telephone that takes SMS has the number", ""},
		{provider.Rejected, []int{21610}, "the person has opted out of messages from this sender", "Only they can change it, by answering START."},
		{provider.Rejected, []int{21408, 21612}, "messages to the number's country or network are not allowed or not possible", "Enable the country in Twilio's console, under Geo permissions."},
		{provider.Rejected, []int{21608}, "a trial account sends to verified numbers only", "Verify the number, or upgrade the account."},
		{provider.Rejected, []int{21602, 21604, 21619}, "the message has nothing to read", "Give it a text."},
		{provider.TooLarge, []int{21605, 21617}, "the text is too long", "Send less."},
		{provider.Rejected, []int{30003}, "the telephone is switched off or out of reach", ""},
		{provider.Rejected, []int{30004}, "the person or the network has blocked messages from this sender", ""},
		{provider.Rejected, []int{30007}, "the network has filtered the message", "Look at its wording and links, and at the registration of the sender."},
		{provider.Rejected, []int{30008}, "the network did not deliver it and says no reason", ""},
		{provider.Rejected, []int{30036}, "it was not delivered while it was of use", ""},
		{provider.Unavailable, []int{30410, 30500, 20500, 20503}, "Twilio or the network has a fault", later},
	}
}
