package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/bench/swarm"
)

// MQTTRun measures publications over MQTT: to all, to one, and to sessions that
// are kept.
type MQTTRun struct {
	*Load
	Clients    []int
	QoS        []int // of the publications to all, and of the subscriptions
	Broadcasts int   // in a round
	Messages   int   // to one client each, with QoS 1, in a round; 0: none
	Posters    int   // connections that send those
	Window     int   // of which each sends so many before the first is acknowledged
	Kept       bool  // also those to sessions that are kept
	WebSocket  bool  // also a message that is not kept, to all over WebSocket
	// Against is another product; with "mosquitto" it is measured with and
	// without persistence.
	Against string
}

// Check refuses what cannot be run.
func (r *MQTTRun) Check() error {
	err := errors.Join(r.check(), checkClients(r.Clients), checkPosts(max(r.Messages, 1), 0, r.Posters))
	switch {
	case err != nil:
		return err
	case r.Broadcasts < 1 || r.Messages < 0:
		return herald.Invalid("broadcasts", "Give at least 1 to all, and 0 or more to one.", "%d and %d messages", r.Broadcasts, r.Messages)
	case r.Window < 1 || r.Window > 100:
		return herald.Invalid("window", "Give 1 to 100.", "%d under way", r.Window)
	case slices.ContainsFunc(r.QoS, func(q int) bool { return q < 0 || q > 2 }):
		return herald.Invalid("qos", "Give some of 0, 1 and 2.", "%v", r.QoS)
	}
	if r.Against != "" && !slices.Contains([]string{"mosquitto", "mosquitto-persistent"}, r.Against) {
		return herald.Invalid("against", "Give mosquitto.", "%q does not speak MQTT", r.Against)
	}
	return checkRival(r.Against)
}

// MQTT measures.
func MQTT(ctx context.Context, r *MQTTRun) (*Report, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	report := newReport("mqtt", map[string]any{"payload": r.Payload, "broadcasts a round": r.Broadcasts, "messages a round": r.Messages,
		"connections that send": r.Posters, "window": r.Window, "nap": r.Nap, "rest": r.Rest})
	defer report.finish()
	for _, n := range r.Clients {
		if err := r.size(ctx, report, n); err != nil {
			return report, err
		}
	}
	return report, nil
}

// mqttTopic is what all subscribe to, or with their number, each.
const mqttTopic = "bench/"

// speaker is a broker with clients.
type speaker struct {
	*contest
	set   func(t swarm.Target) // what clients do when they connect again
	posts swarm.Post           // how messages to one are published
	speed []float64
}

// size measures with one number of clients.
func (r *MQTTRun) size(ctx context.Context, report *Report, n int) (err error) {
	var all []*speaker
	defer func() {
		for _, s := range all {
			err = errors.Join(err, s.leave())
		}
	}()
	add := func(s *speaker, err error) error {
		if err == nil {
			all = append(all, s)
		}
		return err
	}
	if err := add(r.herald(ctx, n)); err != nil {
		return err
	}
	if r.Against != "" {
		for _, name := range []string{"mosquitto", "mosquitto-persistent"} {
			if err := add(r.other(ctx, name, n)); err != nil {
				return err
			}
		}
	}
	for _, qos := range r.QoS {
		if err := r.toAll(ctx, report, all, n, byte(qos)); err != nil {
			return err
		}
	}
	if r.Messages == 0 {
		return nil
	}
	for _, kept := range []bool{false, true} {
		if kept && !r.Kept {
			continue
		}
		if err := r.toOne(ctx, report, all, n, kept); err != nil {
			return err
		}
	}
	return nil
}

// herald starts Herald.
func (r *MQTTRun) herald(ctx context.Context, n int) (*speaker, error) {
	p, err := startProduct(ctx, r.Load, swarm.MQTT, n, r.Posters+1)
	if err != nil {
		return nil, err
	}
	p.topic = swarm.Target{Topic: mqttTopic + "all"}
	err = p.publishable(ctx)
	if err == nil {
		err = p.speak(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	c, err := enter(ctx, r.Load, "herald", p, n, false)
	if err != nil {
		return nil, err
	}
	posts := swarm.Post{Address: p.server.mqtt, User: string(p.seeded.AppKey), IDs: p.ids() + ofMore, Tokens: p.tokens() + ofMore}
	return &speaker{contest: c, set: func(t swarm.Target) { p.topic = t }, posts: posts}, nil
}

// publishable lets devices publish.
func (p *product) publishable(ctx context.Context) error {
	_, err := p.call(ctx, http.MethodPatch, "/v1/app", "application/json", []byte(`{"topics":{"publish":["`+mqttTopic+`#"]}}`))
	return err
}

// speak connects the device that publishes to all: the last of those beside the
// clients.
func (p *product) speak(ctx context.Context) error {
	last := func(path string) (string, error) {
		b, err := os.ReadFile(path)
		list := strings.Fields(string(b))
		if err != nil || len(list) == 0 {
			return "", errors.Join(errors.New("bench: there is nobody who publishes"), err)
		}
		return list[len(list)-1], nil
	}
	id, err := last(p.ids() + ofMore)
	token, err2 := last(p.tokens() + ofMore)
	if err = errors.Join(err, err2); err != nil {
		return err
	}
	p.sender, err = newSender(ctx, p.server.mqtt, id, string(p.seeded.AppKey), token)
	return err
}

// other starts another broker.
func (r *MQTTRun) other(ctx context.Context, name string, n int) (*speaker, error) {
	started, err := startRival(ctx, r.Load, name, n)
	if err != nil {
		return nil, err
	}
	o, ok := started.(*other)
	if !ok {
		return nil, errors.Join(fmt.Errorf("bench: %s is no other product", name), started.Stop())
	}
	c, err := enter(ctx, r.Load, name, o, n, false)
	if err != nil {
		return nil, err
	}
	set := func(t swarm.Target) {
		t.Proto = swarm.MQTT
		o.target = t
	}
	return &speaker{contest: c, set: set, posts: swarm.Post{Address: o.address}}, nil
}

// again connects all clients in another way.
func (r *MQTTRun) again(ctx context.Context, all []*speaker, t swarm.Target) error {
	for _, s := range all {
		if err := s.gone(ctx); err != nil {
			return err
		}
		s.set(t)
		if _, err := s.connect(ctx, r.Load, false); err != nil {
			return err
		}
		s.speed = nil
	}
	rest(ctx, r.Rest)
	return ctx.Err()
}

// gone closes all clients. The device that publishes stays.
func (c *contest) gone(ctx context.Context) error {
	if _, err := c.crew.do(ctx, swarm.Command{Do: "close"}); err != nil {
		return err
	}
	if p, ok := c.rival.(*product); ok {
		return p.online(ctx, p.others())
	}
	return nil
}

// others are the devices that are connected beside the clients.
func (p *product) others() int {
	if p.sender != nil {
		return 1
	}
	return 0
}

// toAll measures a publication to all, and beside it a push over WebSocket that
// is not kept either.
func (r *MQTTRun) toAll(ctx context.Context, report *Report, all []*speaker, n int, qos byte) (err error) {
	if err := r.again(ctx, all, swarm.Target{Topic: mqttTopic + "all", QoS: qos, Publish: qos}); err != nil {
		return err
	}
	var turns []*turn
	if r.WebSocket {
		p, err := startProduct(ctx, r.Load, swarm.WebSocket, n, 0)
		if err != nil {
			return err
		}
		p.ttl = 0
		ws, err := enter(ctx, r.Load, "websocket", p, n, false)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, ws.leave()) }()
		turns = append(turns, &turn{round: func() (float64, error) { return ws.round(ctx, r.Load, r.Broadcasts, 1) }})
	}
	for _, s := range all {
		turns = append(turns, &turn{round: func() (float64, error) { return s.round(ctx, r.Load, r.Broadcasts, 1) }})
	}
	if err := alternate(ctx, r.Load, fmt.Sprintf("QoS %d to %d", qos, n), turns...); err != nil {
		return err
	}
	base, to := []float64(nil), ""
	if r.WebSocket {
		base, to = turns[0].took, "websocket"
		report.add(fmt.Sprintf("websocket, a message that is not kept, %d clients", n), "µs", base, "", nil)
		turns = turns[1:]
	}
	for i, s := range all {
		report.add(fmt.Sprintf("%s, QoS %d to %d clients", s.name, qos, n), "µs", turns[i].took, to, base)
	}
	return nil
}

// toOne measures publications with QoS 1 to a topic of one client each.
func (r *MQTTRun) toOne(ctx context.Context, report *Report, all []*speaker, n int, kept bool) error {
	if err := r.again(ctx, all, swarm.Target{Topic: mqttTopic, Numbered: true, QoS: 1, Kept: kept}); err != nil {
		return err
	}
	what := fmt.Sprintf("QoS 1 to one of %d clients", n)
	if kept {
		what += ", kept"
	}
	var turns []*turn
	for _, s := range all {
		s.posts.Topic, s.posts.Size, s.posts.Connections = mqttTopic, r.Payload, r.Posters
		s.posts.Messages, s.posts.Batch = r.Messages, r.Window
		turns = append(turns, &turn{round: func() (float64, error) {
			begun := time.Now()
			v, err := s.post(ctx, r.Load, s.posts)
			s.speed = append(s.speed, float64(r.Messages)/max(time.Since(begun)-r.Rest, 1).Seconds())
			return v, err
		}})
	}
	if err := alternate(ctx, r.Load, what, turns...); err != nil {
		return err
	}
	for i, s := range all {
		base, to := turns[len(turns)-1], all[len(all)-1]
		if i == len(turns)-1 {
			report.add(s.name+", "+what, "µs", turns[i].took, "", nil)
			report.add(s.name+", "+what+", speed", "/s", s.speed[1:], "", nil)
			continue
		}
		report.add(s.name+", "+what, "µs", turns[i].took, to.name, base.took)
		report.add(s.name+", "+what+", speed", "/s", s.speed[1:], to.name, to.speed[1:])
	}
	return nil
}
