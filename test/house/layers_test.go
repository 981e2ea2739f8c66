package house

import "testing"

func TestLayersCanFail(t *testing.T) {
	const nobody, left = "nobody else", "stands to the left of"
	tests := []struct {
		name         string
		from, to     string // below the module; a path with a dot is outside it
		want, inTest string // a part of the complaint, if there has to be one
	}{
		{"a stage, the vocabulary", "internal/api", "", "", ""},
		{"a stage, a leaf", "internal/live", "internal/wire", "", ""},
		{"to the right", "internal/api", "internal/registry", "", ""},
		{"to the right within a group", "internal/live", "internal/offline", "", ""},
		{"to the left", "internal/registry", "internal/api", left, left},
		{"to the left within a group", "internal/offline", "internal/live", left, left},
		{"a part, its parent", "internal/live/websocket", "internal/live", "", ""},
		{"a part, what its parent may import", "internal/live/websocket", "internal/receipt", "", ""},
		{"a part, to the left of its parent", "internal/live/websocket", "internal/dispatch", left, left},
		{"a part, its sister", "internal/live/sse", "internal/live/websocket", "sisters", "sisters"},
		{"a part, a part of its own", "internal/api/v1", "internal/api/v1/docs", "", ""},
		{"a part below a part, its parent", "internal/api/v1/docs", "internal/api/v1", "", ""},
		{"a stage, a part of it", "internal/live", "internal/live/sse", "plugins.go", "plugins.go"},
		{"a stage, a part of another", "internal/dispatch", "internal/live/sse", "plugins.go", "plugins.go"},
		{"a stage, a store", "internal/registry", "internal/store/sqlite", "server hands the store in", ""},
		{"a stage, a suite", "internal/live/sse", "internal/live/livetest", "tests only", ""},
		{"a stage, the SDK", "internal/live", "client", "seen from outside", ""},
		{"a stage, server", "internal/api", "internal/server", "server puts everybody together", "server puts everybody together"},
		{"a leaf, a leaf", "internal/record", "internal/sets", "", ""},
		{"a leaf, a stage", "internal/record", "internal/receipt", "a leaf knows", "a leaf knows"},
		{"a store, a leaf", "internal/store/sqlite", "internal/record", "", ""},
		{"a store, a stage", "internal/store/sqlite", "internal/receipt", "a store knows", "a store knows"},
		{"a store, its suite", "internal/store/sqlite", "internal/store/storetest", "tests only", ""},
		{"a suite, a stage", "internal/store/storetest", "internal/dispatch", "", ""},
		{"a suite, server", "internal/live/livetest", "internal/server", "server puts", "server puts"},
		{"server, everybody", "internal/server", "internal/live/sse", "", ""},
		{"server, the demo page", "internal/server", "internal/demo", "", ""},
		{"a stage, the demo page", "internal/api", "internal/demo", nobody, nobody},
		{"server, a suite", "internal/server", "internal/live/livetest", "tests only", ""},
		{"the binary, server", "cmd/herald", "internal/server", "", ""},
		{"the binary, types of the API", "cmd/herald", "internal/api", "", ""},
		{"the binary, the SDK", "cmd/herald", "client/device", "", ""},
		{"the binary, a stage", "cmd/herald", "internal/live", "flags and signals", "flags and signals"},
		{"the binary, a store", "cmd/herald", "internal/store/sqlite", "flags and signals", ""},
		{"server, the binary", "internal/server", "cmd/herald", "last user", "last user"},
		{"the SDK, the vocabulary", "client/device", "", "", ""},
		{"the SDK, the SDK", "client/device", "client", "", ""},
		{"the SDK, a leaf", "client", "internal/wire", "the public SDK", ""},
		{"the SDK, server", "client", "internal/server", "server puts", ""},
		{"the vocabulary, a leaf", "", "internal/sets", "the vocabulary knows nobody", "the vocabulary knows nobody"},
		{"the vocabulary, outside", "", "example.com/x", "standard library only", ""},
		{"a stage, outside", "internal/live", "example.com/x", "", ""},
		{"the runner, the vocabulary", "internal/testrun", "", "the test runner", "the test runner"},
		{"a stage, the runner", "internal/api", "internal/testrun", "written for tests", "written for tests"},
		{"a stage, a trial", "internal/api", "test/house", "written for tests", "written for tests"},
		{"a trial, everybody", "test/journey", "internal/server", "", ""},
		{"an unknown folder imported", "internal/api", "internal/stuff", "no place", "no place"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			from := Package{ImportPath: importPath(tt.from), Imports: []string{"fmt", importPath(tt.to)}}
			judge(t, Layers(&Tree{Packages: []Package{from}}), tt.want)
			for _, test := range []Package{
				{ImportPath: from.ImportPath, TestImports: from.Imports},
				{ImportPath: from.ImportPath, XTestImports: append(from.Imports, from.ImportPath)},
			} {
				judge(t, Layers(&Tree{Packages: []Package{test}}), tt.inTest)
			}
		})
	}
}

func TestLayersUnknownPackage(t *testing.T) {
	for _, name := range []string{"internal/stuff", "pkg/x"} {
		judge(t, Layers(&Tree{Packages: []Package{{ImportPath: importPath(name)}}}), "has no place in the house")
	}
}

func importPath(rel string) string {
	switch rel {
	case "":
		return Module
	case "example.com/x":
		return rel
	}
	return Module + "/" + rel
}
