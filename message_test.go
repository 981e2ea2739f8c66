package herald_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-push/herald"
)

func TestContentFor(t *testing.T) {
	data := json.RawMessage(`{"n":1}`)
	common := herald.Notification{Title: "T", Body: "B", Image: "I", Click: "C", Sound: "S", Badge: ptr(3), Actions: []herald.Action{{ID: "a"}}}
	with := func(over herald.Notification) *herald.Notification {
		n := common
		n.Platforms = map[herald.Platform]herald.Notification{herald.PlatformWeb: over}
		return &n
	}
	changed := func(f func(*herald.Notification)) *herald.Notification {
		n := common
		f(&n)
		return &n
	}
	tests := []struct {
		name    string
		in      *herald.Notification
		p       herald.Platform
		want    *herald.Notification
		differs bool
	}{
		{"data only", nil, herald.PlatformWeb, nil, false},
		{"no overrides", &common, herald.PlatformWeb, &common, false},
		{"overrides of another platform", with(herald.Notification{Title: "W"}), herald.PlatformIOS, &common, false},
		{"platform unknown", with(herald.Notification{Title: "W"}), "", &common, false},
		{"title", with(herald.Notification{Title: "W"}), herald.PlatformWeb, changed(func(n *herald.Notification) { n.Title = "W" }), true},
		{"every text", with(herald.Notification{Title: "1", Body: "2", Image: "3", Click: "4", Sound: "5"}), herald.PlatformWeb,
			changed(func(n *herald.Notification) { n.Title, n.Body, n.Image, n.Click, n.Sound = "1", "2", "3", "4", "5" }), true},
		{"badge 0", with(herald.Notification{Badge: ptr(0)}), herald.PlatformWeb, changed(func(n *herald.Notification) { n.Badge = ptr(0) }), true},
		{"no actions", with(herald.Notification{Actions: []herald.Action{}}), herald.PlatformWeb, changed(func(n *herald.Notification) { n.Actions = []herald.Action{} }), true},
		{"empty override", with(herald.Notification{}), herald.PlatformWeb, &common, true},
		{"overrides do not nest", with(herald.Notification{Platforms: map[herald.Platform]herald.Notification{herald.PlatformWeb: {Title: "X"}}}),
			herald.PlatformWeb, &common, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before, err := json.Marshal(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			got, differs := herald.Content{Notification: tt.in, Data: data}.For(tt.p)
			if differs != tt.differs {
				t.Errorf("differs is %v, want %v", differs, tt.differs)
			}
			if d := cmp.Diff(herald.Content{Notification: tt.want, Data: data}, got); d != "" {
				t.Error(d)
			}
			if after, _ := json.Marshal(tt.in); string(after) != string(before) {
				t.Errorf("the message changed to %s", after)
			}
		})
	}
}

func TestDataOfAPlatform(t *testing.T) {
	c := herald.Content{Data: json.RawMessage(`1`), PlatformData: map[herald.Platform]json.RawMessage{herald.PlatformIOS: json.RawMessage(`2`)},
		Notification: &herald.Notification{Platforms: map[herald.Platform]herald.Notification{herald.PlatformAndroid: {Body: "a"}}}}
	for p, want := range map[herald.Platform]herald.Content{
		herald.PlatformIOS:     {Data: json.RawMessage(`2`)},
		herald.PlatformAndroid: {Data: json.RawMessage(`1`), Notification: &herald.Notification{Body: "a"}},
		herald.PlatformWeb:     {Data: json.RawMessage(`1`)},
	} {
		got, differs := c.For(p)
		if d := cmp.Diff(want, got); d != "" || differs != (p != herald.PlatformWeb) {
			t.Errorf("%s: differs %v, %s", p, differs, d)
		}
	}
	if d := cmp.Diff([]herald.Platform{herald.PlatformAndroid, herald.PlatformIOS}, c.DiffersOn()); d != "" {
		t.Error(d)
	}
}

func TestVendorOptions(t *testing.T) {
	o := herald.VendorOptions{"sms": json.RawMessage(`{}`), "apns": json.RawMessage(`{}`), "xiaomi": json.RawMessage(`{}`), "all": json.RawMessage(`{}`)}
	for p, want := range map[herald.Platform][]herald.Vendor{
		herald.PlatformIOS: {"all", "apns", "sms"}, herald.PlatformAndroid: {"all", "xiaomi", "sms"}, herald.PlatformWeb: {"all", "sms"},
	} {
		if d := cmp.Diff(want, o.For(p)); d != "" {
			t.Errorf("%s: %s", p, d)
		}
	}
	if err := o.Validate("vendors"); err != nil {
		t.Error(err)
	}
	for field, o := range map[string]herald.VendorOptions{
		"vendors.nokia": {"nokia": json.RawMessage(`{}`)}, "vendors.fcm": {"fcm": json.RawMessage(`[]`)}, "vendors.sms": {"sms": nil},
		"vendors": {"all": json.RawMessage(`{"a":"` + strings.Repeat("x", herald.MaxVendorBytes) + `"}`)},
	} {
		var e *herald.Error
		if err := o.Validate("vendors"); !errors.As(err, &e) || e.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestMessageTimes(t *testing.T) {
	m := herald.Message{Accepted: start, Due: start, TTL: time.Hour}
	if m.Scheduled() || !m.Expires().Equal(start.Add(time.Hour)) {
		t.Errorf("at once: scheduled %v, expires %v", m.Scheduled(), m.Expires())
	}
	m.Due = start.Add(time.Minute)
	if !m.Scheduled() || !m.Expires().Equal(start.Add(61*time.Minute)) {
		t.Errorf("later: scheduled %v, expires %v; the TTL counts from when it is due", m.Scheduled(), m.Expires())
	}
}

func TestCountsOpen(t *testing.T) {
	for _, tt := range []struct {
		states map[herald.DeliveryState]int64
		want   bool
	}{
		{nil, false},
		{map[herald.DeliveryState]int64{herald.StatePending: 1}, true},
		{map[herald.DeliveryState]int64{herald.StateSent: 1}, true},
		{map[herald.DeliveryState]int64{herald.StateReceived: 2, herald.StateExpired: 1, herald.StateUnconfirmed: 1}, false},
	} {
		if got := (herald.Counts{States: tt.states}).Open(); got != tt.want {
			t.Errorf("%v: open is %v, want %v", tt.states, got, tt.want)
		}
	}
}

// TestStateFamilies sees that each state belongs to one family.
func TestStateFamilies(t *testing.T) {
	seen := map[herald.DeliveryState]bool{herald.StatePending: true}
	for _, s := range append(herald.Progress[:], herald.Ends[:]...) {
		if seen[s] {
			t.Errorf("%s is in two families", s)
		}
		seen[s] = true
	}
	if len(seen) != 14 {
		t.Errorf("%d states, want 14", len(seen))
	}
}

func TestErrors(t *testing.T) {
	cause := io.ErrUnexpectedEOF
	e := herald.Invalid("audience.tags[2]", "Shorten it.", "%d bytes are more than %d", 200, 128)
	if e.Code != herald.CodeInvalidRequest || e.Error() != "audience.tags[2]: 200 bytes are more than 128" || e.Remedy != "Shorten it." {
		t.Errorf("Invalid gives %#v", e)
	}
	e.Err = cause
	if !errors.Is(e, cause) || e.Error() != "audience.tags[2]: 200 bytes are more than 128: unexpected EOF" {
		t.Errorf("with a cause: %q, is %v", e, errors.Is(e, cause))
	}
	plain := herald.Errorf(herald.CodeNotFound, "Look elsewhere.", "there is no %s", "device")
	if plain.Error() != "there is no device" || plain.Field != "" {
		t.Errorf("Errorf gives %#v", plain)
	}
	inner := herald.Errorf(herald.CodeConflict, "", "inner")
	for _, tt := range []struct {
		name string
		err  error
		want herald.Code
	}{
		{"none", nil, ""},
		{"foreign", cause, herald.CodeInternal},
		{"own", plain, herald.CodeNotFound},
		{"wrapped", fmt.Errorf("api: %w", plain), herald.CodeNotFound},
		{"joined", errors.Join(cause, plain), herald.CodeNotFound},
		{"the outer one counts", &herald.Error{Code: herald.CodeStorageUnavailable, Err: inner}, herald.CodeStorageUnavailable},
	} {
		if got := herald.CodeOf(tt.err); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestContentIn(t *testing.T) {
	n := &herald.Notification{Title: "T", Body: "B", Platforms: map[herald.Platform]herald.Notification{herald.PlatformWeb: {Title: "W", Sound: "S"}},
		Languages: map[string]herald.Notification{"zh": {Title: "Z"}, "zh-Hant": {Body: "H"}, "de": {}}}
	c := herald.Content{Notification: n}
	for _, tt := range []struct {
		name     string
		p        herald.Platform
		language string
		want     herald.Notification
		differs  bool
	}{
		{"common", "", "", herald.Notification{Title: "T", Body: "B"}, false},
		{"language", "", "zh", herald.Notification{Title: "Z", Body: "B"}, false},
		{"the language comes after the platform", herald.PlatformWeb, "zh", herald.Notification{Title: "Z", Body: "B", Sound: "S"}, true},
		{"platform and part of a language", herald.PlatformWeb, "zh-Hant", herald.Notification{Title: "W", Body: "H", Sound: "S"}, true},
		{"an empty language", "", "de", herald.Notification{Title: "T", Body: "B"}, false},
		{"a language that it has not", "", "fr", herald.Notification{Title: "T", Body: "B"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, differs := c.In(tt.p, tt.language)
			if d := cmp.Diff(herald.Content{Notification: &tt.want}, got); d != "" || differs != tt.differs {
				t.Errorf("differs %v: %s", differs, d)
			}
		})
	}
	if d := cmp.Diff([]string{"zh-Hant", "de", "zh"}, c.LanguageTags()); d != "" {
		t.Error(d)
	}
	if tags := (herald.Content{Data: json.RawMessage("1")}).LanguageTags(); tags != nil {
		t.Errorf("tags of data: %q", tags)
	}
}
