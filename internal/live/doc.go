// Package live holds the sessions of connected devices. All transports share
// one concrete [Session], which replays what waits, sends what comes, takes
// acknowledgements and events, and watches the heartbeat. A transport is only
// the codec of one protocol: see [Transport].
//
// Order: a session sends releases in log order, each at most once per
// connection; with [AckEach] waiting messages of high priority may overtake
// others of the same page of the replay. A session that cannot keep up loses
// nothing: it stops taking live messages, and reads them from the backlog when
// its socket has room again.
package live
