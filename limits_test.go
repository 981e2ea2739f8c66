package herald_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
)

// TestLimitsAreDocumented holds limits.go, and the limits of topic.go, to the
// tables of docs/design/001, and sees that neither has a limit that the other
// lacks.
func TestLimitsAreDocumented(t *testing.T) {
	values := map[string]int64{
		"MaxMessageBytes": herald.MaxMessageBytes, "MaxRequestBytes": herald.MaxRequestBytes, "MaxFrameBytes": herald.MaxFrameBytes,
		"MaxNameBytes": herald.MaxNameBytes, "MaxTagsPerDevice": herald.MaxTagsPerDevice, "MaxDevicesByAlias": herald.MaxDevicesByAlias,
		"MaxIDsPerCall": herald.MaxIDsPerCall, "MaxDirect": herald.MaxDirect, "MaxPending": herald.MaxPending,
		"MaxGroupMessages": herald.MaxGroupMessages, "MaxSchedules": herald.MaxSchedules, "MaxScheduleName": herald.MaxScheduleName, "MaxSessions": herald.MaxSessions, "MaxAttributes": herald.MaxAttributes,
		"MaxAttributeBytes": herald.MaxAttributeBytes, "MaxTopicBytes": herald.MaxTopicBytes, "MaxTopicLevels": herald.MaxTopicLevels,
		"MaxTopics": herald.MaxTopics, "MaxTopicRules": herald.MaxTopicRules, "DefaultPageSize": herald.DefaultPageSize, "MaxPageSize": herald.MaxPageSize,
		"DefaultTTL": int64(herald.DefaultTTL), "MaxTTL": int64(herald.MaxTTL), "MaxSendAhead": int64(herald.MaxSendAhead),
		"Heartbeat": int64(herald.Heartbeat), "HeartbeatTimeout": int64(herald.HeartbeatTimeout), "HelloTimeout": int64(herald.HelloTimeout),
		"LateReceipts": int64(herald.LateReceipts), "TraceRetention": int64(herald.TraceRetention), "CountRetention": int64(herald.CountRetention),
		"IdempotencyTTL": int64(herald.IdempotencyTTL), "VolatileTTL": int64(herald.VolatileTTL), "ApprovalTTL": int64(herald.ApprovalTTL), "DrainSpread": int64(herald.DrainSpread),
	}
	documented := documentedLimits(t)
	for name, v := range values {
		if d, ok := documented[name]; !ok {
			t.Errorf("%s is not in the tables", name)
		} else if d != v {
			t.Errorf("%s is %d, and the table says %d", name, v, d)
		}
	}
	for name := range documented {
		if _, ok := values[name]; !ok {
			t.Errorf("the tables name %s, which this test does not know", name)
		}
	}
	names := constants(t, "limits.go")
	for _, name := range constants(t, "topic.go") {
		if strings.HasPrefix(name, "Max") {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if _, ok := values[name]; !ok {
			t.Errorf("the code has %s, which this test does not know", name)
		}
	}
}

func documentedLimits(t *testing.T) map[string]int64 {
	t.Helper()
	text, err := os.ReadFile("docs/design/001-names-ids-limits.md")
	if err != nil {
		t.Fatal(err)
	}
	units := map[string]int64{
		"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "s": int64(time.Second), "min": int64(time.Minute),
		"h": int64(time.Hour), "d": int64(24 * time.Hour),
	}
	out := map[string]int64{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z][A-Za-z]+)` \\| ([0-9,]+) ?([A-Za-z]*) \\|").FindAllStringSubmatch(string(text), -1) {
		n, err := strconv.ParseInt(strings.ReplaceAll(m[2], ",", ""), 10, 64)
		unit, known := units[m[3]]
		if err != nil || !known {
			t.Errorf("the value of %s, %q %q, cannot be read", m[1], m[2], m[3])
		}
		out[m[1]] = n * unit
	}
	return out
}

func constants(t *testing.T, file string) (names []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			for _, name := range v.Names {
				names = append(names, name.Name)
			}
		}
		return true
	})
	return names
}
