package main

import (
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// bill is a bill of materials in CycloneDX 1.5
// (https://cyclonedx.org/docs/1.5/json/). What is in it is read from the binary
// itself, so that it cannot say anything else than what was linked.
type bill struct {
	Schema       string       `json:"$schema"`
	Format       string       `json:"bomFormat"`
	SpecVersion  string       `json:"specVersion"`
	SerialNumber string       `json:"serialNumber"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Timestamp string    `json:"timestamp"`
	Component component `json:"component"`
}

type component struct {
	Type       string     `json:"type"`
	Ref        string     `json:"bom-ref"`
	Name       string     `json:"name"`
	Version    string     `json:"version"`
	PURL       string     `json:"purl"`
	Hashes     []hash     `json:"hashes,omitempty"`
	Licenses   []licence  `json:"licenses,omitempty"`
	Properties []property `json:"properties,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type licence struct {
	License struct {
		ID string `json:"id"`
	} `json:"license"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn,omitempty"`
}

func apache() []licence {
	var l licence
	l.License.ID = "Apache-2.0"
	return []licence{l}
}

// swaggerUI is the one part that is not Go: internal/api/v1/docs has the files.
// A test holds the version to what is embedded.
const swaggerUI = "5.35.0"

// billOf reads a binary.
func billOf(path string, s source) ([]byte, error) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("release: what %s is made of: %w", path, err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	text, err := json.MarshalIndent(newBill(info, sha256.Sum256(content), s), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	return append(text, '\n'), nil
}

func newBill(info *debug.BuildInfo, sum [sha256.Size]byte, s source) bill {
	main := golang("application", info.Main.Path, s.version)
	main.Name, main.Licenses = "herald", apache()
	main.Hashes = []hash{{"SHA-256", hex.EncodeToString(sum[:])}}
	if s.commit != "" {
		main.Properties = append(main.Properties, property{"herald:commit", s.commit})
	}
	for _, set := range info.Settings {
		if set.Key == "GOOS" || set.Key == "GOARCH" || set.Key == "CGO_ENABLED" {
			main.Properties = append(main.Properties, property{"go:" + set.Key, set.Value})
		}
	}
	parts := []component{golang("library", "std", strings.TrimPrefix(info.GoVersion, "go"))}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		c := golang("library", m.Path, m.Version)
		if m.Sum != "" { // of the whole module, as go.sum has it, and so no hash of a file
			c.Properties = []property{{"go:sum", m.Sum}}
		}
		parts = append(parts, c)
	}
	page := component{Type: "library", Name: "swagger-ui-dist", Version: swaggerUI, Licenses: apache()}
	page.PURL = "pkg:npm/swagger-ui-dist@" + swaggerUI
	page.Ref = page.PURL
	parts = append(parts, page)
	slices.SortFunc(parts, func(a, b component) int { return cmp.Compare(a.Ref, b.Ref) })
	// Who needs whom among the parts is not in a binary: all hang on the program.
	tree := dependency{Ref: main.Ref}
	for _, c := range parts {
		tree.DependsOn = append(tree.DependsOn, c.Ref)
	}
	return bill{
		Schema: "http://cyclonedx.org/schema/bom-1.5.schema.json", Format: "CycloneDX", SpecVersion: "1.5", Version: 1,
		SerialNumber: serial(sum), Components: parts, Dependencies: []dependency{tree},
		Metadata: metadata{s.time.Format(time.RFC3339), main},
	}
}

// golang is a module as a component. The purl type golang wants the version
// encoded.
func golang(kind, path, version string) component {
	purl := "pkg:golang/" + path
	if version != "" {
		purl += "@" + url.QueryEscape(version)
	}
	return component{Type: kind, Ref: purl, Name: path, Version: version, PURL: purl}
}

// serial is a UUID of version 8 (RFC 9562 section 5.8): its bits are those of the
// binary's sum, so that the same binary has the same one.
func serial(sum [sha256.Size]byte) string {
	u := sum[:16]
	b := slices.Clone(u)
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
