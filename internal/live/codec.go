package live

import (
	"slices"

	"github.com/herald-push/herald"
)

// codec is a transport as its hub knows it: what all sessions over it share, so
// that a session holds one word for it. It never changes.
type codec struct {
	Transport
	hub  *Hub
	name string
	// The heartbeat, and the answer to that of a client, are the same for
	// everybody; nil for none.
	ping, pong Frame
}

// codec gives what the hub knows of a transport. There are few of them.
func (h *Hub) codec(t Transport) *codec {
	if list := h.codecs.Load(); list != nil {
		for _, c := range *list {
			if c.Transport == t {
				return c
			}
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []*codec
	if known := h.codecs.Load(); known != nil {
		list = *known
	}
	for _, c := range list {
		if c.Transport == t {
			return c // somebody was quicker
		}
	}
	c := &codec{Transport: t, hub: h, name: t.Name(), ping: t.Control(Control{Kind: Ping}), pong: t.Control(Control{Kind: Pong})}
	list = append(slices.Clip(list), c)
	h.codecs.Store(&list)
	return c
}

// platformNumber is a platform as a session holds it: its place in
// herald.Platforms, from 1 up, or 0 for what is not there.
type platformNumber uint8

func numberOf(p herald.Platform) platformNumber {
	return platformNumber(slices.Index(herald.Platforms, p) + 1)
}

func (n platformNumber) platform() herald.Platform {
	if n == 0 {
		return ""
	}
	return herald.Platforms[n-1]
}
