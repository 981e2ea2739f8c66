package journey_test

import (
	"context"
	"encoding/json"
	"net"
	"strings"
	"testing"

	"github.com/eclipse/paho.golang/paho"

	"github.com/herald-push/herald"
)

// publication is an application message, as MQTT clients send and see it.
type publication struct {
	Topic      string    `json:"topic"`
	Payload    []byte    `json:"payload"`
	QoS        byte      `json:"qos"`
	Retain     bool      `json:"retain"`
	Dup        bool      `json:"dup"`
	Properties *mqttMore `json:"properties"`
}

// mqttMore is the properties of a PUBLISH of MQTT 5.0.
type mqttMore struct {
	Expiry      *uint32  `json:"messageExpiryInterval,omitempty"`
	ContentType string   `json:"contentType,omitempty"`
	ResponseTo  string   `json:"responseTopic,omitempty"`
	Correlation []byte   `json:"correlationData,omitempty"`
	User        []string `json:"user,omitempty"` // name=value, in order
	Filter      any      `json:"subscriptionIdentifier,omitempty"`
}

// mqttOpen is how a client connects.
type mqttOpen struct {
	id, user, password string
	keep               bool // the session, for the time that it is away
	will               *publication
	again              bool // it comes back by itself after a loss
}

// mqttOptions are those of a subscription in MQTT 5.0.
type mqttOptions struct {
	noLocal, asPublished bool
	handling             byte
	number               int // subscription identifier
}

// mqttClient is a client of some make. What it gets is on its tape.
type mqttClient interface {
	mqttVisitor
	// open connects, and reports whether the server had a session.
	open(t *testing.T, b *broker, o mqttOpen) (present bool)
	subscribe(t *testing.T, filter string, qos byte, o ...mqttOptions) (granted byte)
	unsubscribe(t *testing.T, filter string)
	// publish waits until the server has said that it has it, with a QoS above 0.
	publish(t *testing.T, p publication)
}

// mqttVisitor is how such a client goes, and what it saw.
type mqttVisitor interface {
	away(t *testing.T) // with DISCONNECT
	cut(t *testing.T)  // without
	leave()
	tape() *tape
	five() bool // it speaks 5.0
}

// mqttMakes are the clients that every case is told to.
var mqttMakes = []struct {
	name string
	make func(t *testing.T) mqttClient
}{
	{"npm-3.1.1", func(t *testing.T) mqttClient { return newNpm(t, 4, "tcp") }},
	{"npm-5", func(t *testing.T) mqttClient { return newNpm(t, 5, "tcp") }},
	{"npm-3.1.1-websocket", func(t *testing.T) mqttClient { return newNpm(t, 4, "ws") }},
	{"npm-5-tls", func(t *testing.T) mqttClient { return newNpm(t, 5, "tls") }},
	{"npm-5-websocket", func(t *testing.T) mqttClient { return newNpm(t, 5, "ws") }},
	{"paho-5", func(t *testing.T) mqttClient { return newPaho(t) }},
}

// npm is npm mqtt.
type npm struct {
	helper  *helper
	name    string
	version int
	over    string
}

func newNpm(t *testing.T, version int, over string) *npm {
	t.Helper()
	c := &npm{helper: useHelper(t, "mqtt.mjs"), name: herald.NewSecret(12), version: version, over: over}
	t.Cleanup(c.leave)
	return c
}

func (c *npm) ask(t *testing.T, m object) json.RawMessage {
	t.Helper()
	m["client"] = c.name
	return c.helper.ask(t, m)
}

func (c *npm) open(t *testing.T, b *broker, o mqttOpen) bool {
	t.Helper()
	m := object{"cmd": "connect", "version": c.version, "id": o.id, "user": o.user, "password": o.password, "clean": !o.keep, "again": o.again}
	m["url"] = map[string]string{"tcp": "mqtt://" + b.tcp, "tls": "mqtts://" + b.tls, "ws": b.ws}[c.over]
	if c.over == "tls" {
		m["ca"] = b.ca
	}
	if o.keep {
		m["properties"] = object{"sessionExpiryInterval": 3600}
	}
	if o.will != nil {
		m["will"] = o.will
	}
	var answer struct{ Present bool }
	if err := json.Unmarshal(c.ask(t, m), &answer); err != nil {
		t.Fatal(err)
	}
	return answer.Present
}

func (c *npm) subscribe(t *testing.T, filter string, qos byte, o ...mqttOptions) byte {
	t.Helper()
	m := object{"cmd": "subscribe", "filter": filter, "qos": qos}
	if len(o) > 0 {
		m["nl"], m["rap"], m["rh"] = o[0].noLocal, o[0].asPublished, o[0].handling
		if o[0].number > 0 {
			m["properties"] = object{"subscriptionIdentifier": o[0].number}
		}
	}
	var granted []int
	if err := json.Unmarshal(c.ask(t, m), &granted); err != nil || len(granted) != 1 {
		t.Fatalf("granted %v, %v", granted, err)
	}
	return byte(granted[0])
}

func (c *npm) unsubscribe(t *testing.T, filter string) {
	t.Helper()
	c.ask(t, object{"cmd": "unsubscribe", "filter": filter})
}

func (c *npm) publish(t *testing.T, p publication) {
	t.Helper()
	m := object{"cmd": "publish", "topic": p.Topic, "payload": p.Payload, "qos": p.QoS, "retain": p.Retain}
	if p.Payload == nil {
		m["payload"] = ""
	}
	if v := p.Properties; v != nil {
		user := object{}
		for _, pair := range v.User {
			name, value, _ := strings.Cut(pair, "=")
			user[name] = value
		}
		more := object{}
		if len(user) > 0 {
			more["userProperties"] = user
		}
		if v.Expiry != nil {
			more["messageExpiryInterval"] = *v.Expiry
		}
		if v.ContentType != "" {
			more["contentType"] = v.ContentType
		}
		if v.ResponseTo != "" {
			more["responseTopic"], more["correlationData"] = v.ResponseTo, v.Correlation
		}
		m["properties"] = more
	}
	c.ask(t, m)
}

func (c *npm) away(t *testing.T) {
	t.Helper()
	c.ask(t, object{"cmd": "away"})
}

func (c *npm) cut(t *testing.T) {
	t.Helper()
	c.ask(t, object{"cmd": "cut"})
}

func (c *npm) leave() {
	line, _ := json.Marshal(object{"cmd": "forget", "client": c.name})
	c.helper.mu.Lock()
	defer c.helper.mu.Unlock()
	_, _ = c.helper.stdin.Write(append(line, '\n')) // the script may have ended
}

func (c *npm) tape() *tape { return c.helper.tape(c.name) }
func (c *npm) five() bool  { return c.version == 5 }

// pahoClient is paho.golang, one connection after the other.
type pahoClient struct {
	events *tape
	conn   net.Conn
	client *paho.Client
}

func newPaho(t *testing.T) *pahoClient {
	t.Helper()
	c := &pahoClient{events: newTape()}
	t.Cleanup(c.leave)
	return c
}

func (c *pahoClient) open(t *testing.T, b *broker, o mqttOpen) bool {
	t.Helper()
	c.leave()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", b.tcp)
	if err != nil {
		t.Fatal(err)
	}
	c.conn = conn
	c.client = paho.NewClient(paho.ClientConfig{
		Conn: conn, PacketTimeout: patience,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(r paho.PublishReceived) (bool, error) {
			c.events.add(event{Event: "publish", Publish: fromPaho(r.Packet)})
			return true, nil
		}},
		OnServerDisconnect: func(d *paho.Disconnect) {
			c.events.add(event{Event: "goodbye", Code: int(d.ReasonCode)})
			c.events.add(event{Event: "closed"})
		},
		OnClientError: func(error) { c.events.add(event{Event: "closed"}) },
	})
	m := &paho.Connect{ClientID: o.id, CleanStart: !o.keep, KeepAlive: 60, Properties: &paho.ConnectProperties{RequestProblemInfo: true}}
	if o.user != "" {
		m.Username, m.UsernameFlag, m.Password, m.PasswordFlag = o.user, true, []byte(o.password), true
	}
	if o.keep {
		m.Properties.SessionExpiryInterval = new(uint32(3600))
	}
	if o.will != nil {
		m.WillMessage = &paho.WillMessage{Topic: o.will.Topic, Payload: o.will.Payload, QoS: o.will.QoS, Retain: o.will.Retain}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ack, err := c.client.Connect(ctx, m)
	if err != nil {
		t.Fatal(err)
	}
	c.events.add(event{Event: "open"})
	return ack.SessionPresent
}

func fromPaho(p *paho.Publish) publication {
	v := publication{Topic: p.Topic, Payload: p.Payload, QoS: p.QoS, Retain: p.Retain, Dup: p.Duplicate(), Properties: &mqttMore{}}
	if q := p.Properties; q != nil {
		v.Properties = &mqttMore{Expiry: q.MessageExpiry, ContentType: q.ContentType, ResponseTo: q.ResponseTopic, Correlation: q.CorrelationData}
		for _, u := range q.User {
			v.Properties.User = append(v.Properties.User, u.Key+"="+u.Value)
		}
		if q.SubscriptionIdentifier != nil {
			v.Properties.Filter = float64(*q.SubscriptionIdentifier)
		}
	}
	return v
}

func (c *pahoClient) subscribe(t *testing.T, filter string, qos byte, o ...mqttOptions) byte {
	t.Helper()
	s := paho.SubscribeOptions{Topic: filter, QoS: qos}
	m := &paho.Subscribe{Properties: &paho.SubscribeProperties{}}
	if len(o) > 0 {
		s.NoLocal, s.RetainAsPublished, s.RetainHandling = o[0].noLocal, o[0].asPublished, o[0].handling
		if o[0].number > 0 {
			m.Properties.SubscriptionIdentifier = &o[0].number
		}
	}
	m.Subscriptions = []paho.SubscribeOptions{s}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	answer, err := c.client.Subscribe(ctx, m)
	if err != nil && answer == nil {
		t.Fatal(err)
	}
	return answer.Reasons[0]
}

func (c *pahoClient) unsubscribe(t *testing.T, filter string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := c.client.Unsubscribe(ctx, &paho.Unsubscribe{Topics: []string{filter}}); err != nil {
		t.Fatal(err)
	}
}

func (c *pahoClient) publish(t *testing.T, p publication) {
	t.Helper()
	m := &paho.Publish{Topic: p.Topic, Payload: p.Payload, QoS: p.QoS, Retain: p.Retain}
	if v := p.Properties; v != nil {
		m.Properties = &paho.PublishProperties{MessageExpiry: v.Expiry, ContentType: v.ContentType, ResponseTopic: v.ResponseTo, CorrelationData: v.Correlation}
		for _, pair := range v.User {
			name, value, _ := strings.Cut(pair, "=")
			m.Properties.User.Add(name, value)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := c.client.Publish(ctx, m); err != nil {
		t.Fatal(err)
	}
}

func (c *pahoClient) away(t *testing.T) {
	t.Helper()
	if err := c.client.Disconnect(&paho.Disconnect{}); err != nil {
		t.Error(err)
	}
	<-c.client.Done()
	c.client = nil
}

func (c *pahoClient) cut(t *testing.T) {
	t.Helper()
	c.leave()
}

func (c *pahoClient) leave() {
	if c.client == nil {
		return
	}
	_ = c.conn.Close() // it may be closed
	<-c.client.Done()
	c.client = nil
}

func (c *pahoClient) tape() *tape { return c.events }
func (c *pahoClient) five() bool  { return true }
