package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The guide shows the files that are shipped, in both languages.
func TestGuideShowsTheSamples(t *testing.T) {
	for _, page := range []string{"behind-a-proxy.md", "behind-a-proxy.zh-CN.md"} {
		guide := readSource(t, "docs/guide/"+page)
		for language, name := range map[string]string{"nginx": "nginx.conf", "caddyfile": "Caddyfile", "haproxy": "haproxy.cfg"} {
			sample := readSource(t, "packaging/proxy/"+name)
			for strings.HasPrefix(sample, "#") {
				_, sample, _ = strings.Cut(sample, "\n")
			}
			if !strings.Contains(guide, "```"+language+"\n"+sample+"```\n") {
				t.Errorf("docs/guide/%s does not show packaging/proxy/%s as it is", page, name)
			}
		}
	}
}

// What the image is built and run with exists: nothing else of it can be tried
// without a daemon.
func TestImage(t *testing.T) {
	file := readSource(t, "packaging/docker/Dockerfile")
	for _, want := range []string{"\nFROM scratch\n", "\nUSER 65532:65532\n", `CMD ["/herald", "health"]`, versionPackage + ".stamp=$VERSION", "HERALD_DATA=/data"} {
		if !strings.Contains(file, want) {
			t.Errorf("the Dockerfile lacks %q", want)
		}
	}
	module := regexp.MustCompile(`(?m)^go (1\.\d+)`).FindStringSubmatch(readSource(t, "go.mod"))
	if from := regexp.MustCompile(`FROM golang:(\S+) AS build`).FindStringSubmatch(file); len(from) < 2 || len(module) < 2 || from[1] != module[1] {
		t.Errorf("the Dockerfile builds with Go %v, go.mod wants %v", from, module)
	}
	if compose := readSource(t, "packaging/docker/compose.yaml"); !strings.Contains(compose, "dockerfile: packaging/docker/Dockerfile\n") || strings.Contains(compose, "\t") {
		t.Error("the compose file builds another image")
	}
	// Nothing that is left out may be compiled.
	for line := range strings.Lines(readSource(t, ".dockerignore")) {
		if name := strings.TrimSpace(line); name == "internal" || name == "cmd" || name == "client" || name == "*" {
			t.Errorf("the image is built without %s", name)
		}
	}
}

func readSource(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
