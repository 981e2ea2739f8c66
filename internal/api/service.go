package api

import (
	"context"
	"log/slog"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/audience"
	"github.com/herald-push/herald/internal/dispatch"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/offline"
	"github.com/herald-push/herald/internal/receipt"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/sets"
	"github.com/herald-push/herald/internal/vault"
	"github.com/herald-push/herald/internal/webhook"
)

// Presence knows who is connected; live.Hub is one.
type Presence interface {
	// Online gives the devices of an app that have a session.
	Online(app herald.AppKey) *sets.Set
	// Transports names the transports of a device's sessions.
	Transports(app herald.AppKey, o herald.Ordinal) []string
	// Rebind tells the sessions of a device that its alias has changed.
	Rebind(app herald.AppKey, o herald.Ordinal, pos herald.Pos)
	// Offered is the log position up to which everything was queued on a
	// connection of a device that is open now; 0 if there is none.
	Offered(app herald.AppKey, o herald.Ordinal) herald.Pos
	// Disconnect closes the sessions of a device.
	Disconnect(app herald.AppKey, o herald.Ordinal, why live.Reason)
}

// MessageReader finds messages in the record.
type MessageReader interface {
	Message(ctx context.Context, app herald.AppKey, id herald.MessageID) (*record.Message, error)
	Messages(ctx context.Context, app herald.AppKey, f record.MessageFilter) ([]*record.Message, error)
	// MessagesFor lists, newest first, the released messages before an ID (0
	// for the newest) that may be for a device; of group messages may, if it is
	// not nil, tells whether it is worth to look. It looks at no more than so
	// many, and gives the ID of the last one looked at; 0 if there are no more.
	MessagesFor(ctx context.Context, app herald.AppKey, o herald.Ordinal, before herald.MessageID, look int, may func(herald.MessageID) bool) ([]*record.Message, herald.MessageID, error)
	// Counted finds what is kept of a message that was purged.
	Counted(ctx context.Context, app herald.AppKey, id herald.MessageID) (*record.Counted, error)
	Eraser
}

// Config is what a Service is made of; every part is needed.
type Config struct {
	Registry *registry.Registry
	Audience *audience.Evaluator
	Dispatch *dispatch.Dispatcher
	Ledger   *receipt.Ledger
	Backlog  *offline.Backlog
	Presence Presence
	// Subscriptions is beside Presence: the same hub.
	Subscriptions Subscriptions
	Messages      MessageReader
	Webhooks      *webhook.Sender
	Vault         *vault.Vault
	Audits        AuditStore
	Groups        GroupStore
	Templates     TemplateStore
	Retained      RetainedStore
	Sessions      SessionStore
	// Attempts and Vault are nil where there are no vendors.
	Attempts AttemptStore
	// Environments gives those that a vendor has, the default first, and whether
	// there is a driver for it. nil means that there is none for any.
	Environments func(vendor herald.Vendor) (list []string, known bool)
	// Unfinished is told that what follows from a change of a device of an app has
	// not been done: [Devices.FinishChanges] does it later. It does not block. nil:
	// the next start does it.
	Unfinished func(app herald.AppKey)
	Log        *slog.Logger
	Now        func() time.Time
}

// Service is what callers may ask, in parts.
type Service struct {
	Messages  *Messages
	Devices   *Devices
	Audience  *Audience
	Apps      *Apps
	Receipts  *Receipts
	Topics    *Topics
	Sessions  *Sessions
	Segments  *Segments
	Files     *Files
	Webhooks  *Webhooks
	Schedules *Schedules
	Groups    *Groups
	Templates *Templates
	Routes    *Routes
	// Credentials are those of vendors.
	Credentials *Credentials
}

// New makes a service over the stages.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	messages := &Messages{c}
	return &Service{
		Messages: messages, Devices: &Devices{c, make(chan struct{}, maxUploads)}, Audience: &Audience{c}, Apps: &Apps{c}, Receipts: &Receipts{c},
		Topics: &Topics{c}, Sessions: &Sessions{c}, Segments: &Segments{c}, Files: &Files{c, make(chan struct{}, maxUploads)},
		Webhooks: &Webhooks{c}, Schedules: &Schedules{c}, Groups: &Groups{c, messages}, Templates: &Templates{c, messages}, Routes: &Routes{c},
		Credentials: &Credentials{c},
	}
}

// Messages sends, shows and withdraws messages.
type Messages struct{ c Config }

// Devices registers and changes devices, aliases and tags.
type Devices struct {
	c       Config
	imports chan struct{} // a place for each list of bindings that is read now
}

// Audience estimates.
type Audience struct{ c Config }

// Apps authenticates callers and manages an app and its keys.
type Apps struct{ c Config }

// Receipts takes reported events.
type Receipts struct{ c Config }

// Estimate counts an audience without sending.
func (s *Audience) Estimate(ctx context.Context, p Principal, a herald.Audience) (Estimate, error) {
	if err := p.may(ScopeSend); err != nil {
		return Estimate{}, err
	}
	if err := a.Validate(); err != nil {
		return Estimate{}, err
	}
	return estimate(ctx, s.c, p.App, a)
}

func estimate(ctx context.Context, c Config, app herald.AppKey, a herald.Audience) (Estimate, error) {
	t, err := c.Audience.Evaluate(ctx, app, a)
	if err != nil {
		return Estimate{}, err
	}
	online := sets.Common(t.Image, c.Presence.Online(app))
	return Estimate{Devices: t.Devices, Online: online, Unknown: t.Unknown}, nil
}

// Evaluate is how dispatch evaluates the audience of a message that falls due.
func Evaluate(e *audience.Evaluator) func(context.Context, herald.AppKey, herald.Audience) (dispatch.Target, error) {
	return func(ctx context.Context, app herald.AppKey, a herald.Audience) (dispatch.Target, error) {
		t, err := e.Evaluate(ctx, app, a)
		return target(t), err
	}
}

func target(t audience.Target) dispatch.Target {
	out := dispatch.Target{Direct: t.Direct, Devices: t.Devices, Unknown: t.Unknown, Pos: t.Pos, ByAlias: t.ByAlias}
	if t.Direct == nil {
		out.Group = t.Image
	}
	return out
}

// pageSize checks a page size; 0 means the default.
func pageSize(limit int) (int, error) {
	if limit == 0 {
		return herald.DefaultPageSize, nil
	}
	if limit < 0 || limit > herald.MaxPageSize {
		return 0, herald.Invalid("limit", "Ask for 1 to 1000.", "%d is not a page size", limit)
	}
	return limit, nil
}
