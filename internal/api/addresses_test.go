package api_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

// vendors is api.Config.Environments of the tests.
func vendors(v herald.Vendor) ([]string, bool) {
	switch v {
	case herald.VendorAPNs:
		return []string{"production", "sandbox"}, true
	case herald.VendorFCM:
		return nil, true
	}
	return nil, false
}

const subscription = `{"endpoint":"https://push.example/1","keys":{"p256dh":"BPk","auth":"aut"}}`

// addressed shows the addresses of a device in short.
func addressed(v api.DeviceView) (out []string) {
	for _, a := range v.Addresses {
		s := string(a.Vendor) + "/" + a.Environment + "=" + a.Token
		if a.InvalidAt != nil {
			s += " (" + a.Reason + ")"
		}
		out = append(out, s)
	}
	return out
}

func (w *world) wantAddresses(when string, p api.Principal, want ...string) {
	w.t.Helper()
	v, err := w.s.Devices.Get(w.t.Context(), p, p.Device)
	w.must(err)
	if got := fmt.Sprint(addressed(v)); got != fmt.Sprint(want) {
		w.t.Errorf("%s: got %s, want %s", when, got, fmt.Sprint(want))
	}
}

// TestDeviceAddresses: a device registers and changes its own, and sees of their
// tokens what tells them apart.
func TestDeviceAddresses(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	token := "0123456789abcdef0123456789abcdef"
	d := w.device(w.a, api.RegisterRequest{Installation: "installation-of-one", Addresses: []api.DeviceAddress{
		{Vendor: herald.VendorAPNs, Token: token}, {Vendor: herald.VendorWebPush, Token: subscription},
	}})
	w.wantAddresses("registered", d, "apns/production=012345…abcdef", `webpush/={"endp…aut"}}`)
	w.pass(time.Second)
	_, err := w.s.Devices.Update(ctx, d, d.Device, api.DeviceUpdate{Addresses: []api.DeviceAddress{
		{Vendor: herald.VendorAPNs, Environment: "sandbox", Token: "short"}, {Vendor: herald.VendorWebPush}, {Vendor: herald.VendorHuawei, Token: "12345678"},
	}})
	w.must(err)
	w.wantAddresses("changed", d, "apns/sandbox=s…t", "huawei/=12…78", "apns/production=012345…abcdef (replaced)", `webpush/={"endp…aut"}} (removed)`)
	w.pass(time.Second)
	other := w.device(w.a, api.RegisterRequest{Addresses: []api.DeviceAddress{{Vendor: herald.VendorHuawei, Token: "12345678"}}})
	w.wantAddresses("on another device", other, "huawei/=12…78")
	list, err := w.s.Devices.List(ctx, w.masterA, api.DeviceQuery{})
	w.must(err)
	if len(list.Devices) != 2 || list.Devices[0].Addresses != nil {
		t.Errorf("lists have addresses: %+v", list)
	}
	// The same installation registers again and says nothing of addresses.
	w.device(w.a, api.RegisterRequest{Installation: "installation-of-one"})
	v, err := w.s.Devices.Get(ctx, d, d.Device)
	w.must(err)
	if len(v.Addresses) != 4 || v.Addresses[1].Reason != "moved" || !v.Addresses[0].RegisteredAt.Equal(w.now.Add(-time.Second)) {
		t.Errorf("in the end: %+v", v.Addresses)
	}
}

func TestDeviceAddressesRefuse(t *testing.T) {
	w := newWorld(t)
	d := w.device(w.a, api.RegisterRequest{})
	one := func(v herald.Vendor, environment, token string) []api.DeviceAddress {
		return []api.DeviceAddress{{Vendor: v, Environment: environment, Token: token}}
	}
	for name, c := range map[string]struct {
		list  []api.DeviceAddress
		field string
	}{
		"no vendor":              {one("", "", "t"), "addresses[0].vendor"},
		"unknown vendor":         {one("acme", "", "t"), "addresses[0].vendor"},
		"all vendors":            {one(herald.EveryVendor, "", "t"), "addresses[0].vendor"},
		"a vendor for people":    {one(herald.VendorSMTP, "", "a@b.example"), "addresses[0].vendor"},
		"twice":                  {append(one(herald.VendorAPNs, "", "t"), one(herald.VendorAPNs, "sandbox", "u")...), "addresses[1].vendor"},
		"unknown environment":    {one(herald.VendorAPNs, "staging", "t"), "addresses[0].environment"},
		"environment of none":    {one(herald.VendorFCM, "sandbox", "t"), "addresses[0].environment"},
		"without a driver":       {one(herald.VendorXiaomi, "sandbox", "t"), "addresses[0].environment"},
		"long":                   {one(herald.VendorAPNs, "", strings.Repeat("t", 4097)), "addresses[0].token"},
		"binary":                 {one(herald.VendorAPNs, "", "\x00t"), "addresses[0].token"},
		"not UTF-8":              {one(herald.VendorAPNs, "", "\xff"), "addresses[0].token"},
		"blank":                  {one(herald.VendorAPNs, "", " t"), "addresses[0].token"},
		"no subscription":        {one(herald.VendorWebPush, "", "https://push.example/1"), "addresses[0].token"},
		"subscription to http":   {one(herald.VendorWebPush, "", strings.Replace(subscription, "https", "http", 1)), "addresses[0].token"},
		"subscription, no keys":  {one(herald.VendorWebPush, "", `{"endpoint":"https://push.example/1"}`), "addresses[0].token"},
		"more than there can be": {make([]api.DeviceAddress, 21), "addresses"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.s.Devices.Update(t.Context(), d, d.Device, api.DeviceUpdate{Addresses: c.list})
			refusedField(t, err, c.field)
			_, err = w.s.Devices.Register(t.Context(), w.masterA, api.RegisterRequest{Addresses: c.list})
			refusedField(t, err, c.field)
		})
	}
	w.wantAddresses("in the end", d)
}

// refusedField checks that a call was refused because of a member, with a remedy.
func refusedField(t *testing.T, err error, field string) {
	t.Helper()
	var e *herald.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a refusal of %s", err, field)
	}
	if e.Code != herald.CodeInvalidRequest || e.Field != field || e.Remedy == "" {
		t.Errorf("got %v (field %q), want a refusal of %s", err, e.Field, field)
	}
}

func TestRecipientAddresses(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	show := func(list api.RecipientAddresses) string {
		s := string(list.Alias)
		for _, a := range list.Addresses {
			s += fmt.Sprintf(" %s/%s%s=%s%s", a.Kind, a.AppID, a.Name, a.Token, a.Reason)
		}
		return s
	}
	put := func(alias herald.Alias, r api.RecipientAddressesRequest) string {
		t.Helper()
		w.pass(time.Second)
		list, err := w.s.Devices.PutAddresses(ctx, w.masterA, alias, r)
		w.must(err)
		again, err := w.s.Devices.Addresses(ctx, w.masterA, alias)
		w.must(err)
		if show(list) != show(again) {
			t.Errorf("PUT answers %s, GET %s", show(list), show(again))
		}
		return show(list)
	}
	_, err := w.s.Devices.Addresses(ctx, w.masterA, "anna")
	if code(err) != herald.CodeNotFound {
		t.Errorf("addresses of nobody: %v", err)
	}
	for _, step := range []struct {
		alias herald.Alias
		r     api.RecipientAddressesRequest
		want  string
	}{
		{"anna", api.RecipientAddressesRequest{Phone: "13800138000"}, "anna phone/=+8613800138000"},
		{"anna", api.RecipientAddressesRequest{Email: "anna@example.com"}, "anna email/=anna@example.com phone/=+8613800138000"},
		{"bob", api.RecipientAddressesRequest{Phone: "+8613800138000", Chat: &api.ChatAddress{Name: "ops"}}, "bob chat/ops= phone/=+8613800138000"},
		{"anna", api.RecipientAddressesRequest{Chat: &api.ChatAddress{Name: "ops", Token: "13800138000"}, OpenID: &api.OpenIDAddress{AppID: "wx1", OpenID: "o1"}},
			"anna chat/ops=13800138000 openid/wx1=o1 email/=anna@example.com phone/=+8613800138000moved"},
		{"anna", api.RecipientAddressesRequest{Email: "anna@example.org"},
			"anna email/=anna@example.org chat/ops=13800138000 openid/wx1=o1 email/=anna@example.comreplaced phone/=+8613800138000moved"},
	} {
		if got := put(step.alias, step.r); got != step.want {
			t.Errorf("got %s, want %s", got, step.want)
		}
	}
	w.must(w.s.Devices.DeleteAddress(ctx, w.masterA, "bob", "phone"))
	for _, c := range []struct {
		alias herald.Alias
		kind  string
		want  herald.Code
	}{{"bob", "phone", herald.CodeNotFound}, {"nobody", "phone", herald.CodeNotFound}, {"bob", "fcm", herald.CodeInvalidRequest}, {"", "phone", herald.CodeInvalidRequest}} {
		if err := w.s.Devices.DeleteAddress(ctx, w.masterA, c.alias, c.kind); code(err) != c.want {
			t.Errorf("%s of %q: got %v, want %s", c.kind, c.alias, err, c.want)
		}
	}
	// A person who is forgotten has no address, and nobody gets it with the alias.
	w.must(w.s.Devices.DeleteAlias(ctx, w.masterA, "anna"))
	if got := put("anna", api.RecipientAddressesRequest{Phone: "+442079460000"}); got != "anna phone/=+442079460000" {
		t.Errorf("the next anna has %s", got)
	}
	other, err := w.s.Devices.Addresses(ctx, w.masterB, "anna")
	if code(err) != herald.CodeNotFound {
		t.Errorf("another app sees %+v, %v", other, err)
	}
}

func TestRecipientAddressesRefuse(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		r     api.RecipientAddressesRequest
		field string
	}{
		"nothing":            {api.RecipientAddressesRequest{}, ""},
		"words":              {api.RecipientAddressesRequest{Phone: "call me"}, "phone"},
		"blanks":             {api.RecipientAddressesRequest{Phone: "+86 138 0013 8000"}, "phone"},
		"two zeros":          {api.RecipientAddressesRequest{Phone: "008613800138000"}, "phone"},
		"no country":         {api.RecipientAddressesRequest{Phone: "2079460000"}, "phone"},
		"American":           {api.RecipientAddressesRequest{Phone: "12125550100"}, "phone"},
		"country 0":          {api.RecipientAddressesRequest{Phone: "+08613800138000"}, "phone"},
		"long number":        {api.RecipientAddressesRequest{Phone: "+8613800138000123"}, "phone"},
		"mail with a name":   {api.RecipientAddressesRequest{Email: "Anna <anna@example.com>"}, "email"},
		"mail in brackets":   {api.RecipientAddressesRequest{Email: "<anna@example.com>"}, "email"},
		"two mails":          {api.RecipientAddressesRequest{Email: "a@example.com,b@example.com"}, "email"},
		"mail and header":    {api.RecipientAddressesRequest{Email: "a@example.com\r\nBcc: b@example.com"}, "email"},
		"no mail":            {api.RecipientAddressesRequest{Email: "anna"}, "email"},
		"long mail":          {api.RecipientAddressesRequest{Email: strings.Repeat("a", 250) + "@b.cn"}, "email"},
		"openid of no app":   {api.RecipientAddressesRequest{OpenID: &api.OpenIDAddress{OpenID: "o"}}, "openid.app_id"},
		"openid of nobody":   {api.RecipientAddressesRequest{OpenID: &api.OpenIDAddress{AppID: "wx"}}, "openid.openid"},
		"chat, control name": {api.RecipientAddressesRequest{Chat: &api.ChatAddress{Name: "a\nb"}}, "chat.name"},
		"chat, long token":   {api.RecipientAddressesRequest{Chat: &api.ChatAddress{Token: strings.Repeat("t", 4097)}}, "chat.token"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.s.Devices.PutAddresses(t.Context(), w.masterA, "anna", c.r)
			refusedField(t, err, c.field)
		})
	}
	_, err := w.s.Devices.PutAddresses(t.Context(), w.masterA, "", api.RecipientAddressesRequest{Phone: "+442079460000"})
	refusedField(t, err, "alias")
	if _, err := w.s.Devices.Addresses(t.Context(), w.masterA, "anna"); code(err) != herald.CodeNotFound {
		t.Errorf("a refused call made a recipient: %v", err)
	}
}

func FuzzPhone(f *testing.F) {
	for _, s := range []string{"13800138000", "+8613800138000", "+1", "", "12125550100", "+86138001380001234"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := api.Phone("phone", s)
		if err != nil {
			return
		}
		if again, err := api.Phone("phone", got); err != nil || again != got || got[0] != '+' || len(got) > 16 {
			t.Errorf("%q is %q, and that is %q, %v", s, got, again, err)
		}
	})
}

func (w *world) addressMethods() map[string]func(context.Context, api.Principal) error {
	phone := api.RecipientAddressesRequest{Phone: "+442079460000"}
	return map[string]func(context.Context, api.Principal) error{
		"put addresses": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Devices.PutAddresses(ctx, p, "someone", phone)
			return err
		},
		"addresses": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Devices.PutAddresses(ctx, w.masterA, "someone", phone)
			w.must(err)
			_, err = w.s.Devices.Addresses(ctx, p, "someone")
			return err
		},
		"delete address": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Devices.PutAddresses(ctx, w.masterA, "someone", phone)
			w.must(err)
			return w.s.Devices.DeleteAddress(ctx, p, "someone", "phone")
		},
	}
}
