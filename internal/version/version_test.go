package version

import (
	"runtime/debug"
	"testing"
)

func TestChoose(t *testing.T) {
	info := func(version string, settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: version}, Settings: settings}
	}
	commit := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef0123"}
	clean := debug.BuildSetting{Key: "vcs.modified", Value: "false"}
	dirty := debug.BuildSetting{Key: "vcs.modified", Value: "true"}
	tests := []struct {
		name  string
		stamp string
		info  *debug.BuildInfo
		want  string
	}{
		{"stamped by the linker", "v1.2.3-4-gabc", info("v0.9.0", commit), "v1.2.3-4-gabc"},
		{"installed from a module", "", info("v0.9.0", commit), "v0.9.0"},
		{"built in a clone", "", info("(devel)", commit, clean), "devel-0123456789ab"},
		{"built in a changed clone", "", info("(devel)", commit, dirty), "devel-0123456789ab-dirty"},
		{"no commit known", "", info("(devel)"), "devel"},
		{"short commit", "", info("", debug.BuildSetting{Key: "vcs.revision", Value: "ABC"}), "devel-abc"},
		{"no build information", "", nil, "devel"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := choose(tt.stamp, tt.info); got != tt.want {
				t.Errorf("choose(%q, ...) = %q, want %q", tt.stamp, got, tt.want)
			}
		})
	}
}

func TestVersionIsNeverEmpty(t *testing.T) {
	if Version() == "" {
		t.Error("Version() is empty; a bug report could not name the build")
	}
}

func TestRevision(t *testing.T) {
	info := &debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: "0123456789abcdef0123"}}}
	for want, info := range map[string]*debug.BuildInfo{"0123456789abcdef0123": info, "": {}} {
		if got := revision(info); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := revision(nil); got != "" {
		t.Errorf("without build information: %q", got)
	}
}
