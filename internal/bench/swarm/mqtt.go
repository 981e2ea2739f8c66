package swarm

import (
	"encoding/binary"
	"fmt"
)

// mqttTopic is the topic that clients subscribe to.
const mqttTopic = "bench"

// mqttConnect writes CONNECT of MQTT 3.1.1 with a clean session and without keep-alive
// (section 3.1), and SUBSCRIBE with QoS 1 (section 3.8).
func mqttConnect(b []byte, id string) []byte {
	b = append(b, 0x10, byte(12+len(id)), 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, byte(len(id)))
	b = append(b, id...)
	b = append(b, 0x82, byte(5+len(mqttTopic)), 0, 1, 0, byte(len(mqttTopic)))
	b = append(b, mqttTopic...)
	return append(b, 1)
}

// MQTTConnect writes the CONNECT of who only publishes.
func MQTTConnect(id string) []byte {
	b := []byte{0x10, byte(12 + len(id)), 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, byte(len(id))}
	return append(b, id...)
}

// MQTTPublish writes PUBLISH to the topic of the clients, with QoS 0, or with
// QoS 1 if id is not 0.
func MQTTPublish(b []byte, id uint16, payload []byte) []byte {
	first, size := byte(0x30), 2+len(mqttTopic)+len(payload)
	if id != 0 {
		first, size = 0x32, size+2
	}
	b = append(b, first)
	for v := size; ; {
		c := byte(v & 0x7f)
		if v >>= 7; v == 0 {
			b = append(b, c)
			break
		}
		b = append(b, c|0x80)
	}
	b = append(b, 0, byte(len(mqttTopic)))
	b = append(b, mqttTopic...)
	if id != 0 {
		b = binary.BigEndian.AppendUint16(b, id)
	}
	return append(b, payload...)
}

// mqtt takes a packet. A PUBLISH with QoS 1 is acknowledged.
func (c *client) mqtt(r *rules, t *tally, b []byte) (int, error) {
	first, body, n, err := mqttPacket(b)
	if err != nil || n == 0 {
		return 0, err
	}
	switch first >> 4 {
	case 2: // CONNACK
		if len(body) != 2 || body[1] != 0 {
			err = fmt.Errorf("the connection is refused: %x", body)
		}
	case 9: // SUBACK
		if len(body) != 3 || body[2] > 2 {
			return n, fmt.Errorf("the subscription is refused: %x", body)
		}
		c.arrived(t)
	case 3: // PUBLISH
		err = c.published(r, t, first, body)
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
	if first&6 != 0 {
		at += 2
	}
	if at > len(body) {
		return fmt.Errorf("a packet is cut: %x", body)
	}
	if first&6 != 0 {
		t.out = append(t.out, 0x40, 2, body[at-2], body[at-1])
		t.Acks++
	}
	return c.payload(r, t, body[at:])
}
