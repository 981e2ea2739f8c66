package doctor

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/edge/certstest"
)

// folderInfo is what Stat says of a folder.
type folderInfo struct {
	fs.FileInfo
	mode fs.FileMode
}

func (f folderInfo) IsDir() bool       { return f.mode.IsDir() }
func (f folderInfo) Mode() fs.FileMode { return f.mode }

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// healthy is a machine on which every check is ok.
func healthy() System {
	return System{
		Listen:      func(string) error { return nil },
		Alive:       func(context.Context, string) bool { return false },
		Stat:        func(string) (fs.FileInfo, error) { return folderInfo{mode: fs.ModeDir | 0o700}, nil },
		Sync:        func(string) (time.Duration, error) { return time.Millisecond, nil },
		Free:        func(string) (uint64, error) { return 100 * gib, nil },
		Descriptors: func() (uint64, uint64, error) { return 1024, 1 << 20, nil },
		Memory:      func() (uint64, error) { return 8 * gib, nil },
		Kernel:      func() (string, error) { return "Linux 6.1", nil },
		Now:         func() time.Time { return noon },
		Wait:        func(time.Duration) {},
		Zone:        func(string) error { return nil },
		Private:     true,
	}
}

func TestHealthyMachine(t *testing.T) {
	for _, f := range Run(t.Context(), config.Default(), healthy()) {
		if f.State != OK || f.Remedy != "" || f.Text == "" {
			t.Errorf("%+v", f)
		}
	}
}

func TestFindings(t *testing.T) {
	taken := func(string) error { return &net.OpError{Op: "listen", Err: errors.New("address already in use")} }
	var valid config.TLS
	valid.Cert, valid.Key = certstest.Make(t, noon.AddDate(0, -1, 0), noon.AddDate(0, 2, 0)).Write(t, t.TempDir())
	tests := []struct {
		name   string
		change func(*System, *config.Config)
		check  string
		state  State
		text   string
	}{
		{"MQTT off", func(_ *System, c *config.Config) { c.Server.MQTT = "" }, "port mqtt", OK, "switched off"},
		{"MQTT taken at its default", func(s *System, _ *config.Config) { s.Listen = taken }, "port mqtt", Warning, "127.0.0.1:1883 cannot be used: address already in use"},
		{"MQTT taken", func(s *System, c *config.Config) { s.Listen, c.Server.MQTT = taken, "0.0.0.0:1883" }, "port mqtt", Failure, "0.0.0.0:1883 cannot be used: address already in use"},
		{"raw TCP off", func(_ *System, c *config.Config) { c.Server.TCP = "" }, "port tcp", OK, "switched off"},
		{"raw TCP taken", func(s *System, _ *config.Config) { s.Listen = taken }, "port tcp", Failure, "127.0.0.1:7701 cannot be used: address already in use"},
		{"raw TCP taken by Herald", func(s *System, c *config.Config) {
			s.Listen = taken
			s.Alive = func(_ context.Context, address string) bool { return address == c.Server.HTTP }
		}, "port tcp", OK, "by the server of Herald that answers on 127.0.0.1:7700"},
		{"HTTPS", func(_ *System, c *config.Config) { c.Server.HTTPS = ":443" }, "port https", OK, ":443 is free"},
		{"HTTPS taken", func(s *System, c *config.Config) { s.Listen, c.Server.HTTPS = taken, ":443" }, "port https", Failure, ":443 cannot be used"},
		{"HTTPS taken by Herald", func(s *System, c *config.Config) {
			s.Listen, c.Server.HTTPS = taken, ":443"
			s.Alive = func(_ context.Context, address string) bool { return address == c.Server.HTTP }
		}, "port https", OK, "by the server of Herald"},
		{"certificate by ACME", func(_ *System, c *config.Config) { c.TLS.ACMEDomains = []string{"push.example.com"} }, "certificate", OK, "push.example.com"},
		{"no certificate file", func(_ *System, c *config.Config) { c.TLS.Cert, c.TLS.Key = "none.pem", "none.pem" }, "certificate", Failure, "none.pem cannot be read"},
		{"certificate", func(_ *System, c *config.Config) { c.TLS = valid }, "certificate", OK, "valid until 2027-"},
		{"expired certificate", func(s *System, c *config.Config) {
			s.Now, c.TLS = func() time.Time { return noon.AddDate(1, 0, 0) }, valid
		}, "certificate", Warning, "has expired"},
		{"port taken", func(s *System, _ *config.Config) { s.Listen = taken }, "port http", Failure, "127.0.0.1:7700 cannot be used: address already in use"},
		{"port taken by us", func(s *System, c *config.Config) {
			c.Server.HTTP = "0.0.0.0:7700"
			s.Listen = taken
			s.Alive = func(_ context.Context, a string) bool { return a == "127.0.0.1:7700" }
		}, "port http", OK, "taken by a server of Herald"},
		{"no folder yet", func(s *System, _ *config.Config) {
			s.Stat = func(string) (fs.FileInfo, error) { return nil, fs.ErrNotExist }
		}, "data folder", OK, "does not exist yet"},
		{"folder unreadable", func(s *System, _ *config.Config) {
			s.Stat = func(string) (fs.FileInfo, error) { return nil, fs.ErrPermission }
		}, "data folder", Failure, "permission denied"},
		{"file instead of a folder", func(s *System, _ *config.Config) {
			s.Stat = func(string) (fs.FileInfo, error) { return folderInfo{mode: 0o600}, nil }
		}, "data folder", Failure, "is not a folder"},
		{"open folder", func(s *System, _ *config.Config) {
			s.Stat = func(string) (fs.FileInfo, error) { return folderInfo{mode: fs.ModeDir | 0o755}, nil }
		}, "data folder", Warning, "mode 0755"},
		{"modes without meaning", func(s *System, _ *config.Config) {
			s.Private = false
			s.Stat = func(string) (fs.FileInfo, error) { return folderInfo{mode: fs.ModeDir | 0o777}, nil }
		}, "data folder", OK, ""},
		{"no write", func(s *System, _ *config.Config) {
			s.Sync = func(string) (time.Duration, error) { return 0, fs.ErrPermission }
		}, "disk sync", Failure, "permission denied"},
		{"sync too fast", func(s *System, _ *config.Config) {
			s.Sync = func(string) (time.Duration, error) { return 5 * time.Microsecond, nil }
		}, "disk sync", Warning, "which no disk can do"},
		{"sync slow", func(s *System, _ *config.Config) {
			s.Sync = func(string) (time.Duration, error) { return 80 * time.Millisecond, nil }
		}, "disk sync", Warning, "80ms"},
		{"disk short", func(s *System, _ *config.Config) { s.Free = func(string) (uint64, error) { return gib, nil } }, "disk space", Warning, "1.0 GiB free"},
		{"disk full", func(s *System, _ *config.Config) { s.Free = func(string) (uint64, error) { return mib, nil } }, "disk space", Failure, "1 MiB free"},
		{"disk unknown", func(s *System, _ *config.Config) {
			s.Free = func(string) (uint64, error) { return 0, errors.New("odd") }
		}, "disk space", Warning, "odd"},
		{"disk not supported", func(s *System, _ *config.Config) {
			s.Free = func(string) (uint64, error) { return 0, errors.ErrUnsupported }
		}, "disk space", OK, "not checked"},
		{"few descriptors", func(s *System, _ *config.Config) {
			s.Descriptors = func() (uint64, uint64, error) { return 100, 200, nil }
		}, "open files", Warning, "enough for 0 connections"},
		{"fewer than asked", func(_ *System, c *config.Config) { c.Live.Connections = 1 << 20 }, "open files", Failure, "asks for 1048576"},
		{"no limit", func(s *System, _ *config.Config) {
			s.Descriptors = func() (uint64, uint64, error) { return 256, 1 << 62, nil }
		}, "open files", OK, "no limit"},
		{"descriptors unknown", func(s *System, _ *config.Config) {
			s.Descriptors = func() (uint64, uint64, error) { return 0, 0, errors.ErrUnsupported }
		}, "open files", OK, "not checked"},
		{"wrong year", func(s *System, _ *config.Config) { s.Now = func() time.Time { return time.Unix(0, 0) } }, "clock", Failure, "1970"},
		{"no zones", func(s *System, _ *config.Config) { s.Zone = func(string) error { return errors.New("unknown") } }, "time zones", Warning, "missing"},
		{"little memory", func(s *System, _ *config.Config) { s.Memory = func() (uint64, error) { return 128 * mib, nil } }, "memory", Warning, "128 MiB in all"},
		{"queues too large", func(s *System, _ *config.Config) { s.Memory = func() (uint64, error) { return 768 * mib, nil } }, "memory", Warning, "512 MiB"},
		{"memory unknown", func(s *System, _ *config.Config) {
			s.Memory = func() (uint64, error) { return 0, errors.ErrUnsupported }
		}, "memory", OK, "not checked"},
		{"kernel unknown", func(s *System, _ *config.Config) { s.Kernel = func() (string, error) { return "", errors.New("odd") } }, "system", Warning, "odd"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, c := healthy(), config.Default()
			tt.change(&s, &c)
			for _, f := range Run(t.Context(), c, s) {
				if (f.State == OK) != (f.Remedy == "") {
					t.Errorf("%+v: a remedy belongs to what is not ok", f)
				}
				if f.Check == tt.check && (f.State != tt.state || !strings.Contains(f.Text, tt.text)) {
					t.Errorf("got %+v, want %s %q", f, tt.state, tt.text)
				}
			}
		})
	}
}

func TestClockDrift(t *testing.T) {
	for wall, want := range map[time.Duration]State{100 * time.Millisecond: OK, 110 * time.Millisecond: OK, time.Second: Warning, -time.Hour: Warning} {
		if f := drift(wall, 100*time.Millisecond); f.State != want || (want == OK) != (f.Remedy == "") {
			t.Errorf("%s: %+v", wall, f)
		}
	}
}

func TestMachine(t *testing.T) {
	// The real machine answers each question, or says that it cannot.
	s := Machine()
	s.Wait = func(time.Duration) {}
	c := config.Default()
	c.Data = t.TempDir() + "/not/yet"
	c.Server.HTTP, c.Server.Ops, c.Server.TCP = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	for _, f := range Run(t.Context(), c, s) {
		if f.State == Failure {
			t.Errorf("%+v", f)
		}
	}
	if _, err := s.Sync(c.Data); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("sync in no folder: %v", err)
	}
	folder := t.TempDir()
	if _, err := s.Sync(folder); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(folder); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAlive(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/livez" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	address := strings.TrimPrefix(srv.URL, "http://")
	if !alive(t.Context(), address) {
		t.Error("not alive")
	}
	if err := tryListen(address); err == nil {
		t.Error("the port is taken, and free")
	}
	srv.Close()
	if alive(t.Context(), address) || alive(t.Context(), "not an address") {
		t.Error("alive")
	}
}

func TestLowDisk(t *testing.T) {
	n, err := freeSpace(t.TempDir())
	if got := LowDisk(t.TempDir()); got != (err == nil && n < lowDisk) {
		t.Errorf("with %d bytes free (%v): %t", n, err, got)
	}
	if LowDisk(filepath.Join(t.TempDir(), "none")) {
		t.Error("a folder that is not there has a full disk")
	}
}
