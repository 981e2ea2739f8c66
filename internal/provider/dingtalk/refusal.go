package dingtalk

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/provider"
)

// Codes that are looked at elsewhere.
const (
	insecure   = "310000" // against the robot's security settings
	badKind    = "400105"
	badRequest = "40035"
)

const noKeyword = "the room refuses texts without one of the robot's keywords"

// refusal reads an answer; nil if the message was taken. The status is 200
// whatever the vendor says.
func (p *Provider) refusal(a egress.Answer) *provider.Error {
	if a.Status != 200 {
		return provider.OfStatus(a.Status, a.RetryAfter)
	}
	var said struct {
		Code *int64 `json:"errcode"`
		Text string `json:"errmsg"`
	}
	if json.Unmarshal(a.Body, &said) != nil || said.Code == nil {
		return &provider.Error{Kind: provider.Unavailable, Unknown: true, Text: "the vendor's answer cannot be read", Remedy: "Look at the trace of the message."}
	}
	if *said.Code == 0 {
		return nil
	}
	why := strings.ReplaceAll(said.Text, p.token, "…")
	code := strconv.FormatInt(*said.Code, 10)
	var e *provider.Error
	if code == insecure {
		if e = p.unsafe(why); e.Text == badSignature || e.Text == badTime {
			e = e.BlameClock(a.Header, p.now())
		}
	} else {
		e = of(code, why)
	}
	e.Code = code
	return e
}

const (
	badSignature = "the signature does not match"
	badTime      = "the time of the signature is not now"
)

// unsafe tells which of the robot's security settings refuses. The vendor says it
// in English or Chinese, by words alone.
func (p *Provider) unsafe(why string) *provider.Error {
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(strings.ToLower(why), w) {
				return true
			}
		}
		return false
	}
	e := &provider.Error{Kind: provider.Unauthorized}
	switch {
	case has("keyword", "关键词"):
		e.Text, e.Remedy = noKeyword, "Compare the credential's keyword with those of the robot."
		if p.keyword == "" { // a setting of the room that other messages may meet
			e.Kind, e.Remedy = provider.Rejected, "Give the credential one of the robot's keywords as its keyword: it is added to texts that lack it."
		}
	case has("whitelist", "白名单", "ip地址"):
		e = provider.Errorf(provider.Unauthorized, "", "Add the address from which this machine reaches the internet to the robot's list, or secure the robot by a signature.",
			"the robot's list of IP addresses has not that of this machine: %.200s", why)
	case has("sign", "签名", "timestamp") && p.secret == "":
		e.Text, e.Remedy = badSignature, "Give the credential the robot's secret, SEC…: its security settings ask for a signature."
	case has("timestamp", "过期") && !has("不匹配"): // that of a wrong signature speaks of its time too
		e.Text, e.Remedy = badTime, "Set the clock of this machine, with NTP."
	case has("sign", "签名"):
		e.Text, e.Remedy = badSignature, "Copy the secret from the robot's security settings once more."
	default:
		e = provider.Errorf(provider.Unauthorized, "", "Compare the credential with the robot's security settings.", "the robot's security settings refuse it: %.200s", why)
	}
	return e
}

// of maps the other codes. What is wrong with token or robot is wrong for every
// message, so it is the credential that is.
func of(code, why string) *provider.Error {
	switch code {
	case "-1":
		return &provider.Error{Kind: provider.Unavailable, Text: "the vendor is busy", Remedy: "Nothing has to be done if it passes."}
	case "130101", "410100":
		return &provider.Error{Kind: provider.Throttled, RetryAfter: silence, Text: "the room got more than 20 messages in a minute, and takes none for ten",
			Remedy: "Let nobody else send by this robot, or use several robots."}
	case "300001", "300005", "400101", "400106":
		return &provider.Error{Kind: provider.Unauthorized, Text: "no robot has this token: it was mistyped, or the robot was removed from the room",
			Remedy: "Copy the token from the robot's address, or make a new robot."}
	case "400102":
		return &provider.Error{Kind: provider.Unauthorized, Text: "the robot was disabled", Remedy: "Have an administrator of the room enable it."}
	case "400013":
		return &provider.Error{Kind: provider.Unauthorized, Text: "the room was dissolved", Remedy: "Make a robot in another room."}
	case "430101", "430102", "430103", "430104":
		return provider.Errorf(provider.Rejected, code, "Change the text, the link or the picture.", "the vendor takes offence at the content: %.200s", why)
	case "460101":
		return &provider.Error{Kind: provider.TooLarge, Text: "the vendor finds the message too long", Remedy: "Send less, and link to the rest."}
	}
	return provider.Errorf(provider.Rejected, code, "Look at the trace of the message.", "the vendor refuses the message: %.200s", why)
}
