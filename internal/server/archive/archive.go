// Package archive is the file that a backup is: a tar (POSIX.1-1988 ustar) with
// the files of an installation and, last, a manifest with their sums. A file
// without its end has no manifest, and is no backup.
package archive

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/store/moving"
)

// Names in a backup.
const (
	Database = "herald.db"
	manifest = "manifest.json"
)

// format is the version of what is described here.
const format = 1

// maxManifest bounds what is read of a manifest, maxSmall what is kept of any
// other file but the database.
const (
	maxManifest = 64 << 20
	maxSmall    = 1 << 20
)

// Manifest says what is in a backup.
type Manifest struct {
	Format  int          `json:"format"`
	Version string       `json:"version"` // of the Herald that made it
	Made    time.Time    `json:"made"`    // when the copy of the record was begun
	Store   string       `json:"store"`   // where the record was: sqlite, postgres or mysql
	Schema  int64        `json:"schema"`
	Keys    bool         `json:"keys"` // whether the server key is in it
	Apps    []App        `json:"apps"`
	Files   []File       `json:"files"`
	Tables  []moving.Sum `json:"tables"`
}

// Damaged names rows whose checksums were wrong in the database already.
func (m *Manifest) Damaged() []string { return moving.Damaged(m.Tables) }

// App is where the log of an app stood.
type App struct {
	Key     herald.AppKey `json:"app_key"`
	Name    string        `json:"name"`
	Epoch   int64         `json:"epoch"`
	Pos     int64         `json:"pos"`
	NextOrd int64         `json:"next_ord"`
}

// File is one file of a backup.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Writer writes a backup.
type Writer struct {
	tar   *tar.Writer
	made  time.Time
	files []File
}

// NewWriter begins a backup.
func NewWriter(w io.Writer, made time.Time) *Writer {
	return &Writer{tar: tar.NewWriter(w), made: made}
}

// Add adds a file of the given size.
func (w *Writer) Add(name string, size int64, content io.Reader) error {
	h := sha256.New()
	err := w.header(name, size)
	if err == nil {
		_, err = io.CopyN(io.MultiWriter(w.tar, h), content, size)
	}
	if err != nil {
		return fmt.Errorf("archive: writing %s: %w", name, err)
	}
	w.files = append(w.files, File{name, size, hex.EncodeToString(h.Sum(nil))})
	return nil
}

func (w *Writer) header(name string, size int64) error {
	return w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: w.made})
}

// Close ends the backup with its manifest, which then has the sums.
func (w *Writer) Close(m *Manifest) error {
	m.Format, m.Files = format, w.files
	b, err := json.MarshalIndent(m, "", "  ")
	if err == nil {
		err = w.header(manifest, int64(len(b)))
	}
	if err == nil {
		_, err = w.tar.Write(b)
	}
	if err == nil {
		err = w.tar.Close()
	}
	if err != nil {
		return fmt.Errorf("archive: writing the manifest: %w", err)
	}
	return nil
}

// Content is what was read of a backup.
type Content struct {
	Manifest
	// Small are the files but the database, by their names.
	Small map[string][]byte
}

// Read reads a backup to its end, and checks the sums of all that is in it. The
// database is written to database; nil reads past it.
func Read(r io.Reader, database io.Writer) (Content, error) {
	c := Content{Small: map[string][]byte{}}
	if database == nil {
		database = io.Discard
	}
	var found []File
	ended := false
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		switch {
		case err != nil:
			return c, broken("%v", err)
		case ended:
			return c, broken("%.80q comes after the manifest", h.Name)
		case h.Typeflag != tar.TypeReg || !fs.ValidPath(h.Name):
			return c, broken("%.80q is not a file of a backup", h.Name)
		case h.Name == manifest:
			ended = true
			err = c.readManifest(t)
		case h.Name == Database:
			found, err = sum(found, h, t, database)
		default:
			var b bytes.Buffer
			found, err = sum(found, h, io.LimitReader(t, maxSmall), &b)
			c.Small[h.Name] = b.Bytes()
		}
		if err != nil {
			return c, err
		}
	}
	if !ended {
		return c, broken("it has no manifest, so that its end is missing")
	}
	if !slices.Equal(found, c.Files) {
		return c, broken("its files are not those of the manifest")
	}
	return c, nil
}

func (c *Content) readManifest(r io.Reader) error {
	b, err := io.ReadAll(io.LimitReader(r, maxManifest))
	if err != nil {
		return broken("%v", err)
	}
	if err := json.Unmarshal(b, &c.Manifest); err != nil {
		return broken("its manifest cannot be read: %v", err)
	}
	if c.Format != format {
		return herald.Errorf(herald.CodeConflict, "Use the release of Herald that made it, or a later one.", "the backup has format %d, and this release knows format %d", c.Format, format)
	}
	return nil
}

func sum(found []File, h *tar.Header, r io.Reader, w io.Writer) ([]File, error) {
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, hash), r)
	if p := new(fs.PathError); errors.As(err, &p) {
		return found, fmt.Errorf("archive: unpacking %s: %w", h.Name, err)
	}
	if err != nil {
		return found, broken("reading %s: %v", h.Name, err)
	}
	return append(found, File{h.Name, n, hex.EncodeToString(hash.Sum(nil))}), nil
}

func broken(format string, args ...any) error {
	return herald.Errorf(herald.CodeInternal, "Take another backup: this file has lost or changed bytes since it was made, or is none.",
		"the backup is damaged: "+format, args...)
}

// Below gives the files of a folder within the backup, by their names in it.
func (c Content) Below(folder string) map[string][]byte {
	out := map[string][]byte{}
	for name, b := range c.Small {
		if rest, ok := strings.CutPrefix(name, folder+"/"); ok {
			out[rest] = b
		}
	}
	return out
}

// AddFolder adds the files of a folder; one that is not there is empty. What
// belongs to processes that run is left out.
func (w *Writer) AddFolder(name, folder string) error {
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	root := os.DirFS(folder)
	err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p == "locks":
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		b, err := fs.ReadFile(root, p)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // replaced meanwhile
		}
		if err != nil {
			return err
		}
		if len(b) > maxSmall {
			return fmt.Errorf("%s has %d bytes, more than %d", p, len(b), maxSmall)
		}
		return w.Add(path.Join(name, p), int64(len(b)), bytes.NewReader(b))
	})
	if err != nil {
		return fmt.Errorf("archive: reading %s: %w", folder, err)
	}
	return nil
}
