// Package device is the Go SDK for devices: programs that receive messages.
//
//	dev, err := device.Register(ctx, device.Options{URL: url, AppKey: key, Store: device.File("herald.json")})
//	err = dev.Listen(ctx, device.Handler{OnMessage: func(ctx context.Context, m device.Message) error {
//		fmt.Println(m.Notification.Title)
//		return nil // acknowledged
//	}})
//
// Listen keeps one connection over WebSocket and comes back by itself after
// any interruption. Each message reaches OnMessage once while the program
// runs: copies with an ID among the last 1,024 are dropped. After a restart of
// the program a message may come again if its acknowledgement was lost.
// Messages come one at a time, in the order in which the server sent them.
// A slow handler delays what follows and loses no message.
//
// Subscribe and Publish are for topics, whose publications are for who is
// connected at that moment: they are not acknowledged and do not come again.
package device

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald"
)

// Options say which device this is and how it connects.
type Options struct {
	// URL is the address of the server, e.g. "https://push.example.com".
	URL string
	// AppKey is the app that the device belongs to.
	AppKey herald.AppKey
	// Installation is a random secret of 16 to 128 characters that names this
	// installation. Default: the stored one, or else a new one.
	Installation string
	// Store keeps the identity between runs. Default: in memory, which makes
	// a new device at each start unless Installation is given.
	Store Store

	// What the device says of itself. Platform defaults to "other".
	Platform   herald.Platform
	AppVersion string
	Language   string // BCP 47, e.g. "zh-CN"
	TimeZone   string // IANA name, e.g. "Asia/Shanghai"
	Attributes map[string]string
	// Addresses are vendors' ways to this device, for when it is not connected.
	// Those of other vendors that were registered before stay.
	Addresses []herald.VendorAddress
	// AliasToken is a JWT, signed by the app's back end, that binds an alias.
	AliasToken string
	// Alias and Tags need an app that lets devices set them.
	Alias herald.Alias
	Tags  []herald.Tag

	// ManualAck leaves acknowledging to the program: see [Device.Ack]. A
	// message that is not acknowledged comes again at a later connection of
	// another run of the program.
	ManualAck bool
	// Compression offers permessage-deflate (RFC 7692), without context takeover:
	// less traffic where messages are long, for the time and about 1.2 MB of
	// memory while something is compressed. A server may decline. Default: no.
	Compression bool
	// HTTPClient makes the requests. It must have no time-out of its own,
	// because one request lives as long as the connection. Default: a plain one.
	HTTPClient *http.Client
}

// Handler is called by [Device.Listen]. Any of its functions may be nil.
type Handler struct {
	// OnMessage takes a message. When it returns nil the message is
	// acknowledged (unless ManualAck); an error leaves it to come again at the
	// next connection.
	OnMessage func(context.Context, Message) error
	// OnWithdraw says that the sender took a message back: remove it if it is
	// shown. It may name a message that was never seen here.
	OnWithdraw func(context.Context, herald.MessageID)
	// OnTopic takes what is published to the topics of [Device.Subscribe]. It is
	// called from the goroutine of OnMessage.
	OnTopic func(context.Context, Publication)
	// OnPresence says how many devices are subscribed to a topic, when that
	// changes. It is called from the goroutine of OnMessage.
	OnPresence func(context.Context, herald.Topic, int64)
	// OnState says what the connection does. It is called from another
	// goroutine than OnMessage, and must return soon.
	OnState func(State)
	// OnProblem reports what the server refused of what was sent to it; the
	// connection goes on. It is called like OnState.
	OnProblem func(*herald.Error)
}

// Message is a message as a device gets it.
type Message struct {
	ID           herald.MessageID     `json:"id"`
	Time         time.Time            `json:"time"`
	Expires      time.Time            `json:"expires"`
	Priority     herald.Priority      `json:"priority"`
	Notification *herald.Notification `json:"notification,omitempty"` // nil if it has only data
	Data         []byte               `json:"-"`                      // JSON; nil if there is none
	CollapseKey  string               `json:"collapse_key,omitempty"`
	// Stored is false for a message to whoever is connected just now (TTL 0).
	Stored bool `json:"-"`
}

// Phase is what a connection is doing.
type Phase string

// The phases.
const (
	Connecting Phase = "connecting"
	Connected  Phase = "connected"
	Waiting    Phase = "waiting" // to connect again, after Retry
)

// State is a change of the connection.
type State struct {
	Phase Phase
	Err   error         // why it is Waiting
	Retry time.Duration // how long it waits
}

// Device is one registered device. It is safe for use by several goroutines;
// Listen runs once at a time.
type Device struct {
	o         Options
	base      string
	listening atomic.Bool
	out       outbox
	// resubscribe holds one value when topics has changed.
	resubscribe chan struct{}

	mu     sync.Mutex // guards what follows
	id     Identity
	seen   recent
	topics []herald.Topic // to be subscribed to; replaced, never changed
	say    chan []byte    // takes publications; nil while not connected
}

// Errors that end Listen.
var (
	// ErrListening: Listen runs already.
	ErrListening = errors.New("device: Listen is running already")
	// ErrReplaced: the device has opened more sessions than a device may have,
	// and this was the oldest.
	ErrReplaced = errors.New("device: replaced by a newer session of this device")
	// ErrForbidden: the server does not allow this device to connect.
	ErrForbidden = errors.New("device: the server does not allow this connection")
	// ErrToken: the token is refused, also after registering again.
	ErrToken = errors.New("device: the server refuses the token, also a new one")
	// ErrProtocol: the server did not understand this program.
	ErrProtocol = errors.New("device: the server ended the connection because of a protocol error")
)

// New makes a device without any request; Listen registers it when it first
// connects, and goes on trying. Use [Register] to know at once.
func New(o Options) (*Device, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("device: URL must be the address of a server, such as https://push.example.com")
	}
	if !o.AppKey.Valid() {
		return nil, errors.New("device: AppKey must have 24 characters of 0-9 and a-z")
	}
	if n := len(o.Installation); n != 0 && (n < 16 || n > 128) {
		return nil, errors.New("device: Installation must have 16 to 128 characters")
	}
	if o.HTTPClient == nil {
		o.HTTPClient = &http.Client{}
	}
	if o.Store == nil {
		o.Store = Memory()
	}
	d := &Device{o: o, base: strings.TrimRight(u.String(), "/")}
	d.out.wake, d.resubscribe = make(chan struct{}, 1), make(chan struct{}, 1)
	id, err := o.Store.Load()
	if err != nil {
		return nil, fmt.Errorf("device: the stored identity cannot be read: %w", err)
	}
	if id.AppKey != o.AppKey || o.Installation != "" && o.Installation != id.Installation {
		// Another app or installation: nothing of the old identity holds.
		id = Identity{AppKey: o.AppKey, Installation: o.Installation}
	}
	if id.Installation == "" {
		id.Installation = herald.NewSecret(32)
	}
	d.id = id
	return d, nil
}

// ID is the registration ID; "" before the device has registered.
func (d *Device) ID() herald.RegistrationID { return d.identity().RegistrationID }

func (d *Device) identity() Identity {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.id
}

// Ack acknowledges messages; for ManualAck. It does not wait: acknowledgements
// leave together within 100 ms, and wait while there is no connection.
func (d *Device) Ack(ids ...herald.MessageID) {
	d.mu.Lock()
	for _, id := range ids {
		d.seen.settle(id)
	}
	d.mu.Unlock()
	d.out.add("", ids...)
}

// Displayed reports that messages were shown to the user. It includes Ack, and
// does not wait.
func (d *Device) Displayed(ids ...herald.MessageID) { d.out.add(herald.StateDisplayed, ids...) }

// Clicked reports that the user opened messages. It includes Displayed, and
// does not wait.
func (d *Device) Clicked(ids ...herald.MessageID) { d.out.add(herald.StateClicked, ids...) }
