package house

import (
	"path/filepath"
	"testing"
)

// TestHouse holds every rule against this tree.
func TestHouse(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	tree, err := Load(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Files) == 0 || len(tree.Packages) == 0 {
		t.Fatalf("%d files and %d packages found: the rules would hold of nothing", len(tree.Files), len(tree.Packages))
	}
	rules := []struct {
		name string
		rule func(*Tree) []string
	}{
		{"layers", Layers},
		{"file length", FileLength},
		{"package comments", PackageComments},
		{"small interfaces", SmallInterfaces},
		{"package names", PackageNames},
		{"no init", NoInit},
		{"no machine paths", NoMachinePaths},
		{"no output", NoOutput},
		{"same headings", SameHeadings},
		{"links", Links},
		{"has tests", HasTests},
		{"one egress", OneEgress},
		{"MQTT conformance", MQTTConformance},
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, broken := range r.rule(tree) {
				t.Error(broken)
			}
		})
	}
}
