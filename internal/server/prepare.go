package server

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/herald-push/herald"
)

// Prepare makes a data folder that has no database yet, with a given server
// key, and locks it until release is called. It is for tools that write the
// database themselves before a server opens it.
func Prepare(path string, key []byte) (database string, release func() error, err error) {
	f, err := openFolder(path)
	if errors.Is(err, errLocked) {
		return "", nil, herald.Errorf(herald.CodeConflict, "Stop it, or choose another folder with --data.", "a herald runs on the data folder %s", path)
	}
	if err != nil {
		return "", nil, err
	}
	if !f.fresh {
		err := herald.Errorf(herald.CodeConflict, "Choose an empty folder with --data, or remove it.", "the data folder %s has a database already", path)
		return "", nil, errors.Join(err, f.close())
	}
	text := base64.StdEncoding.EncodeToString(key) + "\n"
	if err := os.WriteFile(filepath.Join(path, keyFile), []byte(text), 0o600); err != nil {
		return "", nil, errors.Join(fmt.Errorf("server: writing the server key: %w", err), f.close())
	}
	return f.database(), f.close, nil
}
