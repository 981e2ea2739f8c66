package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
)

// made gives a small backup.
func made(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b, time.Unix(1_700_000_000, 0))
	dir := t.TempDir()
	for name, text := range map[string]string{"a/x.key": "certificate", "locks/y": "held"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{
		w.Add("server.key", 3, strings.NewReader("key")),
		w.AddFolder("certificates", dir),
		w.AddFolder("none", filepath.Join(dir, "none")),
		w.Add(Database, 8, strings.NewReader("database")),
		w.Close(&Manifest{Version: "v1", Schema: 9, Keys: true, Apps: []App{{Key: "k", Epoch: 1}}}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func TestRead(t *testing.T) {
	var db bytes.Buffer
	c, err := Read(bytes.NewReader(made(t)), &db)
	if err != nil {
		t.Fatal(err)
	}
	certs := c.Below("certificates")
	if db.String() != "database" || string(c.Small["server.key"]) != "key" || len(certs) != 1 || string(certs["a/x.key"]) != "certificate" || c.Schema != 9 {
		t.Errorf("%q and %+v", &db, c)
	}
}

// TestReadRefuses what has changed, is not whole, or is something else.
func TestReadRefuses(t *testing.T) {
	entry := func(h tar.Header, content string) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		h.Size = int64(len(content))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	good := made(t)
	for name, content := range map[string][]byte{
		"nothing":          {},
		"a changed byte":   bytes.Replace(good, []byte("database"), []byte("databases")[1:], 1),
		"no manifest":      entry(tar.Header{Typeflag: tar.TypeReg, Name: Database}, "x"),
		"a path outside":   entry(tar.Header{Typeflag: tar.TypeReg, Name: "../x"}, "x"),
		"an absolute path": entry(tar.Header{Typeflag: tar.TypeReg, Name: "/x"}, "x"),
		"a link":           entry(tar.Header{Typeflag: tar.TypeSymlink, Name: "x", Linkname: "/etc"}, ""),
		"a bad manifest":   entry(tar.Header{Typeflag: tar.TypeReg, Name: manifest}, "{"),
		"another format":   entry(tar.Header{Typeflag: tar.TypeReg, Name: manifest}, `{"format":2}`),
		"files missing":    entry(tar.Header{Typeflag: tar.TypeReg, Name: manifest}, `{"format":1,"files":[{"name":"herald.db"}]}`),
		"something after":  append(entry(tar.Header{Typeflag: tar.TypeReg, Name: manifest}, `{"format":1}`)[:1024], entry(tar.Header{Typeflag: tar.TypeReg, Name: "x"}, "x")...),
	} {
		_, err := Read(bytes.NewReader(content), nil)
		var e *herald.Error
		if err == nil {
			t.Errorf("%s: it is read", name)
		} else if !errors.As(err, &e) || e.Remedy == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Wherever it ends before the last byte of its manifest.
	for cut := range bytes.LastIndexByte(good, '}') {
		if _, err := Read(bytes.NewReader(good[:cut]), nil); err == nil {
			t.Fatalf("the first %d of %d bytes are read", cut, len(good))
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	w := NewWriter(io.Discard, time.Time{})
	if err := w.Add("x", 5, strings.NewReader("four")); err == nil {
		t.Error("a file that became shorter is taken")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "large"), make([]byte, maxSmall+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := NewWriter(io.Discard, time.Time{}).AddFolder("x", dir); err == nil {
		t.Error("a large file is taken for a certificate")
	}
}

// FuzzRead: whatever comes, a backup is read whole or refused.
func FuzzRead(f *testing.F) {
	good := made(f)
	f.Add(good)
	f.Add(good[:700])
	f.Fuzz(func(t *testing.T, b []byte) {
		var db bytes.Buffer
		c, err := Read(bytes.NewReader(b), &db)
		if err == nil && len(c.Files) != len(c.Small)+min(1, db.Len()) && db.Len() > 0 {
			t.Errorf("%d files, and %d are read", len(c.Files), len(c.Small)+1)
		}
	})
}
