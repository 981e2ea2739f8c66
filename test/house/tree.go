package house

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Module is the import path of the tree.
const Module = "github.com/herald-push/herald"

// Tree is what the rules look at.
type Tree struct {
	FS       fs.FS
	Files    []string // tracked or new files, with slashes, sorted
	Packages []Package
}

// Package is one Go package, as go list -json says it.
type Package struct {
	ImportPath   string
	Dir          string
	Imports      []string
	TestImports  []string
	XTestImports []string
	TestGoFiles  []string
	XTestGoFiles []string
}

// Rel is the import path inside the module; empty for the root package.
func (p Package) Rel() string { return rel(p.ImportPath) }

func rel(importPath string) string {
	return strings.TrimPrefix(strings.TrimPrefix(importPath, Module), "/")
}

// Load reads the tree whose go.mod is in root.
func Load(root string) (*Tree, error) {
	files, err := listFiles(root)
	if err != nil {
		return nil, err
	}
	packages, err := listPackages(root)
	if err != nil {
		return nil, err
	}
	return &Tree{FS: os.DirFS(root), Files: files, Packages: packages}, nil
}

// listFiles asks git, because only git knows what is ignored. New files count:
// a rule should speak before the commit, not after.
func listFiles(root string) ([]string, error) {
	out, err := output(root, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return nil, err
	}
	var files []string
	for name := range strings.SplitSeq(string(out), "\x00") {
		if name == "" {
			continue
		}
		info, err := os.Lstat(filepath.Join(root, filepath.FromSlash(name)))
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted, but not yet committed
		}
		if err != nil {
			return nil, fmt.Errorf("house: %w", err)
		}
		if info.Mode().IsRegular() {
			files = append(files, name)
		}
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

func listPackages(root string) ([]Package, error) {
	// -e, because a package that does not build is the compiler's business.
	out, err := output(root, "go", "list", "-e",
		"-json=ImportPath,Dir,Imports,TestImports,XTestImports,TestGoFiles,XTestGoFiles", "./...")
	if err != nil {
		return nil, err
	}
	var packages []Package
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var p Package
		if err := dec.Decode(&p); err != nil {
			return nil, fmt.Errorf("house: go list: %w", err)
		}
		packages = append(packages, p)
	}
	return packages, nil
}

func output(dir, name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("house: %s %s: %w: %s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return out, nil
}

// read gives a file of the tree; the rules report what cannot be read.
func (t *Tree) read(name string) ([]byte, error) { return fs.ReadFile(t.FS, name) }

// withExt gives the files with one of the extensions.
func (t *Tree) withExt(exts ...string) []string {
	var names []string
	for _, name := range t.Files {
		if slices.Contains(exts, path.Ext(name)) {
			names = append(names, name)
		}
	}
	return names
}

// vendored reports files that were built or written elsewhere and are only
// kept here: folders called dist, vendor or node_modules.
func vendored(name string) bool {
	for part := range strings.SplitSeq(path.Dir(name), "/") {
		if part == "dist" || part == "vendor" || part == "node_modules" {
			return true
		}
	}
	return false
}
