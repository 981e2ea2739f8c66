package swarm

import (
	"encoding/binary"
	"fmt"
	"strconv"
)

// Kinds of control packets (MQTT 3.1.1 section 2.2.1).
const (
	mqttCONNACK = 2
	mqttPUBLISH = 3
	mqttPUBACK  = 4
	mqttPUBREC  = 5
	mqttPUBREL  = 6
	mqttPUBCOMP = 7
	mqttSUBACK  = 9
)

// MQTTConnect writes CONNECT of MQTT 3.1.1 without keep-alive (section 3.1). A
// session that is kept is not clean. Without a user there is no password.
func MQTTConnect(b []byte, id, user, password string, kept bool) []byte {
	flags, size := byte(2), 12+len(id)
	if kept {
		flags = 0
	}
	if user != "" {
		flags, size = flags|0xc0, size+4+len(user)+len(password)
	}
	b = mqttHead(b, 0x10, size)
	b = append(b, 0, 4, 'M', 'Q', 'T', 'T', 4, flags, 0, 0)
	b = mqttString(b, id)
	if user != "" {
		b = mqttString(mqttString(b, user), password)
	}
	return b
}

func mqttHead(b []byte, first byte, size int) []byte {
	return binary.AppendUvarint(append(b, first), uint64(size)) // as section 2.2.3 has it
}

func mqttString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// hello writes what a client of MQTT sends first: CONNECT, and SUBSCRIBE
// (section 3.8) if it wants a topic.
func (r *rules) hello(b []byte, index int, token string) []byte {
	id := "bench-" + strconv.Itoa(index)
	if index < len(r.ids) {
		id = r.ids[index]
	}
	b = MQTTConnect(b, id, r.User, token, r.Kept)
	if topic := r.topic(index); topic != "" {
		b = mqttHead(b, 0x82, 5+len(topic))
		b = append(mqttString(append(b, 0, 1), topic), r.QoS)
	}
	return b
}

// topic is what a client subscribes to.
func (r *rules) topic(index int) string {
	if r.Topic != "" && r.Numbered {
		return r.Topic + strconv.Itoa(index)
	}
	return r.Topic
}

// MQTTPublish writes PUBLISH, with a QoS above 0 if id is not 0.
func MQTTPublish(b []byte, topic string, qos byte, id uint16, payload []byte) []byte {
	size := 2 + len(topic) + len(payload)
	if qos > 0 {
		size += 2
	}
	b = mqttString(mqttHead(b, 0x30|qos<<1, size), topic)
	if qos > 0 {
		b = binary.BigEndian.AppendUint16(b, id)
	}
	return append(b, payload...)
}

// MQTTAnswer reads what answers a PUBLISH, from the beginning of b: n is 0 while
// it is not all there. What has to be sent because of it is appended to out;
// done says that a publication is with the server. CONNACK is read as well.
func MQTTAnswer(b, out []byte) (rest []byte, n int, done bool, err error) {
	first, body, n, err := mqttPacket(b)
	if err != nil || n == 0 {
		return out, 0, false, err
	}
	switch kind := first >> 4; {
	case kind == mqttCONNACK && len(body) == 2 && body[1] == 0:
	case kind == mqttPUBREC && len(body) == 2:
		out = append(out, mqttPUBREL<<4|2, 2, body[0], body[1])
	case (kind == mqttPUBACK || kind == mqttPUBCOMP) && len(body) == 2:
		done = true
	default:
		err = fmt.Errorf("an unexpected packet %x, %x", first, body)
	}
	return out, n, done, err
}

// mqtt takes a packet. A PUBLISH is acknowledged, but for a push, which is if
// the clients of the swarm acknowledge.
func (c *client) mqtt(r *rules, t *tally, b []byte) (int, error) {
	first, body, n, err := mqttPacket(b)
	if err != nil || n == 0 {
		return 0, err
	}
	switch first >> 4 {
	case mqttCONNACK:
		if len(body) != 2 || body[1] != 0 {
			return n, fmt.Errorf("the connection is refused: %x", body)
		}
		if r.Topic == "" {
			c.arrived(t)
		}
	case mqttSUBACK:
		if len(body) != 3 || body[2] > 2 {
			return n, fmt.Errorf("the subscription is refused: %x", body)
		}
		c.arrived(t)
	case mqttPUBLISH:
		err = c.published(r, t, first, body)
	case mqttPUBREL:
		if len(body) < 2 {
			return n, fmt.Errorf("a packet is cut: %x", body)
		}
		t.out = append(t.out, mqttPUBCOMP<<4, 2, body[0], body[1])
	default:
		err = fmt.Errorf("an unexpected packet %x", first)
	}
	return n, err
}

func (c *client) published(r *rules, t *tally, first byte, body []byte) error {
	at := 2
	if len(body) >= 2 {
		at += int(binary.BigEndian.Uint16(body))
	}
	qos := first >> 1 & 3
	if qos > 0 {
		at += 2
	}
	if at > len(body) {
		return fmt.Errorf("a packet is cut: %x", body)
	}
	if qos > 0 && (r.ack || r.Topic != "") {
		kind := byte(mqttPUBACK)
		if qos == 2 {
			kind = mqttPUBREC
		}
		t.out = append(t.out, kind<<4, 2, body[at-2], body[at-1])
		t.Acks++
	}
	return c.payload(r, t, body[at:])
}
