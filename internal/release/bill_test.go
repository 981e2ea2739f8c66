package main

import (
	"crypto/sha256"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

func TestBill(t *testing.T) {
	info := &debug.BuildInfo{
		GoVersion: "go1.26.8", Main: debug.Module{Path: "github.com/herald-push/herald"},
		Settings: []debug.BuildSetting{{Key: "GOOS", Value: "linux"}, {Key: "-compiler", Value: "gc"}},
		Deps: []*debug.Module{
			{Path: "golang.org/x/time", Version: "v0.9.0", Sum: "h1:abc="},
			{Path: "example.com/old", Version: "v1.0.0", Replace: &debug.Module{Path: "example.com/new", Version: "v2.0.0+incompatible"}},
		},
	}
	text, err := json.Marshal(newBill(info, sha256.Sum256([]byte("binary")), source{"v1.2.3", "abc", moment}))
	if err != nil {
		t.Fatal(err)
	}
	var b struct {
		BOMFormat, SpecVersion, SerialNumber string
		Metadata                             struct{ Component component }
		Components                           []component
		Dependencies                         []dependency
	}
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	main := b.Metadata.Component
	if b.BOMFormat != "CycloneDX" || b.SpecVersion != "1.5" || main.Version != "v1.2.3" || main.PURL != "pkg:golang/github.com/herald-push/herald@v1.2.3" {
		t.Errorf("the head is %s", text)
	}
	if h := main.Hashes; len(h) != 1 || h[0].Content != "9a3a45d01531a20e89ac6ae10b0b0beb0492acd7216a368aa062d1a5fecaf9cd" {
		t.Errorf("the sum of the binary is %+v", h)
	}
	if want := "urn:uuid:9a3a45d0-1531-820e-89ac-6ae10b0b0beb"; b.SerialNumber != want {
		t.Errorf("the serial number is %s, want %s", b.SerialNumber, want)
	}
	found := map[string]component{}
	for _, c := range b.Components {
		if _, twice := found[c.Ref]; twice {
			t.Errorf("%s is there twice", c.Ref)
		}
		found[c.Ref] = c
	}
	for _, want := range []string{
		"pkg:golang/std@1.26.8", "pkg:golang/golang.org/x/time@v0.9.0", "pkg:golang/example.com/new@v2.0.0%2Bincompatible", "pkg:npm/swagger-ui-dist@" + swaggerUI,
	} {
		if _, ok := found[want]; !ok {
			t.Errorf("%s is missing in %s", want, text)
		}
	}
	if p := found["pkg:golang/golang.org/x/time@v0.9.0"].Properties; len(p) != 1 || p[0] != (property{"go:sum", "h1:abc="}) {
		t.Errorf("the sum of a module is %+v", p)
	}
	if len(b.Dependencies) != 1 || b.Dependencies[0].Ref != main.Ref || len(b.Dependencies[0].DependsOn) != len(b.Components) {
		t.Errorf("the tree is %+v", b.Dependencies)
	}
}

func TestBillOfNoBinary(t *testing.T) {
	path := filepath.Join(t.TempDir(), "herald")
	if _, err := billOf(path, source{}); err == nil {
		t.Error("a file that is not there has parts")
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := billOf(path, source{}); err == nil || !strings.HasPrefix(err.Error(), "release: ") {
		t.Errorf("a script: %v", err)
	}
}

// The page about the API names the version of what it embeds.
func TestEmbeddedPage(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository, "internal/api/v1/docs/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "\n"+swaggerUI+" from the npm package `swagger-ui-dist`") {
		t.Errorf("the page about the API does not embed swagger-ui-dist %s", swaggerUI)
	}
}
