package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// repository is the root of the source.
const repository = "../.."

var moment = time.Unix(1_790_000_000, 0).UTC()

// tree makes a source that builds in a moment: what is packed, and a program
// that shows what the linker was told.
func tree(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	put := func(name string, content []byte) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{
		"LICENSE", "README.md", "README.zh-CN.md", "CHANGELOG.md", "packaging/proxy/nginx.conf", "packaging/proxy/Caddyfile", "packaging/proxy/haproxy.cfg",
		"packaging/systemd/herald.service", "packaging/debian/herald.yaml", "packaging/debian/copyright", "packaging/debian/postinst", "packaging/debian/prerm",
		"packaging/debian/postrm", "internal/version/version.go",
	} {
		content, err := os.ReadFile(filepath.Join(repository, name))
		if err != nil {
			t.Fatal(err)
		}
		put(name, content)
	}
	put("go.mod", []byte("module github.com/herald-push/herald\n\ngo 1.26.0\n"))
	put("cmd/herald/main.go", []byte(`package main

import (
	"os"

	"github.com/herald-push/herald/internal/version"
)

func main() { _, _ = os.Stdout.WriteString(version.Version() + " " + version.Commit()) }
`))
	return root
}

// made builds a release of such a source and gives its files.
func made(t *testing.T, s source) map[string][]byte {
	t.Helper()
	r := release{root: tree(t), out: filepath.Join(t.TempDir(), "dist"), source: s, targets: []target{{runtime.GOOS, runtime.GOARCH}}, level: gzip.BestSpeed, log: io.Discard}
	if err := r.make(t.Context()); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	entries, err := os.ReadDir(r.out)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(r.out, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = content
		if bytes.Contains(content, []byte(r.root)) {
			t.Errorf("%s contains the folder in which it was built", e.Name())
		}
	}
	return files
}

// The same source gives the same bytes, whatever the folder; another one gives
// others, so that this would be noticed.
func TestReproducible(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("unavailable: a tar archive, which this system's release is not")
	}
	s := source{version: "v1.2.3", commit: "0123456789abcdef", time: moment}
	first, second := made(t, s), made(t, s)
	names := slices.Sorted(maps.Keys(first))
	if want := map[bool]int{true: 4, false: 3}[runtime.GOOS == "linux"]; len(names) != want {
		t.Errorf("made %v, want %d files", names, want)
	}
	for _, name := range names {
		if !bytes.Equal(first[name], second[name]) {
			t.Errorf("%s differs between two folders", name)
		}
	}
	s.time = s.time.Add(time.Second)
	for name, content := range made(t, s) {
		if bytes.Equal(first[name], content) {
			t.Errorf("%s does not show the time of its source", name)
		}
	}

	name := "herald_1.2.3_" + runtime.GOOS + "_" + runtime.GOARCH + ".tar.gz"
	files := untar(t, first[name])
	binary := filepath.Join(t.TempDir(), "herald")
	if err := os.WriteFile(binary, files["./herald/herald"].content, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(binary).Output(); err != nil || string(out) != "v1.2.3 0123456789abcdef" {
		t.Errorf("the program says %q, %v", out, err)
	}
	for _, want := range []string{"./herald/LICENSE", "./herald/README.md", "./herald/completions/_herald", "./herald/packaging/proxy/nginx.conf"} {
		if _, ok := files[want]; !ok {
			t.Errorf("%s lacks %s", name, want)
		}
	}
}

// untar reads an archive, and holds it to what every archive of ours is.
func untar(t *testing.T, packed []byte) map[string]file {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	if !z.ModTime.IsZero() || z.Name != "" {
		t.Errorf("the head of gzip says %v %q", z.ModTime, z.Name)
	}
	r := tar.NewReader(z)
	out := map[string]file{}
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "root" || !h.ModTime.Equal(moment) {
			t.Errorf("%s is of %s, %v", h.Name, h.Uname, h.ModTime)
		}
		if dir := filepath.ToSlash(filepath.Dir(strings.TrimSuffix(h.Name, "/"))); dir != "." {
			if _, ok := out["./"+strings.TrimPrefix(dir, "./")+"/"]; !ok {
				t.Errorf("%s comes before its folder", h.Name)
			}
		}
		out[h.Name] = file{h.Name, h.FileInfo().Mode(), content}
	}
}

func TestZip(t *testing.T) {
	r := release{source: source{time: moment}}
	packed, suffix, err := r.archive(target{"windows", "arm64"}, []file{{"herald.exe", 0o755, []byte("MZ")}, {"docs/a", 0o644, []byte("a")}})
	if err != nil || suffix != ".zip" {
		t.Fatal(suffix, err)
	}
	z, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range z.File {
		got = append(got, f.Name+" "+f.Mode().String())
		if !f.Modified.Equal(moment) {
			t.Errorf("%s is of %v", f.Name, f.Modified)
		}
	}
	if want := []string{"herald/ drwxr-xr-x", "herald/docs/ drwxr-xr-x", "herald/docs/a -rw-r--r--", "herald/herald.exe -rwxr-xr-x"}; !slices.Equal(got, want) {
		t.Errorf("the archive has %v", got)
	}
}

func TestRunRefuses(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		args  []string
		epoch string
		want  string
	}{
		"no such flag":           {[]string{"-fast"}, "1", "fast"},
		"no platform":            {[]string{"-target", "linux"}, "1", `"linux" is no platform`},
		"no time":                {[]string{"-out", t.TempDir()}, "yesterday", "no number of seconds"},
		"a folder of other use":  {[]string{"-out", full}, "1", "thesis.txt"},
		"a platform without one": {[]string{"-out", filepath.Join(t.TempDir(), "x"), "-target", "plan9/amd64/x"}, "1", "release:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("SOURCE_DATE_EPOCH", tt.epoch)
			t.Chdir(t.TempDir()) // no source here
			if err := run(t.Context(), tt.args, io.Discard); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(full, "thesis.txt")); err != nil {
		t.Error(err)
	}
}

func TestDescribe(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("unavailable: git is not installed (scripts/needs.sh installs it)")
	}
	dir := t.TempDir()
	if _, err := describe(t.Context(), dir, ""); err == nil {
		t.Error("a folder without git has a time")
	}
	if s, err := describe(t.Context(), dir, "7"); err != nil || s.version != "devel" || s.commit != "" || s.time.Unix() != 7 {
		t.Errorf("an archive of the source: %+v, %v", s, err)
	}
	for _, args := range [][]string{
		{"init", "-q"},
		{"-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "-q", "--allow-empty", "-m", "first"},
		{"-c", "user.name=A", "-c", "user.email=a@example.com", "tag", "-a", "-m", "v2.0.0", "v2.0.0"},
	} {
		cmd := exec.Command(git, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_COMMITTER_DATE=2026-01-02T03:04:05Z", "GIT_AUTHOR_DATE=2026-01-02T03:04:05Z", "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	s, err := describe(t.Context(), dir, "")
	if err != nil || s.version != "v2.0.0" || len(s.commit) != 40 || s.time.Format(time.RFC3339) != "2026-01-02T03:04:05Z" {
		t.Errorf("a tag: %+v, %v", s, err)
	}
}

func TestCleanEnvironment(t *testing.T) {
	got := clean([]string{"PATH=/bin", "GOFLAGS=-tags=faults", "GOOS=js", "GOAMD64=v3", "GOPROXY=direct"})
	if want := []string{"PATH=/bin", "GOPROXY=direct"}; !slices.Equal(got, want) {
		t.Errorf("left %v, want %v", got, want)
	}
}
