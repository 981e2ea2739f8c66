package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// sumsFile has the SHA-256 of every other file, as sha256sum -c reads it.
const sumsFile = "SHA256SUMS"

// file is a file to pack, by its path with slashes.
type file struct {
	path    string
	mode    fs.FileMode
	content []byte
}

// archived is what is in the archive of a platform.
func (r *release) archived(t target, binary string, completions []file) ([]file, error) {
	paths := []string{"LICENSE", "README.md", "README.zh-CN.md", "CHANGELOG.md", "packaging/proxy/nginx.conf", "packaging/proxy/Caddyfile", "packaging/proxy/haproxy.cfg"}
	if t.os == "linux" {
		paths = append(paths, "packaging/systemd/herald.service")
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	files := []file{{program(t), 0o755, content}}
	for _, p := range paths {
		content, err := os.ReadFile(filepath.Join(r.root, filepath.FromSlash(p)))
		if err != nil {
			return nil, fmt.Errorf("release: %w", err)
		}
		files = append(files, file{p, 0o644, content})
	}
	if t.os != "windows" {
		for _, c := range completions {
			files = append(files, file{"completions/" + path.Base(c.path), 0o644, c.content})
		}
	}
	return files, nil
}

// archive packs files below a folder herald, as people of the platform expect.
func (r *release) archive(t target, files []file) (packed []byte, suffix string, err error) {
	below := slices.Clone(files)
	for i := range below {
		below[i].path = "herald/" + below[i].path
	}
	if t.os == "windows" {
		packed, err = zipped(below, r.source.time)
		return packed, ".zip", err
	}
	packed, err = r.tarball(below)
	return packed, ".tar.gz", err
}

// sorted is what a packer writes: folders before what is in them, each once.
func sorted(files []file) []file {
	all := map[string]file{}
	for _, f := range files {
		all[f.path] = f
		for dir := path.Dir(f.path); dir != "."; dir = path.Dir(dir) {
			all[dir+"/"] = file{path: dir + "/", mode: fs.ModeDir | 0o755}
		}
	}
	out := make([]file, 0, len(all))
	for _, f := range all {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b file) int { return cmp.Compare(a.path, b.path) })
	return out
}

// tarball packs files as those of root, all of one time.
func (r *release) tarball(files []file) ([]byte, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, r.level)
	if err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	w := tar.NewWriter(z)
	for _, f := range sorted(files) {
		h := &tar.Header{Name: "./" + f.path, Mode: int64(f.mode.Perm()), ModTime: r.source.time, Uname: "root", Gname: "root", Format: tar.FormatGNU, Typeflag: tar.TypeReg, Size: int64(len(f.content))}
		if f.mode.IsDir() {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("release: packing %s: %w", f.path, err)
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, fmt.Errorf("release: packing %s: %w", f.path, err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		return nil, fmt.Errorf("release: packing: %w", err)
	}
	return out.Bytes(), nil
}

func zipped(files []file, at time.Time) ([]byte, error) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range sorted(files) {
		h := &zip.FileHeader{Name: f.path, Method: zip.Deflate, Modified: at}
		h.SetMode(f.mode)
		entry, err := w.CreateHeader(h)
		if err != nil {
			return nil, fmt.Errorf("release: packing %s: %w", f.path, err)
		}
		if f.mode.IsDir() {
			continue
		}
		if _, err := entry.Write(f.content); err != nil {
			return nil, fmt.Errorf("release: packing %s: %w", f.path, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("release: packing: %w", err)
	}
	return out.Bytes(), nil
}

// sums writes the sums of what was made, and gives them.
func (r *release) sums() (string, error) {
	entries, err := os.ReadDir(r.out) // sorted by name
	if err != nil {
		return "", fmt.Errorf("release: %w", err)
	}
	var text strings.Builder
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(r.out, e.Name()))
		if err != nil {
			return "", fmt.Errorf("release: %w", err)
		}
		sum := sha256.Sum256(content)
		fmt.Fprintf(&text, "%s  %s\n", hex.EncodeToString(sum[:]), e.Name())
	}
	return text.String(), r.write(sumsFile, []byte(text.String()))
}
