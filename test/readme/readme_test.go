//go:build unix

package readme

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// documents are the pages whose code is run; each has a Chinese twin.
var documents = []string{"README.md", "docs/guide/web-page.md", "docs/guide/webhooks.md", "docs/guide/schedules.md"}

// twin is the Chinese page of a document.
func twin(name string) string { return strings.TrimSuffix(name, ".md") + ".zh-CN.md" }

// TestDocuments runs each page, from top to bottom, against the real binary.
func TestDocuments(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin, "./cmd/herald")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build ./cmd/herald: %v\n%s", err, out)
	}
	for _, name := range documents {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			blocks := blocksOf(t, root, name)
			for _, wrong := range Check(blocks) {
				t.Errorf("%s: %s", name, wrong)
			}
			if t.Failed() {
				return
			}
			r := NewRunner(root, t.TempDir(), bin)
			t.Cleanup(r.Stop)
			for _, b := range blocks {
				runBlock(t, r, name, b)
			}
		})
	}
}

func runBlock(t *testing.T, r *Runner, document string, b Block) {
	t.Helper()
	if b.Mark == "" {
		return
	}
	for _, need := range tools[b.Kind()] {
		if _, err := exec.LookPath(need); err != nil {
			t.Skipf("unavailable: %s, not installed, so block %s of %s and what follows it was not run", need, b.Name, document)
		}
	}
	if err := r.Run(t.Context(), b); err != nil {
		t.Fatalf("%s:%d: %v", document, b.Line, err)
	}
}

// tools are the programs that a kind of block needs beside the shell.
var tools = map[string][]string{"node": {"node"}, "php": {"php"}, "page": {"node", "chromium"}}

// TestChineseDocuments holds that the Chinese pages show the same code, so that
// it need not be run twice. Comments may be translated.
func TestChineseDocuments(t *testing.T) {
	root := filepath.Join("..", "..")
	for _, name := range documents {
		t.Run(twin(name), func(t *testing.T) {
			en, zh := codeOf(blocksOf(t, root, name)), codeOf(blocksOf(t, root, twin(name)))
			if len(en) != len(zh) {
				t.Fatalf("%s has %d blocks that a reader can run, %s has %d", name, len(en), twin(name), len(zh))
			}
			for i := range en {
				if !slices.Equal(en[i], zh[i]) {
					t.Errorf("block %d differs from %s:\n%s\nand\n%s", i+1, name,
						strings.Join(en[i], "\n"), strings.Join(zh[i], "\n"))
				}
			}
		})
	}
}

func blocksOf(t *testing.T, root, name string) []Block {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatalf("%s is missing: %v", name, err)
	}
	blocks, err := Parse(string(data))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return blocks
}

// codeOf gives the lines of the blocks that can be run, without comments.
func codeOf(blocks []Block) [][]string {
	var code [][]string
	for _, b := range blocks {
		if kinds[b.Lang] == "" {
			continue
		}
		lines := []string{b.Lang}
		for line := range strings.SplitSeq(strings.TrimRight(b.Text, "\n"), "\n") {
			if c := strings.TrimSpace(line); c != "" && !strings.HasPrefix(c, "#") && !strings.HasPrefix(c, "//") {
				lines = append(lines, line)
			}
		}
		code = append(code, lines)
	}
	return code
}
