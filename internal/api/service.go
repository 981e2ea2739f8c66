package api

import (
	"context"
	"errors"

	"github.com/herald-push/herald"
)

var errTodo = errors.New("api: not written yet")

// Service is what callers may ask, in parts.
type Service struct {
	Messages *Messages
	Devices  *Devices
	Audience *Audience
	Apps     *Apps
	Receipts *Receipts
}

// Messages sends, shows and withdraws messages.
type Messages struct{}

// Devices registers and changes devices, aliases and tags.
type Devices struct{}

// Audience estimates.
type Audience struct{}

// Apps authenticates callers and manages an app and its keys.
type Apps struct{}

// Receipts takes reported events.
type Receipts struct{}

// Basic checks an app key and master secret.
func (s *Apps) Basic(ctx context.Context, key herald.AppKey, secret string) (Principal, error) {
	return Principal{}, errTodo
}

// Bearer checks a Bearer credential of any kind: key, device token, page token.
func (s *Apps) Bearer(ctx context.Context, token string) (Principal, error) {
	return Principal{}, errTodo
}

// Get shows the caller's app.
func (s *Apps) Get(ctx context.Context, p Principal) (AppView, error) { return AppView{}, errTodo }

// Update changes the caller's app.
func (s *Apps) Update(ctx context.Context, p Principal, u AppUpdate) (AppView, error) {
	return AppView{}, errTodo
}

// AllowedOrigin reports whether a browser at a web origin may use the app.
func (s *Apps) AllowedOrigin(app herald.AppKey, origin string) bool { return false }

// Keys lists the app's Bearer keys.
func (s *Apps) Keys(ctx context.Context, p Principal) (KeyList, error) { return KeyList{}, errTodo }

// CreateKey makes a Bearer key.
func (s *Apps) CreateKey(ctx context.Context, p Principal, r KeyRequest) (KeyAnswer, error) {
	return KeyAnswer{}, errTodo
}

// DeleteKey makes a Bearer key invalid at once.
func (s *Apps) DeleteKey(ctx context.Context, p Principal, id string) error { return errTodo }

// Decode reads the body of a send request, strictly. Its errors are
// *herald.Error with the member at fault.
func (s *Messages) Decode(body []byte) (SendRequest, error) { return SendRequest{}, errTodo }

// Send accepts a message. With an idempotency key (1 to 128 bytes; "" for
// none) the same body gets the same answer for 24 hours, and another body is
// an idempotency_conflict. body is the request as it came.
func (s *Messages) Send(ctx context.Context, p Principal, r SendRequest, key string, body []byte) (SendAnswer, error) {
	return SendAnswer{}, errTodo
}

// Get shows a message with its counts.
func (s *Messages) Get(ctx context.Context, p Principal, id herald.MessageID) (MessageView, error) {
	return MessageView{}, errTodo
}

// List shows messages, newest first; state "" means any.
func (s *Messages) List(ctx context.Context, p Principal, state herald.MessageState, cursor string, limit int) (MessagePage, error) {
	return MessagePage{}, errTodo
}

// Withdraw ends a message: after it returns nobody is sent it any more, and
// those who have it were told to remove it, or will be when they connect.
func (s *Messages) Withdraw(ctx context.Context, p Principal, id herald.MessageID) (MessageView, error) {
	return MessageView{}, errTodo
}

// Trace tells what happened to a message on a device.
func (s *Messages) Trace(ctx context.Context, p Principal, id herald.MessageID, device herald.RegistrationID) (Trace, error) {
	return Trace{}, errTodo
}

// Estimate counts an audience without sending.
func (s *Audience) Estimate(ctx context.Context, p Principal, a herald.Audience) (Estimate, error) {
	return Estimate{}, errTodo
}

// Register registers a device. p may be a stranger if r names the app.
func (s *Devices) Register(ctx context.Context, p Principal, r RegisterRequest) (RegisterAnswer, error) {
	return RegisterAnswer{}, errTodo
}

// Get shows a device; a device may see itself.
func (s *Devices) Get(ctx context.Context, p Principal, id herald.RegistrationID) (DeviceView, error) {
	return DeviceView{}, errTodo
}

// List shows devices.
func (s *Devices) List(ctx context.Context, p Principal, q DeviceQuery) (DevicePage, error) {
	return DevicePage{}, errTodo
}

// Update changes a device; a device may change its own profile.
func (s *Devices) Update(ctx context.Context, p Principal, id herald.RegistrationID, u DeviceUpdate) (DeviceView, error) {
	return DeviceView{}, errTodo
}

// Remove retires a device and erases what is known of it.
func (s *Devices) Remove(ctx context.Context, p Principal, id herald.RegistrationID) error {
	return errTodo
}

// Alias shows who is bound to an alias.
func (s *Devices) Alias(ctx context.Context, p Principal, a herald.Alias) (AliasView, error) {
	return AliasView{}, errTodo
}

// ChangeAlias binds devices to an alias and unbinds others.
func (s *Devices) ChangeAlias(ctx context.Context, p Principal, a herald.Alias, m Members) (MembersAnswer, error) {
	return MembersAnswer{}, errTodo
}

// DeleteAlias unbinds all devices of an alias.
func (s *Devices) DeleteAlias(ctx context.Context, p Principal, a herald.Alias) error { return errTodo }

// Tags lists the tags in use; prefix may be empty.
func (s *Devices) Tags(ctx context.Context, p Principal, prefix, cursor string, limit int) (TagPage, error) {
	return TagPage{}, errTodo
}

// Tag shows one tag; not_found if no device has it.
func (s *Devices) Tag(ctx context.Context, p Principal, t herald.Tag) (TagView, error) {
	return TagView{}, errTodo
}

// ChangeTag puts a tag on devices and takes it off others.
func (s *Devices) ChangeTag(ctx context.Context, p Principal, t herald.Tag, m Members) (MembersAnswer, error) {
	return MembersAnswer{}, errTodo
}

// DeleteTag takes a tag off all devices.
func (s *Devices) DeleteTag(ctx context.Context, p Principal, t herald.Tag) error { return errTodo }

// Report takes receipts.
func (s *Receipts) Report(ctx context.Context, p Principal, r ReceiptsRequest) (ReceiptsAnswer, error) {
	return ReceiptsAnswer{}, errTodo
}
