package herald

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestChannelsAndTheirVendors(t *testing.T) {
	for _, c := range Channels {
		if !c.Valid() {
			t.Errorf("%s is not a channel", c)
		}
		if got := c.Vendors(); (len(got) == 0) != (c == ChannelLive) {
			t.Errorf("the vendors of %s are %v", c, got)
		}
		for _, v := range c.Vendors() {
			if v.Channel() != c {
				t.Errorf("%s is behind %s, and listed by %s", v, v.Channel(), c)
			}
		}
	}
	if got := ChannelSMS.Vendors(); !slices.Equal(got, []Vendor{VendorSMPP, VendorTwilio}) {
		t.Errorf("text messages go by %v", got)
	}
	for _, v := range []Vendor{EveryVendor, VendorSMS, "pigeon", ""} {
		if c := v.Channel(); c != "" {
			t.Errorf("%q is behind %s", v, c)
		}
	}
	for _, tc := range []struct {
		step RouteStep
		v    Vendor
		want bool
	}{
		{RouteStep{Channel: ChannelVendor}, VendorFCM, true},
		{RouteStep{Channel: ChannelVendor}, VendorTwilio, false},
		{RouteStep{Channel: ChannelVendor, Vendor: VendorAPNs}, VendorFCM, false},
		{RouteStep{Channel: ChannelVendor, Vendor: VendorAPNs}, VendorAPNs, true},
		{RouteStep{Channel: ChannelVendor, Except: []Vendor{VendorFCM}}, VendorFCM, false},
		{RouteStep{Channel: ChannelVendor, Except: []Vendor{VendorFCM}}, VendorAPNs, true},
		{RouteStep{Channel: ChannelLive}, VendorFCM, false},
		{RouteStep{}, EveryVendor, false},
	} {
		if got := tc.step.Takes(tc.v); got != tc.want {
			t.Errorf("%+v takes %s: %v", tc.step, tc.v, got)
		}
	}
	if Channel("").Valid() || Channel("push").Valid() || Channel("").Vendors() != nil {
		t.Error("what is no channel is one")
	}
	if ChannelLive.PerRecipient() || ChannelVendor.PerRecipient() || !ChannelSMS.PerRecipient() || !ChannelChat.PerRecipient() {
		t.Error("what acts once for a person is wrong")
	}
}

func TestRouteValidate(t *testing.T) {
	live := RouteStep{Channel: ChannelLive}
	sms := func(after time.Duration) RouteStep { return RouteStep{Channel: ChannelSMS, After: Duration(after)} }
	big := json.RawMessage(`{"x":"` + strings.Repeat("a", MaxVendorBytes/2) + `"}`)
	eight := slices.Repeat([]RouteStep{live}, MaxRouteSteps)
	for name, tc := range map[string]struct {
		steps []RouteStep
		ttl   time.Duration
		field string // "": it is taken
	}{
		"the default":                          {DefaultRoute().Steps, time.Hour, ""},
		"live alone, now or never":             {[]RouteStep{live}, 0, ""},
		"a step at the end of the ttl":         {[]RouteStep{live, sms(time.Hour)}, time.Hour, ""},
		"eight":                                {eight, time.Hour, ""},
		"a vendor, its credential and options": {[]RouteStep{{Channel: ChannelVendor, Vendor: VendorAPNs, Credential: "a", Unless: StateSent, Options: json.RawMessage(`{}`)}}, time.Hour, ""},
		"options for whichever sends the text": {[]RouteStep{{Channel: ChannelSMS, Options: json.RawMessage(`{"text":"x"}`)}}, time.Hour, ""},
		"a text of its own":                    {[]RouteStep{{Channel: ChannelEmail, Notification: &Notification{Title: "x"}}}, time.Hour, ""},

		"all vendors but one": {[]RouteStep{{Channel: ChannelVendor, Except: []Vendor{VendorFCM}}}, time.Hour, ""},

		"an exception beside a vendor":      {[]RouteStep{{Channel: ChannelSMS, Vendor: VendorSMPP, Except: []Vendor{VendorTwilio}}}, time.Hour, "r.steps[0].except"},
		"an exception of another channel":   {[]RouteStep{{Channel: ChannelSMS, Except: []Vendor{VendorFCM}}}, time.Hour, "r.steps[0].except[0]"},
		"an exception that is there twice":  {[]RouteStep{{Channel: ChannelSMS, Except: []Vendor{VendorSMPP, VendorSMPP}}}, time.Hour, "r.steps[0].except[1]"},
		"nothing but exceptions":            {[]RouteStep{{Channel: ChannelSMS, Except: []Vendor{VendorSMPP, VendorTwilio}}}, time.Hour, "r.steps[0].except"},
		"an exception of live":              {[]RouteStep{{Channel: ChannelLive, Except: []Vendor{VendorFCM}}}, time.Hour, "r.steps[0].except[0]"},
		"none":                              {nil, time.Hour, "r.steps"},
		"nine":                              {append(slices.Clone(eight), live), time.Hour, "r.steps"},
		"an unknown channel":                {[]RouteStep{live, {Channel: "push"}}, time.Hour, "r.steps[1].channel"},
		"no channel":                        {[]RouteStep{{}}, time.Hour, "r.steps[0].channel"},
		"a vendor of another channel":       {[]RouteStep{{Channel: ChannelSMS, Vendor: VendorAPNs}}, time.Hour, "r.steps[0].vendor"},
		"an unknown vendor":                 {[]RouteStep{{Channel: ChannelVendor, Vendor: "pigeon"}}, time.Hour, "r.steps[0].vendor"},
		"every vendor":                      {[]RouteStep{{Channel: ChannelVendor, Vendor: EveryVendor}}, time.Hour, "r.steps[0].vendor"},
		"a vendor of live":                  {[]RouteStep{{Channel: ChannelLive, Vendor: VendorAPNs}}, time.Hour, "r.steps[0].vendor"},
		"a credential of live":              {[]RouteStep{{Channel: ChannelLive, Credential: "a"}}, time.Hour, "r.steps[0].credential"},
		"a credential with a line break":    {[]RouteStep{{Channel: ChannelSMS, Credential: "a\nb"}}, time.Hour, "r.steps[0].credential"},
		"options of live":                   {[]RouteStep{{Channel: ChannelLive, Options: json.RawMessage(`{}`)}}, time.Hour, "r.steps[0].options"},
		"another text live":                 {[]RouteStep{{Channel: ChannelLive, Notification: &Notification{Title: "x"}}}, time.Hour, "r.steps[0].notification"},
		"options for vendors of many kinds": {[]RouteStep{{Channel: ChannelVendor, Options: json.RawMessage(`{}`)}}, time.Hour, "r.steps[0].vendor"},
		"options that are a list":           {[]RouteStep{{Channel: ChannelSMS, Options: json.RawMessage(`[]`)}}, time.Hour, "r.steps[0].options"},
		"options that are not JSON":         {[]RouteStep{{Channel: ChannelSMS, Options: json.RawMessage(`{`)}}, time.Hour, "r.steps[0].options"},
		"options that are too large":        {[]RouteStep{{Channel: ChannelSMS, Options: big}, {Channel: ChannelSMS, Options: big}}, time.Hour, "r.steps[1].options"},
		"texts that are too large":          {[]RouteStep{{Channel: ChannelSMS, Notification: &Notification{Body: strings.Repeat("a", MaxRouteBytes)}}}, time.Hour, "r.steps"},
		"unless what is no progress":        {[]RouteStep{{Channel: ChannelLive, Unless: StateExpired}}, time.Hour, "r.steps[0].unless"},
		"after the ttl":                     {[]RouteStep{live, sms(time.Hour + time.Millisecond)}, time.Hour, "r.steps[1].after"},
		"before its release":                {[]RouteStep{sms(-time.Second)}, time.Hour, "r.steps[0].after"},
		"finer than the record":             {[]RouteStep{sms(time.Microsecond)}, time.Hour, "r.steps[0].after"},
		"times that fall":                   {[]RouteStep{sms(time.Minute), sms(time.Second)}, time.Hour, "r.steps[1].after"},
		"a vendor, now or never":            {DefaultRoute().Steps, 0, "r.steps[1].channel"},
		"live later, now or never":          {[]RouteStep{{Channel: ChannelLive, After: Duration(time.Second)}}, 0, "r.steps[0].after"},
	} {
		t.Run(name, func(t *testing.T) {
			err := (&Route{Steps: tc.steps}).Validate("r", tc.ttl)
			if tc.field == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var e *Error
			if !errors.As(err, &e) || e.Field != tc.field || e.Code != CodeInvalidRequest || e.Remedy == "" {
				t.Fatalf("%+v, want an error about %s with a remedy", err, tc.field)
			}
		})
	}
}

func TestLiveStep(t *testing.T) {
	live, vendor := RouteStep{Channel: ChannelLive}, RouteStep{Channel: ChannelVendor}
	for want, steps := range map[int][]RouteStep{-1: {vendor, vendor}, 0: {live, vendor}, 1: {vendor, live, live}} {
		if got := (Route{Steps: steps}).LiveStep(); got != want {
			t.Errorf("the live step is %d, want %d", got, want)
		}
	}
}

func TestRouteWithin(t *testing.T) {
	r := Route{Steps: []RouteStep{{Channel: ChannelLive}, {Channel: ChannelVendor, Unless: StateSent}, {Channel: ChannelSMS, After: Duration(time.Minute)}}}
	for _, tc := range []struct {
		ttl  time.Duration
		want int
	}{{0, 1}, {time.Second, 2}, {time.Minute, 3}, {time.Hour, 3}} {
		got, all := r.Within(tc.ttl)
		if len(got.Steps) != tc.want || all != (tc.want == 3) {
			t.Errorf("within %s there are %d steps, all of them: %v; want %d", tc.ttl, len(got.Steps), all, tc.want)
		}
		if err := got.Validate("r", tc.ttl); err != nil {
			t.Errorf("within %s: %v", tc.ttl, err)
		}
	}
	filled := r.Filled()
	for i, want := range []DeliveryState{StateReceived, StateSent, StateReceived} {
		if filled.Steps[i].Unless != want || r.Steps[i].Until() != want {
			t.Errorf("step %d is taken unless %s, want %s", i, filled.Steps[i].Unless, want)
		}
	}
	if r.Steps[0].Unless != "" {
		t.Error("the route itself was changed")
	}
	if live := LiveRoute(); live.Validate("r", 0) != nil || !reflect.DeepEqual(live.Filled(), live) || !reflect.DeepEqual(DefaultRoute().Filled(), DefaultRoute()) {
		t.Error("the built-in routes are not whole")
	}
}

func TestDigestValidate(t *testing.T) {
	for name, tc := range map[string]struct {
		d     Digest
		ttl   time.Duration
		field string
	}{
		"five minutes":   {Digest{"alarms", Duration(5 * time.Minute)}, time.Hour, ""},
		"the whole ttl":  {Digest{"alarms", Duration(time.Hour)}, time.Hour, ""},
		"no key":         {Digest{"", Duration(time.Minute)}, time.Hour, "digest.key"},
		"no window":      {Digest{"a", 0}, time.Hour, "digest.window"},
		"too short":      {Digest{"a", Duration(time.Millisecond)}, time.Hour, "digest.window"},
		"too long":       {Digest{"a", Duration(25 * time.Hour)}, MaxTTL, "digest.window"},
		"beyond the ttl": {Digest{"a", Duration(time.Hour)}, time.Minute, "digest.window"},
		"now or never":   {Digest{"a", Duration(time.Minute)}, 0, "ttl"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tc.d.Validate(tc.ttl)
			var e *Error
			if tc.field == "" && err != nil || tc.field != "" && (!errors.As(err, &e) || e.Field != tc.field || e.Remedy == "") {
				t.Fatalf("%+v, want an error about %q", err, tc.field)
			}
		})
	}
}

func TestDurationText(t *testing.T) {
	for text, want := range map[string]string{"0s": "0s", "10s": "10s", "90s": "1m30s", "5m": "5m", "60m": "1h", "1h30m": "1h30m", "1.5s": "1.5s", "10m0s": "10m", "250ms": "250ms", "720h": "720h"} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || d.String() != want {
			t.Errorf("%s is read as %s, %v; want %s", text, d, err, want)
		}
	}
	for _, text := range []string{"", "10", "-1s", "1d", "1us", "ten seconds", "1e300h"} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); CodeOf(err) != CodeInvalidRequest {
			t.Errorf("%q is read as %s, %v", text, d, err)
		}
	}
}

func TestRouteUseJSON(t *testing.T) {
	for text, want := range map[string]RouteUse{
		`"urgent"`: {Name: "urgent"},
		` {"steps":[{"channel":"live"},{"channel":"sms","vendor":"twilio","unless":"displayed","after":"90s","options":{"a":1}}]}`: {Steps: []RouteStep{
			{Channel: ChannelLive}, {Channel: ChannelSMS, Vendor: VendorTwilio, Unless: StateDisplayed, After: Duration(90 * time.Second), Options: json.RawMessage(`{"a":1}`)}}},
	} {
		var got RouteUse
		if err := json.Unmarshal([]byte(text), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %+v, %v", text, got, err)
		}
		b, err := json.Marshal(got)
		var again RouteUse
		if err != nil || json.Unmarshal(b, &again) != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%s is written as %s, %v", text, b, err)
		}
	}
	for _, text := range []string{`""`, `7`, `[]`, `null`, `{"steps":7}`, `{"step":[]}`, `{"steps":[{"channel":"live","after":10}]}`, `{"steps":[{"channel":"live","after":"soon"}]}`} {
		err := new(RouteUse).UnmarshalJSON([]byte(text))
		var e *Error
		if !errors.As(err, &e) || e.Remedy == "" {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := new(RouteUse).UnmarshalJSON([]byte(`{} {}`)); err == nil {
		t.Error("two values are taken")
	}
	if err := new(RouteUse).UnmarshalJSON([]byte(`"a`)); err == nil {
		t.Error("half a string is taken")
	}
}

func FuzzRouteUse(f *testing.F) {
	for _, s := range []string{`"a"`, `{"steps":[{"channel":"live"}]}`, `{"steps":[{"channel":"sms","after":"1h","options":{}}]}`, `{"steps":[{"notification":{"title":"x"}}]}`, `""`, `{`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r RouteUse
		if json.Unmarshal(b, &r) != nil {
			return
		}
		if r.Name == "" && (&Route{Steps: r.Steps}).Validate("route", MaxTTL) != nil {
			return
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatalf("%q cannot be written again: %v", b, err)
		}
		var again RouteUse
		if err := json.Unmarshal(text, &again); err != nil {
			t.Fatalf("%q, written as %s, is not read again: %v", b, text, err)
		}
		if other, err := json.Marshal(again); err != nil || string(other) != string(text) {
			t.Fatalf("%s becomes %s, %v", text, other, err)
		}
	})
}
