package faults_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// What these tests know of the bytes of MQTT, apart from the server's own code,
// so that a mistake there is not made twice: 3.1.1 (version 4) and 5.0.

const (
	mqttConnect    = 1
	mqttConnack    = 2
	mqttPublish    = 3
	mqttPuback     = 4
	mqttPubrec     = 5
	mqttPubrel     = 6
	mqttPubcomp    = 7
	mqttSubscribe  = 8
	mqttSuback     = 9
	mqttDisconnect = 14
)

// packet is a control packet, as far as these tests look.
type packet struct {
	kind    byte
	dup     bool
	qos     byte
	id      uint16
	topic   string
	payload []byte
	present bool // of CONNACK
	code    byte
}

func mqttString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// mqttFrame puts the fixed header before a body.
func mqttFrame(first byte, body []byte) []byte {
	b := binary.AppendUvarint([]byte{first}, uint64(len(body))) // the same as the length of MQTT 5.0 section 1.5.5
	return append(b, body...)
}

// mqttHello is CONNECT of a session that is kept.
func mqttHello(version byte, id, user, password string, keep bool) []byte {
	b := mqttString(nil, "MQTT")
	flags := byte(0xc0)
	if !keep {
		flags |= 2
	}
	b = append(b, version, flags, 0, 60)
	if version == 5 {
		var props []byte
		if keep {
			props = binary.BigEndian.AppendUint32(append(props, 0x11), 3600) // session expiry
		}
		props = binary.BigEndian.AppendUint16(append(props, 0x21), 16) // receive maximum
		b = append(append(b, byte(len(props))), props...)
	}
	for _, s := range []string{id, user, password} {
		b = mqttString(b, s)
	}
	return mqttFrame(mqttConnect<<4, b)
}

func mqttPost(version byte, dup bool, qos byte, id uint16, topic string, payload []byte) []byte {
	first := byte(mqttPublish<<4) | qos<<1
	if dup {
		first |= 8
	}
	b := mqttString(nil, topic)
	if qos > 0 {
		b = binary.BigEndian.AppendUint16(b, id)
	}
	if version == 5 {
		b = append(b, 0)
	}
	return mqttFrame(first, append(b, payload...))
}

// mqttAnswer is PUBACK, PUBREC, PUBREL or PUBCOMP.
func mqttAnswer(kind byte, id uint16) []byte {
	first := kind << 4
	if kind == mqttPubrel {
		first |= 2
	}
	return mqttFrame(first, binary.BigEndian.AppendUint16(nil, id))
}

func mqttAsk(version byte, id uint16, filter string, qos byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, id)
	if version == 5 {
		b = append(b, 0)
	}
	return mqttFrame(mqttSubscribe<<4|2, append(mqttString(b, filter), qos))
}

var errMQTT = errors.New("a packet is malformed")

// readPacket reads one.
func readPacket(r *bufio.Reader, version byte) (p packet, err error) {
	first, err := r.ReadByte()
	if err != nil {
		return p, err
	}
	size, err := binary.ReadUvarint(r)
	if err != nil {
		return p, err
	}
	if size > 1<<20 {
		return p, fmt.Errorf("%w: %d bytes", errMQTT, size)
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(r, b); err != nil {
		return p, err
	}
	p.kind, p.dup, p.qos = first>>4, first&8 != 0, first>>1&3
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("%w: %x", errMQTT, b)
		}
	}()
	switch p.kind {
	case mqttConnack:
		p.present, p.code = b[0]&1 != 0, b[1]
	case mqttPublish:
		n := int(binary.BigEndian.Uint16(b))
		p.topic, b = string(b[2:2+n]), b[2+n:]
		if p.qos > 0 {
			p.id, b = binary.BigEndian.Uint16(b), b[2:]
		}
		if version == 5 {
			props, k := binary.Uvarint(b)
			b = b[k+int(props):]
		}
		p.payload = b
	case mqttPuback, mqttPubrec, mqttPubrel, mqttPubcomp:
		if p.id = binary.BigEndian.Uint16(b); len(b) > 2 {
			p.code = b[2]
		}
	case mqttSuback:
		p.id, p.code = binary.BigEndian.Uint16(b), b[len(b)-1]
	case mqttDisconnect:
		if len(b) > 0 {
			p.code = b[0]
		}
	}
	return p, nil
}
