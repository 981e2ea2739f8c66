package api

import (
	"context"
	"time"

	"github.com/herald-push/herald"
)

// Admin is what the operator of a server may do, from the machine that it runs
// on: the CLI calls it directly, or over the operations port of a server that
// runs already.
type Admin interface {
	// CreateApp makes an app with random keys.
	CreateApp(ctx context.Context, app NewApp) (AppSecrets, error)
	// ListApps lists the apps, oldest first.
	ListApps(ctx context.Context) ([]AppSummary, error)
	// RotateApp gives an app a new master secret; the old one stays good for a
	// while, or is refused at once.
	RotateApp(ctx context.Context, key herald.AppKey, keep time.Duration) (AppSecrets, error)
	// PageToken makes a token for one installation of an app, which may
	// register it and push to it, and nothing else. It is good for 30 days.
	PageToken(ctx context.Context, key herald.AppKey, installation string) (string, error)
	GroupAdmin
}

// NewApp is an app to be made.
type NewApp struct {
	Name string `json:"name"`
	// Topics say which topics its devices may use; the zero value is the default.
	Topics herald.TopicRules `json:"topics,omitzero"`
}

// AppSecrets is an app with its secrets, which are shown this once.
type AppSecrets struct {
	AppKey       herald.AppKey `json:"app_key"`
	Name         string        `json:"name"`
	MasterSecret string        `json:"master_secret"`
	// JWTSecret is the HS256 key with which the app's back end signs alias
	// tokens. It can be derived again; a rotation does not change it.
	JWTSecret string `json:"jwt_secret"`
}

// AppSummary is an app in a list.
type AppSummary struct {
	AppKey    herald.AppKey `json:"app_key"`
	Name      string        `json:"name"`
	CreatedAt time.Time     `json:"created_at"`
	Devices   int64         `json:"devices"`
}

// SecretAdmin administers the keys that seal the secrets of a server, from the
// machine that it runs on.
type SecretAdmin interface {
	// SecretKeys lists the keys, the one that seals first.
	SecretKeys(ctx context.Context) ([]SecretKey, error)
	// RotateSecrets puts a new key before the others, where they are in a file.
	RotateSecrets(ctx context.Context) ([]SecretKey, error)
	// ResealSecrets seals anew what other keys than the first have sealed, a
	// step behind a place; the first step, of place "", reads the keys again.
	ResealSecrets(ctx context.Context, after string) (SecretStep, error)
	// ForgetSecrets drops what a key has sealed that is not there any more. No
	// server may run.
	ForgetSecrets(ctx context.Context, key string) (dropped int, err error)
}

// SecretKey is a key that seals or opens secrets.
type SecretKey struct {
	ID      string `json:"id"`
	From    string `json:"from,omitempty"` // where it comes from; empty if it is missing
	Seals   bool   `json:"seals"`          // the others only open
	Secrets int    `json:"secrets"`        // that are sealed with it
}

// SecretStep is what one step of sealing anew has done.
type SecretStep struct {
	Sealed int    `json:"sealed"`
	Next   string `json:"next,omitempty"` // where to go on; empty at the end
}
