package journey_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// decode runs a command as herald does, and decodes the JSON that it prints.
func (s *server) decode(t *testing.T, into any, args ...string) {
	t.Helper()
	out := s.herald(t, append(args, "--json")...)
	if err := json.Unmarshal([]byte(out), into); err != nil {
		t.Fatalf("herald %q: %v: %s", args, err, out)
	}
}

// What is saved under a name and what was uploaded outlast a kill, and are
// audiences after it.
func TestSegmentsAndFiles(t *testing.T) {
	s := startServer(t)
	first, second := s.register(t), s.register(t)
	s.register(t)
	list := filepath.Join(s.dir, "people.csv")
	if err := os.WriteFile(list, []byte("\ufeffname,registration_id\r\n\"Smith, Ann\","+first.RegistrationID+"\r\nBen,"+second.RegistrationID+"\r\nnobody,00000000000000000000\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var file struct {
		ID             string
		Lines, Devices int64
		Unknown        int64
	}
	s.decode(t, &file, "file", "upload", list)
	if file.Lines != 3 || file.Devices != 2 || file.Unknown != 1 {
		t.Errorf("uploaded %+v", file)
	}
	var changed struct{ Added int64 }
	s.decode(t, &changed, "tag", "add", "november", "--file", file.ID)
	if changed.Added != 2 {
		t.Errorf("the tag is on %d devices", changed.Added)
	}
	var ignored any
	s.decode(t, &ignored, "segment", "set", "november", `{"tags": ["november"]}`)
	s.decode(t, &ignored, "segment", "set", "others", `{"not": {"segments": ["november"]}}`)
	s.kill(t)
	s.start(t, s.address(t))

	for want, args := range map[int64][]string{
		2: {"--segment", "november"}, 1: {"--segment", "others"}, 0: {"--segment", "others", "--file", file.ID},
	} {
		var m sent
		s.decode(t, &m, append([]string{"push", "Hello"}, args...)...)
		if m.Target == nil || *m.Target != want || !m.Stored {
			t.Errorf("%q: %+v, want %d devices", args, m, want)
		}
	}
	if r := s.call(t, "DELETE", "/v1/segments/november", s.basic(), nil); r.status != http.StatusConflict {
		t.Errorf("deleting what is used: %d: %s", r.status, r.body)
	}
	if r := s.call(t, "POST", "/v1/messages", s.basic(), object{"audience": object{"files": []string{"00000000000000000000"}}, "data": 1}); r.status != http.StatusUnprocessableEntity {
		t.Errorf("a file that is not there: %d: %s", r.status, r.body)
	}
}
