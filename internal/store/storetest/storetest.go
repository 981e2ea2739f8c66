// Package storetest is the conformance suite of the record: every store runs
// it, and what it asserts is what the stages rely on.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/dispatch"
	"github.com/herald-push/herald/internal/offline"
	"github.com/herald-push/herald/internal/receipt"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/retained"
	"github.com/herald-push/herald/internal/seal"
	"github.com/herald-push/herald/internal/sets"
	"github.com/herald-push/herald/internal/topiclog"
	"github.com/herald-push/herald/internal/webhook"
)

// Store is what a store offers to all stages together.
type Store interface {
	registry.Store
	registry.AddressReader
	dispatch.Store
	receipt.Store
	receipt.MessageSource
	receipt.PlanStore
	offline.Store
	// Counted finds what is kept of a message that was purged; not_found if
	// there is nothing.
	Counted(ctx context.Context, app herald.AppKey, id herald.MessageID) (*record.Counted, error)
	Reports
	webhook.Store
	seal.Keeper
	Audits
	GroupMessages
	Templates
	retained.Store
	topiclog.Store
	Errands
	Credentials
	Probe(ctx context.Context) error
	Close() error
}

// Options say how a store is to be opened. Opening the same Dir again after
// Close is a restart.
type Options struct {
	Dir       string
	Now       func() time.Time
	OnSets    func(app herald.AppKey, e record.SetLogEntry)
	OnRelease func(app herald.AppKey, pos herald.Pos)
	OnTopics  func(app herald.AppKey, moves []record.TopicMove)
}

// Open opens a store, or fails the test.
type Open func(t *testing.T, o Options) Store

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, f *fixture)
	}{
		{"apps", testApps},
		{"keys", testKeys},
		{"keys for JWTs", testJWTKeys},
		{"credentials", testCredentials},
		{"audit", testAudit},
		{"audit filters", testAuditFilters},
		{"audit of what was erased", testAuditErased},
		{"register", testRegister},
		{"register known installation", testRegisterKnown},
		{"register concurrently", testRegisterConcurrently},
		{"update device", testUpdateDevice},
		{"remove device", testRemoveDevice},
		{"touch", testTouch},
		{"alias limit", testAliasLimit},
		{"alias moves", testAliasMoves},
		{"bindings", testBindings},
		{"bindings of a full alias", testBindingsFull},
		{"bindings of many devices", testManyBindings},
		{"entries by alias", testAliasEntries},
		{"list devices", testDevices},
		{"ordinals by name", testOrdinalsByName},
		{"apps apart", testAppsApart},
		{"set log and chunks", testSets},
		{"audience segments", testAudienceSegments},
		{"files", testFiles},
		{"names of a file", testResolve},
		{"recipients", testRecipients},
		{"addresses", testAddresses},
		{"addresses move", testAddressesMove},
		{"addresses of devices", testDeviceAddresses},
		{"addresses at once", testAddressesTogether},
		{"addresses of a range", testAddressesIn},
		{"addresses become invalid", testAddressInvalid},
		{"addresses and erasure", testAddressErased},
		{"hooks in log order", testHooks},
		{"hooks of aliases", testRebound},
		{"accept direct", testAcceptDirect},
		{"accept group", testAcceptGroup},
		{"accept dense group", testAcceptDense},
		{"cells", testCells},
		{"strips", testStrips},
		{"strips cut short", testStripsCutShort},
		{"accept concurrently", testAcceptConcurrently},
		{"accept refuses", testAcceptRefuses},
		{"accept all", testAcceptAll},
		{"accept all but bad ones", testAcceptAllBad},
		{"accept all concurrently", testAcceptAllConcurrently},
		{"volatile", testVolatile},
		{"idempotency", testIdempotency},
		{"idempotency concurrently", testIdempotencyConcurrently},
		{"list messages", testMessages},
		{"messages by ID", testMessagesByID},
		{"releases", testReleases},
		{"end message", testEndMessage},
		{"end a message of many devices", testEndWide},
		{"collapse key", testCollapse},
		{"scheduled", testScheduled},
		{"scheduled dense, late owner", testScheduledDense},
		{"scheduled and ended", testScheduledEnded},
		{"schedules", testSchedules},
		{"schedules are changed", testScheduleChanged},
		{"schedules fire", testScheduleFires},
		{"schedules are purged", testSchedulePurge},
		{"steps of routes", testRouteSteps},
		{"errands", testErrands},
		{"dead letters", testDeadLetters},
		{"attempts of who is erased", testErasedAttempts},
		{"plans", testPlans},
		{"plans refuse", testPlansRefuse},
		{"held messages go live", testHeld},
		{"held messages end", testHeldEnds},
		{"leases end with who had them", testLeasesEnd},
		{"schedules and erasure", testScheduleErased},
		{"expired", testExpired},
		{"purge", testPurge},
		{"purge of direct history", testPurgeDirectHistory},
		{"counts", testCounts},
		{"live groups", testLiveGroups},
		{"withdrawn", testWithdrawn},
		{"messages for a device", testMessagesFor},
		{"erase", testErase},
		{"receipts", testReceipts},
		{"fold refuses", testFoldRefuses},
		{"fold many chunks", testFoldManyChunks},
		{"segments", testSegments},
		{"webhooks", testWebhooks},
		{"secrets of webhooks", testSecrets},
		{"webhooks are leased", testWebhookLease},
		{"webhook log", testWebhookLog},
		{"webhook deliveries", testWebhookDeliveries},
		{"webhooks of messages that are done", testWebhookDone},
		{"webhooks are purged", testWebhookPurge},
		{"webhooks and erasure", testWebhookErase},
		{"groups of apps", testGroups},
		{"messages to groups", testGroupMessages},
		{"messages to groups at once", testGroupMessagesTogether},
		{"templates", testTemplates},
		{"routes", testRoutes},
		{"retained", testRetained},
		{"retained ends", testRetainedEnds},
		{"approved", testApproved},
		{"rejected", testRejected},
		{"topic log", testTopicLog},
		{"topic log far behind", testTopicsFar},
		{"topics of shared subscriptions", testTopicShares},
		{"topic sessions", testTopicSessions},
		{"topic sessions change", testTopicChanges},
		{"topic sessions that are due", testTopicsDue},
		{"topic sessions of removed devices", testTopicsRemoved},
		{"topic log is purged", testTopicPurge},
		{"reopen", testReopen},
		{"context", testContext},
		{"closed", testClosed},
		{"closing", testClosing},
		{"probe", testProbe},
		{"model", testModel},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, open)
			c.test(t, f)
			f.close()
		})
	}
}

// start is when the clock of every test begins.
var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const (
	appA herald.AppKey = "aaaaaaaaaaaaaaaaaaaaaaaa"
	appB herald.AppKey = "bbbbbbbbbbbbbbbbbbbbbbbb"
)

// fixture is a store with two apps, a clock, and what its hooks told.
type fixture struct {
	t    *testing.T
	ctx  context.Context
	open Open
	dir  string
	Store

	mu       sync.Mutex // guards what follows
	now      time.Time
	sets     map[herald.AppKey][]record.SetLogEntry
	releases map[herald.AppKey][]herald.Pos
	moves    []record.TopicMove
	last     map[herald.AppKey]herald.Pos // told last, by either hook
	lastID   int64
}

func newFixture(t *testing.T, open Open) *fixture {
	t.Helper()
	f := &fixture{t: t, ctx: t.Context(), open: open, dir: t.TempDir(), now: start,
		sets: map[herald.AppKey][]record.SetLogEntry{}, releases: map[herald.AppKey][]herald.Pos{}, last: map[herald.AppKey]herald.Pos{}}
	f.start()
	for _, key := range []herald.AppKey{appA, appB} {
		f.must(f.CreateApp(f.ctx, record.App{Key: key, Name: "app " + string(key[:1]), SecretHash: []byte("hash"), Created: start}))
	}
	return f
}

func (f *fixture) start() {
	f.t.Helper()
	f.Store = f.open(f.t, Options{Dir: f.dir, Now: f.clock, OnSets: f.onSets, OnRelease: f.onRelease, OnTopics: f.onTopics})
	f.t.Cleanup(f.close)
}

func (f *fixture) close() {
	if f.Store != nil {
		s := f.Store
		f.Store = nil
		if err := s.Close(); err != nil {
			f.t.Errorf("Close: %v", err)
		}
	}
}

// restart closes the store and opens it again.
func (f *fixture) restart() {
	f.t.Helper()
	f.close()
	f.start()
}

func (f *fixture) clock() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fixture) sleep(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}

func (f *fixture) onSets(app herald.AppKey, e record.SetLogEntry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sets[app] = append(f.sets[app], e)
	f.told(app, e.Pos)
}

func (f *fixture) onRelease(app herald.AppKey, pos herald.Pos) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.releases[app] = append(f.releases[app], pos)
	f.told(app, pos)
}

func (f *fixture) onTopics(_ herald.AppKey, moves []record.TopicMove) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.moves = append(f.moves, moves...)
}

// told checks that hooks are called for every position, in order. mu is held.
func (f *fixture) told(app herald.AppKey, pos herald.Pos) {
	if pos != f.last[app]+1 {
		f.t.Errorf("after position %d of %s the hooks told of %d", f.last[app], app, pos)
	}
	f.last[app] = pos
}

// must ends the test at an error.
func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatalf("unexpected error: %v", err)
	}
}

// refused checks the kind of an error.
func refused(t *testing.T, err error, want herald.Code) {
	t.Helper()
	if herald.CodeOf(err) != want {
		t.Fatalf("got error %v (code %q), want code %q", err, herald.CodeOf(err), want)
	}
	var e *herald.Error
	if errors.As(err, &e); e != nil && e.Remedy == "" {
		t.Errorf("the error %v has no remedy", err)
	}
}

// nextID gives message IDs that grow.
func (f *fixture) nextID() herald.MessageID {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lastID++
	return herald.MessageID(1000 + f.lastID)
}

func regID(n int) herald.RegistrationID {
	return herald.RegistrationID(fmt.Sprintf("%020d", n))
}

// register registers device n of an app.
func (f *fixture) register(app herald.AppKey, n int, change ...func(*record.Registration)) record.Device {
	f.t.Helper()
	d, _, err := f.Register(f.ctx, registration(app, n, change...))
	f.must(err)
	return d
}

func registration(app herald.AppKey, n int, change ...func(*record.Registration)) record.Registration {
	r := record.Registration{Device: record.Device{
		App: app, ID: regID(n), Installation: fmt.Appendf(nil, "installation %d", n), Platform: herald.PlatformWeb,
		AppVersion: "1.0", Language: "en-GB", TimeZone: "Europe/London", Created: start, Seen: start,
	}}
	for _, c := range change {
		c(&r)
	}
	return r
}

func withAlias(a herald.Alias) func(*record.Registration) {
	return func(r *record.Registration) { r.Alias, r.SetAlias = a, true }
}

// message makes a direct message to some devices.
func (f *fixture) message(ords ...herald.Ordinal) record.Acceptance {
	now := f.clock()
	return record.Acceptance{Message: record.Message{
		Message: herald.Message{ID: f.nextID(), App: appA, Audience: herald.Audience{Tags: []herald.Tag{"t"}},
			Priority: herald.PriorityNormal, TTL: time.Hour, Accepted: now, Due: now},
		Body: []byte(`{"data":1}`), State: herald.MessageSending, Target: int64(len(ords)), Direct: ords,
	}}
}

// group makes a group message.
func (f *fixture) group(s *sets.Set) record.Acceptance {
	a := f.message()
	a.Group, a.Target, a.Audience = record.WholeImage(s), s.Len(), herald.Audience{All: true}
	return a
}

func (f *fixture) accept(a record.Acceptance) record.Accepted {
	f.t.Helper()
	out, err := f.Accept(f.ctx, a)
	f.must(err)
	return out
}

// dense is a set that takes more than 16 KiB: every other ordinal of slabs.
func dense(slabs int) *sets.Set {
	s := sets.Range(0)
	for o := 0; o < slabs<<16; o += 2 {
		s.Add(herald.Ordinal(o))
	}
	return s
}

// wantHead checks where a log stands, and that it has no holes.
func (f *fixture) wantHead(app herald.AppKey, pos herald.Pos) {
	f.t.Helper()
	h, err := f.Head(f.ctx, app)
	f.must(err)
	if h.Pos != pos {
		f.t.Fatalf("the log of %s stands at %d, want %d", app, h.Pos, pos)
	}
	seen := map[herald.Pos]bool{}
	f.must(f.SetLog(f.ctx, app, 0, func(e record.SetLogEntry) error { seen[e.Pos] = true; return nil }))
	rel, err := f.Releases(f.ctx, app, 0, 1<<30)
	f.must(err)
	for _, r := range rel {
		if seen[r.Pos] {
			f.t.Errorf("position %d was taken twice", r.Pos)
		}
		seen[r.Pos] = true
	}
	for p := herald.Pos(1); p <= pos; p++ {
		if !seen[p] {
			f.t.Errorf("position %d of %s is a hole", p, app)
		}
	}
	if len(seen) != int(pos) {
		f.t.Errorf("the log of %s has %d entries up to %d", app, len(seen), pos)
	}
}

// together runs a function n times at once and waits.
func together(n int, run func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { run(i) })
	}
	wg.Wait()
}
