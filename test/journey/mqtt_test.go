package journey_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
)

// awaitPublish waits for a publication, from a place of the tape on.
func awaitPublish(t *testing.T, p *tape, from int, topic, payload string) publication {
	t.Helper()
	return p.await(t, topic+" "+payload, from, func(e event) bool {
		return e.Event == "publish" && e.Publish.Topic == topic && string(e.Publish.Payload) == payload
	}).Publish
}

// payloads lists what came on a topic, copies included.
func payloads(p *tape, topic string) (list []string) {
	all, _ := p.all()
	for _, e := range all {
		if e.Event == "publish" && e.Publish.Topic == topic {
			list = append(list, string(e.Publish.Payload))
		}
	}
	return list
}

func text(topic, payload string, qos byte) publication {
	return publication{Topic: topic, Payload: []byte(payload), QoS: qos}
}

// mqttCase is told to each make of client on each broker. Its topics are its
// own.
type mqttCase struct {
	name string
	five bool // MQTT 5.0 only
	tell func(t *testing.T, b *broker, topic string, make func(*testing.T) mqttClient)
}

var mqttCases = []mqttCase{
	{"every QoS", false, everyQoS},
	{"wildcards", false, wildcards},
	{"bytes as they are", false, bytesAsTheyAre},
	{"retained", false, retained},
	{"will", false, will},
	{"shared", true, shared},
	{"properties", true, propertiesIntact},
	{"subscription options", true, subscriptionOptions},
	{"request and response", true, requestResponse},
}

// brokers are those that the cases are told to.
var brokers = []struct {
	name  string
	start func(*testing.T) *broker
}{{"mosquitto", mosquittoBroker}, {"herald", heraldBroker}}

// TestMQTT tells every case to every make of client, on Herald and on
// Mosquitto.
func TestMQTT(t *testing.T) {
	for _, kind := range brokers {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			b := kind.start(t)
			for _, m := range mqttMakes {
				t.Run(m.name, func(t *testing.T) {
					five := m.make(t).five()
					for i, c := range mqttCases {
						if c.five && !five {
							continue
						}
						t.Run(c.name, func(t *testing.T) { c.tell(t, b, fmt.Sprintf("demo/%s/%d", m.name, i), m.make) })
					}
				})
			}
			t.Run("away and back", func(t *testing.T) { awayAndBack(t, b) })
		})
	}
}

// everyQoS: what is subscribed to with each QoS and published with each comes
// with the lesser of the two, once and in order.
func everyQoS(t *testing.T, b *broker, topic string, make func(*testing.T) mqttClient) {
	hears, says := b.client(t, make(t)), b.client(t, make(t))
	for sub := range byte(3) {
		at := fmt.Sprintf("%s/%d", topic, sub)
		if granted := hears.subscribe(t, at, sub); granted != sub {
			t.Errorf("granted QoS %d, want %d", granted, sub)
		}
		var want []string
		for qos := range byte(3) {
			payload := fmt.Sprintf("with QoS %d", qos)
			want = append(want, payload)
			says.publish(t, text(at, payload, qos))
			if p := awaitPublish(t, hears.tape(), 0, at, payload); p.QoS != min(sub, qos) || p.Retain || p.Dup {
				t.Errorf("subscribed with QoS %d: %+v", sub, p)
			}
		}
		if got := payloads(hears.tape(), at); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func wildcards(t *testing.T, b *broker, topic string, make func(*testing.T) mqttClient) {
	one, many, says := b.client(t, make(t)), b.client(t, make(t)), b.client(t, make(t))
	one.subscribe(t, topic+"/+/red", 1)
	many.subscribe(t, topic+"/#", 1)
	says.publish(t, text(topic+"/1/red", "a", 1))
	says.publish(t, text(topic+"/1/blue", "b", 1))
	says.publish(t, text(topic+"/1/2/red", "c", 1))
	says.publish(t, text(topic, "d", 1)) // "#" is also the level above
	says.publish(t, text(topic+"/2/red", "e", 1))
	awaitPublish(t, one.tape(), 0, topic+"/2/red", "e")
	for _, at := range []string{"/1/red a", "/1/blue b", "/1/2/red c", " d", "/2/red e"} {
		name, payload, _ := bytes.Cut([]byte(at), []byte(" "))
		awaitPublish(t, many.tape(), 0, topic+string(name), string(payload))
	}
	if list, _ := one.tape().all(); len(published(list)) != 2 {
		t.Errorf("one level got %v", list)
	}
	if list, _ := many.tape().all(); len(published(list)) != 5 {
		t.Errorf("all levels got %v", list)
	}
	one.unsubscribe(t, topic+"/+/red")
	one.subscribe(t, topic+"/end", 1)
	says.publish(t, text(topic+"/3/red", "f", 1))
	says.publish(t, text(topic+"/end", "g", 1))
	awaitPublish(t, one.tape(), 0, topic+"/end", "g")
	if list, _ := one.tape().all(); len(published(list)) != 3 {
		t.Errorf("after it unsubscribed it got %v", list)
	}
}

func published(list []event) []event {
	return slices.DeleteFunc(slices.Clone(list), func(e event) bool { return e.Event != "publish" })
}

// bytesAsTheyAre: a payload need not be text, and may be large or empty.
func bytesAsTheyAre(t *testing.T, b *broker, topic string, make func(*testing.T) mqttClient) {
	hears, says := b.client(t, make(t)), b.client(t, make(t))
	hears.subscribe(t, topic, 2)
	large := bytes.Repeat([]byte{0, 0xff, '\n', 0x80}, 8000)
	for _, payload := range [][]byte{large, {}, []byte(`{"a":1}`), {0}} {
		says.publish(t, publication{Topic: topic, Payload: payload, QoS: 2})
		awaitPublish(t, hears.tape(), 0, topic, string(payload))
	}
}

// retained: who comes later gets it, marked; an empty payload takes it away.
func retained(t *testing.T, b *broker, topic string, make func(*testing.T) mqttClient) {
	early, says := b.client(t, make(t)), b.client(t, make(t))
	early.subscribe(t, topic+"/#", 1)
	says.publish(t, publication{Topic: topic + "/a", Payload: []byte("old"), QoS: 1, Retain: true})
	says.publish(t, publication{Topic: topic + "/a", Payload: []byte("kept"), QoS: 1, Retain: true})
	if p := awaitPublish(t, early.tape(), 0, topic+"/a", "kept"); p.Retain {
		t.Error("who was there is told that it was retained")
	}
	late := b.client(t, make(t))
	late.subscribe(t, topic+"/+", 1)
	if p := awaitPublish(t, late.tape(), 0, topic+"/a", "kept"); !p.Retain || p.QoS != 1 {
		t.Errorf("who comes later gets %+v", p)
	}
	says.publish(t, publication{Topic: topic + "/a", QoS: 1, Retain: true})
	awaitPublish(t, early.tape(), 0, topic+"/a", "")
	last := b.client(t, make(t))
	last.subscribe(t, topic+"/#", 1)
	says.publish(t, text(topic+"/b", "end", 1))
	awaitPublish(t, last.tape(), 0, topic+"/b", "end")
	if got := payloads(last.tape(), topic+"/a"); len(got) != 0 {
		t.Errorf("it was taken away, and comes: %q", got)
	}
}

// will: a connection that is lost speaks; one that says DISCONNECT does not.
func will(t *testing.T, b *broker, topic string, make func(*testing.T) mqttClient) {
	hears := b.client(t, make(t))
	hears.subscribe(t, topic+"/#", 1)
	for _, lost := range []bool{false, true} {
		c, o := make(t), b.member(t)
		o.will = &publication{Topic: fmt.Sprintf("%s/%t", topic, lost), Payload: []byte("gone"), QoS: 1}
		c.open(t, b, o)
		if lost {
			c.cut(t)
		} else {
			c.away(t)
		}
	}
	awaitPublish(t, hears.tape(), 0, topic+"/true", "gone")
	if got := payloads(hears.tape(), topic+"/false"); len(got) > 0 {
		t.Errorf("a client that said goodbye has its will published: %q", got)
	}
}

// shared: each publication goes to one of a group, and to all who are in none.
func shared(t *testing.T, b *broker, topic string, make func(*testing.T) mqttClient) {
	one, two, alone, says := b.client(t, make(t)), b.client(t, make(t)), b.client(t, make(t)), b.client(t, make(t))
	one.subscribe(t, "$share/g/"+topic, 1)
	two.subscribe(t, "$share/g/"+topic, 1)
	alone.subscribe(t, topic, 1)
	var want []string
	for i := range 10 {
		want = append(want, fmt.Sprint(i))
		says.publish(t, text(topic, fmt.Sprint(i), 1))
	}
	awaitPublish(t, alone.tape(), 0, topic, "9")
	poll(t, "complete", func() (bool, string) {
		a, b := payloads(one.tape(), topic), payloads(two.tape(), topic)
		all := slices.Sorted(slices.Values(slices.Concat(a, b)))
		return slices.Equal(all, want) && len(a) > 0 && len(b) > 0, fmt.Sprintf("%q and %q", a, b)
	})
}

// propertiesIntact: what the publisher says of its message reaches who is subscribed.
func propertiesIntact(t *testing.T, b *broker, topic string, make func(*testing.T) mqttClient) {
	hears, says := b.client(t, make(t)), b.client(t, make(t))
	hears.subscribe(t, topic, 1)
	says.publish(t, publication{Topic: topic, Payload: []byte("{}"), QoS: 1, Properties: &mqttMore{
		Expiry: new(uint32(600)), ContentType: "application/json", ResponseTo: topic + "/answers", Correlation: []byte{0, 1, 0xff}, User: []string{"a=1", "b=2"},
	}})
	p := awaitPublish(t, hears.tape(), 0, topic, "{}").Properties
	if p == nil || p.ContentType != "application/json" || p.ResponseTo != topic+"/answers" || !bytes.Equal(p.Correlation, []byte{0, 1, 0xff}) ||
		!slices.Equal(p.User, []string{"a=1", "b=2"}) || p.Expiry == nil || *p.Expiry > 600 || *p.Expiry < 500 {
		t.Errorf("got %+v", p)
	}
}

// subscriptionOptions: no local, retain as published, retain handling and the
// subscription identifier.
func subscriptionOptions(t *testing.T, b *broker, topic string, make func(*testing.T) mqttClient) {
	c, other := b.client(t, make(t)), b.client(t, make(t))
	other.publish(t, publication{Topic: topic + "/x", Payload: []byte("kept"), QoS: 1, Retain: true})
	c.subscribe(t, topic+"/+", 1, mqttOptions{noLocal: true, asPublished: true, handling: 2, number: 7})
	c.publish(t, text(topic+"/x", "mine", 1))
	other.publish(t, publication{Topic: topic + "/x", Payload: []byte("its"), QoS: 1, Retain: true})
	if p := awaitPublish(t, c.tape(), 0, topic+"/x", "its"); !p.Retain || p.Properties == nil || !numbered(p.Properties.Filter, 7) {
		t.Errorf("got %+v, %+v", p, p.Properties)
	}
	if got := payloads(c.tape(), topic+"/x"); len(got) != 1 {
		t.Errorf("got %q", got)
	}
}

// numbered: one identifier, which a client may show as a list.
func numbered(v any, n float64) bool {
	if list, ok := v.([]any); ok && len(list) == 1 {
		v = list[0]
	}
	return v == n
}

func requestResponse(t *testing.T, b *broker, topic string, make func(*testing.T) mqttClient) {
	asks, answers := b.client(t, make(t)), b.client(t, make(t))
	answers.subscribe(t, topic+"/ask", 1)
	asks.subscribe(t, topic+"/answer", 1)
	asks.publish(t, publication{Topic: topic + "/ask", Payload: []byte("how are you"), QoS: 1, Properties: &mqttMore{ResponseTo: topic + "/answer", Correlation: []byte("k1")}})
	q := awaitPublish(t, answers.tape(), 0, topic+"/ask", "how are you")
	answers.publish(t, publication{Topic: q.Properties.ResponseTo, Payload: []byte("well"), QoS: 1, Properties: &mqttMore{ResponseTo: "demo/none", Correlation: q.Properties.Correlation}})
	if p := awaitPublish(t, asks.tape(), 0, topic+"/answer", "well"); string(p.Properties.Correlation) != "k1" {
		t.Errorf("got %+v", p.Properties)
	}
}

// awayAndBack: a session that is kept gets what was published while its client
// was away, in order and once, also over a restart.
func awayAndBack(t *testing.T, b *broker) {
	type guest struct {
		name   string
		topic  string
		as     mqttOpen
		client mqttClient
	}
	var guests []*guest
	for _, m := range mqttMakes {
		g := &guest{m.name, "demo/kept/" + m.name, b.member(t), m.make(t)}
		g.as.keep = true
		if g.client.open(t, b, g.as) {
			t.Errorf("%s: a new session is said to be there", g.name)
		}
		g.client.subscribe(t, g.topic+"/#", 2)
		g.client.away(t)
		guests = append(guests, g)
	}
	says := b.client(t, newPaho(t))
	say := func(when string) {
		for _, g := range guests {
			for qos := range byte(3) {
				says.publish(t, text(fmt.Sprint(g.topic, "/", qos), when, qos))
			}
		}
	}
	say("before")
	b.restart(t)
	says = b.client(t, newPaho(t))
	say("after")
	for _, g := range guests {
		t.Run(g.name, func(t *testing.T) {
			from := g.client.tape().length()
			if !g.client.open(t, b, g.as) {
				t.Error("the session is gone")
			}
			// Between one QoS and another there is no order: some hand on what
			// has QoS 2 when the exchange is complete.
			for qos := byte(1); qos <= 2; qos++ {
				at := fmt.Sprint(g.topic, "/", qos)
				awaitPublish(t, g.client.tape(), from, at, "after")
				says.publish(t, text(at, "live", qos))
				if p := awaitPublish(t, g.client.tape(), from, at, "live"); p.QoS != qos {
					t.Errorf("then %+v", p)
				}
				if got, want := payloads(g.client.tape(), at), []string{"before", "after", "live"}; !slices.Equal(got, want) {
					t.Errorf("got %q, want %q", got, want)
				}
			}
		})
	}
}
