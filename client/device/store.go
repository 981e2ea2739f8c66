package device

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/herald-push/herald"
)

// Identity is what a device keeps between runs. Installation and Token are
// secrets of the device.
type Identity struct {
	AppKey         herald.AppKey         `json:"app_key"`
	Installation   string                `json:"installation"`
	RegistrationID herald.RegistrationID `json:"registration_id,omitempty"`
	Token          string                `json:"token,omitempty"`
}

// Store keeps the identity of one device. Load answers the zero Identity when
// nothing is stored. Save may be called from any goroutine, one at a time.
type Store interface {
	Load() (Identity, error)
	Save(Identity) error
}

// Memory makes a store that forgets when the program ends.
func Memory() Store { return &memory{} }

type memory struct {
	mu sync.Mutex
	id Identity // guarded by mu
}

func (m *memory) Load() (Identity, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.id, nil
}

func (m *memory) Save(id Identity) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.id = id
	return nil
}

// File makes a store in a file of mode 0600, which is replaced as a whole.
func File(path string) Store { return file(path) }

type file string

func (f file) Load() (Identity, error) {
	b, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return Identity{}, nil
	}
	if err != nil {
		return Identity{}, err
	}
	var id Identity
	if err := json.Unmarshal(b, &id); err != nil {
		return Identity{}, fmt.Errorf("%s is damaged (remove it to become a new device): %w", string(f), err)
	}
	return id, nil
}

func (f file) Save(id Identity) error {
	b, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return err
	}
	folder := filepath.Dir(string(f))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	// CreateTemp makes files of mode 0600.
	t, err := os.CreateTemp(folder, ".herald-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(t.Name()) }() // gone already if all went well
	_, err = t.Write(append(b, '\n'))
	if err == nil {
		err = t.Sync()
	}
	if err := errors.Join(err, t.Close()); err != nil {
		return err
	}
	return os.Rename(t.Name(), string(f))
}
