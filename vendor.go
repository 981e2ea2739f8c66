package herald

import "encoding/json"

// Vendor is the operator of a way to devices or people that Herald does not run
// itself.
type Vendor string

// The vendors that a message may say something for. EveryVendor stands for all
// of them.
const (
	EveryVendor  Vendor = "all"
	VendorAPNs   Vendor = "apns"
	VendorFCM    Vendor = "fcm"
	VendorHuawei Vendor = "huawei"
	VendorHonor  Vendor = "honor"
	VendorXiaomi Vendor = "xiaomi"
	VendorOPPO   Vendor = "oppo"
	VendorVivo   Vendor = "vivo"
	VendorMeizu  Vendor = "meizu"
	VendorNIO    Vendor = "nio"
	VendorASUS   Vendor = "asus"
	VendorHMOS   Vendor = "hmos"
	VendorWNS    Vendor = "wns"
	VendorSMS    Vendor = "sms"

	VendorWebPush  Vendor = "webpush"
	VendorSMTP     Vendor = "smtp"
	VendorSMPP     Vendor = "smpp"
	VendorTwilio   Vendor = "twilio"
	VendorDingTalk Vendor = "dingtalk"
	VendorWebhook  Vendor = "webhook"
)

// vendorPlatforms names the vendors in the order of the documentation, with the
// channel that each is behind and the platforms whose devices they reach; none
// means any.
var vendorPlatforms = []struct {
	vendor    Vendor
	channel   Channel
	platforms []Platform
}{
	{EveryVendor, "", nil}, {VendorAPNs, ChannelVendor, []Platform{PlatformIOS, PlatformMacOS}}, {VendorFCM, ChannelVendor, []Platform{PlatformAndroid}},
	{VendorHuawei, ChannelVendor, []Platform{PlatformAndroid}}, {VendorHonor, ChannelVendor, []Platform{PlatformAndroid}}, {VendorXiaomi, ChannelVendor, []Platform{PlatformAndroid}},
	{VendorOPPO, ChannelVendor, []Platform{PlatformAndroid}}, {VendorVivo, ChannelVendor, []Platform{PlatformAndroid}}, {VendorMeizu, ChannelVendor, []Platform{PlatformAndroid}},
	{VendorNIO, ChannelVendor, []Platform{PlatformAndroid}}, {VendorASUS, ChannelVendor, []Platform{PlatformAndroid}}, {VendorHMOS, ChannelVendor, []Platform{PlatformHMOS}},
	{VendorWNS, ChannelVendor, []Platform{PlatformWindows}}, {VendorSMS, "", nil}, {VendorWebPush, ChannelVendor, []Platform{PlatformWeb}},
	{VendorSMTP, ChannelEmail, nil}, {VendorSMPP, ChannelSMS, nil}, {VendorTwilio, ChannelSMS, nil}, {VendorDingTalk, ChannelChat, nil}, {VendorWebhook, ChannelWebhook, nil},
}

// VendorAddress is a vendor's way to a device.
type VendorAddress struct {
	Vendor Vendor `json:"vendor"`
	// Environment is one of those that the vendor has, such as production or
	// sandbox of APNs; "" is the first of them.
	Environment string `json:"environment,omitempty"`
	// Token is what the vendor gave the app on the device; for Web Push the
	// subscription as JSON.
	Token string `json:"token"`
}

// VendorOptions are what vendors are told beside the content of a message: for
// each an object whose members are its own. They are kept with the message and
// never sent to a device by Herald itself.
type VendorOptions map[Vendor]json.RawMessage

// MaxVendorBytes is how large the options of a message for vendors may be, as
// JSON.
const MaxVendorBytes = 16 << 10

// For lists the vendors that a message says something for and that reach devices
// on a platform, in the order of the documentation.
func (o VendorOptions) For(p Platform) []Vendor {
	var out []Vendor
	for _, v := range vendorPlatforms {
		if _, ok := o[v.vendor]; !ok {
			continue
		}
		if v.platforms == nil {
			out = append(out, v.vendor)
		}
		for _, q := range v.platforms {
			if p == q {
				out = append(out, v.vendor)
			}
		}
	}
	return out
}

// Validate checks that the vendors are known, and that for each there is an
// object.
func (o VendorOptions) Validate(field string) error {
	size := 0
	for v, options := range o {
		if !v.Valid() {
			return Invalid(field+"."+string(v), "Use one of: "+vendorList()+".", "%.40q is not a vendor", string(v))
		}
		if len(options) == 0 || options[0] != '{' {
			return Invalid(field+"."+string(v), "Write an object with what the vendor is told.", "an object is expected")
		}
		size += len(options)
	}
	if size > MaxVendorBytes {
		return Invalid(field, "Say less to vendors.", "%d bytes are more than %d", size, MaxVendorBytes)
	}
	return nil
}

// Valid reports whether the vendor is known.
func (v Vendor) Valid() bool {
	for _, known := range vendorPlatforms {
		if v == known.vendor {
			return true
		}
	}
	return false
}

// Devices reports whether the vendor reaches devices, by a token that an app
// has on each. The others reach people, or rooms.
func (v Vendor) Devices() bool {
	for _, known := range vendorPlatforms {
		if v == known.vendor {
			return known.platforms != nil
		}
	}
	return false
}

func vendorList() string {
	s := ""
	for i, v := range vendorPlatforms {
		if i > 0 {
			s += ", "
		}
		s += string(v.vendor)
	}
	return s
}
