package mqtt

import (
	"encoding/binary"
	"sync"

	"github.com/herald-push/herald/internal/wire/packet"
)

// publishes holds room for a PUBLISH that is read. With the name of the topic that
// was there before: most clients publish to the same one again and again.
var publishes = sync.Pool{New: func() any { return new(packet.Publish) }}

// published acts on a PUBLISH of the client.
func (c *conn) published(raw packet.Raw) error {
	p := publishes.Get().(*packet.Publish)
	err := packet.ParsePublish(c.version, raw, p)
	if err == nil {
		err = c.exchange().publish(p)
	}
	p.Payload, p.Props = nil, packet.Properties{}
	publishes.Put(p)
	return err
}

// shortAck reads an acknowledgement that has no more than an identifier, which is
// most of what a client sends that is sent much.
func shortAck(r packet.Raw) (id uint16, ok bool) {
	flags := byte(0)
	if r.Type == packet.PUBREL {
		flags = 0x02
	}
	if r.Type < packet.PUBACK || r.Type > packet.PUBCOMP || r.Flags != flags || r.Long || len(r.Body) != 2 {
		return 0, false
	}
	id = binary.BigEndian.Uint16(r.Body)
	return id, id != 0
}
