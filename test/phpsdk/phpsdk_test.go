// Package phpsdk_test runs the tests of the PHP SDK in sdk/php, by PHP and
// PHPUnit as the system has them: those of its parts, those against the real
// binary, and the examples of its README.
package phpsdk_test

import (
	"encoding/json"
	"encoding/xml"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const sdk = "../../sdk/php"

// tool finds a command, or leaves the test out.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip("unavailable: " + name + ", the command was not found")
	}
	return path
}

// TestPHPUnit has PHPUnit run everything, and counts: a test that is left out
// is a failure here, because nobody would see it.
func TestPHPUnit(t *testing.T) {
	t.Parallel()
	phpunit := tool(t, "phpunit")
	if err := exec.CommandContext(t.Context(), tool(t, "php"), "-r", "require 'GuzzleHttp/autoload.php';").Run(); err != nil {
		t.Skip("unavailable: php-guzzlehttp-guzzle, PHP does not find it")
	}
	dir := t.TempDir()
	binary, report := filepath.Join(dir, "herald"), filepath.Join(dir, "report.xml")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/herald-push/herald/cmd/herald")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the binary does not build: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), phpunit, "--log-junit", report)
	cmd.Dir = sdk
	cmd.Env = append(os.Environ(), "HERALD="+binary, "TMPDIR="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("phpunit: %v\n%s", err, out)
	}
	b, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Suites []struct {
			Tests   int `xml:"tests,attr"`
			Skipped int `xml:"skipped,attr"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Suites) != 1 || r.Suites[0].Tests < 60 || r.Suites[0].Skipped > 0 {
		t.Errorf("phpunit ran %+v, want 60 tests at least and none left out\n%s", r.Suites, out)
	}
}

// TestSyntax has PHP read every file, the examples included.
func TestSyntax(t *testing.T) {
	t.Parallel()
	php := tool(t, "php")
	var files []string
	err := filepath.WalkDir(sdk, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && d.Name() == "vendor" {
			return fs.SkipDir
		}
		if strings.HasSuffix(path, ".php") {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) < 15 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		if out, err := exec.CommandContext(t.Context(), php, "-l", f).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", f, err, out)
		}
	}
}

// TestComposer looks at what Composer needs to know: that the package has the
// name, licence and versions that the documents say.
func TestComposer(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join(sdk, "composer.json"))
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Name, License string
		Require       map[string]string
		Autoload      map[string]map[string]string
	}
	if err := json.Unmarshal(b, &c); err != nil {
		t.Fatal(err)
	}
	if c.Name != "herald-push/herald" || c.License != "Apache-2.0" || c.Require["php"] != ">=8.1" || c.Require["psr/http-client"] == "" {
		t.Errorf("composer.json is %+v", c)
	}
	if folder := c.Autoload["psr-4"][`HeraldPush\`]; folder != "src/" {
		t.Errorf("the classes are looked for in %q", folder)
	}
	for name := range c.Require {
		if strings.Contains(name, "laravel") || strings.Contains(name, "symfony/framework") {
			t.Errorf("the package requires a framework: %s", name)
		}
	}
}
