package version

import (
	"runtime"
	"testing"
)

func TestProgram(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("unavailable: the paths and quotes are those of Unix")
	}
	tests := []struct{ name, path, called, want string }{
		{"go run", "/tmp/go-build12/b001/exe/herald", "/tmp/go-build12/b001/exe/herald", "go run ./cmd/herald"},
		{"found in PATH", "/usr/bin/herald", "herald", "herald"},
		{"built here", "/home/ann/herald/herald", "./herald", "./herald"},
		{"by its whole path", "/opt/my tools/herald", "/opt/my tools/herald", "'/opt/my tools/herald'"},
		{"the system does not say where", "", "herald", "herald"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := program(tt.path, tt.called); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	if Program() == "" {
		t.Error("nothing can be run")
	}
}

func TestQuote(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("unavailable: the quotes are those of a Unix shell")
	}
	for in, want := range map[string]string{"a/b-c_1.d": "a/b-c_1.d", "a b": "'a b'", "it's": `'it'\''s'`, "$(x)": "'$(x)'"} {
		if got := Quote(in); got != want {
			t.Errorf("%s: got %s", in, got)
		}
	}
}
