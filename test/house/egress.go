package house

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
)

// callers are the places that may make an HTTP client of their own, because
// nobody but the operator says whom they call.
var callers = []string{
	"internal/egress/",
	"internal/bench/",               // calls the servers that it starts
	"internal/doctor/machine.go",    // calls the machine that it looks at
	"internal/server/administer.go", // calls the server that runs on the data folder
	"internal/server/health.go",     // calls the server's own port
}

// clients are what makes an HTTP client, or uses the shared one.
var clients = []string{"Client", "Transport", "DefaultClient", "DefaultTransport", "Get", "Head", "Post", "PostForm"}

// OneEgress holds that no other part of the server can call an address that a
// user gave.
func OneEgress(t *Tree) []string {
	fset, files, broken := parse(t)
	for _, f := range files {
		if !strings.HasPrefix(f.name, "internal/") || strings.HasSuffix(f.name, "_test.go") || strings.Contains(f.name, "test/") ||
			slices.ContainsFunc(callers, func(c string) bool { return strings.HasPrefix(f.name, c) }) {
			continue
		}
		name := importedAs(f.File, "net/http")
		ast.Inspect(f.File, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := s.X.(*ast.Ident); ok && name != "" && x.Name == name && slices.Contains(clients, s.Sel.Name) {
				broken = append(broken, fmt.Sprintf("%s uses http.%s: only internal/egress calls out, because a user may have given the address; "+
					"if only the operator says whom this calls, name the file in test/house/egress.go", fset.Position(s.Pos()), s.Sel.Name))
			}
			return true
		})
	}
	return broken
}

// importedAs is the name of an import in a file; "" if it is not imported.
func importedAs(f *ast.File, path string) string {
	for _, i := range f.Imports {
		if i.Path.Value != `"`+path+`"` {
			continue
		}
		if i.Name != nil {
			return i.Name.Name
		}
		return path[strings.LastIndex(path, "/")+1:]
	}
	return ""
}
