package herald_test

import (
	"testing"

	"github.com/herald-push/herald"
)

func TestVendorDevices(t *testing.T) {
	for v, want := range map[herald.Vendor]bool{
		herald.VendorAPNs: true, herald.VendorFCM: true, herald.VendorWebPush: true, herald.VendorHMOS: true, herald.VendorWNS: true,
		herald.EveryVendor: false, herald.VendorSMS: false, herald.VendorSMTP: false, herald.VendorTwilio: false, herald.VendorDingTalk: false, herald.VendorWebhook: false, "acme": false, "": false,
	} {
		if v.Devices() != want {
			t.Errorf("%q reaches devices: %v", v, !want)
		}
	}
}
