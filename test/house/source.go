package house

import (
	"bufio"
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

const (
	maxLines   = 500
	maxMethods = 5
)

// generated matches the line by which a Go file says that a program wrote it.
var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// FileLength holds that files can be read in one sitting.
func FileLength(t *Tree) []string {
	var broken []string
	for _, name := range t.withExt(".go", ".js", ".mjs", ".ts", ".css", ".html") {
		data, err := t.read(name)
		if err != nil {
			broken = append(broken, err.Error())
			continue
		}
		if vendored(name) || generated.Match(data) {
			continue
		}
		if n := bytes.Count(data, []byte("\n")); n > maxLines {
			broken = append(broken, fmt.Sprintf("%s has %d lines, the limit is %d (aim at 350): a reader has to hold a file "+
				"in the head; split it by what happens (accept, read, close)", name, n, maxLines))
		}
	}
	return broken
}

// goFile is one parsed file.
type goFile struct {
	name string
	*ast.File
}

// parse reads every Go file that we wrote. What does not parse is the
// compiler's business, but it is named, since no rule can see it.
func parse(t *Tree) (fset *token.FileSet, files []goFile, broken []string) {
	fset = token.NewFileSet()
	for _, name := range t.withExt(".go") {
		if vendored(name) || strings.Contains(name, "/testdata/") {
			continue
		}
		data, err := t.read(name)
		if err != nil {
			broken = append(broken, err.Error())
			continue
		}
		f, err := parser.ParseFile(fset, name, data, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			broken = append(broken, err.Error())
			continue
		}
		files = append(files, goFile{name, f})
	}
	return fset, files, broken
}

// PackageComments holds that each package has exactly one package comment.
func PackageComments(t *Tree) []string {
	_, files, broken := parse(t)
	folders := make(map[string][]goFile)
	for _, f := range files {
		folders[path.Dir(f.name)] = append(folders[path.Dir(f.name)], f)
	}
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		var with []string
		for _, f := range folders[folder] {
			if f.Doc != nil && !onlyDirectives(f.Doc) {
				with = append(with, path.Base(f.name))
			}
		}
		switch {
		case len(with) == 0:
			broken = append(broken, fmt.Sprintf("package %s has no package comment: a reader must learn in one place what it "+
				"promises (order, blocking, loss)", folder))
		case len(with) > 1:
			broken = append(broken, fmt.Sprintf("package %s has %d package comments (%s): go doc joins them in the order of file "+
				"names, so keep one", folder, len(with), strings.Join(with, ", ")))
		}
	}
	return broken
}

// onlyDirectives reports a comment such as //go:embed, which is no text.
func onlyDirectives(c *ast.CommentGroup) bool { return strings.TrimSpace(c.Text()) == "" }

// SmallInterfaces holds that an interface has at most five methods of its own.
// Embedding is fine: it joins small things that have names.
func SmallInterfaces(t *Tree) []string {
	fset, files, broken := parse(t)
	for _, f := range files {
		ast.Inspect(f.File, func(n ast.Node) bool {
			it, ok := n.(*ast.InterfaceType)
			if !ok {
				return true
			}
			methods := 0
			for _, m := range it.Methods.List {
				methods += len(m.Names) // none for what is embedded
			}
			if methods > maxMethods {
				broken = append(broken, fmt.Sprintf("%s: an interface with %d methods, the limit is %d: each implementation pays "+
					"for each method; make what few need an add-on interface, or embed", fset.Position(it.Pos()), methods, maxMethods))
			}
			return true
		})
	}
	return broken
}

// vague are names that say nothing about what a package is for.
var vague = []string{
	"util", "utils", "common", "core", "helper", "helpers", "service", "services", "misc", "lib", "shared", "base",
}

// PackageNames holds that the name of a package says what it is for.
func PackageNames(t *Tree) []string {
	_, files, broken := parse(t)
	seen := make(map[string]bool)
	for _, f := range files {
		folder := path.Dir(f.name)
		for _, name := range []string{strings.TrimSuffix(f.Name.Name, "_test"), path.Base(folder)} {
			if slices.Contains(vague, name) && !seen[folder] {
				seen[folder] = true
				broken = append(broken, fmt.Sprintf("package %s in %s: the name says nothing, so everything ends up in it; name it "+
					"after what it does", name, folder))
			}
		}
	}
	return broken
}

// NoInit holds that nothing happens by being imported.
func NoInit(t *Tree) []string {
	fset, files, broken := parse(t)
	for _, f := range files {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				broken = append(broken, fmt.Sprintf("%s: func init: what runs by being imported cannot be ordered, configured or "+
					"left out; call it from where it is needed", fset.Position(fn.Pos())))
			}
		}
	}
	return broken
}

// HasTests holds that no internal package is without a test file.
func HasTests(t *Tree) []string {
	var broken []string
	for _, p := range t.Packages {
		if !strings.HasPrefix(p.Rel(), "internal/") || placeOf(p.Rel()).kind == suite {
			continue // a suite is exercised by whoever calls it
		}
		if len(p.TestGoFiles)+len(p.XTestGoFiles) == 0 {
			broken = append(broken, p.ImportPath+" has no test file: what is not tested is not known to work")
		}
	}
	return broken
}

// machinePaths are paths of one machine or of one workplace. They are put
// together here so that this file does not break its own rule.
var machinePaths = regexp.MustCompile(`(^|[^\w.])/` + `(work|root)/|\.\./` + `shared\b`)

// NoMachinePaths holds that the tree works wherever it is cloned.
func NoMachinePaths(t *Tree) []string {
	var broken []string
	for _, name := range t.Files {
		data, err := t.read(name)
		if err != nil {
			broken = append(broken, err.Error())
			continue
		}
		if isBinary(data) {
			continue
		}
		lines := bufio.NewScanner(bytes.NewReader(data))
		lines.Buffer(nil, len(data)+1)
		for n := 1; lines.Scan(); n++ {
			if m := machinePaths.FindString(lines.Text()); m != "" {
				broken = append(broken, fmt.Sprintf("%s:%d: %q is a path of one machine: nobody else has it", name, n, m))
			}
		}
	}
	return broken
}
