package server

import (
	"context"
	"net/http"
	"strings"
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
	return live.Device{App: a.App, Ord: a.Ord, ID: a.ID, Platform: a.Platform, BoundPos: a.BoundPos}, a.Fresh, err
}

func (d directory) Seen(dev live.Device, _ time.Time) { d.Registry.Seen(dev.App, dev.Ord) }

// backlog is offline as live sees it.
type backlog struct{ *offline.Backlog }

// resumeTime bounds how long a connection waits for its cursor to be written:
// while the record takes no writes, clients are served from what it has, at the
// price of duplicates.
const resumeTime = 2 * time.Second

func (b backlog) Resume(ctx context.Context, d live.Device, upto, offered herald.Pos) error {
	ctx, cancel := context.WithTimeout(ctx, resumeTime)
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

// allowOrigin decides about a browser that wants to connect, by the app that
// its token names. Without a token in the head it may go on: the token in its
// first frame is no ambient credential either.
func allowOrigin(r *registry.Registry) func(*http.Request) bool {
	return func(req *http.Request) bool {
		token := req.URL.Query().Get("access_token")
		if bearer, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer "); ok {
			token = bearer
		}
		f := strings.Split(token, ".")
		if len(f) < 2 {
			return true
		}
		return r.AllowedOrigin(herald.AppKey(f[1]), req.Header.Get("Origin"))
	}
}
