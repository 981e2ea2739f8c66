// Package version says which build of Herald is running.
package version

import (
	"runtime/debug"
	"strings"
)

// stamp is set by the linker: make build passes
// -X github.com/herald-push/herald/internal/version.stamp=$(git describe ...).
// commit is set in a release, whose bytes do not depend on a folder of git.
var stamp, commit string

// Version is the version of this build: what make build stamped, or the module
// version for a binary made by go install, or the commit for one made by go
// build in a clone, or "devel" where none of these is known.
func Version() string {
	info, _ := debug.ReadBuildInfo()
	return choose(stamp, info)
}

// choose is Version without its two sources.
func choose(stamp string, info *debug.BuildInfo) string {
	if stamp != "" {
		return stamp
	}
	if info == nil {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	var commit, dirty string
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			commit = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				dirty = "-dirty"
			}
		}
	}
	if commit == "" {
		return "devel"
	}
	return "devel-" + strings.ToLower(commit[:min(12, len(commit))]) + dirty
}

// Commit is the commit of this build, or "" if it is not known.
func Commit() string {
	if commit != "" {
		return commit
	}
	info, _ := debug.ReadBuildInfo()
	return revision(info)
}

// revision is what the go command has noted of git.
func revision(info *debug.BuildInfo) string {
	if info != nil {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return ""
}
