package main

import (
	"bytes"
	"crypto/md5" // dpkg --verify asks for it; it protects nothing
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// debian makes a package as deb(5) says: an ar archive of a version, what dpkg
// needs to know, and the files.
func (r *release) debian(t target, binary string, completions []file) ([]byte, error) {
	files, err := r.installed(binary, completions)
	if err != nil {
		return nil, err
	}
	data, err := r.tarball(files)
	if err != nil {
		return nil, err
	}
	control, err := r.control(t, files)
	if err != nil {
		return nil, err
	}
	about, err := r.tarball(control)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.WriteString("!<arch>\n")
	for _, member := range []struct {
		name    string
		content []byte
	}{{"debian-binary", []byte("2.0\n")}, {"control.tar.gz", about}, {"data.tar.gz", data}} {
		member := ar{member.name, r.source.time, member.content}
		member.write(&out)
	}
	return out.Bytes(), nil
}

// ar is a member of an archive of the common format.
type ar struct {
	name    string
	time    time.Time
	content []byte
}

func (a ar) write(out *bytes.Buffer) {
	fmt.Fprintf(out, "%-16s%-12d%-6d%-6d%-8o%-10d`\n", a.name, a.time.Unix(), 0, 0, 0o100644, len(a.content))
	out.Write(a.content)
	if len(a.content)%2 == 1 {
		out.WriteByte('\n') // members begin at even places
	}
}

// installed is what the package puts on a machine.
func (r *release) installed(binary string, completions []file) ([]file, error) {
	files := append([]file{}, completions...)
	for _, f := range []struct {
		from, to string
		mode     os.FileMode
	}{
		{binary, "usr/bin/herald", 0o755},
		{"packaging/debian/herald.yaml", "etc/herald/herald.yaml", 0o640},
		{"packaging/debian/copyright", "usr/share/doc/herald/copyright", 0o644},
		{"packaging/systemd/herald.service", "usr/lib/systemd/system/herald.service", 0o644},
		{"packaging/proxy/nginx.conf", "usr/share/doc/herald/examples/nginx.conf", 0o644},
		{"packaging/proxy/Caddyfile", "usr/share/doc/herald/examples/Caddyfile", 0o644},
		{"packaging/proxy/haproxy.cfg", "usr/share/doc/herald/examples/haproxy.cfg", 0o644},
	} {
		from := f.from
		if !filepath.IsAbs(from) {
			from = filepath.Join(r.root, filepath.FromSlash(from))
		}
		content, err := os.ReadFile(from)
		if err != nil {
			return nil, fmt.Errorf("release: %w", err)
		}
		files = append(files, file{f.to, f.mode, content})
	}
	return files, nil
}

// control is what dpkg needs to know.
func (r *release) control(t target, files []file) ([]file, error) {
	size, sums, conffiles := 0, strings.Builder{}, strings.Builder{}
	for _, f := range sorted(files) {
		if f.mode.IsDir() {
			continue
		}
		size += (len(f.content) + 1023) / 1024
		if strings.HasPrefix(f.path, "etc/") {
			fmt.Fprintf(&conffiles, "/%s\n", f.path)
			continue // dpkg keeps the sums of these by itself
		}
		sum := md5.Sum(f.content)
		fmt.Fprintf(&sums, "%s  %s\n", hex.EncodeToString(sum[:]), f.path)
	}
	text := fmt.Sprintf(`Package: herald
Version: %s
Architecture: %s
Maintainer: The Herald contributors <herald@herald-push.invalid>
Installed-Size: %d
Depends: adduser
Recommends: ca-certificates
Section: net
Priority: optional
Homepage: https://github.com/herald-push/herald
Description: self-hosted message push platform
 A server that takes a message in one HTTP call, delivers it to every device it
 is for, at once or when they come back, and shows what became of it on each.
`, debianVersion(r.source), t.arch, size) // amd64 and arm64 have the same names in Debian
	control := []file{{"control", 0o644, []byte(text)}, {"md5sums", 0o644, []byte(sums.String())}, {"conffiles", 0o644, []byte(conffiles.String())}}
	for _, name := range []string{"postinst", "prerm", "postrm"} {
		content, err := os.ReadFile(filepath.Join(r.root, "packaging", "debian", name))
		if err != nil {
			return nil, fmt.Errorf("release: %w", err)
		}
		control = append(control, file{name, 0o755, content})
	}
	return control, nil
}
