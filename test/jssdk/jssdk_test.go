// Package jssdk_test runs the tests of the JavaScript SDK in sdk/js: those of
// its parts with fakes, those in Node and in Chromium against the real binary
// (what it does, what faults do to it, topics, HTTP/2), and whether what the server
// embeds is what the sources build.
package jssdk_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/edge/certstest"
)

const (
	sdk     = "../../sdk/js"
	dist    = "../../internal/jssdk/dist"
	interop = "../interop"
)

// binary is the path of the herald under test, built by TestMain.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "herald-jssdk-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "jssdk:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "herald")
	build := exec.Command("go", "build", "-o", binary, "github.com/herald-push/herald/cmd/herald")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "jssdk: the binary does not build:", err)
		return 1
	}
	return m.Run()
}

// node prepares to run Node in a folder. It skips the test where the machine
// lacks Node 20, or the folder its packages.
func node(t *testing.T, dir, packages string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		t.Skip("unavailable: node, the command was not found")
	}
	version, err := exec.Command(path, "-p", "process.versions.node.split('.')[0]").Output()
	if n, _ := strconv.Atoi(strings.TrimSpace(string(version))); err != nil || n < 20 {
		t.Skipf("unavailable: node 20 or later, this is %q", version)
	}
	if _, err := os.Stat(filepath.Join(packages, "node_modules")); err != nil {
		t.Skipf("unavailable: npm packages, %s/node_modules is missing (npm ci was not run)", strings.TrimPrefix(packages, "../../"))
	}
	// A script that hangs is ended in time for its output to be seen.
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.WaitDelay = 5 * time.Second
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HERALD="+binary)
	return cmd
}

func mustPass(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", strings.Join(cmd.Args[1:], " "), err, out)
	}
}

func TestParts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(sdk + "/test/*.test.mjs")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests in %s: %v", sdk, err)
	}
	args := []string{"--test"}
	for _, f := range files {
		args = append(args, "test/"+filepath.Base(f))
	}
	mustPass(t, node(t, sdk, sdk, args...))
}

func TestTypes(t *testing.T) {
	t.Parallel()
	mustPass(t, node(t, sdk, sdk, "node_modules/typescript/bin/tsc", "-p", ".", "--outDir", t.TempDir()))
}

func TestNode(t *testing.T) {
	t.Parallel()
	mustPass(t, node(t, ".", interop, "--test", "--test-timeout=420000", "node.test.mjs"))
}

func TestBrowser(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		cert, key := certstest.Valid(t).Write(t, t.TempDir())
		for _, file := range []string{"browser", "faults", "topics", "http2", "webpush"} {
			t.Run(file, func(t *testing.T) {
				t.Parallel()
				cmd := node(t, ".", interop, "--test", "--test-timeout=420000", file+".test.mjs")
				cmd.Env = append(cmd.Env, "CHROMIUM="+path, "CERT="+cert, "KEY="+key)
				mustPass(t, cmd)
			})
		}
		return
	}
	t.Skip("unavailable: chromium, the command was not found")
}

// The scripts are committed, so that the server builds without Node. Whoever
// changes the sources has to build them again.
func TestDist(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustPass(t, node(t, sdk, sdk, "build.mjs", dir))
	for _, name := range []string{"herald.js", "herald.mjs", "herald-sw.js", "herald-sw.mjs"} {
		built, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		committed, err := os.ReadFile(filepath.Join(dist, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(built, committed) {
			t.Errorf("internal/jssdk/dist/%s is not what sdk/js builds: run `npm run build` in sdk/js", name)
		}
	}
}
