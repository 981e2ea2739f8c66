package journey_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestBenchCommands runs what measures Herald at full size, at a size that a
// test has time for: that they work, and that nothing is lost on the way. What
// they measure says nothing on a busy machine, and is not looked at.
func TestBenchCommands(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data")
	for _, step := range []struct {
		args string
		want []string // each matches a line
	}{
		{"bench seed --devices 200000 --small-tags 1000 --messages 4 --sparse 6 --data " + folder, []string{
			`^200000 devices \(1[78]\d{4} alive\), 1200 tags, 10 messages in `,
		}},
		{"bench audience --settle 1ms --estimates 50 --pushes 3 --dense 2 --changes 2000 --returns 3 --data " + folder, []string{
			`^200000 devices, 1[78]\d{4} alive; 200 tags, 1000 small tags; 10 live messages$`, `^ready after +\d`,
			`^estimate, nested expression +p50 .*\(50 calls\)$`, `^accept, all +p50 .*\(3 calls\)$`,
			`^accept, dense expression +p50 .*\(2 calls\)$`, `^processors that others had +\S`, `^tags put on devices, in bulk .*\(2000 in `,
			`^devices bound to aliases .*\(200 in `, `^connect, away for all +p50 .*\(3 calls\)$`,
		}},
		{"bench storm --devices 200 --pending 4 --connected 3 --rate 20 --calm 200ms", []string{
			`^delivered +800 of 800, 0 of them twice$`, `^to those who were connected +p99 `, `^processors that others had +\S`,
		}},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
		out, err := exec.CommandContext(ctx, binary, strings.Fields(step.args)...).CombinedOutput()
		cancel()
		if err != nil {
			t.Fatalf("herald %s: %v\n%s", step.args, err, out)
		}
		for _, want := range step.want {
			if !regexp.MustCompile("(?m)" + want).Match(out) {
				t.Errorf("herald %s: no line like %q in\n%s", step.args, want, out)
			}
		}
	}
}
