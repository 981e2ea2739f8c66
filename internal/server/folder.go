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
	secretsFile  = "secrets.key" // if keys for secrets were made here
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

// openFolder makes or opens a data folder, locks it, and reads its key.
func openFolder(path string) (*folder, error) {
	f, err := lockFolder(path)
	if err != nil {
		return nil, err
	}
	if err := f.load(); err != nil {
		return nil, errors.Join(err, f.lock.Close())
	}
	return f, nil
}

// lockFolder makes or opens a data folder and locks it.
func lockFolder(path string) (*folder, error) {
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
	return &folder{path: path, lock: lock}, nil
}

func (f *folder) load() error {
	if err := f.interrupted(); err != nil {
		return err
	}
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

// interrupted refuses a folder that a restore has filled in part.
func (f *folder) interrupted() error {
	if _, err := os.Stat(filepath.Join(f.path, restoreFile)); err == nil {
		return herald.Errorf(herald.CodeConflict, "Run herald restore again with the same --data.", "a restore into the data folder %s was interrupted", f.path)
	}
	return nil
}

func (f *folder) newKey(path string) error {
	f.key = make([]byte, 32)
	rand.Read(f.key)
	text := base64.StdEncoding.EncodeToString(f.key) + "\n"
	if err := writeKeys(path, text); err != nil {
		return fmt.Errorf("server: writing the server key: %w", err)
	}
	f.made = true
	return nil
}

// writeKeys writes a file with keys. A crash leaves the one before or a whole
// new one, because a rename does not do half; when it returns, a power cut does
// not bring the one before back.
func writeKeys(path, text string) error {
	file, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(path+".new"))
	}
	if err := os.Rename(path+".new", path); err != nil {
		return errors.Join(err, os.Remove(path+".new"))
	}
	return syncFolder(filepath.Dir(path))
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

// secrets is where keys for secrets are that were made here.
func (f *folder) secrets() string { return filepath.Join(f.path, secretsFile) }

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
