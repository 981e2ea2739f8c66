package provider

import "sync"

// Once keeps what a provider makes of a message and needs for each of its
// addresses, such as the payload. Its zero value is ready; it may be used by
// several goroutines.
type Once struct {
	mu   sync.Mutex // guards what follows
	by   Provider
	made any
	err  error
}

// MadeOnce gives what build makes of a message for a provider. It is built once,
// if the message goes to many; anew for another provider, such as one that was
// opened because the credential has changed.
func MadeOnce[T any](m *Message, by Provider, build func() (T, error)) (T, error) {
	o := m.Once
	if o == nil {
		return build()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.by != by {
		o.made, o.err = build()
		o.by = by
	}
	made, _ := o.made.(T)
	return made, o.err
}
