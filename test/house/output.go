package house

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
)

// maxBinary bounds a binary file that is allowed at all: a clone carries every
// version of it for ever.
const maxBinary = 1 << 20

// keptBinaries are the binary files that belong into the tree.
var keptBinaries = []*regexp.Regexp{
	regexp.MustCompile(`^docs/.+\.(png|jpg|webp)$`),                          // pictures of documents
	regexp.MustCompile(`^(internal/demo|console)/.+\.(png|ico|webp|woff2)$`), // parts of pages
	regexp.MustCompile(`(^|/)testdata/.+\.(bin|golden)$`),                    // golden encodings
	regexp.MustCompile(`(^|/)testdata/fuzz/`),                                // corpora of fuzz targets
	regexp.MustCompile(`^internal/api/.+/dist/.+\.(png|woff2|gz)$`),          // the page of the API's documentation
}

// keptOutput is what programs wrote and is tracked all the same, each because
// the Go build embeds it and must work without the program.
var keptOutput = []*regexp.Regexp{
	regexp.MustCompile(`^(internal|console)/.*\bdist/`), // built or vendored front ends
	regexp.MustCompile(`^docs/openapi\.(json|yaml)$`),   // compared with the code by a test
	regexp.MustCompile(`^sdk/[^/]+/dist/`),
}

// outputFile matches what compilers, tests and package managers leave behind.
var outputFile = regexp.MustCompile(`(^|/)(dist|node_modules|build|out|coverage|herald-data)/` +
	`|\.(test|prof|db|db-wal|db-shm|log|exe|o|a|so|dll|dylib|pyc|class|map|pb\.go|min\.js|min\.css)$` +
	`|(^|/)(coverage\.[a-z]+|cover\.out|\.DS_Store)$|^herald$`)

// NoOutput holds that the tree has sources only.
func NoOutput(t *Tree) []string {
	var broken []string
	for _, name := range t.Files {
		data, err := t.read(name)
		if err != nil {
			broken = append(broken, err.Error())
			continue
		}
		switch {
		case isBinary(data) && !anyMatch(keptBinaries, name):
			broken = append(broken, fmt.Sprintf("%s is binary: it cannot be reviewed or merged; build it, or add it to keptBinaries "+
				"in test/house/output.go with the reason", name))
		case isBinary(data) && len(data) > maxBinary:
			broken = append(broken, fmt.Sprintf("%s has %d bytes, the limit is %d: every clone carries it for ever", name, len(data), maxBinary))
		case (outputFile.MatchString(name) || path.Ext(name) == ".go" && generated.Match(data)) && !anyMatch(keptOutput, name):
			broken = append(broken, fmt.Sprintf("%s is the output of a program: it goes stale; ignore it, or add it to keptOutput in "+
				"test/house/output.go with the reason", name))
		}
	}
	return broken
}

// isBinary uses git's own test: a zero byte in the first 8,000.
func isBinary(data []byte) bool {
	return bytes.IndexByte(data[:min(len(data), 8000)], 0) >= 0
}

func anyMatch(patterns []*regexp.Regexp, name string) bool {
	for _, p := range patterns {
		if p.MatchString(name) {
			return true
		}
	}
	return false
}
