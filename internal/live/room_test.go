package live_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
)

const otherApp herald.AppKey = "another00000000000000000"

// directory is a world in which a token that begins with "other-" is that of
// the same device of another app, and something may happen while the rules are
// asked.
type directory struct {
	*livetest.World
	meanwhile func()
}

func (d *directory) Authenticate(ctx context.Context, token string) (live.Device, string, error) {
	token, other := strings.CutPrefix(token, "other-")
	dev, fresh, err := d.World.Authenticate(ctx, token)
	if other {
		dev.App = otherApp
	}
	return dev, fresh, err
}

func (d *directory) MayUse(dev live.Device, v herald.TopicVerb, t herald.Topic) error {
	err := d.World.MayUse(dev, v, t)
	if f := d.meanwhile; f != nil {
		d.meanwhile = nil
		f()
	}
	return err
}

// room is a hub with its world, for tests of topics.
type room struct {
	*testing.T
	*livetest.World
	dir       *directory
	hub       *live.Hub
	transport *lines
}

// topical runs a test with a clock of its own. Devices may publish to all topics
// but those below "read".
func topical(t *testing.T, o live.Options, f func(*room)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := livetest.NewWorld()
		w.Rule(rules)
		r := &room{T: t, World: w, dir: &directory{World: w}, transport: &lines{}}
		o.Directory, o.Backlog, o.Receipts = r.dir, w, w
		r.hub = run(t, o)
		f(r)
	})
}

var rules = herald.TopicRules{
	Subscribe: []herald.TopicFilter{"chat/#", "read/#", "t/+", "mine/{registration_id}"},
	Publish:   []herald.TopicFilter{"chat/#", "t/+", "mine/{registration_id}"},
}

func run(t *testing.T, o live.Options) *live.Hub {
	hub := live.NewHub(o)
	done := make(chan error, 1)
	go func() { done <- hub.Run(context.Background()) }()
	t.Cleanup(func() {
		hub.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
	return hub
}

// peer is a client in memory.
type peer struct {
	r *room
	*live.Session
	sink *sink
	seen int
}

// enter opens a session and takes the welcome.
func (r *room) enter(h live.Hello) *peer {
	r.Helper()
	c := &sink{room: 1 << 20}
	p := &peer{r, r.hub.Attach(r.transport, c, false), c, 0}
	if err := p.Hello(h); err != nil {
		r.Fatal(err)
	}
	synctest.Wait()
	if got := p.next(); len(got) == 0 || !strings.HasPrefix(got[0], `{"type":"welcome"`) {
		r.Fatalf("got %q", got)
	} else {
		p.seen -= len(got) - 1
	}
	return p
}

// member opens a session of a new device.
func (r *room) member(topics ...herald.Topic) *peer {
	r.Helper()
	p := r.enter(live.Hello{Token: r.Join(herald.PlatformWeb).Token, Topics: topics})
	p.next()
	return p
}

// next gives the frames that came since the last call.
func (p *peer) next() []string {
	synctest.Wait()
	frames, _ := p.sink.got()
	out := frames[p.seen:]
	p.seen = len(frames)
	for i := range out {
		out[i] = strings.TrimSuffix(out[i], "\n")
	}
	return out
}

// expect takes what came since, which must be exactly this. A frame "..." may
// be any; one that ends so may go on.
func (p *peer) expect(want ...string) {
	p.r.Helper()
	got := p.next()
	if !slices.EqualFunc(got, want, matches) {
		p.r.Fatalf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func (p *peer) say(format string, args ...any) {
	p.Receive([]byte(fmt.Sprintf(format, args...)))
	synctest.Wait()
}

func (p *peer) device() live.Device {
	d, _ := p.Device()
	return d
}

// publish publishes as an app server does.
func (r *room) publish(key herald.AppKey, topic herald.Topic, data string) int {
	return r.hub.Publish(key, live.Publication{Topic: topic, Data: json.RawMessage(data)})
}

func topicOf(topic, data string) string {
	return fmt.Sprintf(`{"type":"topic","topic":%q,"time":"2000-01-01T00:00:00.000Z","data":%s}`, topic, data)
}

func matches(got, want string) bool {
	begin, open := strings.CutSuffix(want, "...")
	return got == want || open && strings.HasPrefix(got, begin)
}
