package faults_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// disk is a file system in an image file, mounted through a loop device. What
// the kernel has not written to the image is lost when the image is copied, as
// it would be with the power.
type disk struct {
	t         *testing.T
	dir       string
	image     string
	mounted   string // where; "" if it is not
	formatted int
}

// newDisk makes and mounts a file system, or skips the test where the machine
// lacks what that needs.
func newDisk(t *testing.T, mib int64) *disk {
	t.Helper()
	d, lacking := tryDisk(t, mib)
	if lacking != "" {
		t.Skip("unavailable: a file system on a loop device, " + lacking)
	}
	return d
}

func tryDisk(t *testing.T, mib int64) (d *disk, lacking string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil, "the tests do not run as root"
	}
	for _, tool := range []string{"mkfs.ext4", "mount", "umount"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, "there is no " + tool
		}
	}
	d = &disk{t: t, dir: t.TempDir()}
	d.image = filepath.Join(d.dir, "image0")
	d.format(mib)
	if err := d.mount(); err != nil {
		return nil, err.Error()
	}
	t.Cleanup(d.unmount)
	return d, ""
}

// newPower gives a node that has not started yet a disk whose power can be
// cut: a mounted one if it is wanted and can be had, else one that is played.
func newPower(t *testing.T, n *node, mounted bool) powered {
	t.Helper()
	if !mounted {
		return newKept(t, n)
	}
	d, lacking := tryDisk(t, 2048)
	if lacking != "" {
		t.Logf("a disk that is played stands for a file system on a loop device: %s", lacking)
		return newKept(t, n)
	}
	n.data = filepath.Join(d.mounted, "data")
	return d
}

// format makes the image, with holes where nothing was written.
func (d *disk) format(mib int64) {
	d.t.Helper()
	f, err := os.Create(d.image)
	if err != nil {
		d.t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(mib<<20), f.Close()); err != nil {
		d.t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-m", "0", d.image).CombinedOutput(); err != nil {
		d.t.Fatalf("mkfs.ext4: %v\n%s", err, out)
	}
}

// mount mounts the image. The kernel writes nothing back by itself in the time
// that a test takes, so that only what was synced is on the image.
func (d *disk) mount() error {
	at := filepath.Join(d.dir, fmt.Sprintf("mounted%d", d.formatted))
	d.formatted++
	if err := os.Mkdir(at, 0o700); err != nil {
		return err
	}
	if out, err := exec.Command("mount", "-o", "loop,commit=600", d.image, at).CombinedOutput(); err != nil {
		return fmt.Errorf("mount: %w: %s", err, strings.TrimSpace(string(out)))
	}
	d.mounted = at
	return nil
}

func (d *disk) unmount() {
	if d.mounted == "" {
		return
	}
	out, err := exec.Command("umount", d.mounted).CombinedOutput()
	if err != nil {
		d.t.Errorf("umount: %v\n%s", err, out)
		_ = exec.Command("umount", "-l", d.mounted).Run()
	}
	d.mounted = ""
}

// swap unmounts the image that has lost its power and mounts another.
func (d *disk) swap(next string) error {
	old := d.image
	d.unmount()
	d.image = next
	return errors.Join(os.Remove(old), d.mount())
}

// written says how much was written to the loop device.
func (d *disk) written() (string, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(d.mounted, &st); err != nil {
		return "", err
	}
	b, err := os.ReadFile(fmt.Sprintf("/sys/dev/block/%d:%d/stat", st.Dev>>8&0xfff, st.Dev&0xff|st.Dev>>12&0xfff00))
	if err != nil {
		return "", err
	}
	f := strings.Fields(string(b))
	if len(f) < 9 {
		return "", fmt.Errorf("the counters of the loop device read %q", b)
	}
	return strings.Join(append(f[4:7:7], f[8]), " "), nil
}

// copySparse copies a file without its holes.
func copySparse(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	buf, zero := make([]byte, 1<<20), make([]byte, 1<<20)
	var at int64
	for {
		n, err := io.ReadFull(in, buf)
		if n > 0 && string(buf[:n]) != string(zero[:n]) {
			if _, err := out.WriteAt(buf[:n], at); err != nil {
				return err
			}
		}
		at += int64(n)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return out.Truncate(at)
		}
		if err != nil {
			return err
		}
	}
}

// take makes sure of everything.
func (d *disk) take(data string) error { return exec.Command("sync", "-f", data).Run() }

// cutPower stops the server where it is, takes the disk as it is, and starts
// the server again on what was there.
func (d *disk) cutPower(w *world) error {
	if err := w.n.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	// What was answered before the stop is in the journal: clients that have
	// an answer read it now.
	image := d.image
	if err := d.freeze(); err != nil {
		return err
	}
	w.n.kill()
	w.j.life("cut", 0)
	if err := d.swap(image + "-cut"); err != nil {
		return err
	}
	w.n.data = filepath.Join(d.mounted, "data")
	w.restart()
	return nil
}

// freeze takes a copy of the image beside it. A copy during which the device was
// written to is no moment at which the power could have gone: it takes another.
func (d *disk) freeze() error {
	for {
		before, err := d.written()
		if err != nil {
			return err
		}
		if err := copySparse(d.image+"-cut", d.image); err != nil {
			return err
		}
		after, err := d.written()
		if err != nil || before == after {
			return err
		}
	}
}

// mountedDisk is the part of the long form that repeats, on a file system of its
// own, what TestPowerCutFindsWhatWasNotSynced and TestFullDisk do on a disk that
// is played: the kernel loses what was not synced, and has no room.
func mountedDisk(t *testing.T) {
	t.Run("not synced", func(t *testing.T) {
		d := newDisk(t, 128)
		n := newNode(t, planted(t), "FAULTS_SYNC=NORMAL")
		n.data = filepath.Join(d.mounted, "data")
		unsynced(t, n, d)
	})
	t.Run("full", func(t *testing.T) {
		s := seed(t)
		d := newDisk(t, 48)
		n := newNode(t, plain(t))
		n.data = filepath.Join(d.mounted, "data")
		n.mustStart()
		w := newWorld(t, n, s, size{devices: 4, pace: 5 * time.Millisecond})
		filler := filepath.Join(d.mounted, "filler")
		w.fullDisk(t, func() { fill(t, filler) }, func() {
			if err := os.Remove(filler); err != nil {
				t.Error(err)
			}
		})
	})
}

// fill takes all the room that there is, also what becomes free while it does.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	for _, size := range []int{1 << 20, 4096} {
		for b := make([]byte, size); err == nil || !errors.Is(err, syscall.ENOSPC); {
			if _, err = f.Write(b); err == nil {
				err = f.Sync()
			}
			if err != nil && !errors.Is(err, syscall.ENOSPC) {
				t.Error(err)
				return
			}
		}
		err = nil
	}
}
