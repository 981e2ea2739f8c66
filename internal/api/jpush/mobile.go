package jpush

import (
	"slices"
	"strings"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/record"
)

const (
	maxMobile  = 20
	mobileName = "mobile" // the attribute of a device
	china      = "+86"
)

// mobileIn reads the mobile number of a call, and tells whether there is one; ""
// clears.
func mobileIn(o *object) (mobile string, named bool) {
	if !o.has("mobile") {
		return "", false
	}
	mobile = o.text("mobile")
	if len(mobile) > maxMobile || strings.Trim(mobile, "0123456789+-") != "" {
		o.r.refuse(codeDeviceValue, "mobile is no telephone number")
	}
	return mobile, true
}

// phoneOf decides where a number is kept: of a device with an alias as the phone
// of that recipient, to whom SMS go, else as an attribute of the device. What is
// not recognised as a number of a country is an attribute, too: JPush takes it.
func phoneOf(alias herald.Alias, mobile string, u *api.DeviceUpdate) (phone string) {
	u.Attributes = map[string]*string{mobileName: nil}
	phone, err := api.Phone(mobileName, strings.ReplaceAll(mobile, "-", ""))
	if err == nil && alias != "" {
		return phone
	}
	if mobile != "" {
		u.Attributes[mobileName] = &mobile
	}
	return ""
}

// setPhone gives a recipient a number, or takes it away.
func (x *exchange) setPhone(alias herald.Alias, phone string) error {
	devices := x.a.service.Devices
	if phone != "" {
		_, err := devices.PutAddresses(x.r.Context(), x.p, alias, api.RecipientAddressesRequest{Phone: phone})
		return err
	}
	err := devices.DeleteAddress(x.r.Context(), x.p, alias, record.KindPhone)
	if herald.CodeOf(err) == herald.CodeNotFound {
		err = nil // there was none
	}
	return err
}

// mobile finds the number of a device, as JPush writes it: Chinese ones without
// their country.
func (x *exchange) mobile(v api.DeviceView) (string, error) {
	if mobile := v.Attributes[mobileName]; mobile != "" || v.Alias == "" {
		return mobile, nil
	}
	list, err := x.a.service.Devices.Addresses(x.r.Context(), x.p, v.Alias)
	if herald.CodeOf(err) == herald.CodeNotFound {
		return "", nil // the alias was deleted meanwhile
	}
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(list.Addresses, func(a api.RecipientAddressView) bool {
		return a.Kind == record.KindPhone && a.InvalidAt == nil
	})
	if i < 0 {
		return "", nil
	}
	phone := list.Addresses[i].Token
	if bare := strings.TrimPrefix(phone, china); len(bare) == 11 {
		return bare, nil
	}
	return phone, nil
}
