package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/herald-push/herald"
)

// Device is a device as its app sees it.
type Device struct {
	RegistrationID herald.RegistrationID `json:"registration_id"`
	Platform       herald.Platform       `json:"platform,omitempty"`
	AppVersion     string                `json:"app_version,omitempty"`
	Language       string                `json:"language,omitempty"`
	TimeZone       string                `json:"time_zone,omitempty"`
	Alias          herald.Alias          `json:"alias,omitempty"`
	Tags           []herald.Tag          `json:"tags"`
	Attributes     map[string]string     `json:"attributes,omitempty"`
	Online         bool                  `json:"online"`
	Transports     []string              `json:"transports,omitempty"` // of the sessions that are open now
	RegisteredAt   time.Time             `json:"registered_at"`
	SeenAt         time.Time             `json:"seen_at"`
	// Addresses are vendors' ways to the device, newest first. Lists are without
	// them.
	Addresses []DeviceAddress `json:"addresses,omitempty"`
}

// DevicePage is one page of devices, in the order of registration.
type DevicePage struct {
	Devices    []Device `json:"devices"`
	NextCursor string   `json:"next_cursor,omitempty"`
}

// DeviceQuery selects devices; the zero value means all.
type DeviceQuery struct {
	Alias    herald.Alias
	Tag      herald.Tag
	Platform herald.Platform
	Online   *bool
	Cursor   string
	Limit    int
}

// DeviceUpdate changes a device. What is nil or empty stays as it is.
type DeviceUpdate struct {
	AppVersion *string            `json:"app_version,omitempty"`
	Language   *string            `json:"language,omitempty"`
	TimeZone   *string            `json:"time_zone,omitempty"`
	Alias      *herald.Alias      `json:"alias,omitempty"` // "" removes it
	Tags       *[]herald.Tag      `json:"tags,omitempty"`  // all tags from now on
	TagsAdd    []herald.Tag       `json:"tags_add,omitempty"`
	TagsRemove []herald.Tag       `json:"tags_remove,omitempty"`
	Attributes map[string]*string `json:"attributes,omitempty"` // merged; nil removes one
	// Addresses of vendors that are not named stay. One without a token is taken
	// away.
	Addresses []herald.VendorAddress `json:"addresses,omitempty"`
	// RevokeTokens makes every token of the device invalid.
	RevokeTokens bool `json:"revoke_tokens,omitempty"`
}

// Members are devices to add to a tag or alias and to remove from it, at most
// 1,000 of each in one call.
type Members struct {
	Add    []herald.RegistrationID `json:"add,omitempty"`
	Remove []herald.RegistrationID `json:"remove,omitempty"`
}

// MembersChanged says what a change of members did.
type MembersChanged struct {
	Added   int64                   `json:"added"`
	Removed int64                   `json:"removed"`
	Unknown []herald.RegistrationID `json:"unknown"` // IDs that nobody has
}

// Alias is an alias with its devices, of which it may have none.
type Alias struct {
	Alias     herald.Alias `json:"alias"`
	CreatedAt time.Time    `json:"created_at"`
	Devices   []Device     `json:"devices"`
}

// Tag is a tag with the number of its devices.
type Tag struct {
	Tag     herald.Tag `json:"tag"`
	Devices int64      `json:"devices"`
}

// TagPage is one page of tags, in byte order.
type TagPage struct {
	Tags       []Tag  `json:"tags"`
	NextCursor string `json:"next_cursor,omitempty"`
}

// Receipt reports an event on behalf of a device.
type Receipt struct {
	ID             herald.MessageID      `json:"id"`
	Event          herald.DeliveryState  `json:"event"` // received, displayed or clicked
	RegistrationID herald.RegistrationID `json:"registration_id"`
}

// ReceiptsTaken says how many receipts were taken.
type ReceiptsTaken struct {
	Accepted int64 `json:"accepted"`
	Unknown  int64 `json:"unknown"` // for messages that the device was not sent
}

// Device shows a device.
func (c *Client) Device(ctx context.Context, id herald.RegistrationID) (Device, error) {
	var out Device
	err := c.do(ctx, call{method: http.MethodGet, path: devicePath(id), into: &out})
	return out, err
}

// Devices lists devices.
func (c *Client) Devices(ctx context.Context, q DeviceQuery) (DevicePage, error) {
	var out DevicePage
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/devices", query: q.values(), into: &out})
	return out, err
}

func (q DeviceQuery) values() url.Values {
	v := page(q.Cursor, q.Limit)
	setUnlessEmpty(v, "alias", string(q.Alias))
	setUnlessEmpty(v, "tag", string(q.Tag))
	setUnlessEmpty(v, "platform", string(q.Platform))
	if q.Online != nil {
		v.Set("online", strconv.FormatBool(*q.Online))
	}
	return v
}

// UpdateDevice changes a device.
func (c *Client) UpdateDevice(ctx context.Context, id herald.RegistrationID, u DeviceUpdate) (Device, error) {
	var out Device
	err := c.do(ctx, call{method: http.MethodPatch, path: devicePath(id), body: u, into: &out})
	return out, err
}

// EraseDevice removes a device, and with it what the record says of it: contents
// of messages that were for it alone, its names in audiences, its history, and
// its alias if no other device bears it. Counts stay as they are.
func (c *Client) EraseDevice(ctx context.Context, id herald.RegistrationID) error {
	return c.do(ctx, call{method: http.MethodDelete, path: devicePath(id), query: url.Values{"erase": {"true"}}})
}

// RemoveDevice retires a device and deletes its row.
func (c *Client) RemoveDevice(ctx context.Context, id herald.RegistrationID) error {
	return c.do(ctx, call{method: http.MethodDelete, path: devicePath(id)})
}

// Alias shows who is bound to an alias.
func (c *Client) Alias(ctx context.Context, a herald.Alias) (Alias, error) {
	var out Alias
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/aliases/" + url.PathEscape(string(a)), into: &out})
	return out, err
}

// PutAlias makes an alias that has no device yet; one that is there stays as it
// is.
func (c *Client) PutAlias(ctx context.Context, a herald.Alias) (Alias, error) {
	var out Alias
	err := c.do(ctx, call{method: http.MethodPut, path: "/v1/aliases/" + url.PathEscape(string(a)), into: &out})
	return out, err
}

// ChangeAlias binds devices to an alias and unbinds others.
func (c *Client) ChangeAlias(ctx context.Context, a herald.Alias, m Members) (MembersChanged, error) {
	var out MembersChanged
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/aliases/" + url.PathEscape(string(a)), body: m, into: &out})
	return out, err
}

// Binding is a device with the alias that it is to have.
type Binding struct {
	RegistrationID herald.RegistrationID `json:"registration_id"`
	Alias          *herald.Alias         `json:"alias"` // nil unbinds it
}

// Bound says what many bindings did.
type Bound struct {
	Bound     int64       `json:"bound"`     // devices whose alias has changed
	Unchanged int64       `json:"unchanged"` // devices that had it already
	Unknown   int64       `json:"unknown"`   // IDs that nobody has
	Refused   int64       `json:"refused"`   // lines that are not valid, or whose alias is full
	Errors    []BindError `json:"errors"`    // the first 100 of those
}

// BindError is a binding that was refused.
type BindError struct {
	Line   int64  `json:"line"` // of the file, or place in the list; from 1
	Detail string `json:"detail"`
}

// Bind gives up to 10,000 devices their aliases. It may be repeated.
func (c *Client) Bind(ctx context.Context, list []Binding) (Bound, error) {
	body := struct {
		Bindings []Binding `json:"bindings"`
	}{list}
	var out Bound
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/aliases", body: body, into: &out})
	return out, err
}

// BindFile is Bind for a CSV file of up to a million lines with the columns
// registration_id and alias; an empty cell unbinds a device. It is read once, so
// that the call is not tried again. After an error some of it may be done: send
// the same file again.
func (c *Client) BindFile(ctx context.Context, list io.Reader) (Bound, error) {
	var out Bound
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/aliases", stream: list, media: "text/csv; charset=utf-8", into: &out})
	return out, err
}

// DeleteAlias unbinds all devices of an alias and forgets it.
func (c *Client) DeleteAlias(ctx context.Context, a herald.Alias) error {
	return c.do(ctx, call{method: http.MethodDelete, path: "/v1/aliases/" + url.PathEscape(string(a))})
}

// Tags lists the tags in use that begin with prefix, which may be empty.
func (c *Client) Tags(ctx context.Context, prefix, cursor string, limit int) (TagPage, error) {
	v := page(cursor, limit)
	setUnlessEmpty(v, "prefix", prefix)
	var out TagPage
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/tags", query: v, into: &out})
	return out, err
}

// Tag shows one tag.
func (c *Client) Tag(ctx context.Context, t herald.Tag) (Tag, error) {
	var out Tag
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/tags/" + url.PathEscape(string(t)), into: &out})
	return out, err
}

// ChangeTag puts a tag on devices and takes it off others.
func (c *Client) ChangeTag(ctx context.Context, t herald.Tag, m Members) (MembersChanged, error) {
	var out MembersChanged
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/tags/" + url.PathEscape(string(t)), body: m, into: &out})
	return out, err
}

// DeleteTag takes a tag off all devices.
func (c *Client) DeleteTag(ctx context.Context, t herald.Tag) error {
	return c.do(ctx, call{method: http.MethodDelete, path: "/v1/tags/" + url.PathEscape(string(t))})
}

// Receipts reports events on behalf of devices, at most 1,000 in one call.
func (c *Client) Receipts(ctx context.Context, list []Receipt) (ReceiptsTaken, error) {
	body := struct {
		Receipts []Receipt `json:"receipts"`
	}{list}
	var out ReceiptsTaken
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/receipts", body: body, into: &out})
	return out, err
}

func devicePath(id herald.RegistrationID) string { return "/v1/devices/" + url.PathEscape(string(id)) }
