package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/v2"
	yamlv3 "go.yaml.in/yaml/v3"

	"github.com/herald-push/herald"
)

// Sources says where to load from. The zero value gives the defaults.
type Sources struct {
	// Base is what applies where no source says anything; nil means [Default].
	Base *Config
	// File is the path of a YAML file; "" for none.
	File string
	// Environ is the environment, as os.Environ gives it. Variables that begin
	// with HERALD_ are read. An empty one counts as not set.
	Environ []string
	// Flags holds the flags that were given, by key, e.g. "server.http".
	Flags map[string]string
}

// MaxFileBytes is the largest configuration file that is read.
const MaxFileBytes = 1 << 20

// foreign are variables that begin with HERALD_ and are not configuration of
// the server: those of the command line and of the tests.
var foreign = []string{"HERALD_URL", "HERALD_APP_KEY", "HERALD_SECRET", "HERALD_REQUIRE"}

// foreignPrefixes are variables that Kubernetes sets in every container for a
// service that is called herald.
var foreignPrefixes = []string{"HERALD_SERVICE_", "HERALD_PORT_"}

// Load reads the sources, each over the one before: defaults, file,
// environment, flags. It answers all mistakes at once, each as a *herald.Error
// whose Field is the key and whose text says where the mistake stands. What it
// returns without error has passed [Config.Validate].
func Load(s Sources) (Config, error) {
	base := Default()
	if s.Base != nil {
		base = *s.Base
	}
	l := loader{merged: koanf.New(".")}
	if s.File != "" {
		if err := l.file(s.File); err != nil {
			return Config{}, err
		}
	}
	l.environ(s.Environ)
	l.flags(s.Flags)
	if len(l.problems) > 0 {
		return Config{}, errors.Join(l.problems...)
	}
	if err := l.merged.UnmarshalWithConf("", &base, koanf.UnmarshalConf{}); err != nil {
		return Config{}, fmt.Errorf("config: %w", err)
	}
	if err := base.Validate(); err != nil {
		return Config{}, err
	}
	return base, nil
}

// loader gathers what the sources say, converted to the types of the fields.
type loader struct {
	merged   *koanf.Koanf
	problems []error
}

// values is a koanf provider of a map that was converted already.
type values map[string]any

func (v values) Read() (map[string]any, error) { return v, nil }

// ReadBytes is never called: the map needs no parser.
func (v values) ReadBytes() ([]byte, error) { return nil, errors.ErrUnsupported }

func (l *loader) problem(err error) { l.problems = append(l.problems, err) }

// set takes one value of one source; from says which, for errors.
func (l *loader) set(name string, v any, from string) {
	k, known := keyNamed(name)
	if !known {
		remedy := "Run \"herald config defaults\" for the list of keys."
		if near := nearest(name); near != "" {
			remedy = fmt.Sprintf("Did you mean %s?", near)
		}
		l.problem(herald.Invalid(name, remedy, "unknown key in %s", from))
		return
	}
	converted, err := convert(k, v)
	if err != nil {
		l.problem(herald.Invalid(name, fmt.Sprintf("Write for example: %s", k.example), "%s, in %s", err, from))
		return
	}
	path := strings.Split(name, ".")
	m := map[string]any{path[len(path)-1]: converted}
	for _, section := range slices.Backward(path[:len(path)-1]) {
		m = map[string]any{section: m}
	}
	if err := l.merged.Load(values(m), nil); err != nil {
		l.problem(fmt.Errorf("config: %s: %w", name, err))
	}
}

func (l *loader) file(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return herald.Errorf(herald.CodeInvalidRequest, "Check the path given with --config.", "the configuration file cannot be read: %s", err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, MaxFileBytes+1))
	if err != nil {
		return herald.Errorf(herald.CodeInvalidRequest, "Check the path given with --config.", "the configuration file cannot be read: %s", err)
	}
	if len(text) > MaxFileBytes {
		return herald.Errorf(herald.CodeInvalidRequest, "Is it the right file?", "%s is larger than %d bytes", path, MaxFileBytes)
	}
	return l.text(text, path)
}

// text reads YAML. An error means that nothing of it could be read.
func (l *loader) text(text []byte, path string) error {
	tree, err := yaml.Parser().Unmarshal(text)
	if err != nil {
		return herald.Errorf(herald.CodeInvalidRequest, "Correct the YAML; \"herald config defaults\" prints an example.",
			"%s: %s", path, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	// The parser reads the first document only; a second one would be ignored
	// in silence.
	d := yamlv3.NewDecoder(bytes.NewReader(text))
	var skip yamlv3.Node
	if d.Decode(&skip) == nil && !errors.Is(d.Decode(&skip), io.EOF) {
		return herald.Errorf(herald.CodeInvalidRequest, "Put everything into one document, without a line ---.", "%s has more than one YAML document", path)
	}
	l.tree("", tree, "file "+path)
	return nil
}

// tree walks the sections of a parsed file in the order of their names, so
// that errors come in the same order each time.
func (l *loader) tree(prefix string, m map[string]any, from string) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		v, full := m[name], prefix+name
		switch {
		case strings.Contains(name, "."):
			section, rest, _ := strings.Cut(name, ".")
			l.problem(herald.Invalid(full, fmt.Sprintf("Write %s: and below it, indented, %s:", section, rest), "a key with a dot in %s", from))
		case isSection(full):
			switch below := v.(type) {
			case nil: // all its keys were commented out
			case map[string]any:
				l.tree(full+".", below, from)
			default:
				l.problem(herald.Invalid(full, "Write its keys on the lines below it, indented.", "a section needs keys, in %s", from))
			}
		default:
			l.set(full, v, from)
		}
	}
}

func (l *loader) environ(env []string) {
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		rest, ours := strings.CutPrefix(name, "HERALD_")
		if !ours || value == "" || isForeign(name) {
			continue
		}
		l.set(strings.ToLower(strings.ReplaceAll(rest, "__", ".")), value, "environment variable "+name)
	}
}

func isForeign(name string) bool {
	if name == "HERALD_PORT" || slices.Contains(foreign, name) {
		return true
	}
	return slices.ContainsFunc(foreignPrefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

func (l *loader) flags(given map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		l.set(name, given[name], "a flag")
	}
}
