package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// conformanceList is the document that says how the server conforms to MQTT.
const conformanceList = "docs/conformance/mqtt.md"

// scriptsOf is the folder with the scripts that show it.
const scriptsOf = "internal/live/mqtt"

// conformancePackages are where the tests are that the list names.
var conformancePackages = map[string]string{"mqtt": scriptsOf, "packet": "internal/wire/packet", "journey": "test/journey"}

// statements are the numbers of the normative statements: section, first and
// last.
var statements = []struct{ version, sections string }{
	{"MQTT 3.1.1", `1.4.0:1-3 2.2.2:1-2 2.3.1:1-7 3.1.0:1-2 3.1.2:1-24 3.1.3:1-11 3.1.4:1-5 3.2.0:1-1 3.2.2:1-6 3.3.1:1-12 3.3.2:1-3
		3.3.4:1-1 3.3.5:1-2 3.6.1:1-1 3.8.1:1-1 3.8.3:1-4 3.8.4:1-6 3.9.3:1-2 3.10.1:1-1 3.10.3:1-2 3.10.4:1-6 3.12.4:1-1
		3.14.1:1-1 3.14.4:1-3 4.1.0:1-2 4.3.1:1-1 4.3.2:1-2 4.3.3:1-2 4.4.0:1-1 4.5.0:1-2 4.6.0:1-6 4.7.1:1-3 4.7.2:1-1
		4.7.3:1-4 4.8.0:1-2 6.0.0:1-4 7.0.0:1-2 7.1.1:1-1 7.1.2:1-1`},
	{"MQTT 5.0", `1.5.4:1-3 1.5.5:1-1 1.5.7:1-1 2.1.3:1-1 2.2.1:2-6 2.2.2:1-1 3.1.0:1-2 3.1.2:1-30 3.1.3:1-12 3.1.4:1-6 3.2.0:1-2
		3.2.2:1-22 3.3.1:1-13 3.3.2:1-20 3.3.4:1-10 3.4.2:1-3 3.5.2:1-3 3.6.1:1-1 3.6.2:1-3 3.7.2:1-3 3.8.1:1-1 3.8.3:1-5
		3.8.4:1-8 3.9.2:1-2 3.9.3:1-2 3.10.1:1-1 3.10.3:1-2 3.10.4:1-6 3.11.2:1-2 3.11.3:1-2 3.12.4:1-1 3.14.0:1-1 3.14.1:1-1
		3.14.2:1-4 3.14.4:1-3 3.15.1:1-1 3.15.2:1-3 4.1.0:1-2 4.2.0:1-1 4.3.1:1-1 4.3.2:1-5 4.3.3:1-13 4.4.0:1-2 4.5.0:1-2
		4.6.0:1-6 4.7.0:1-1 4.7.1:1-2 4.7.2:1-1 4.7.3:1-4 4.8.2:1-6 4.9.0:1-3 4.12.0:1-7 4.12.1:1-2 4.13.1:1-1 4.13.2:1-1
		6.0.0:1-4`},
}

// numbers gives them one by one.
func numbers(sections string) (list []string) {
	for _, s := range strings.Fields(sections) {
		section, span, _ := strings.Cut(s, ":")
		first, last, _ := strings.Cut(span, "-")
		from, _ := strconv.Atoi(first)
		to, _ := strconv.Atoi(last)
		for n := from; n <= to; n++ {
			list = append(list, fmt.Sprintf("%s-%d", section, n))
		}
	}
	return list
}

// MQTTConformance holds that each normative statement of MQTT has its row, that
// each test which a row names exists, and that the scripts name the same
// statements as the rows.
func MQTTConformance(t *Tree) []string {
	text, err := fs.ReadFile(t.FS, conformanceList)
	if err != nil {
		return []string{fmt.Sprintf("%s cannot be read: %v", conformanceList, err)}
	}
	var broken []string
	rows, bad := conformanceRows(string(text))
	broken = append(broken, bad...)
	tests := map[string]*testNames{}
	for name, dir := range conformancePackages {
		if tests[name], err = testsIn(t, dir); err != nil {
			return append(broken, err.Error())
		}
	}
	for _, v := range statements {
		want := numbers(v.sections)
		for _, id := range want {
			if _, ok := rows[v.version][id]; !ok {
				broken = append(broken, fmt.Sprintf("%s: %s has no row for %s: what is not listed is not known to be kept", conformanceList, v.version, id))
			}
		}
		for id, shown := range rows[v.version] {
			if !slices.Contains(want, id) {
				broken = append(broken, fmt.Sprintf("%s: %s has no statement %s", conformanceList, v.version, id))
			}
			for _, name := range shown {
				if why := missingTest(tests, name); why != "" {
					broken = append(broken, fmt.Sprintf("%s: %s %s names %s, but %s", conformanceList, v.version, id, name, why))
				}
			}
		}
	}
	broken = append(broken, scriptsDiffer(tests["mqtt"].scripts, rows)...)
	slices.Sort(broken)
	return broken
}

// conformanceRows reads the tables: for each version and statement the tests, none
// if it concerns clients only.
func conformanceRows(text string) (rows map[string]map[string][]string, broken []string) {
	rows = map[string]map[string][]string{}
	version := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if title, ok := strings.CutPrefix(line, "## "); ok {
			version = title
			rows[version] = map[string][]string{}
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if version == "" || len(cells) != 3 || strings.HasPrefix(cells[0], "-") || strings.TrimSpace(cells[0]) == "statement" {
			continue
		}
		id, shown := strings.TrimSpace(cells[0]), strings.TrimSpace(cells[2])
		if _, twice := rows[version][id]; twice {
			broken = append(broken, fmt.Sprintf("%s: %s has two rows for %s", conformanceList, version, id))
		}
		var list []string
		for i, part := range strings.Split(shown, "`") {
			if i%2 == 1 {
				list = append(list, part)
			}
		}
		why, clients := strings.CutPrefix(shown, "client only: ")
		if len(list) == 0 && (!clients || why == "") {
			broken = append(broken, fmt.Sprintf("%s: %s %s names neither a test nor why it concerns clients only", conformanceList, version, id))
		}
		rows[version][id] = list
	}
	return rows, broken
}

// testNames are what a package has: its tests, all strings, of which some are
// names of subtests, and its scripts.
type testNames struct {
	tests   map[string]bool
	strings map[string]bool
	scripts []namedScript
}

// namedScript is a script with the statements that it names.
type namedScript struct{ name, old, new string }

func testsIn(t *Tree, dir string) (*testNames, error) {
	out := &testNames{tests: map[string]bool{}, strings: map[string]bool{}}
	for _, name := range t.Files {
		if path.Dir(name) != dir || !strings.HasSuffix(name, "_test.go") {
			continue
		}
		src, err := fs.ReadFile(t.FS, name)
		if err != nil {
			return nil, fmt.Errorf("house: %w", err)
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, src, 0)
		if err != nil {
			return nil, fmt.Errorf("house: %w", err)
		}
		ast.Inspect(f, func(n ast.Node) bool { return out.note(n) })
	}
	return out, nil
}

func (o *testNames) note(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.FuncDecl:
		o.tests[n.Name.Name] = n.Recv == nil
	case *ast.BasicLit:
		if s, ok := textOf(n); ok {
			o.strings[s] = true
		}
	case *ast.CompositeLit:
		list, ok := n.Type.(*ast.ArrayType)
		if !ok {
			return true
		}
		if of, ok := list.Elt.(*ast.Ident); !ok || of.Name != "script" {
			return true
		}
		for _, e := range n.Elts {
			if c, ok := e.(*ast.CompositeLit); ok && len(c.Elts) > 2 {
				name, _ := textOf(c.Elts[0])
				old, _ := textOf(c.Elts[1])
				later, _ := textOf(c.Elts[2])
				o.scripts = append(o.scripts, namedScript{name, old, later})
			}
		}
	}
	return true
}

func textOf(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}

// missingTest says why there is no such test, or nothing.
func missingTest(tests map[string]*testNames, name string) string {
	pkg, rest, _ := strings.Cut(name, ".")
	test, sub, nested := strings.Cut(rest, "/")
	switch t := tests[pkg]; {
	case t == nil:
		return "no such package is known here"
	case !t.tests[test]:
		return "there is no such test"
	case nested && !t.strings[sub] && !t.strings[sub+"/"]:
		return "there is no such subtest"
	}
	return ""
}

// scriptsDiffer tells where the scripts and the rows do not agree.
func scriptsDiffer(scripts []namedScript, rows map[string]map[string][]string) (broken []string) {
	const prefix = "mqtt.TestConformance/"
	named := map[string]bool{}
	for _, s := range scripts {
		for i, ids := range []string{s.old, s.new} {
			version := statements[i].version
			for _, id := range strings.Fields(ids) {
				named[version+id+prefix+s.name] = true
				if !slices.Contains(rows[version][id], prefix+s.name) {
					broken = append(broken, fmt.Sprintf("%s: %s %s does not name the script %q, which shows it", conformanceList, version, id, s.name))
				}
			}
		}
	}
	for _, v := range statements {
		for id, shown := range rows[v.version] {
			for _, name := range shown {
				if strings.HasPrefix(name, prefix) && !named[v.version+id+name] {
					broken = append(broken, fmt.Sprintf("%s: %s %s names %s, which does not say so", conformanceList, v.version, id, name))
				}
			}
		}
	}
	return broken
}
