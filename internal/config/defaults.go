package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Defaults gives a configuration file with every key, its meaning, its unit
// and its default. Loading it gives [Default].
func Defaults() string {
	var b strings.Builder
	b.WriteString(`# Configuration of Herald. Every value below is the default: keep the lines that
# you change. Each key can also be given as an environment variable: HERALD_ and
# the name in capitals, with __ for the dot, so HERALD_SERVER__HTTP is
# server.http. A flag overrides the environment, which overrides this file.
`)
	c := Default()
	values := fields(&c)
	for _, k := range keys {
		if !strings.Contains(k.name, ".") {
			writeKey(&b, "", k.name, k, values[k.name])
		}
	}
	for _, s := range sections {
		fmt.Fprintf(&b, "\n# %s\n%s:\n", s.doc, s.name)
		first := true
		for _, k := range keys {
			name, below := strings.CutPrefix(k.name, s.name+".")
			if !below {
				continue
			}
			if !first {
				b.WriteByte('\n')
			}
			first = false
			writeKeyLines(&b, "  ", name, k, values[k.name])
		}
	}
	return b.String()
}

func writeKey(b *strings.Builder, indent, name string, k key, v reflect.Value) {
	b.WriteByte('\n')
	writeKeyLines(b, indent, name, k, v)
}

func writeKeyLines(b *strings.Builder, indent, name string, k key, v reflect.Value) {
	for _, line := range wrap(k.doc, 80-len(indent)-2) {
		fmt.Fprintf(b, "%s# %s\n", indent, line)
	}
	fmt.Fprintf(b, "%s%s: %s\n", indent, name, yamlValue(v))
}

// yamlValue writes a value as a person would, and so that it reads back.
func yamlValue(v reflect.Value) string {
	switch {
	case v.Type() == durationType:
		return shortDuration(time.Duration(v.Int()))
	case v.Kind() == reflect.String:
		return strconv.Quote(v.String())
	case v.Kind() == reflect.Slice:
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = strconv.Quote(v.Index(i).String())
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case v.Kind() == reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'f', -1, 64)
	default:
		return fmt.Sprint(v.Interface())
	}
}

// shortDuration is Duration.String without zero parts: 1m0s becomes 1m.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// wrap breaks a text at spaces into lines of at most width letters.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
