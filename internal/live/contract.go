package live

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// Frame is what a transport writes to a socket for one message: immutable, and
// shared by every session that gets it. It holds nothing of a session: no
// number, cursor or name of its own. (What a protocol must number has a number
// that follows from the position in the log: see Release.Pos.)
type Frame []byte

// Errors of Conn.Send.
var (
	// ErrFull means that the session's queue has no room; nothing was taken.
	ErrFull = errors.New("live: the queue of the connection is full")
	// ErrClosed means that the connection is closing or closed.
	ErrClosed = errors.New("live: the connection is closed")
)

// Conn is one connected socket, as a session sees it.
//
// Send queues a frame. It never blocks, starts no goroutine, may be called from
// any goroutine, and keeps the frame without copying it. Frames leave in the
// order of the calls. Once Send has answered ErrFull, the conn calls
// Handler.Writable when its queue has drained to half.
//
// Close says why to the peer, as its protocol can (see Farewell), after what is
// queued (for at most 5 s), and then ends. It returns at once and may be called
// again; the first reason counts.
type Conn interface {
	Send(Frame) error
	Close(Reason)
}

// Handler is the protocol state of one connection, made by a transport and
// driven by a Listener. Its methods are never called at the same time.
type Handler interface {
	// Open is called once, when the answer to the request head is written.
	Open(Conn)
	// Data brings bytes as they came from the client, at least one; they are
	// valid during the call only, in which they may be overwritten. An error
	// ends the connection after what is queued, without a word. Nothing is
	// brought after that, or after Conn.Close.
	Data([]byte) error
	// Writable is called after Send has answered ErrFull, when there is room.
	Writable()
	// Closed is called once, last: the socket is gone.
	Closed(err error)
}

// Farewell is an add-on of a Handler whose protocol can say why it ends. The
// frame goes out last, whatever room the queue has. It is called at most once,
// from any goroutine, also while another method runs.
type Farewell interface {
	Farewell(Reason) Frame
}

// Transport is the codec of one protocol on top of sessions.
type Transport interface {
	// Name is the product's name of the protocol, e.g. "websocket"; it is the
	// "via" of receipts.
	Name() string
	// Encode makes the frame of a release, once per message (and per platform
	// for which the message has overrides).
	Encode(Release) Frame
	// Publication makes the frame of what was published to a topic, once per
	// publication. It must not change the bytes that TopicJSON gives.
	Publication(Publication) Frame
	// Control makes a frame of what the server says about the session itself;
	// nil if the protocol has no way to say it.
	Control(Control) Frame
}

// Endpoint is a Transport that is reached by an HTTP request: an [Upgrader] or
// a [Poller].
type Endpoint interface {
	Transport
	// Path is where it is mounted on the shared port.
	Path() string
}

// Poller is an Endpoint whose clients ask again and again. A request is held
// until there is something, and answered as a whole; the connection stays with
// net/http. While it is held it is a session, which acknowledges by cursor.
type Poller interface {
	Endpoint
	// Wait reads from the query of a request for how long it may be held; the
	// error is a *herald.Error.
	Wait(query url.Values) (time.Duration, error)
	// Answer makes the body of a response of frames, and its content type. The
	// cursor is that of the last release which the frames hold or left out;
	// since says the same of publications, and is "" without topics.
	Answer(frames []Frame, cursor, since string) (contentType string, body []byte)
}

// Upgrader is an Endpoint whose connections leave HTTP.
type Upgrader interface {
	Endpoint
	// Upgrade looks at a request head. It answers the head of the response
	// and the handler of the connection, or an error (a *herald.Error), which
	// the listener writes as a problem document; then the connection goes on
	// as plain HTTP. With an error, a Status that is not 0 replaces the usual
	// one of the error's code, and the Header is added. A transport whose
	// clients can be told a reason later leaves the credentials to the session;
	// one whose clients see only the head checks them here, and the topics with
	// them (see Stream), which may cost one read of the record.
	Upgrade(hub *Hub, r *http.Request) (Response, Handler, error)
}

// Server is an add-on of a Transport that has a port of its own: see [Serve].
type Server interface {
	Transport
	// NewHandler makes the handler of a connection that was accepted.
	NewHandler(hub *Hub) Handler
	// Refusal is what a connection is told that is not accepted; it may be nil.
	Refusal(Reason) Frame
}

// Response is the head of the answer to an upgrade request. With a Status of
// 101 the socket belongs to the handler; with 200 the body streams until the
// connection ends.
type Response struct {
	Status int
	Header http.Header
}

// Release is what a transport encodes: the same for every device. The content
// is for [ReleaseJSON] to write: it is empty where the bytes of the record can
// stand in a frame as they are.
type Release struct {
	Kind    record.ReleaseKind
	Msg     *record.Message
	Content herald.Content // of the platform that it is encoded for
	Cursor  string         // "" for a message with TTL 0
	Pos     herald.Pos     // in the log of the app; 0 for a message with TTL 0

	members []byte // what frameMembers gave, in place of Content
}

// ControlKind is a kind of Control.
type ControlKind string

// The kinds of control.
const (
	Welcome   ControlKind = "welcome"   // the session is open
	Ping      ControlKind = "ping"      // are you there?
	Pong      ControlKind = "pong"      // the answer to a client's ping
	Problem   ControlKind = "error"     // what you sent was refused; the session goes on
	Reconnect ControlKind = "reconnect" // this node is going; come back after a while

	Subscribed   ControlKind = "subscribed"   // the session is subscribed to Topics
	Unsubscribed ControlKind = "unsubscribed" // it is not, any more
	Published    ControlKind = "published"    // what the client published was passed on
	Presence     ControlKind = "presence"     // so many Devices are subscribed to a topic now
)

// Control is something that the server says about one session. (Presence is
// the same for all that ask, and the frame of it is shared.)
type Control struct {
	Kind ControlKind
	// For Welcome.
	Session, Token string // Token only if the device must replace its own
	Device         herald.RegistrationID
	Heartbeat      time.Duration
	Timeout        time.Duration
	// For Problem.
	Err *herald.Error
	// For Reconnect: how long this client should wait.
	After time.Duration
	// For Subscribed and Unsubscribed; for Presence the one topic.
	Topics []herald.Topic
	// For Presence.
	Devices int
	// For Problem and the answers: the client's own name for what it sent.
	Ref string
}

// Reason is why a connection was closed: one of the close codes below, and a
// short text (at most 120 bytes) for people.
type Reason struct {
	Code int
	Text string
}

// Close codes, in the private range of RFC 6455 section 7.4.2.
const (
	CloseBadToken  = 4001
	CloseForbidden = 4003
	CloseHeartbeat = 4008
	CloseReplaced  = 4009
	CloseSlow      = 4010
	CloseDraining  = 4012
	CloseProtocol  = 4013
	CloseTooMany   = 4029
)

// AckMode is how a client acknowledges.
type AckMode string

// The modes.
const (
	// AckEach: frames name message IDs, in any order.
	AckEach AckMode = "each"
	// AckUpto: the client gives cursors, so it is sent strictly in log order.
	AckUpto AckMode = "upto"
)

// Device is whose session it is.
type Device struct {
	App      herald.AppKey
	Ord      herald.Ordinal
	ID       herald.RegistrationID
	Platform herald.Platform
	BoundPos herald.Pos // see record.Device
	// Alias is that of the device if the rules of its app name it, see Aliases;
	// else it is not known, and empty.
	Alias herald.Alias
	// Until is when what the token proves ends; zero: never. A session tells it
	// only where it opens.
	Until time.Time
}

// Directory knows devices; registry is one.
type Directory interface {
	// Authenticate checks a device token. fresh is not empty if the client
	// must use it from now on. Errors are unauthorized.
	Authenticate(ctx context.Context, token string) (d Device, fresh string, err error)
	// Seen notes that the device is here now. It does not block.
	Seen(d Device, now time.Time)
	// Cursor signs a log position for the app's devices.
	Cursor(app herald.AppKey, pos herald.Pos) string
	// ParseCursor reads a cursor back. One that is foreign, damaged or of
	// another epoch gives false; that is no error, it costs duplicates.
	ParseCursor(app herald.AppKey, cursor string) (herald.Pos, bool)
	// MayUse says whether a device may subscribe or publish to a topic: nil,
	// or a *herald.Error that is forbidden. It does not block. When the answer
	// changes, Hub.Recheck is called.
	MayUse(d Device, v herald.TopicVerb, t herald.Topic) error
}

// Linguist is an add-on of a Directory that knows the languages of devices.
//
// Languages gives, for some language tags of which those with more subtags come
// first, a function that tells the first of them that a device's language begins
// with; "" if it begins with none. The function does not block.
type Linguist interface {
	Languages(app herald.AppKey, tags []string) func(herald.Ordinal) string
}

// Waiting is a release that waits for a device.
type Waiting struct {
	Kind record.ReleaseKind
	Pos  herald.Pos
	Msg  *record.Message
}

// Backlog knows what waits for a device; offline is one.
type Backlog interface {
	// Resume takes a cursor as acknowledgement: everything of the device's
	// that was sent and released at or before it counts as received. Up to
	// the position offered everything was queued on a connection of the
	// device, and counts as sent although that may not be written yet.
	Resume(ctx context.Context, d Device, upto, offered herald.Pos) error
	// Waiting lists what was released to the device after a position and is
	// not received or ended, in log order, at most limit. The list is
	// complete up to the position upto; more tells whether that is short of
	// the head.
	Waiting(ctx context.Context, d Device, after herald.Pos, limit int) (list []Waiting, upto herald.Pos, more bool, err error)
}

// Receipts takes events; receipt is one.
type Receipts interface {
	// Report queues events of one app. It returns at once; they are made
	// durable together with those that others report meanwhile. What does not
	// fit the message's target is dropped.
	Report(app herald.AppKey, events ...record.Event)
}

// SingleReceipts is an add-on of Receipts that takes what one device reports,
// which is most of what is reported, without a set for it.
type SingleReceipts interface {
	// ReportOne queues an event of a device for each of some messages; see
	// Report. The IDs are the caller's.
	ReportOne(app herald.AppKey, o herald.Ordinal, what herald.DeliveryState, via string, at time.Time, ids ...herald.MessageID)
}
