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

// TestREADME runs the first page, from top to bottom, against the real binary.
func TestREADME(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	blocks := blocksOf(t, root, "README.md")
	for _, wrong := range Check(blocks) {
		t.Errorf("README.md: %s", wrong)
	}
	if t.Failed() {
		return
	}
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin, "./cmd/herald")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build ./cmd/herald: %v\n%s", err, out)
	}
	r := NewRunner(root, t.TempDir(), bin)
	t.Cleanup(r.Stop)
	for _, b := range blocks {
		if b.Mark == "" {
			continue
		}
		if b.Kind() == "node" {
			if _, err := exec.LookPath("node"); err != nil {
				t.Skipf("unavailable: node, not installed, so block %s of README.md and what follows it was not run", b.Name)
			}
		}
		if err := r.Run(t.Context(), b); err != nil {
			t.Fatalf("README.md:%d: %v", b.Line, err)
		}
	}
}

// TestChineseREADME holds that the Chinese page shows the same code, so that
// it need not be run twice. Comments may be translated.
func TestChineseREADME(t *testing.T) {
	root := filepath.Join("..", "..")
	en, zh := codeOf(blocksOf(t, root, "README.md")), codeOf(blocksOf(t, root, "README.zh-CN.md"))
	if len(en) != len(zh) {
		t.Fatalf("README.md has %d blocks that a reader can run, README.zh-CN.md has %d", len(en), len(zh))
	}
	for i := range en {
		if !slices.Equal(en[i], zh[i]) {
			t.Errorf("block %d differs from README.md in README.zh-CN.md:\n%s\nand\n%s", i+1,
				strings.Join(en[i], "\n"), strings.Join(zh[i], "\n"))
		}
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
