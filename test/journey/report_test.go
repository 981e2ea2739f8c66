package journey_test

import (
	"context"
	"encoding/csv"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// herald runs a command of the program in the server's folder.
func (s *server) herald(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), s.env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("herald %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestReportsTellTheSameAfterACrash asks in every way what became of a message
// that one of two devices has received, before and after the server was killed,
// and erases that device.
func TestReportsTellTheSameAfterACrash(t *testing.T) {
	s := startServer(t)
	here, away := s.register(t), s.register(t)
	conn := dial(t, s, here.Token)
	m := s.push(t, "Hello", 2)
	for f := readFrame(t, conn); f.Type != "message"; {
		f = readFrame(t, conn)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := conn.Write(ctx, websocket.MessageText, []byte(`{"type":"ack","ids":["`+m.ID+`"]}`)); err != nil {
		t.Fatal(err)
	}
	s.awaitCounts(t, m.ID, "received by one", func(n counts) bool { return n.Received == 1 })

	ask := func() string {
		report := s.herald(t, "report", m.ID)
		for _, want := range []string{"target     2", "received   1        50.0 %", "not sent  1"} {
			if !strings.Contains(report, want) {
				t.Errorf("the report has no %q:\n%s", want, report)
			}
		}
		list := s.herald(t, "deliveries", m.ID, "--format", "csv")
		rows, err := csv.NewReader(strings.NewReader(list)).ReadAll()
		if err != nil || len(rows) != 3 || rows[1][0] != here.RegistrationID || rows[1][3] != "received" || rows[2][0] != away.RegistrationID || rows[2][3] != "pending" {
			t.Errorf("deliveries: %v\n%s", err, list)
		}
		timeline := s.herald(t, "timeline", here.RegistrationID)
		if !strings.Contains(timeline, "message "+m.ID+"  received  Hello") || !strings.Contains(timeline, "The device registered.") {
			t.Errorf("timeline:\n%s", timeline)
		}
		return report + list
	}
	before := ask()
	address := s.address(t)
	s.kill(t)
	s.start(t, address)
	if after := ask(); after != before {
		t.Errorf("after a crash it is told as\n%s, before as\n%s", after, before)
	}

	if r := s.call(t, "DELETE", "/v1/devices/"+here.RegistrationID+"?erase=true", s.basic(), nil); r.status != http.StatusNoContent {
		t.Fatalf("erasing: %d %s", r.status, r.body)
	}
	if list := s.herald(t, "deliveries", m.ID, "--format", "ndjson", "--state", "received"); strings.Count(list, "\n") != 1 || strings.Contains(list, "registration_id") {
		t.Errorf("after an erasure one device has received it, and nobody knows which: %s", list)
	}
}
