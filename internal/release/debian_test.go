//go:build linux

package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestDebianVersion(t *testing.T) {
	dpkg, missing := exec.LookPath("dpkg")
	versions := []string{ // each is older than the next
		"3ee2faf", "v1.0.0-alpha1", "v1.0.0-rc.1", "v1.0.0-rc.2", "v1.0.0-rc.2-7-gabcdef0", "v1.0.0", "v1.0.0-3-g0123abc", "v1.0.0-12-g0123abc", "v1.0.0-12-g0123abc-dirty", "v1.0.1", "v1.10.0",
	}
	want := []string{
		"0~20260921141320.3ee2faf", "1.0.0~alpha1", "1.0.0~rc.1", "1.0.0~rc.2", "1.0.0~rc.2+7.gabcdef0", "1.0.0", "1.0.0+3.g0123abc", "1.0.0+12.g0123abc", "1.0.0+12.g0123abc+dirty", "1.0.1", "1.10.0",
	}
	for i, v := range versions {
		if got := debianVersion(source{version: v, time: moment}); got != want[i] {
			t.Errorf("%s becomes %s, want %s", v, got, want[i])
		}
		if i == 0 || missing != nil {
			continue
		}
		if err := exec.Command(dpkg, "--compare-versions", want[i-1], "lt", want[i]).Run(); err != nil {
			t.Errorf("dpkg does not take %s for older than %s: %v", want[i-1], want[i], err)
		}
	}
	if missing != nil {
		t.Skip("unavailable: dpkg is not installed (scripts/needs.sh installs it on Debian), which orders versions")
	}
}

// need gives the path of a program.
func need(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("unavailable: %s is not installed (scripts/needs.sh installs it on Debian)", name)
	}
	return path
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", filepath.Base(name), args, err, out)
	}
	return string(out)
}

// TestDebianPackage makes the package with a real binary, has dpkg unpack it,
// systemd read its unit, and starts what is in it as systemd would.
func TestDebianPackage(t *testing.T) {
	dpkg := need(t, "dpkg-deb")
	dir := t.TempDir()
	binary := filepath.Join(dir, "herald")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", binary, "./cmd/herald")
	build.Dir, build.Env = repository, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// Nothing is compressed: with the race detector that takes a minute.
	r := release{root: repository, source: source{version: "v1.2.3-4-gabcdef0", time: moment}}
	deb, err := r.debian(target{"linux", runtime.GOARCH}, binary, []file{{"usr/share/bash-completion/completions/herald", 0o644, []byte("complete\n")}})
	if err != nil {
		t.Fatal(err)
	}
	packed := filepath.Join(dir, "herald.deb")
	if err := os.WriteFile(packed, deb, 0o600); err != nil {
		t.Fatal(err)
	}
	root, control := filepath.Join(dir, "root"), filepath.Join(dir, "control")
	output(t, dpkg, "-x", packed, root)
	output(t, dpkg, "-e", packed, control)

	t.Run("what dpkg knows of it", func(t *testing.T) { examineControl(t, dpkg, packed, control, root) })
	t.Run("what systemd says of its unit", func(t *testing.T) { verifyUnit(t, root) })
	t.Run("its configuration", func(t *testing.T) {
		file := filepath.Join(root, "etc/herald/herald.yaml")
		if out := output(t, filepath.Join(root, "usr/bin/herald"), "config", "check", file); !strings.Contains(out, "is valid") {
			t.Errorf("herald config check: %s", out)
		}
	})
	t.Run("started by a manager", func(t *testing.T) { startService(t, root) })
}

func examineControl(t *testing.T, dpkg, packed, control, root string) {
	for name, want := range map[string]string{"Package": "herald", "Version": "1.2.3+4.gabcdef0", "Architecture": runtime.GOARCH, "Depends": "adduser"} {
		if got := strings.TrimSpace(output(t, dpkg, "-f", packed, name)); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	conffiles, err := os.ReadFile(filepath.Join(control, "conffiles"))
	if err != nil || string(conffiles) != "/etc/herald/herald.yaml\n" {
		t.Errorf("conffiles are %q, %v", conffiles, err)
	}
	for _, script := range []string{"postinst", "prerm", "postrm"} {
		path := filepath.Join(control, script)
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v, %v", script, info, err)
		}
		output(t, "sh", "-n", path)
	}
	sums := exec.Command("md5sum", "-c", filepath.Join(control, "md5sums"))
	sums.Dir = root
	if out, err := sums.CombinedOutput(); err != nil {
		t.Errorf("the sums: %v\n%s", err, out)
	}
	for path, mode := range map[string]os.FileMode{"usr/bin/herald": 0o755, "etc/herald/herald.yaml": 0o640, "usr/lib/systemd/system/herald.service": 0o644, "usr/share/doc/herald/copyright": 0o644} {
		if info, err := os.Stat(filepath.Join(root, path)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
}

// unit reads the unit, with the program where it was unpacked.
func unit(t *testing.T, root string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "usr/lib/systemd/system/herald.service"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "/usr/bin/herald", filepath.Join(root, "usr/bin/herald"))
}

func verifyUnit(t *testing.T, root string) {
	analyze := need(t, "systemd-analyze")
	path := filepath.Join(t.TempDir(), "herald.service")
	if err := os.WriteFile(path, []byte(unit(t, root)), 0o600); err != nil {
		t.Fatal(err)
	}
	// It may have something to say of other units of this machine.
	if out := output(t, analyze, "verify", "--man=no", path); strings.Contains(out, "herald") {
		t.Errorf("systemd-analyze verify: %s", out)
	}
	// 0 is locked up, 100 is open; what it counts changes with its version.
	output(t, analyze, "security", "--offline=yes", "--no-pager", "--threshold=30", path)
}

// startService does what systemd does with Type=notify and WatchdogSec.
func startService(t *testing.T, root string) {
	dir, err := os.MkdirTemp("", "n") // short enough for the address of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	name := filepath.Join(dir, "s")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()

	command := strings.Fields(setting(t, unit(t, root), "ExecStart"))
	i := slices.Index(command, "/etc/herald/herald.yaml")
	if i < 0 || setting(t, unit(t, root), "Type") != "notify" {
		t.Fatalf("the unit runs %v", command)
	}
	command[i] = filepath.Join(root, command[i])
	command = append(command, "--data", filepath.Join(dir, "data"), "--http", "127.0.0.1:0", "--tcp", "127.0.0.1:0", "--ops", "127.0.0.1:0")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+name, "WATCHDOG_USEC=400000")
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(bufio.NewReader(log))
		said <- string(text)
	}()
	for _, want := range []string{"READY=1", "WATCHDOG=1", "WATCHDOG=1", "STOPPING=1"} {
		if want == "STOPPING=1" {
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}
		await(t, socket, want)
	}
	text := <-said
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ends with %v:\n%s", err, text)
	}
}

// setting is the value of a key that the unit has once.
func setting(t *testing.T, unit, key string) string {
	t.Helper()
	for line := range strings.Lines(unit) {
		if v, ok := strings.CutPrefix(line, key+"="); ok {
			return strings.TrimSpace(v)
		}
	}
	t.Fatalf("the unit has no %s", key)
	return ""
}

// await reads what the service says until it says that.
func await(t *testing.T, socket *net.UnixConn, want string) {
	t.Helper()
	b := make([]byte, 4096)
	for {
		_ = socket.SetReadDeadline(time.Now().Add(time.Minute))
		n, err := socket.Read(b)
		if err != nil {
			t.Fatalf("waiting for %s: %v", want, err)
		}
		if slices.Contains(strings.Split(string(b[:n]), "\n"), want) {
			return
		}
	}
}
