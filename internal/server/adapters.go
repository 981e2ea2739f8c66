package server

import (
	"context"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/offline"
	"github.com/herald-push/herald/internal/registry"
)

// directory is registry as live sees it.
type directory struct{ *registry.Registry }

func (d directory) Authenticate(ctx context.Context, token string) (live.Device, string, error) {
	a, err := d.DeviceToken(ctx, token)
	return live.Device{App: a.App, Ord: a.Ord, ID: a.ID, Platform: a.Platform, BoundPos: a.BoundPos, Until: a.Until}, a.Fresh, err
}

func (d directory) Seen(dev live.Device, _ time.Time) { d.Registry.Seen(dev.App, dev.Ord) }

func (d directory) MayUse(dev live.Device, v herald.TopicVerb, t herald.Topic) error {
	return d.MayUseTopic(dev.App, dev.ID, dev.Alias, v, t)
}

var ( // by its registry
	_ live.Linguist = directory{}
	_ live.Aliases  = directory{}
)

// backlog is offline as live sees it.
type backlog struct{ *offline.Backlog }

// resumeTime bounds how long a connection waits for its cursor to be written:
// while the record takes no writes, clients are served from what it has, at the
// price of duplicates.
const resumeTime = 2 * time.Second

func (b backlog) Resume(ctx context.Context, d live.Device, upto, offered herald.Pos) error {
	ctx, cancel := live.Within(ctx, resumeTime)
	defer cancel()
	return b.Backlog.Resume(ctx, offline.Device{App: d.App, Ord: d.Ord, ID: d.ID}, upto, offered)
}

func (b backlog) Waiting(ctx context.Context, d live.Device, after herald.Pos, limit int) ([]live.Waiting, herald.Pos, bool, error) {
	list, upto, more, err := b.Backlog.Waiting(ctx, offline.Device{App: d.App, Ord: d.Ord, ID: d.ID}, after, limit)
	out := make([]live.Waiting, len(list))
	for i, w := range list {
		out[i] = live.Waiting(w)
	}
	return out, upto, more, err
}

// sealer is the keys as registry sees them, which are read after it was made.
type sealer struct{ server *Server }

func (s sealer) Seal(place string, secret []byte) []byte {
	return s.server.secrets.ring.Seal(place, secret)
}

func (s sealer) Open(place string, sealed []byte) ([]byte, error) {
	secret, _, err := s.server.secrets.ring.Open(place, sealed)
	return secret, err
}
