package version

import (
	"os"
	"runtime"
	"strings"
)

// Program is how a user runs this program again, as a line for a shell: what
// was typed, or "go run ./cmd/herald" where go run has built it into a folder
// that is gone afterwards.
func Program() string {
	path, err := os.Executable()
	if err != nil {
		path = ""
	}
	return program(path, os.Args[0])
}

// program is Program without its sources: where the file lies, and how it was
// called.
func program(path, called string) string {
	switch {
	case strings.Contains(path, string(os.PathSeparator)+"go-build"):
		return "go run ./cmd/herald"
	case strings.ContainsRune(called, os.PathSeparator):
		return Quote(called)
	}
	return "herald"
}

// Quote writes a path for a shell.
func Quote(path string) string {
	if !strings.ContainsFunc(path, strange) {
		return path
	}
	if runtime.GOOS == "windows" {
		return `"` + path + `"`
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// strange reports whether a shell may take a character for more than itself.
func strange(r rune) bool {
	letter := r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	return !letter && !strings.ContainsRune("/._-", r) && (runtime.GOOS != "windows" || !strings.ContainsRune(`\:`, r))
}
