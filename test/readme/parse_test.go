package readme

import (
	"slices"
	"strings"
	"testing"
)

// doc writes a document in which ”' stands for a fence.
func doc(s string) string { return strings.ReplaceAll(s, "'''", "```") }

func TestParse(t *testing.T) {
	blocks, err := Parse(doc(`# Title
<!-- a comment -->
<!-- run: start background until="is up" as=sh -->

'''sh
herald dev
'''
<!-- output: start -->
'''text
...
'''
- in a list

  ~~~~JS title="x"
  one()
  ~~~
  two()
  ~~~~
`))
	if err != nil {
		t.Fatal(err)
	}
	if len(blocks) != 3 {
		t.Fatalf("%d blocks, want 3: %+v", len(blocks), blocks)
	}
	b := blocks[0]
	if b.Line != 5 || b.Lang != "sh" || b.Text != "herald dev\n" || b.Mark != "run" || b.Name != "start" || b.Kind() != "sh" {
		t.Errorf("first block: %+v", b)
	}
	if _, ok := b.Options["background"]; !ok || b.Options["until"] != "is up" || len(b.Options) != 3 {
		t.Errorf("options of the first block: %q", b.Options)
	}
	if b := blocks[1]; b.Mark != "output" || b.Name != "start" || b.Lang != "text" || b.Kind() != "" {
		t.Errorf("second block: %+v", b)
	}
	if b := blocks[2]; b.Mark != "" || b.Lang != "js" || b.Text != "one()\n~~~\ntwo()\n" || b.Kind() != "node" {
		t.Errorf("third block: %+v", b)
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct{ name, doc, want string }{
		{"not closed", "'''sh\nls\n", "line 1: the block is not closed"},
		{"a mark without a block", "<!-- run: a -->\n", "line 1: the mark a has no block"},
		{"a mark above text", "<!-- run: a -->\ntext\n'''sh\n'''\n", "line 1: the mark a has no block"},
		{"two marks", "<!-- run: a -->\n<!-- run: b -->\n'''sh\n'''\n", "line 2: "},
		{"a mark without a name", "<!-- run: -->\n'''sh\n'''\n", "is not a mark"},
		{"a mark with a bad option", "<!-- run: a Until=x -->\n'''sh\n'''\n", "is not a mark"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Parse(doc(tt.doc)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one that says %q", err, tt.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(doc("<!-- run: a background until=\"x\" -->\n'''sh\nls\n'''\n"))
	f.Add(doc("<!-- output: a -->\n  ~~~~ text\n  x\n  ~~~~\n"))
	f.Add(doc("'''\n"))
	f.Fuzz(func(t *testing.T, document string) {
		blocks, err := Parse(document)
		if err != nil && blocks != nil {
			t.Error("blocks beside an error")
		}
		Check(blocks)
		for _, b := range blocks {
			Commands(b.Text)
			Match(b.Text, document)
		}
	})
}

func TestCheck(t *testing.T) {
	tests := []struct{ name, doc, want string }{
		{"all marked", "<!-- run: a -->\n'''sh\n'''\n<!-- output: a -->\n'''text\nx ...\n'''\n'''text\nfree\n'''\n'''\nfree\n'''\n", ""},
		{"sh without a mark", "'''sh\n'''\n", "line 1: a block of sh without a mark"},
		{"bash without a mark", "'''bash\n'''\n", "a block of bash without a mark"},
		{"console without a mark", "'''console\n'''\n", "a block of console without a mark"},
		{"js without a mark", "'''js\n'''\n", "a block of js without a mark"},
		{"go without a mark", "'''go\n'''\n", "a block of go without a mark"},
		{"php without a mark", "'''php\n'''\n", "a block of php without a mark"},
		{"json without a mark", "'''json\n'''\n", "a block of json without a mark"},
		{"yaml without a mark", "'''yaml\n'''\n", "a block of yaml without a mark"},
		{"a language that cannot be run", "<!-- run: a -->\n'''text\n'''\n", `no way yet to run ""`},
		{"a kind that nobody knows", "<!-- run: a as=magic -->\n'''sh\n'''\n", `no way yet to run "magic`},
		{"a name twice", "<!-- run: a -->\n'''sh\n'''\n<!-- run: a -->\n'''sh\n'''\n", "line 5: there are two blocks called a"},
		{"output of nothing", "<!-- output: a -->\n'''text\n'''\n", "which no block above runs"},
		{"output that any text is", "<!-- run: a -->\n'''sh\n'''\n<!-- output: a -->\n'''text\n...\n'''\n", "says nothing"},
		{"an unknown option", "<!-- run: a foreground -->\n'''sh\n'''\n", "no such option: foreground"},
		{"an option of an output", "<!-- run: a -->\n'''sh\n'''\n<!-- output: a until=x -->\n'''text\nx\n'''\n", "no such option: until"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			blocks, err := Parse(doc(tt.doc))
			if err != nil {
				t.Fatal(err)
			}
			wrong := Check(blocks)
			if tt.want == "" && len(wrong) > 0 {
				t.Errorf("complaints %q, want none", wrong)
			}
			if tt.want != "" && (len(wrong) != 1 || !strings.Contains(wrong[0], tt.want)) {
				t.Errorf("complaints %q, want one that says %q", wrong, tt.want)
			}
		})
	}
}

func TestCommands(t *testing.T) {
	typed, printed := Commands("$ echo \\\n> one\n$ true\none\ntwo\n")
	if typed != "echo \\\none\ntrue\n" || printed != "one\ntwo\n" {
		t.Errorf("typed %q, printed %q", typed, printed)
	}
}

func TestMatch(t *testing.T) {
	tests := []struct{ name, want, printed, missing string }{
		{"the same", "a\nb\n", "a\nb\n", ""},
		{"indented differently", "  a\n", "a  \n", ""},
		{"more was printed", "b\n", "a\nb\nc\n", ""},
		{"any text", "key: ... (…)\n", "key: 0123 (random)\n", ""},
		{"any lines", "a\n...\nd\n…\n", "a\nb\nc\nd\n", ""},
		{"regular expressions are text", "a.c\n", "abc\n", "a.c"},
		{"part of a line is not enough", "a\n", "ab\n", "a"},
		{"another order", "b\na\n", "a\nb\n", "a"},
		{"one line for two", "a\na\n", "a\n", "a"},
		{"nothing printed", "a\n", "", "a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Match(tt.want, tt.printed); got != tt.missing {
				t.Errorf("Match says that %q is missing, want %q", got, tt.missing)
			}
		})
	}
}

// TestKindsAreKnown holds the two tables together.
func TestKindsAreKnown(t *testing.T) {
	for lang, kind := range kinds {
		if !slices.Contains(knownKinds, kind) {
			t.Errorf("language %s is run as %s, which nothing runs", lang, kind)
		}
	}
}
