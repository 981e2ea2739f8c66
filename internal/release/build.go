package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// versionPackage has the variables that the linker sets.
const versionPackage = "github.com/herald-push/herald/internal/version"

// program is the name of the binary.
func program(t target) string {
	if t.os == "windows" {
		return "herald.exe"
	}
	return "herald"
}

// build makes the binary. -trimpath leaves the folder out of it, -buildvcs the
// folder of git, which an archive of the source has not; the linker is told
// version and commit instead.
func (r *release) build(ctx context.Context, t target, binary string) error {
	stamp := "-s -w -buildid= -X " + versionPackage + ".stamp=" + r.source.version
	if r.source.commit != "" {
		stamp += " -X " + versionPackage + ".commit=" + r.source.commit
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", stamp, "-o", binary, "./cmd/herald")
	cmd.Dir = r.root
	cmd.Env = append(clean(os.Environ()), "CGO_ENABLED=0", "GOOS="+t.os, "GOARCH="+t.arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("release: building for %s: %w\n%s", t, err, out)
	}
	return nil
}

// clean leaves out what a user may have set that changes the binary, so that
// everybody builds the same.
func clean(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return slices.Contains([]string{
			"GOFLAGS", "GOOS", "GOARCH", "GOAMD64", "GOARM64", "GOEXPERIMENT", "GOFIPS140", "GOWORK", "GODEBUG", "CGO_ENABLED",
		}, name)
	})
}

// completions asks the program itself for what shells complete, built for this
// machine.
func (r *release) completions(ctx context.Context, work string) ([]file, error) {
	here := target{runtime.GOOS, runtime.GOARCH}
	binary := filepath.Join(work, "here", program(here))
	if err := r.build(ctx, here, binary); err != nil {
		return nil, err
	}
	var files []file
	for _, c := range []struct{ shell, path string }{
		{"bash", "usr/share/bash-completion/completions/herald"},
		{"zsh", "usr/share/zsh/vendor-completions/_herald"},
		{"fish", "usr/share/fish/vendor_completions.d/herald.fish"},
	} {
		out, err := exec.CommandContext(ctx, binary, "completion", c.shell).Output()
		if err != nil {
			return nil, fmt.Errorf("release: herald completion %s: %w", c.shell, err)
		}
		files = append(files, file{c.path, 0o644, out})
	}
	return files, nil
}
