package server

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/herald-push/herald"
)

// Files in the data folder.
const (
	databaseFile = "herald.db"
	keyFile      = "server.key"
	lockFile     = "lock"
	runFile      = "run.json"
	certsFolder  = "certificates"
)

// errLocked says that another server runs on the data folder.
var errLocked = errors.New("server: another herald runs on this data folder")

// folder is a data folder that this process has to itself.
type folder struct {
	path  string
	lock  *os.File
	key   []byte
	fresh bool // there was no database in it
	made  bool // the key is new
}

// openFolder makes or opens a data folder and locks it.
func openFolder(path string) (*folder, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, herald.Errorf(herald.CodeInternal, "Choose another folder with --data, or make it writable.", "the data folder cannot be made: %v", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, herald.Errorf(herald.CodeInternal, "Choose another folder with --data, or make it writable.", "the data folder cannot be written to: %v", err)
	}
	if err := lockExclusive(lock); err != nil {
		return nil, errors.Join(errLocked, lock.Close())
	}
	f := &folder{path: path, lock: lock}
	if err := f.load(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return f, nil
}

func (f *folder) load() error {
	_, err := os.Stat(f.database())
	f.fresh = errors.Is(err, fs.ErrNotExist)
	path := filepath.Join(f.path, keyFile)
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && f.fresh:
		return f.newKey(path)
	case errors.Is(err, fs.ErrNotExist):
		return herald.Errorf(herald.CodeInternal,
			"Put "+keyFile+" back from your backup; without it every device would have to register again.",
			"the data folder has a database but no %s", keyFile)
	case err != nil:
		return fmt.Errorf("server: reading the server key: %w", err)
	}
	f.key, err = base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(f.key) < 32 {
		return herald.Errorf(herald.CodeInternal, "Put "+keyFile+" back from your backup.", "the server key is damaged")
	}
	return nil
}

func (f *folder) newKey(path string) error {
	f.key = make([]byte, 32)
	rand.Read(f.key)
	text := base64.StdEncoding.EncodeToString(f.key) + "\n"
	// A crash leaves no key or a whole one: a rename does not do half.
	file, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("server: writing the server key: %w", err)
	}
	_, err = file.WriteString(text)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("server: writing the server key: %w", err)
	}
	f.made = true
	return os.Rename(path+".new", path)
}

// fits refuses a key that was made just now for a record with apps, and takes it
// away again: the database is another machine's, and the devices in it have
// tokens of the key that was there before.
func (f *folder) fits(apps []herald.AppKey) error {
	if !f.made || len(apps) == 0 {
		return nil
	}
	err := herald.Errorf(herald.CodeInternal,
		"Put "+keyFile+" from the data folder that was used before into "+f.path+"; without it every device would have to register again.",
		"the database has apps, and the data folder no %s", keyFile)
	return errors.Join(err, removeIfThere(filepath.Join(f.path, keyFile)))
}

func (f *folder) database() string { return filepath.Join(f.path, databaseFile) }

// certificates is where those of a certificate authority are kept.
func (f *folder) certificates() string { return filepath.Join(f.path, certsFolder) }

func (f *folder) close() error {
	return errors.Join(removeIfThere(filepath.Join(f.path, runFile)), f.lock.Close())
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// runInfo is how the CLI finds the server that runs on a data folder. Token
// proves that the caller may read the folder.
type runInfo struct {
	URL   string `json:"url"`
	Ops   string `json:"ops"`
	Token string `json:"token"`
}

func (f *folder) writeRun(r runInfo) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	path := filepath.Join(f.path, runFile)
	// A rename leaves either the old file or the whole new one.
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return fmt.Errorf("server: writing %s: %w", runFile, err)
	}
	return os.Rename(path+".new", path)
}

func readRun(_ context.Context, folder string) (r runInfo, err error) {
	b, err := os.ReadFile(filepath.Join(folder, runFile))
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	return r, err
}
