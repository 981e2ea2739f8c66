package jpush

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/herald-push/herald"
)

var update = flag.Bool("update", false, "write testdata/java.golden")

// TestJavaStrictness holds the answers that the Java SDK reads with a mapper that
// refuses unknown members, and numbers where it wants text, against
// testdata/java.golden, byte by byte. Only what differs in each run is masked.
func TestJavaStrictness(t *testing.T) {
	n := newNode(t)
	id := string(n.register(herald.PlatformAndroid, "alice", "vip"))
	at := n.clock().In(Beijing).AddDate(0, 0, 2).Format(secondForm)
	var out strings.Builder
	masks := []string{string(n.app), "APPKEY", id, "REGISTRATION", n.clock().In(Beijing).Format(dayForm), "DAY", at, "TIME"}
	msgID := ""
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/v3/push", `{` + toAll + `,` + hello + `,"options":{"sendno":18}}`},
		{"POST", "/v3/push/validate", `{` + toAll + `,` + hello + `}`},
		{"GET", "/v3/push/cid?count=1&type=push", ""},
		{"GET", "/v3/devices/" + id, ""},
		{"GET", "/v3/tags", ""},
		{"GET", "/v3/tags/vip/registration_ids/" + id, ""},
		{"GET", "/v3/aliases/alice?new_format=true", ""},
		{"POST", "/v3/devices/" + id, `{"mobile":"1"}`},
		{"POST", "/v3/devices/status", `{"registration_ids":["` + id + `"]}`},
		{"POST", "/v3/schedules", `{"name":"once","enabled":true,"trigger":{"single":{"time":"` + at + `"}},"push":` + scheduledPush + `}`},
		{"GET", "/v3/schedules?page=1", ""},
		{"GET", "/v3/received?msg_ids=MSG", ""},
		{"GET", "/v3/received/detail?msg_ids=MSG", ""},
		{"GET", "/v3/messages/detail?msg_ids=MSG", ""},
		{"POST", "/v3/status/message", `{"msg_id":MSG,"registration_ids":["` + id + `"]}`},
		{"GET", "/v3/push/quota", ""},
		{"DELETE", "/v3/push/MSG", ""},
		{"POST", "/v3/push", `{` + toAll + `}`},
		{"GET", "/v3/devices/" + stranger, ""},
		{"GET", "/v3/schedules/x", ""},
	} {
		fill := strings.NewReplacer("MSG", msgID).Replace
		a := n.do(c.method, fill(c.path), fill(c.body))
		if msgID == "" {
			msgID = strings.Split(a.text, `"`)[7]
			masks = append(masks, msgID, "MSG")
		}
		for _, member := range []string{`"schedule_id":"`, `"cidlist":["` + string(n.app) + `-`} { // random
			if _, rest, ok := strings.Cut(a.text, member); ok {
				random, _, _ := strings.Cut(rest, `"`)
				masks = append(masks, random, "RANDOM")
			}
		}
		fmt.Fprintf(&out, "%s %s\n%d %s\n", c.method, c.path, a.Code, a.text)
	}
	got := strings.NewReplacer(masks...).Replace(out.String())
	file := filepath.Join("testdata", "java.golden")
	if *update {
		must(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	must(t, err)
	if got != string(want) {
		t.Errorf("the answers are\n%s\nand not as in %s: run with -update, and read the difference", got, file)
	}
}
