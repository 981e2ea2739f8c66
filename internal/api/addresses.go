package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// DeviceAddress is a vendor's way to a device, as the device or its app gives it.
type DeviceAddress struct {
	Vendor      herald.Vendor `json:"vendor" enum:"apns,fcm,huawei,honor,xiaomi,oppo,vivo,meizu,nio,asus,hmos,wns,webpush" doc:"Whose address it is. A device has one of each vendor."`
	Environment string        `json:"environment,omitempty" maxLength:"64" doc:"One of those that the vendor has, such as production or sandbox of apns. Default: the first of them."`
	Token       string        `json:"token" maxLength:"4096" doc:"What the vendor gave the app on this device; for webpush the subscription as JSON. \"\" takes the address of that vendor away."`
}

// DeviceAddressView is an address of a device, without all of its token.
type DeviceAddressView struct {
	Vendor       herald.Vendor `json:"vendor" doc:"Whose address it is."`
	Environment  string        `json:"environment,omitempty" doc:"Which of the vendor's environments it is of, if there are some."`
	Token        string        `json:"token" doc:"Its first and last characters."`
	RegisteredAt time.Time     `json:"registered_at" doc:"When it was registered last."`
	InvalidAt    *time.Time    `json:"invalid_at,omitempty" doc:"Since when nothing is sent there. Absent: it is valid."`
	Reason       string        `json:"reason,omitempty" doc:"Why: replaced, moved (another device registered it), removed, or what the vendor said."`
}

// maxAddresses is how many addresses a device gets in one call.
const maxAddresses = 20

// maxToken is how long an address is at most, in bytes.
const maxToken = 4096

// deviceAddresses checks addresses of a device, and fills in environments.
func (s *Devices) deviceAddresses(list []DeviceAddress) ([]record.Address, error) {
	if len(list) > maxAddresses {
		return nil, herald.Invalid("addresses", "Give one for each vendor.", "%d addresses are more than %d", len(list), maxAddresses)
	}
	var out []record.Address
	for i, a := range list {
		field := fmt.Sprintf("addresses[%d]", i)
		if !a.Vendor.Devices() {
			return nil, herald.Invalid(field+".vendor", "Use apns, fcm, webpush, or another vendor that the documentation of POST /v1/devices names. A phone number or a mail address belongs to a person: PUT /v1/recipients/{alias}/addresses.",
				"%.40q is not a vendor that reaches devices", string(a.Vendor))
		}
		if slices.ContainsFunc(out, func(b record.Address) bool { return b.Kind == string(a.Vendor) }) {
			return nil, herald.Invalid(field+".vendor", "Give one address for each vendor.", "%s is there twice", a.Vendor)
		}
		r := record.Address{Kind: string(a.Vendor), Token: a.Token}
		if a.Token != "" {
			var err error
			if err = validToken(field+".token", a.Token); err != nil {
				return nil, err
			}
			if a.Vendor == herald.VendorWebPush {
				if err = validSubscription(field+".token", a.Token); err != nil {
					return nil, err
				}
			}
			if r.Environment, err = s.environment(field+".environment", a); err != nil {
				return nil, err
			}
		}
		out = append(out, r)
	}
	return out, nil
}

// environment gives that of an address: the one that it names, or the vendor's
// first one.
func (s *Devices) environment(field string, a DeviceAddress) (string, error) {
	var list []string
	if s.c.Environments != nil {
		list, _ = s.c.Environments(a.Vendor)
	}
	switch {
	case a.Environment == "" && len(list) > 0:
		return list[0], nil
	case a.Environment == "" || slices.Contains(list, a.Environment):
		return a.Environment, nil
	case len(list) == 0:
		return "", herald.Invalid(field, "Leave environment out.", "%s has no environments", a.Vendor)
	}
	return "", herald.Invalid(field, "Use "+strings.Join(list, " or ")+".", "%.40q is not an environment of %s", a.Environment, a.Vendor)
}

// validToken checks what every address has to be.
func validToken(field, token string) error {
	if len(token) > maxToken {
		return herald.Invalid(field, "Send the token as the vendor gave it.", "%d bytes are more than %d", len(token), maxToken)
	}
	if !utf8.ValidString(token) || strings.ContainsFunc(token, unicode.IsControl) {
		return herald.Invalid(field, "Send the token as text: binary ones in hexadecimal or Base64.", "a token has no control characters")
	}
	if strings.TrimSpace(token) != token {
		return herald.Invalid(field, "Take the blanks away from its ends.", "a token has no blank at its ends")
	}
	return nil
}

// addressViews shows the addresses of a device.
func (s *Devices) addressViews(ctx context.Context, d record.Device) ([]DeviceAddressView, error) {
	list, err := s.c.Registry.Addresses(ctx, d.App, record.OwnerDevice, d.Ord)
	var out []DeviceAddressView
	for _, a := range list {
		out = append(out, DeviceAddressView{
			Vendor: herald.Vendor(a.Kind), Environment: a.Environment, Token: shortToken(a.Token),
			RegisteredAt: a.Updated, InvalidAt: timeOrNil(a.Invalid), Reason: a.Reason,
		})
	}
	return out, err
}

// shortToken shows of a token what tells it from others, and never more than half
// of it: who has a token may be able to send to it.
func shortToken(s string) string {
	r := []rune(s)
	n := min(6, len(r)/4)
	return string(r[:n]) + "…" + string(r[len(r)-n:])
}

// RecipientAddressesRequest is the body of PUT /v1/recipients/{alias}/addresses.
// What is absent stays as it is.
type RecipientAddressesRequest struct {
	Phone  string         `json:"phone,omitempty" maxLength:"32" doc:"E.164, as +8613800138000. A Chinese mobile number of 11 digits may do without +86."`
	Email  string         `json:"email,omitempty" maxLength:"254" doc:"A plain mail address, without a name."`
	OpenID *OpenIDAddress `json:"openid,omitempty" doc:"A user of a mini program."`
	Chat   *ChatAddress   `json:"chat,omitempty" doc:"A room of a chat, or somebody in it."`
}

// OpenIDAddress is a user of a mini program.
type OpenIDAddress struct {
	AppID  string `json:"app_id" minLength:"1" maxLength:"64" doc:"Of the mini program."`
	OpenID string `json:"openid" minLength:"1" maxLength:"128" doc:"What the user is called in it."`
}

// ChatAddress is a room of a chat, or somebody in it.
type ChatAddress struct {
	Name  string `json:"name" maxLength:"128" doc:"The name of the credential that leads to the room."`
	Token string `json:"token,omitempty" maxLength:"4096" doc:"Who is meant there, as the vendor wants it. Default: nobody in particular."`
}

// RecipientAddressView is an address of a recipient.
type RecipientAddressView struct {
	Kind         string     `json:"kind" enum:"phone,email,openid,chat" doc:"What it is."`
	AppID        string     `json:"app_id,omitempty" doc:"Of openid: the mini program."`
	Name         string     `json:"name,omitempty" doc:"Of chat: the name of the credential."`
	Token        string     `json:"token" doc:"The number, the mail address, the openid, or who is meant in the room."`
	RegisteredAt time.Time  `json:"registered_at" doc:"When it was registered last."`
	InvalidAt    *time.Time `json:"invalid_at,omitempty" doc:"Since when nothing is sent there. Absent: it is valid."`
	Reason       string     `json:"reason,omitempty" doc:"Why: replaced, moved (another recipient registered it), removed, or what the vendor said."`
}

// RecipientAddresses are the addresses of a recipient.
type RecipientAddresses struct {
	Alias     herald.Alias           `json:"alias"`
	Addresses []RecipientAddressView `json:"addresses" doc:"Newest first, also those that are not valid any more, at most five of a kind."`
}

// recipientKinds are the kinds of addresses of recipients.
var recipientKinds = []string{record.KindPhone, record.KindEmail, record.KindOpenID, record.KindChat}

// rows checks the addresses and gives them as the record has them.
func (r *RecipientAddressesRequest) rows() (out []record.Address, err error) {
	if r.Phone != "" {
		phone, err := Phone("phone", r.Phone)
		if err != nil {
			return nil, err
		}
		out = append(out, record.Address{Kind: record.KindPhone, Token: phone})
	}
	if r.Email != "" {
		if err := validEmail("email", r.Email); err != nil {
			return nil, err
		}
		out = append(out, record.Address{Kind: record.KindEmail, Token: r.Email})
	}
	if o := r.OpenID; o != nil {
		for _, m := range []struct{ field, value string }{{"openid.app_id", o.AppID}, {"openid.openid", o.OpenID}} {
			if err := herald.ValidName(m.field, m.value); err != nil {
				return nil, err
			}
		}
		out = append(out, record.Address{Kind: record.KindOpenID, Environment: o.AppID, Token: o.OpenID})
	}
	if c := r.Chat; c != nil {
		if c.Name != "" {
			if err := herald.ValidName("chat.name", c.Name); err != nil {
				return nil, err
			}
		}
		if err := validToken("chat.token", c.Token); err != nil {
			return nil, err
		}
		out = append(out, record.Address{Kind: record.KindChat, Environment: c.Name, Token: c.Token})
	}
	if out == nil {
		return nil, herald.Invalid("", "Give phone, email, openid or chat. DELETE /v1/recipients/{alias}/addresses/{kind} takes one away.", "no address is given")
	}
	return out, nil
}

var (
	e164          = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	chineseMobile = regexp.MustCompile(`^1[3-9][0-9]{9}$`)
)

// Phone gives a telephone number in the form of E.164. One without a country is
// taken for a Chinese mobile number, if it looks like one.
func Phone(field, s string) (string, error) {
	if chineseMobile.MatchString(s) {
		return "+86" + s, nil
	}
	if !e164.MatchString(s) {
		return "", herald.Invalid(field, "Write it as +8613800138000: a plus, the country, the number, and nothing between.", "%.20q is not a telephone number", s)
	}
	return s, nil
}

// maxEmail is RFC 5321, section 4.5.3.1.3, without the brackets.
const maxEmail = 254

func validEmail(field, s string) error {
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || len(s) > maxEmail {
		return herald.Invalid(field, "Write it as anna@example.com, without a name and without brackets.", "%.60q is not a plain mail address", s)
	}
	return nil
}

// PutAddresses registers addresses of a recipient, which is made if nobody has
// the alias yet.
func (s *Devices) PutAddresses(ctx context.Context, p Principal, alias herald.Alias, r RecipientAddressesRequest) (RecipientAddresses, error) {
	if err := p.may(ScopeDevicesWrite); err != nil {
		return RecipientAddresses{}, err
	}
	if err := herald.ValidName("alias", string(alias)); err != nil {
		return RecipientAddresses{}, err
	}
	rows, err := r.rows()
	if err != nil {
		return RecipientAddresses{}, err
	}
	if _, err := s.c.Registry.PutRecipient(ctx, p.App, alias); err != nil {
		return RecipientAddresses{}, err
	}
	ord, err := s.recipient(ctx, p.App, alias)
	if err != nil {
		return RecipientAddresses{}, err
	}
	for _, a := range rows {
		a.App, a.Owner, a.Ord = p.App, record.OwnerRecipient, ord
		if err := s.c.Registry.SetAddress(ctx, a); err != nil {
			return RecipientAddresses{}, err
		}
	}
	return s.recipientAddresses(ctx, p.App, alias, ord)
}

// Addresses shows the addresses of a recipient.
func (s *Devices) Addresses(ctx context.Context, p Principal, alias herald.Alias) (RecipientAddresses, error) {
	if err := p.may(ScopeDevicesRead); err != nil {
		return RecipientAddresses{}, err
	}
	ord, err := s.recipient(ctx, p.App, alias)
	if err != nil {
		return RecipientAddresses{}, err
	}
	return s.recipientAddresses(ctx, p.App, alias, ord)
}

// DeleteAddress takes an address away from a recipient.
func (s *Devices) DeleteAddress(ctx context.Context, p Principal, alias herald.Alias, kind string) error {
	if err := p.may(ScopeDevicesWrite); err != nil {
		return err
	}
	if !slices.Contains(recipientKinds, kind) {
		return herald.Invalid("kind", "Use phone, email, openid or chat.", "%.40q is not a kind of address of a recipient", kind)
	}
	ord, err := s.recipient(ctx, p.App, alias)
	if err != nil {
		return err
	}
	return s.c.Registry.DeleteAddress(ctx, p.App, record.OwnerRecipient, ord, kind)
}

// recipient finds the ordinal of a recipient; not_found if nobody has the alias.
func (s *Devices) recipient(ctx context.Context, app herald.AppKey, alias herald.Alias) (herald.Ordinal, error) {
	if err := herald.ValidName("alias", string(alias)); err != nil {
		return 0, err
	}
	found, err := s.c.Registry.Recipients(ctx, app, []herald.Alias{alias})
	if err != nil {
		return 0, err
	}
	r, ok := found[alias]
	if !ok {
		return 0, herald.Errorf(herald.CodeNotFound, "Register an address with PUT, which makes the recipient, or bind a device to the alias.", "nobody has the alias %.40q", string(alias))
	}
	return herald.Ordinal(r.Ord), nil
}

func (s *Devices) recipientAddresses(ctx context.Context, app herald.AppKey, alias herald.Alias, ord herald.Ordinal) (RecipientAddresses, error) {
	list, err := s.c.Registry.Addresses(ctx, app, record.OwnerRecipient, ord)
	out := RecipientAddresses{Alias: alias, Addresses: []RecipientAddressView{}}
	for _, a := range list {
		v := RecipientAddressView{Kind: a.Kind, Token: a.Token, RegisteredAt: a.Updated, InvalidAt: timeOrNil(a.Invalid), Reason: a.Reason}
		switch a.Kind {
		case record.KindOpenID:
			v.AppID = a.Environment
		case record.KindChat:
			v.Name = a.Environment
		}
		out.Addresses = append(out.Addresses, v)
	}
	return out, err
}

// validSubscription checks the token of webpush as far as everybody must: the
// provider says more of it when it sends.
func validSubscription(field, token string) error {
	var s struct {
		Endpoint string `json:"endpoint"`
		Keys     struct {
			P256dh string `json:"p256dh"`
			Auth   string `json:"auth"`
		} `json:"keys"`
	}
	if json.Unmarshal([]byte(token), &s) != nil || !strings.HasPrefix(s.Endpoint, "https://") || s.Keys.P256dh == "" || s.Keys.Auth == "" {
		return herald.Invalid(field, "Send JSON.stringify(subscription): it has endpoint, keys.p256dh and keys.auth.", "it is not the subscription of a browser")
	}
	return nil
}
