package house

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

// The two languages of the first page.
const (
	readme   = "README.md"
	readmeZH = "README.zh-CN.md"
)

// prose gives the lines of a document that are text: lines of fenced code are
// empty instead, so that line numbers stay.
func prose(document string) []string {
	lines := strings.Split(document, "\n")
	fence := ""
	for i, line := range lines {
		trimmed := strings.TrimLeft(line, " \t>")
		switch {
		case fence == "" && (strings.HasPrefix(trimmed, "```") || strings.HasPrefix(trimmed, "~~~")):
			fence = trimmed[:len(trimmed)-len(strings.TrimLeft(trimmed, trimmed[:1]))]
			lines[i] = ""
		case fence != "":
			if closes := strings.TrimRight(trimmed, " \t"); strings.HasPrefix(closes, fence) && strings.Trim(closes, fence[:1]) == "" {
				fence = ""
			}
			lines[i] = ""
		}
	}
	return lines
}

var heading = regexp.MustCompile(`^(#{1,6})\s+\S`)

type headingLine struct{ line, level int }

func headings(document string) []headingLine {
	var found []headingLine
	for i, line := range prose(document) {
		if m := heading.FindStringSubmatch(line); m != nil {
			found = append(found, headingLine{i + 1, len(m[1])})
		}
	}
	return found
}

// SameHeadings holds that the first page says the same in both languages.
func SameHeadings(t *Tree) []string {
	var pages [2][]headingLine
	for i, name := range []string{readme, readmeZH} {
		data, err := t.read(name)
		if err != nil {
			return []string{fmt.Sprintf("%s is missing: the first page exists in English and in Chinese (%v)", name, err)}
		}
		pages[i] = headings(string(data))
	}
	en, zh := pages[0], pages[1]
	if len(en) == 0 {
		return []string{readme + " has no heading"}
	}
	for i := range min(len(en), len(zh)) {
		if en[i].level != zh[i].level {
			return []string{fmt.Sprintf("%s:%d has a heading of level %d where %s:%d has one of level %d: both pages say the same in "+
				"the same order", readme, en[i].line, en[i].level, readmeZH, zh[i].line, zh[i].level)}
		}
	}
	if len(en) != len(zh) {
		return []string{fmt.Sprintf("%s has %d headings and %s has %d: both pages say the same in the same order", readme, len(en), readmeZH, len(zh))}
	}
	return nil
}

var (
	inlineCode = regexp.MustCompile("`[^`]*`")
	inlineLink = regexp.MustCompile(`\]\(\s*<?([^)\s>]+)>?(?:\s+["'(][^)]*)?\)`)
	refLink    = regexp.MustCompile(`^\s{0,3}\[[^\]]+\]:\s+<?([^\s>]+)`)
	htmlLink   = regexp.MustCompile(`(?:src|href|srcset)="([^"\s]+)`)
)

// Links holds that a link of a document to a file of the tree leads somewhere.
func Links(t *Tree) []string {
	var broken []string
	for _, name := range t.withExt(".md") {
		if vendored(name) {
			continue
		}
		data, err := t.read(name)
		if err != nil {
			broken = append(broken, err.Error())
			continue
		}
		for i, line := range prose(string(data)) {
			for _, target := range linksOf(line) {
				if why := t.deadLink(name, target); why != "" {
					broken = append(broken, fmt.Sprintf("%s:%d: the link to %s is dead: %s", name, i+1, target, why))
				}
			}
		}
	}
	return broken
}

func linksOf(line string) []string {
	line = inlineCode.ReplaceAllString(line, "``")
	var targets []string
	for _, pattern := range []*regexp.Regexp{inlineLink, refLink, htmlLink} {
		for _, m := range pattern.FindAllStringSubmatch(line, -1) {
			targets = append(targets, m[1])
		}
	}
	return targets
}

// deadLink says why a link from a document leads nowhere, or nothing when it
// leads somewhere or out of the tree.
func (t *Tree) deadLink(from, target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return err.Error()
	}
	if u.Scheme != "" || u.Host != "" || u.Path == "" {
		return ""
	}
	file := strings.TrimPrefix(u.Path, "/")
	if !strings.HasPrefix(u.Path, "/") {
		file = path.Join(path.Dir(from), u.Path)
	}
	file = path.Clean(file)
	if file == "." || slices.Contains(t.Files, file) {
		return ""
	}
	if strings.HasPrefix(file, "..") {
		return "it leaves the repository"
	}
	if slices.ContainsFunc(t.Files, func(f string) bool { return strings.HasPrefix(f, file+"/") }) {
		return "" // a folder
	}
	return "no such file is tracked"
}
