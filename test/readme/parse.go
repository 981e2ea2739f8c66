package readme

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Block is one fenced block of code with its mark.
type Block struct {
	Line    int // of the opening fence
	Lang    string
	Text    string
	Mark    string // "run", "output", or empty
	Name    string
	Options map[string]string
}

// kinds says how a block of a language is run when its mark does not.
var kinds = map[string]string{
	"sh": "sh", "bash": "sh", "shell": "sh", "console": "console", "js": "node", "javascript": "node",
	"go": "gorun", "json": "message", "yaml": "config", "php": "php", "html": "page",
}

// Kind is how to run the block; empty for a block that cannot be run.
func (b Block) Kind() string {
	if as, ok := b.Options["as"]; ok {
		return as
	}
	return kinds[b.Lang]
}

var (
	markLine = regexp.MustCompile(`^<!--\s*(run|output):\s*(\S+)((?:\s+[a-z]+(?:=(?:"[^"]*"|[^\s"]+))?)*)\s*-->$`)
	anyMark  = regexp.MustCompile(`^<!--\s*(run|output)\b`)
	option   = regexp.MustCompile(`([a-z]+)(?:=(?:"([^"]*)"|([^\s"]+)))?`)
)

// Parse finds the blocks of a Markdown document.
func Parse(document string) ([]Block, error) {
	var blocks []Block
	var mark *Block // a mark that waits for its block
	lines := strings.Split(document, "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSpace(lines[i])
		fence := openingFence(line)
		switch {
		case fence != "":
			b := Block{Line: i + 1, Lang: language(line[len(fence):])}
			if mark != nil {
				b.Mark, b.Name, b.Options = mark.Mark, mark.Name, mark.Options
				mark = nil
			}
			indent := lines[i][:len(lines[i])-len(strings.TrimLeft(lines[i], " \t"))]
			var text strings.Builder
			for i++; ; i++ {
				if i == len(lines) {
					return nil, fmt.Errorf("readme: line %d: the block is not closed", b.Line)
				}
				if closes(strings.TrimSpace(lines[i]), fence) {
					break
				}
				text.WriteString(strings.TrimPrefix(lines[i], indent) + "\n")
			}
			b.Text = text.String()
			blocks = append(blocks, b)
		case anyMark.MatchString(line):
			m := markLine.FindStringSubmatch(line)
			if m == nil || mark != nil {
				return nil, fmt.Errorf("readme: line %d: %s is not a mark of the form <!-- run: NAME [OPTION...] --> above a block", i+1, line)
			}
			mark = &Block{Line: i + 1, Mark: m[1], Name: m[2], Options: parseOptions(m[3])}
		case line != "" && mark != nil:
			return nil, fmt.Errorf("readme: line %d: the mark %s has no block below it", mark.Line, mark.Name)
		}
	}
	if mark != nil {
		return nil, fmt.Errorf("readme: line %d: the mark %s has no block below it", mark.Line, mark.Name)
	}
	return blocks, nil
}

func openingFence(line string) string {
	for _, c := range []string{"`", "~"} {
		if n := len(line) - len(strings.TrimLeft(line, c)); n >= 3 {
			return line[:n]
		}
	}
	return ""
}

// closes reports a line of nothing but at least as many marks as the fence.
func closes(line, fence string) bool {
	return len(line) >= len(fence) && strings.Trim(line, fence[:1]) == ""
}

func language(info string) string {
	if f := strings.Fields(info); len(f) > 0 {
		return strings.ToLower(f[0])
	}
	return ""
}

func parseOptions(s string) map[string]string {
	options := make(map[string]string)
	for _, m := range option.FindAllStringSubmatch(s, -1) {
		options[m[1]] = m[2] + m[3]
	}
	return options
}

var knownKinds = []string{"sh", "console", "node", "gorun", "message", "config", "make", "clone", "php", "page"}

// Check says what is wrong with the marks of a document.
func Check(blocks []Block) []string {
	var wrong []string
	complain := func(b Block, format string, args ...any) {
		wrong = append(wrong, fmt.Sprintf("line %d: ", b.Line)+fmt.Sprintf(format, args...))
	}
	run := make(map[string]bool)
	for _, b := range blocks {
		_, runnable := kinds[b.Lang]
		switch {
		case b.Mark == "" && runnable:
			complain(b, "a block of %s without a mark: put <!-- run: NAME --> above it (go doc ./test/readme), "+
				"because a reader will copy it and it has to work", b.Lang)
		case b.Mark == "run" && !slices.Contains(knownKinds, b.Kind()):
			complain(b, "block %s: there is no way yet to run %q", b.Name, b.Kind()+b.Options["as"])
		case b.Mark == "run" && run[b.Name]:
			complain(b, "there are two blocks called %s", b.Name)
		case b.Mark == "output" && !run[b.Name]:
			complain(b, "output of %s, which no block above runs", b.Name)
		case b.Mark == "output" && strings.Trim(b.Text, ".… \t\n") == "":
			complain(b, "output of %s says nothing: show a line of what it prints", b.Name)
		}
		if b.Mark == "run" {
			run[b.Name] = true
		}
		for name := range b.Options {
			if b.Mark == "output" || !slices.Contains([]string{"as", "background", "until"}, name) {
				complain(b, "block %s: no such option: %s", b.Name, name)
			}
		}
	}
	return wrong
}

// Commands takes a block of kind console apart: what is typed, and what it
// prints. A line that ends in a backslash goes on in the next.
func Commands(text string) (typed, printed string) {
	var in, out strings.Builder
	more := false
	for line := range strings.Lines(text) {
		command, ok := strings.CutPrefix(line, "$ ")
		switch {
		case ok:
			in.WriteString(command)
		case more:
			in.WriteString(strings.TrimPrefix(line, "> "))
		default:
			out.WriteString(line)
		}
		more = (ok || more) && strings.HasSuffix(strings.TrimRight(line, "\n"), `\`)
	}
	return in.String(), out.String()
}

// Match says which line of an output block is not in what was printed, or
// nothing when all are, in order.
func Match(want, printed string) string {
	lines := strings.Split(printed, "\n")
	for line := range strings.SplitSeq(want, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line == "..." || line == "…" {
			continue
		}
		pattern := regexp.MustCompile(`^\s*` + strings.NewReplacer(`\.\.\.`, ".*", "…", ".*").Replace(regexp.QuoteMeta(line)) + `\s*$`)
		i := slices.IndexFunc(lines, pattern.MatchString)
		if i < 0 {
			return line
		}
		lines = lines[i+1:]
	}
	return ""
}
