package record

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"sync"
	"time"

	"github.com/herald-push/herald"
)

// Audit says who changed what. It holds no secret and no hash of one.
type Audit struct {
	App       herald.AppKey
	ID        int64 // microseconds of the time, or one more than the one before
	Time      time.Time
	Kind      string // of who did it: see the Audit constants
	Actor     string // the ID of the key, or the registration ID of the page
	Name      string // of the key
	Operation string // as the API calls it, e.g. "createKey"
	Object    string // ID or name of what was changed; "" is the app
	Changes   map[string]Change
	Origin    string // the address, or AuditLocal
}

// Who changes things, and the origin of what comes from the machine itself.
const (
	AuditMaster = "master"
	AuditKey    = "key"
	AuditPage   = "page"
	AuditAdmin  = "admin"
	AuditLocal  = "local"
)

// AuditKind reports whether a word is a kind of caller, and not the ID of one.
func AuditKind(word string) bool {
	return word == AuditMaster || word == AuditKey || word == AuditPage || word == AuditAdmin
}

// Change is what a member was and is; absent if it was or is not there, or if
// it is long.
type Change struct {
	Old json.RawMessage `json:"old,omitempty"`
	New json.RawMessage `json:"new,omitempty"`
}

// AuditFilter selects entries, newest first; zero members do not filter.
type AuditFilter struct {
	Actor     string // a kind, or the ID of a key
	Operation string
	Object    string
	// Since and Until (exclusive) are places in the log: the first entry that was
	// written at a time or later, and all behind it.
	Since, Until time.Time
	Before       int64 // only entries with a smaller ID
	Limit        int
}

// Auditing is an entry that the next commit of its context takes with it.
type Auditing struct {
	mu    sync.Mutex // guards what follows
	entry Audit
	taken bool
}

type auditKey struct{}

// WithAudit gives a context whose first write carries an entry.
func WithAudit(ctx context.Context, entry Audit) (context.Context, *Auditing) {
	a := &Auditing{entry: entry}
	return context.WithValue(ctx, auditKey{}, a), a
}

// AuditOf is the entry that a context carries; nil if it carries none.
func AuditOf(ctx context.Context) *Auditing {
	a, _ := ctx.Value(auditKey{}).(*Auditing)
	return a
}

// Note completes the entry with what is known only where the change is made.
// On nil it does nothing.
func (a *Auditing) Note(change func(*Audit)) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	change(&a.entry)
}

// Entry gives the entry as it is now.
func (a *Auditing) Entry() Audit {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.entry
}

// Take reports whether the caller is to write the entry: nobody else has, or
// does. On nil it is not.
func (a *Auditing) Take() bool {
	if a == nil {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	first := !a.taken
	a.taken = true
	return first
}

// Leave gives back what Take took: the entry was not written.
func (a *Auditing) Leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.taken = false
}

// AuditedAlias is how the audit log calls an alias: an entry outlives what it
// tells of, and an alias may be the name of a person who was erased.
func AuditedAlias(app herald.AppKey, a herald.Alias) string {
	sum := sha256.Sum256([]byte(string(app) + "/" + string(a)))
	return "alias:" + hex.EncodeToString(sum[:8])
}

// maxChange is how long a value may be that an entry repeats, in bytes.
const maxChange = 1024

// Changes compares the members of two JSON objects. A value that is long is
// left out: that it has changed is said, and what it was is not.
func Changes(before, after any) map[string]Change {
	was, is := members(before), members(after)
	out := map[string]Change{}
	for name, v := range was {
		if string(is[name]) != string(v) {
			out[name] = Change{short(v), short(is[name])}
		}
	}
	for name, v := range is {
		if _, there := was[name]; !there {
			out[name] = Change{New: short(v)}
		}
	}
	return out
}

func short(v json.RawMessage) json.RawMessage {
	if len(v) > maxChange {
		return nil
	}
	return v
}

func members(v any) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil {
		return nil
	}
	return out
}

// Told is what an entry about an app may say of it: never its hashes.
func (a *App) Told() any {
	return struct {
		Name string `json:"name"`
		Settings
		OldSecretUntil time.Time `json:"old_secret_until,omitzero"`
	}{a.Name, a.Settings, a.OldUntil}
}

// Told is what an entry about a key may say of it: never its hashes.
func (k *APIKey) Told() any {
	return struct {
		Name           string    `json:"name"`
		Scopes         []string  `json:"scopes"`
		ExpiresAt      time.Time `json:"expires_at,omitzero"`
		Networks       any       `json:"networks,omitempty"`
		OldSecretUntil time.Time `json:"old_secret_until,omitzero"`
	}{k.Name, k.Scopes, k.Expires, networks(k), k.OldUntil}
}

func networks(k *APIKey) any {
	if len(k.Networks) == 0 {
		return nil
	}
	return k.Networks
}
