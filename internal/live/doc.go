// Package live holds the sessions of connected devices. All transports share
// one concrete [Session], which replays what waits, sends what comes, takes
// acknowledgements and events, and watches the heartbeat. A transport is only
// the codec of one protocol: see [Transport].
//
// Order: a session sends releases in log order, each at most once per
// connection; messages with TTL 0 have no place in the log and are sent at
// once. A session that cannot keep up loses nothing: it stops taking live
// messages, and reads them from the backlog when its socket has room again.
//
// Locks: Session.mu is taken before those of the hub, the wheel, the pool and
// the Conn, and none of those is held while a Session is called. No lock is
// held while the Directory, the Backlog or the Receipts are called.
package live
