package house

import (
	"fmt"
	"slices"
	"strings"
)

// The stages in the order in which a message meets them. A stage may import
// what stands to its right.
var stages = []string{"api", "audience", "dispatch", "inbox", "live", "offline", "topiclog", "retained", "courier", "vault", "provider", "webhook", "receipt", "registry"}

// Leaves know the vocabulary and each other, and nothing of the stages.
var leaves = []string{"sets", "record", "wire", "strict", "bus", "egress", "telemetry", "config", "version", "doctor", "demo", "jssdk", "faults", "edge", "systemd", "seal", "admission", "calendar", "template", "sim"}

// kind is the place of a package in the house.
type kind int

const (
	unknown    kind = iota
	vocabulary      // the root package
	sdk             // client, client/device
	command         // cmd/...
	stage           // internal/STAGE
	part            // internal/STAGE/...: one transport, one provider, one translator
	suite           // internal/STAGE/STAGEtest, internal/store/storetest
	leaf            // internal/LEAF and below
	store           // internal/store/...
	server          // internal/server and below
	bencher         // internal/bench: what "herald bench" runs
	tool            // internal/testrun, internal/release
	trial           // test/..., bench/...
)

// place is where a package stands: its kind and the folder below internal/.
type place struct {
	kind kind
	top  string // api, live, sets...
	rel  string
}

func placeOf(rel string) place {
	first, rest, _ := strings.Cut(rel, "/")
	switch first {
	case "":
		return place{vocabulary, "", rel}
	case "client":
		return place{sdk, first, rel}
	case "cmd":
		return place{command, first, rel}
	case "test", "bench":
		return place{trial, first, rel}
	case "internal":
		return placeInside(rest, rel)
	}
	return place{unknown, first, rel}
}

func placeInside(path, rel string) place {
	top, below, nested := strings.Cut(path, "/")
	switch {
	case nested && below == top+"test":
		return place{suite, top, rel}
	case top == "store":
		return place{store, top, rel}
	case top == "server":
		return place{server, top, rel}
	case top == "bench":
		return place{bencher, top, rel}
	case top == "testrun", top == "release":
		return place{tool, top, rel}
	case slices.Contains(leaves, top):
		return place{leaf, top, rel}
	case slices.Contains(stages, top) && nested:
		return place{part, top, rel}
	case slices.Contains(stages, top):
		return place{stage, top, rel}
	}
	return place{unknown, top, rel}
}

// Layers holds who may import whom.
func Layers(t *Tree) []string {
	var broken []string
	for _, p := range t.Packages {
		from := placeOf(p.Rel())
		if from.kind == unknown {
			broken = append(broken, fmt.Sprintf("%s has no place in the house: give it one in docs/ARCHITECTURE.md and in "+
				"test/house/layers.go, so that everybody knows who may import it", p.ImportPath))
			continue
		}
		for _, imported := range p.Imports {
			if why := forbidden(from, imported); why != "" {
				broken = append(broken, fmt.Sprintf("%s imports %s: %s", p.ImportPath, imported, why))
			}
		}
		for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
			if why := forbiddenInTest(from, imported); why != "" {
				broken = append(broken, fmt.Sprintf("a test of %s imports %s: %s", p.ImportPath, imported, why))
			}
		}
	}
	return broken
}

// inModule reports whether an import is a package of this module.
func inModule(imported string) bool {
	return imported == Module || strings.HasPrefix(imported, Module+"/")
}

// standard reports whether an import is of the standard library: only there
// has the first part of the path no dot.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

// forbidden says why a package may not import another, or nothing if it may.
func forbidden(from place, imported string) string {
	if !inModule(imported) {
		if from.kind == vocabulary && !standard(imported) {
			return "the vocabulary imports the standard library only, so that whoever uses the words gets nothing else with them"
		}
		return ""
	}
	to := placeOf(rel(imported))
	if why := forbiddenToAll(from, to); why != "" || from.kind == trial {
		return why
	}
	if to.kind == vocabulary && from.kind != tool {
		return ""
	}
	switch from.kind {
	case vocabulary:
		return "the vocabulary knows nobody, because everybody knows it"
	case tool:
		return "the test runner and the release run before anything of the tree is known to build"
	case sdk:
		if to.kind == sdk {
			return ""
		}
		return "the public SDK uses the root package and client only: a customer can import nothing internal, and must see the same API as we do"
	case leaf:
		if to.kind == leaf {
			return ""
		}
		return "a leaf knows the vocabulary and other leaves only; it is shared by all stages, so it may depend on none"
	case store:
		if to.kind == leaf || to.kind == store {
			return ""
		}
		return "a store knows the vocabulary and leaves only; what a stage asks of it is declared by the stage and met without an import"
	case suite:
		return ""
	case server, bencher:
		return ""
	case command:
		return forbiddenToCommand(to)
	}
	return forbiddenToStage(from, to)
}

// forbiddenToAll has the rules about who may be imported at all.
func forbiddenToAll(from, to place) string {
	switch {
	case to.kind == unknown:
		return "that package has no place in the house (docs/ARCHITECTURE.md)"
	case to.kind == trial && from.kind != trial, to.kind == tool:
		return "what is written for tests and releases is not part of the product"
	case to.kind == suite && from.kind != suite && from.kind != trial:
		return "a conformance suite is imported by tests only: it would bring the testing package into the binary"
	case to.kind == bencher && from.kind != bencher && from.kind != command && from.kind != trial:
		return "what is only for measuring is no part of a server; only the binary's bench command runs it"
	case to.kind == server && from.kind != server && from.kind != bencher && from.kind != command && from.kind != trial:
		return "server puts everybody together and nobody but the binary knows it; what you need of it has to be handed in"
	case to.kind == command && from.kind != command:
		return "the binary is the last user of everything"
	case to.top == "demo" && from.kind != server && from.top != "demo" && from.kind != trial:
		return "the demo page is served by server and nobody else knows it"
	}
	return ""
}

func forbiddenToCommand(to place) string {
	switch {
	case to.kind == command, to.kind == server, to.kind == bencher, to.kind == sdk, to.kind == leaf:
		return ""
	case to.kind == stage && to.top == "api":
		return "" // the types that the SDK and the administration share
	}
	return "the binary has flags and signals only; the work is done behind server and client"
}

// forbiddenToStage has the rules of a stage and of the parts below it.
func forbiddenToStage(from, to place) string {
	switch to.kind {
	case leaf:
		return ""
	case store:
		return "a stage declares the few methods that it needs of a store; server hands the store in"
	case sdk:
		return "the SDK is a client of the server, seen from outside"
	case part:
		switch {
		case from.rel == to.rel:
			return ""
		case from.kind == part && from.top == to.top && strings.HasPrefix(to.rel, from.rel+"/"):
			return "" // a part may be divided further
		case from.kind == part && from.top == to.top && strings.HasPrefix(from.rel, to.rel+"/"):
			return ""
		case from.kind == part && from.top == to.top:
			return "sisters do not know each other; what they share is a leaf (like internal/wire) or their parent"
		}
		return "a transport, provider or translator is named in server/plugins.go and nowhere else, so that adding one changes one line"
	}
	left, right := slices.Index(stages, from.top), slices.Index(stages, to.top)
	switch {
	case from.top == to.top: // a part imports its parent
		return ""
	case right > left:
		return ""
	}
	return fmt.Sprintf("%s stands to the left of %s: calls go to the right, answers are return values; "+
		"declare the one method that %s needs and let server hand it in", to.top, from.top, from.top)
}

// forbiddenInTest says why a test may not import a package. Tests may use the
// conformance suites and real stores, but no more of what is to their left.
func forbiddenInTest(from place, imported string) string {
	if !inModule(imported) || from.rel == rel(imported) {
		return ""
	}
	to := placeOf(rel(imported))
	switch to.kind {
	case suite, store, leaf, sdk:
		if from.kind != vocabulary && to.top != "demo" {
			return ""
		}
	case server:
		if from.kind == sdk {
			return "" // the SDK is tested against the real server
		}
	}
	return forbidden(from, imported)
}
