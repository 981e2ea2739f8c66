// Release makes what is given out of Herald: for each platform an archive with
// the static binary and a bill of materials, for Linux a Debian package too,
// and the SHA-256 sums of all. The same commit, built with the same version of
// Go, gives the same bytes in every folder and on every machine: paths, the
// time, the user and the order of files leave no trace.
//
//	go run ./internal/release [-out dist] [-target linux/amd64,linux/arm64]
//
// It knows the standard library, the go command and git, and nothing of the
// tree beyond the files that it packs.
package main

import (
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// platforms is what a release is made for.
const platforms = "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64,windows/amd64,windows/arm64"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// release is one release in the making.
type release struct {
	root    string // of the source
	out     string // folder of what is made
	source  source
	targets []target
	level   int // of compression, as gzip has it; 0 stores
	log     io.Writer
}

// source is what is released.
type source struct {
	version string    // as "git describe" says it
	commit  string    // "" if it is not known
	time    time.Time // of the commit, in whole seconds; every file bears it
}

// target is a platform.
type target struct{ os, arch string }

func (t target) String() string { return t.os + "/" + t.arch }

func run(ctx context.Context, args []string, log io.Writer) error {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	out := flags.String("out", "dist", "folder to write to; what is in it is removed")
	list := flags.String("target", platforms, "platforms, separated by commas")
	version := flags.String("version", "", "version (default: git describe)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	targets, err := parseTargets(*list)
	if err != nil {
		return err
	}
	src, err := describe(ctx, ".", os.Getenv("SOURCE_DATE_EPOCH"))
	if err != nil {
		return err
	}
	if *version != "" {
		src.version = *version
	}
	r := release{root: ".", out: *out, source: src, targets: targets, level: gzip.BestCompression, log: log}
	return r.make(ctx)
}

func parseTargets(list string) ([]target, error) {
	var out []target
	for _, text := range strings.Split(list, ",") {
		system, arch, ok := strings.Cut(text, "/")
		if !ok || system == "" || arch == "" {
			return nil, fmt.Errorf("release: %q is no platform; write for example linux/amd64", text)
		}
		out = append(out, target{system, arch})
	}
	return out, nil
}

// describe asks git what is in a folder. SOURCE_DATE_EPOCH, if it is set, is
// the time of everything in the release; so an archive of the source without
// git can be built as well.
func describe(ctx context.Context, root, epoch string) (source, error) {
	ask := func(args ...string) string {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Dir = root
		out, err := cmd.Output()
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(out))
	}
	s := source{version: ask("describe", "--tags", "--always", "--dirty"), commit: ask("rev-parse", "HEAD")}
	if s.version == "" {
		s.version = "devel"
	}
	if epoch == "" {
		epoch = ask("log", "-1", "--format=%ct")
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil || seconds < 0 {
		return source{}, fmt.Errorf("release: the time %q is no number of seconds: build in a clone of git, or set SOURCE_DATE_EPOCH", epoch)
	}
	s.time = time.Unix(seconds, 0).UTC()
	return s, nil
}

// make builds everything, from an empty folder.
func (r *release) make(ctx context.Context) error {
	if err := r.clear(); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "herald-release-")
	if err != nil {
		return fmt.Errorf("release: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }() // of the temporary folder
	completions, err := r.completions(ctx, work)
	if err != nil {
		return err
	}
	for _, t := range r.targets {
		began := time.Now()
		binary := filepath.Join(work, t.os+"-"+t.arch, program(t))
		if err := r.build(ctx, t, binary); err != nil {
			return err
		}
		if err := r.pack(t, binary, completions); err != nil {
			return err
		}
		fmt.Fprintf(r.log, "%-14s %s\n", t, time.Since(began).Round(time.Second/10))
	}
	sums, err := r.sums()
	if err != nil {
		return err
	}
	fmt.Fprint(r.log, sums)
	return nil
}

// clear empties the folder of what is made. It refuses one that holds anything
// else than a release.
func (r *release) clear() error {
	entries, err := os.ReadDir(r.out)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("release: %w", err)
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || e.Name() != sumsFile && !strings.HasPrefix(e.Name(), "herald_") {
			return fmt.Errorf("release: %s holds %s, which is of no release; choose another folder with -out", r.out, e.Name())
		}
	}
	if err := os.RemoveAll(r.out); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	return nil
}

// pack makes the files of a platform.
func (r *release) pack(t target, binary string, completions []file) error {
	name := fmt.Sprintf("herald_%s_%s_%s", strings.TrimPrefix(r.source.version, "v"), t.os, t.arch)
	bill, err := billOf(binary, r.source)
	if err != nil {
		return err
	}
	if err := r.write(name+".cdx.json", bill); err != nil {
		return err
	}
	files, err := r.archived(t, binary, completions)
	if err != nil {
		return err
	}
	packed, suffix, err := r.archive(t, files)
	if err != nil {
		return err
	}
	if err := r.write(name+suffix, packed); err != nil || t.os != "linux" {
		return err
	}
	deb, err := r.debian(t, binary, completions)
	if err != nil {
		return err
	}
	return r.write(name+".deb", deb)
}

func (r *release) write(name string, content []byte) error {
	if err := os.WriteFile(filepath.Join(r.out, name), content, 0o644); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	return nil
}

// described is what git describe makes of a commit at or after a tag.
var described = regexp.MustCompile(`^v?(\d+\.\d+\.\d+)(?:-((?:alpha|beta|rc)[0-9A-Za-z.]*))?(?:-(\d+)-g([0-9a-f]+))?(-dirty)?$`)

// debianVersion is a version that dpkg orders as we do: a candidate comes before
// its release, and a commit after the tag below it. Without a tag it is older
// than any release.
func debianVersion(s source) string {
	m := described.FindStringSubmatch(s.version)
	if m == nil {
		odd := regexp.MustCompile(`[^0-9A-Za-z.+~]+`)
		return "0~" + s.time.Format("20060102150405") + "." + odd.ReplaceAllString(strings.TrimPrefix(s.version, "v"), "+")
	}
	v := m[1]
	if m[2] != "" {
		v += "~" + m[2]
	}
	if m[3] != "" {
		v += "+" + m[3] + ".g" + m[4]
	}
	if m[5] != "" {
		v += "+dirty"
	}
	return v
}
