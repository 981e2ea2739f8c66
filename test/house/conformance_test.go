package house

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// TestMQTTConformanceFindsGaps holds the rule against a list with gaps.
func TestMQTTConformanceFindsGaps(t *testing.T) {
	files := fstest.MapFS{
		conformanceList: {Data: []byte("# Conformance\n\n## MQTT 3.1.1\n\n| statement | what | shown by |\n|---|---|---|\n" +
			"| 1.4.0-1 | a | `mqtt.TestConformance/one` |\n" +
			"| 1.4.0-1 | twice, and this row counts | client only: yes |\n" +
			"| 1.4.0-2 | b | |\n" +
			"| 1.4.0-3 | c | `mqtt.TestConformance/two` |\n" +
			"| 2.2.2-1 | d | `packet.TestGone`, `packet.TestHere/lost`, `packet.TestHere/found` |\n" +
			"| 2.2.2-2 | e | `other.Test` |\n" +
			"| 9.9.9-9 | f | client only: it is not there |\n\n## MQTT 5.0\n")},
		scriptsOf + "/a_test.go": {Data: []byte("package mqtt\n\nfunc TestConformance() {}\n\ntype script struct{ name, old, new string }\n\n" +
			"var list = []script{{\"one\", \"1.4.0-2\", \"\"}, {\"two\", \"1.4.0-3\", \"\"}}\n")},
		"internal/wire/packet/a_test.go": {Data: []byte("package packet\n\nfunc TestHere() { _ = \"found\" }\n")},
	}
	tree := &Tree{FS: files}
	for name := range files {
		tree.Files = append(tree.Files, name)
	}
	var got []string
	for _, b := range MQTTConformance(tree) {
		if !strings.Contains(b, "has no row for") {
			got = append(got, strings.TrimPrefix(b, conformanceList+": MQTT 3.1.1 "))
		}
	}
	want := []string{
		"1.4.0-2 does not name the script \"one\", which shows it",
		"1.4.0-2 names neither a test nor why it concerns clients only",
		"2.2.2-1 names packet.TestGone, but there is no such test",
		"2.2.2-1 names packet.TestHere/lost, but there is no such subtest",
		"2.2.2-2 names other.Test, but no such package is known here",
		"has no statement 9.9.9-9",
		"has two rows for 1.4.0-1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if b := MQTTConformance(tree); !slices.ContainsFunc(b, func(s string) bool { return strings.Contains(s, "MQTT 5.0 has no row for 6.0.0-4") }) {
		t.Error("a missing row was not found")
	}
	if b := MQTTConformance(&Tree{FS: fstest.MapFS{}}); len(b) != 1 {
		t.Errorf("without a list: %v", b)
	}
}
