package record

import (
	"time"

	"github.com/herald-push/herald"
)

// Owner tells whose an address is.
type Owner string

// The owners.
const (
	OwnerDevice    Owner = "device"
	OwnerRecipient Owner = "recipient"
	// OwnerApp is whose address a credential has itself, such as a chat room. It
	// has the ordinal 0 and no row.
	OwnerApp Owner = "app"
)

// The kinds of addresses of recipients; of a device the kind is the vendor.
const (
	KindPhone  = "phone"
	KindEmail  = "email"
	KindOpenID = "openid"
	KindChat   = "chat"
)

// Address is a vendor's way to a device or a recipient.
type Address struct {
	App   herald.AppKey
	Owner Owner
	Ord   herald.Ordinal
	// Kind is the vendor of a device's, or one of the kinds of recipients.
	Kind string
	// Environment is one of the vendor's; of a chat the name of the credential.
	Environment string
	Token       string
	Created     time.Time
	Updated     time.Time // registered last
	Invalid     time.Time // since when it leads to nobody; zero: it is valid
	Reason      string    // why it is invalid
}

// AddressKind is a kind and environment of which there are valid addresses.
type AddressKind struct{ Kind, Environment string }
