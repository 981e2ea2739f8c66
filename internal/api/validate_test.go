package api_test

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

// wantInvalid checks that an error names the member at fault and a remedy.
func wantInvalid(t *testing.T, err error, field string) {
	t.Helper()
	var e *herald.Error
	if !errors.As(err, &e) || e.Code != herald.CodeInvalidRequest || e.Field != field || e.Message == "" || !strings.ContainsAny(e.Remedy, ".?") {
		t.Errorf("got %#v, want invalid_request at %q", err, field)
	}
}

func TestSendValidation(t *testing.T) {
	w := newWorld(t)
	at := func(d time.Duration) string { return w.now.Add(d).Format(time.RFC3339) }
	const n = `"audience":"all","notification":`
	for name, c := range map[string]struct{ body, field string }{
		"says nothing":              {`"audience":"all"`, "notification"},
		"data null":                 {`"audience":"all","data":null`, "notification"},
		"empty notification":        {n + `{}`, "notification"},
		"only a click":              {n + `{"click":"https://a.example"}`, "notification"},
		"no audience":               {`"data":1`, "audience"},
		"empty audience":            {`"audience":{},"data":1`, "audience"},
		"empty tags_not":            {`"audience":{"tags_not":[]},"data":1`, "audience.tags_not"},
		"bad registration ID":       {`"audience":{"registration_ids":["x"]},"data":1`, "audience.registration_ids[0]"},
		"segments":                  {`"audience":{"segments":["x"]},"data":1`, "audience.segments"},
		"nested audience":           {`"audience":{"or":[{"tags":["a"]},{"tags":[""]}]},"data":1`, "audience.or[1].tags[0]"},
		"active days":               {`"audience":{"active_within_days":2},"data":1`, "audience.active_within_days"},
		"ttl negative":              {`"audience":"all","data":1,"ttl":-1`, "ttl"},
		"ttl over 30 days":          {`"audience":"all","data":1,"ttl":2592001`, "ttl"},
		"ttl of a fraction":         {`"audience":"all","data":1,"ttl":1.5`, "ttl"},
		"ttl null":                  {`"audience":"all","data":1,"ttl":null`, "ttl"},
		"send_at over a year":       {`"audience":"all","data":1,"send_at":"` + at(366*24*time.Hour) + `"`, "send_at"},
		"send_at of no time":        {`"audience":"all","data":1,"send_at":"tomorrow"`, "send_at"},
		"send_at with ttl 0":        {`"audience":"all","data":1,"ttl":0,"send_at":"` + at(time.Hour) + `"`, "ttl"},
		"priority":                  {`"audience":"all","data":1,"priority":"urgent"`, "priority"},
		"data of no platform":       {`"audience":"all","platform_data":{"symbian":1}`, "platform_data.symbian"},
		"vendor that is none":       {`"audience":"all","data":1,"vendors":{"nokia":{}}`, "vendors.nokia"},
		"vendor told a text":        {`"audience":"all","data":1,"vendors":{"fcm":"a"}`, "vendors.fcm"},
		"misspelt":                  {`"audience":"all","data":1,"colapse_key":"a"`, "colapse_key"},
		"twice":                     {`"audience":"all","data":1,"data":2`, "data"},
		"collapse key too long":     {`"audience":"all","data":1,"collapse_key":"` + long(129) + `"`, "collapse_key"},
		"ordering key of two lines": {`"audience":"all","data":1,"ordering_key":"a\nb"`, "ordering_key"},
		"image as data":             {n + `{"title":"a","image":"data:image/png;base64,AA"}`, "notification.image"},
		"image of another scheme":   {n + `{"title":"a","image":"ftp://a.example/b"}`, "notification.image"},
		"click on a script":         {n + `{"title":"a","click":"javascript:alert(1)"}`, "notification.click"},
		"click on a Script":         {n + `{"title":"a","click":"JaVaScRiPt:alert(1)"}`, "notification.click"},
		"click with a space":        {n + `{"title":"a","click":" javascript:alert(1)"}`, "notification.click"},
		"click with a line break":   {n + `{"title":"a","click":"java\nscript:alert(1)"}`, "notification.click"},
		"click without a host":      {n + `{"title":"a","click":"https:///a"}`, "notification.click"},
		"click that is relative":    {n + `{"title":"a","click":"/a"}`, "notification.click"},
		"click on a file":           {n + `{"title":"a","click":"file:///etc/passwd"}`, "notification.click"},
		"badge":                     {n + `{"title":"a","badge":-1}`, "notification.badge"},
		"six actions":               {n + `{"title":"a","actions":[` + strings.Repeat(`{"id":"a","title":"b"},`, 5) + `{"id":"a","title":"b"}]}`, "notification.actions"},
		"action without a title":    {n + `{"title":"a","actions":[{"id":"a","title":""}]}`, "notification.actions[0]"},
		"action on a script":        {n + `{"title":"a","actions":[{"id":"a","title":"b","click":"vbscript:x"}]}`, "notification.actions[0].click"},
		"override, no platform":     {n + `{"title":"a","platforms":{"symbian":{"title":"b"}}}`, "notification.platforms.symbian"},
		"override in an override":   {n + `{"title":"a","platforms":{"ios":{"platforms":{"ios":{"title":"b"}}}}}`, "notification.platforms.ios.platforms"},
		"override on a script":      {n + `{"title":"a","platforms":{"ios":{"click":"javascript:x"}}}`, "notification.platforms.ios.click"},
		"nobody":                    {`"audience":{"tags":["nobody"]},"data":1,"require_target":true`, "audience"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.send(w.masterA, "{"+c.body+"}")
			wantInvalid(t, err, c.field)
		})
	}
	_, err := w.send(w.masterA, `{"audience":"all","data":"`+long(herald.MaxMessageBytes)+`"}`)
	if code(err) != herald.CodeTooLarge {
		t.Errorf("too large: %v", err)
	}
	// None of them is a message.
	page, err := w.s.Messages.List(t.Context(), w.masterA, "", "", 0)
	if err != nil || len(page.Messages) != 0 {
		t.Errorf("refused messages are listed: %v, %v", page, err)
	}
	for name, body := range map[string]string{
		"deep link":       `{` + n + `{"title":"a","click":"shop://item/7"}}`,
		"override only":   `{` + n + `{"platforms":{"ios":{"title":"b"}}}}`,
		"a name of 128":   `{"audience":{"tags":["` + long(128) + `"]},"data":1}`,
		"30 days":         `{"audience":"all","data":1,"ttl":2592000}`,
		"past is now":     `{"audience":"all","data":1,"send_at":"` + at(-time.Hour) + `"}`,
		"data of nothing": `{` + n + `{"title":"a"},"data":null}`,
	} {
		if a, err := w.send(w.masterA, body); err != nil || a.ID == 0 || !a.Stored || a.Target == nil {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}

func TestDeviceValidation(t *testing.T) {
	w := newWorld(t)
	d := w.device(w.a, api.RegisterRequest{})
	many := map[string]string{}
	for i := range herald.MaxAttributes + 1 {
		many[fmt.Sprint(i)] = ""
	}
	for name, c := range map[string]struct {
		r     api.RegisterRequest
		field string
	}{
		"platform":        {api.RegisterRequest{Profile: api.Profile{Platform: "symbian"}}, "platform"},
		"language":        {api.RegisterRequest{Profile: api.Profile{Language: long(36)}}, "language"},
		"time zone":       {api.RegisterRequest{Profile: api.Profile{TimeZone: "Mars/Base"}}, "time_zone"},
		"local time":      {api.RegisterRequest{Profile: api.Profile{TimeZone: "Local"}}, "time_zone"},
		"version":         {api.RegisterRequest{Profile: api.Profile{AppVersion: "1\x00"}}, "app_version"},
		"installation":    {api.RegisterRequest{Installation: "short"}, "installation"},
		"alias":           {api.RegisterRequest{Alias: herald.Alias(long(129))}, "alias"},
		"alias and token": {api.RegisterRequest{Alias: "a", AliasToken: "b"}, "alias"},
		"alias token":     {api.RegisterRequest{AliasToken: "a.b.c"}, "alias_token"},
		"tag":             {api.RegisterRequest{Tags: []herald.Tag{"ok", ""}}, "tags[1]"},
		"attributes":      {api.RegisterRequest{Attributes: many}, "attributes"},
		"large attribute": {api.RegisterRequest{Attributes: map[string]string{"a": long(herald.MaxAttributeBytes)}}, "attributes"},
	} {
		_, err := w.s.Devices.Register(t.Context(), w.masterA, c.r)
		t.Run("register/"+name, func(t *testing.T) { wantInvalid(t, err, c.field) })
	}
	_, err := w.s.Devices.Register(t.Context(), api.Principal{}, api.RegisterRequest{})
	wantInvalid(t, err, "app_key")
	_, err = w.s.Devices.Update(t.Context(), w.masterA, d.Device, api.DeviceUpdate{Tags: &[]herald.Tag{"a"}, TagsAdd: []herald.Tag{"b"}})
	wantInvalid(t, err, "tags")
	_, err = w.s.Devices.ChangeTag(t.Context(), w.masterA, "t", api.TagMembers{Members: api.Members{}})
	wantInvalid(t, err, "add")
	_, err = w.s.Devices.ChangeTag(t.Context(), w.masterA, "", api.TagMembers{Members: api.Members{Add: []herald.RegistrationID{d.Device}}})
	wantInvalid(t, err, "tag")
	_, err = w.s.Devices.ChangeAlias(t.Context(), w.masterA, "a\tb", api.Members{Add: []herald.RegistrationID{d.Device}})
	wantInvalid(t, err, "alias")
	_, err = w.s.Devices.ChangeTag(t.Context(), w.masterA, "t", api.TagMembers{Members: api.Members{Add: []herald.RegistrationID{d.Device}, Remove: []herald.RegistrationID{d.Device}}})
	wantInvalid(t, err, "add")
	_, err = w.s.Devices.ChangeTag(t.Context(), w.masterA, "t", api.TagMembers{Members: api.Members{Add: []herald.RegistrationID{"x"}}})
	wantInvalid(t, err, "add")
	for _, limit := range []int{-1, 1001} {
		_, err = w.s.Messages.List(t.Context(), w.masterA, "", "", limit)
		wantInvalid(t, err, "limit")
	}
	_, err = w.s.Messages.List(t.Context(), w.masterA, "finished", "", 0)
	wantInvalid(t, err, "state")
	_, err = w.s.Messages.List(t.Context(), w.masterA, "", "x", 0)
	wantInvalid(t, err, "cursor")
	_, err = w.s.Devices.List(t.Context(), w.masterA, api.DeviceQuery{Cursor: "x"})
	wantInvalid(t, err, "cursor")
}

func TestReceiptValidation(t *testing.T) {
	w := newWorld(t)
	d, other := w.device(w.a, api.RegisterRequest{}), w.device(w.a, api.RegisterRequest{})
	m := w.sent(w.masterA, toDevice(d)).ID
	report := func(p api.Principal, r api.ReceiptsRequest) error {
		_, err := w.s.Receipts.Report(t.Context(), p, r)
		return err
	}
	wantInvalid(t, report(d, api.ReceiptsRequest{}), "receipts")
	wantInvalid(t, report(d, api.ReceiptsRequest{Receipts: make([]api.Receipt, 1001)}), "receipts")
	for _, event := range []herald.DeliveryState{"", "sent", "expired", "told", "unconfirmed"} {
		wantInvalid(t, report(d, api.ReceiptsRequest{Receipts: []api.Receipt{{ID: m, Event: event}}}), "receipts[0].event")
	}
	wantInvalid(t, report(w.masterA, api.ReceiptsRequest{Receipts: []api.Receipt{{ID: m, Event: herald.StateReceived}}}), "receipts[0].registration_id")
	wantInvalid(t, report(w.masterA, api.ReceiptsRequest{Cursor: "1.1.x"}), "cursor")
	if err := report(d, api.ReceiptsRequest{Receipts: []api.Receipt{{ID: m, Event: herald.StateReceived, RegistrationID: other.Device}}}); code(err) != herald.CodeForbidden {
		t.Errorf("a receipt of another device: %v", err)
	}
	if err := report(d, api.ReceiptsRequest{Cursor: "damaged"}); err != nil {
		t.Errorf("a damaged cursor: %v", err)
	}
	a, err := w.s.Receipts.Report(t.Context(), other, api.ReceiptsRequest{Receipts: []api.Receipt{{ID: m, Event: herald.StateReceived}, {ID: 7, Event: herald.StateClicked}}})
	if err != nil || a.Accepted != 0 || a.Unknown != 2 {
		t.Errorf("receipts of who was not meant: %+v, %v", a, err)
	}
	a, err = w.s.Receipts.Report(t.Context(), w.masterA, api.ReceiptsRequest{Receipts: []api.Receipt{
		{ID: m, Event: herald.StateDisplayed, RegistrationID: d.Device}, {ID: m, Event: herald.StateReceived, RegistrationID: d.Device},
		{ID: m, Event: herald.StateReceived, RegistrationID: "00000000000000000000"},
	}})
	if err != nil || a.Accepted != 2 || a.Unknown != 1 {
		t.Errorf("receipts from a back end: %+v, %v", a, err)
	}
	v, err := w.s.Messages.Get(t.Context(), w.masterA, m)
	if err != nil || asJSON(t, v.Counts.States) != `{"displayed":1}` {
		t.Errorf("counts %s, %v", asJSON(t, v.Counts), err)
	}
}

func TestAppValidation(t *testing.T) {
	w := newWorld(t)
	empty := ""
	_, err := w.s.Apps.Update(t.Context(), w.masterA, api.AppUpdate{Name: &empty})
	wantInvalid(t, err, "name")
	for _, o := range []string{"https://a.example/", "ftp://a.example", "a.example", "https://a.example?x", "https://u@a.example/b", "*"} {
		_, err := w.s.Apps.Update(t.Context(), w.masterA, api.AppUpdate{Origins: &[]string{o}})
		wantInvalid(t, err, "origins")
	}
	for _, scopes := range [][]string{nil, {"manage"}, {"messages:send", "all"}} {
		_, err := w.s.Apps.CreateKey(t.Context(), w.masterA, api.KeyRequest{Name: "n", Scopes: scopes})
		wantInvalid(t, err, "scopes")
	}
	k, err := w.s.Apps.CreateKey(t.Context(), w.masterA, api.KeyRequest{Name: "n", Scopes: []string{"messages:send", "messages:read", "messages:send"}})
	if err != nil || asJSON(t, k.Scopes) != `["messages:read","messages:send"]` {
		t.Errorf("key %+v, %v", k, err)
	}
	list, err := w.s.Apps.Keys(t.Context(), w.masterA)
	if err != nil || len(list.Keys) != 1 || strings.Contains(asJSON(t, list), strings.Split(k.Key, ".")[3]) {
		t.Errorf("keys %+v, %v", list, err)
	}
	past := w.now.Add(-time.Second)
	many := slices.Repeat([]string{"10.0.0.1"}, 101)
	for field, u := range map[string]api.KeyUpdate{
		"name":        {Name: &empty},
		"scopes":      {Scopes: &[]string{}},
		"expires_at":  {ExpiresAt: &past},
		"networks":    {Networks: &many},
		"networks[0]": {Networks: &[]string{"10.1.2.3/8"}},
		"networks[1]": {Networks: &[]string{"10.0.0.0/8", "example.com"}},
		"networks[2]": {Networks: &[]string{"::1", "10.0.0.0/8", "fe80::1%eth0"}},
		"networks[3]": {Networks: &[]string{"::1", "::2", "::3", "::ffff:10.0.0.0/104"}},
	} {
		_, err := w.s.Apps.UpdateKey(t.Context(), w.masterA, k.ID, u)
		wantInvalid(t, err, field)
	}
	for _, keep := range []int64{-1, 30*24*3600 + 1, math.MaxInt64, math.MinInt64} {
		_, err := w.s.Apps.RotateKey(t.Context(), w.masterA, k.ID, api.KeyRotation{Keep: &keep})
		wantInvalid(t, err, "keep")
	}
	w.must(w.s.Apps.DeleteKey(t.Context(), w.masterA, k.ID))
	if _, err := w.s.Apps.Bearer(t.Context(), k.Key, netip.Addr{}); code(err) != herald.CodeUnauthorized {
		t.Errorf("a deleted key: %v", err)
	}
}
