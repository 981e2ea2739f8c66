// Package doctor checks whether a machine is fit to run a server: ports, data
// folder, disk, file descriptors, clock, memory, kernel. Each finding that is
// not ok bears its remedy. It changes nothing but a small file in the data
// folder (or beside it, if it does not exist yet), which it removes again.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"time"

	"github.com/herald-push/herald/internal/config"
)

// State is how a check came out.
type State string

// The states of a check.
const (
	OK      State = "ok"
	Warning State = "warning"
	Failure State = "failure"
)

// Finding is the result of one check.
type Finding struct {
	Check  string `json:"check"`
	State  State  `json:"state"`
	Text   string `json:"text"`
	Remedy string `json:"remedy,omitempty"` // a full sentence, unless ok
}

// System is the machine as the checks see it. [Machine] is the real one; tests
// set single functions. What a system cannot say is errors.ErrUnsupported.
type System struct {
	// Listen tries to listen on a TCP address, and stops at once.
	Listen func(address string) error
	// Alive reports whether a Herald server answers at an address.
	Alive func(ctx context.Context, address string) bool
	// Stat is os.Stat.
	Stat func(path string) (fs.FileInfo, error)
	// Sync writes a few bytes to a new file in a folder and syncs it, several
	// times, and gives the median duration.
	Sync func(folder string) (time.Duration, error)
	// Free is the bytes that are free for this user on the disk of a folder.
	Free func(folder string) (uint64, error)
	// Descriptors gives the soft and the hard limit of open files.
	Descriptors func() (soft, hard uint64, err error)
	// Memory is the bytes of memory that this process may use.
	Memory func() (uint64, error)
	// Kernel names the operating system's version.
	Kernel func() (string, error)
	// Now is time.Now, with its monotonic reading; Wait lets time pass.
	Now  func() time.Time
	Wait func(time.Duration)
	// Zone loads a time zone.
	Zone func(name string) error
	// Private reports whether modes of files mean anything here.
	Private bool
}

// Run makes all checks.
func Run(ctx context.Context, cfg config.Config, s System) []Finding {
	return []Finding{
		s.port(ctx, "port http", cfg.Server.HTTP, "server.http"),
		s.port(ctx, "port ops", cfg.Server.Ops, "server.ops"),
		s.portTCP(ctx, cfg.Server),
		s.portMQTT(ctx, cfg.Server),
		s.portOfTLS(ctx, "port https", cfg.Server.HTTPS, "server.https", cfg.Server),
		s.portOfTLS(ctx, "port tcp tls", cfg.Server.TCPTLS, "server.tcp_tls", cfg.Server),
		s.portOfTLS(ctx, "port mqtt tls", cfg.Server.MQTTTLS, "server.mqtt_tls", cfg.Server),
		s.certificate(cfg.TLS),
		s.folder(cfg.Data),
		s.diskSync(cfg.Data),
		s.diskSpace(cfg.Data),
		s.descriptors(cfg.Live.Connections),
		s.clock(),
		s.zones(),
		s.memory(cfg.Live.QueueMemory),
		s.kernel(),
	}
}

func ok(check, format string, args ...any) Finding {
	return Finding{check, OK, fmt.Sprintf(format, args...), ""}
}

// unknown is the finding of a check that this system cannot answer.
func unknown(check string, err error) Finding {
	if errors.Is(err, errors.ErrUnsupported) {
		return ok(check, "not checked on this system")
	}
	return Finding{check, Warning, fmt.Sprintf("cannot be checked: %s", err), "Check it by hand."}
}

func (s System) port(ctx context.Context, check, address, key string) Finding {
	err := s.Listen(address)
	if err == nil {
		return ok(check, "%s is free", address)
	}
	if s.Alive(ctx, reachable(address)) {
		return ok(check, "%s is taken by a server of Herald that answers", address)
	}
	return Finding{check, Failure, fmt.Sprintf("%s cannot be used: %s", address, cause(err)), fmt.Sprintf("Stop what uses it, or choose another with %s.", key)}
}

// portTCP checks the port of raw TCP, which cannot be asked who has it.
func (s System) portTCP(ctx context.Context, c config.Server) Finding {
	if c.TCP == "" {
		return ok("port tcp", "raw TCP is switched off")
	}
	f := s.port(ctx, "port tcp", c.TCP, "server.tcp")
	if f.State == Failure && s.Listen(c.HTTP) != nil && s.Alive(ctx, reachable(c.HTTP)) {
		return ok("port tcp", "%s is taken, by the server of Herald that answers on %s as it seems", c.TCP, c.HTTP)
	}
	return f
}

// portMQTT checks the port of MQTT, which a broker that is there already may
// have: at the default address the server does without it then.
func (s System) portMQTT(ctx context.Context, c config.Server) Finding {
	if c.MQTT == "" {
		return ok("port mqtt", "MQTT is switched off")
	}
	f := s.port(ctx, "port mqtt", c.MQTT, "server.mqtt")
	switch {
	case f.State != Failure:
	case s.Listen(c.HTTP) != nil && s.Alive(ctx, reachable(c.HTTP)):
		return ok("port mqtt", "%s is taken, by the server of Herald that answers on %s as it seems", c.MQTT, c.HTTP)
	case c.MQTT == config.Default().Server.MQTT:
		f.State = Warning
		f.Remedy = "Without it Herald starts, and there is no MQTT but on /mqtt of server.http. " + f.Remedy
	}
	return f
}

// cause is the system's word for an error of net, without the address again.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// reachable is the address at which this machine reaches a listener that may
// listen on every address.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

func (s System) folder(path string) Finding {
	const check = "data folder"
	info, err := s.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ok(check, "%s does not exist yet; the server makes it", path)
	case err != nil:
		return Finding{check, Failure, fmt.Sprintf("%s cannot be read: %s", path, err), "Give the user of the server access to it, or name another with --data."}
	case !info.IsDir():
		return Finding{check, Failure, path + " is not a folder", "Name a folder with --data."}
	case s.Private && info.Mode().Perm()&0o077 != 0:
		return Finding{check, Warning, fmt.Sprintf("%s has mode %04o: other users can reach the keys in it", path, info.Mode().Perm()), fmt.Sprintf("Run: chmod 700 %s", path)}
	}
	return ok(check, "%s is private", path)
}

// existing gives the folder, or the nearest one above it that exists.
func (s System) existing(path string) string {
	for range 32 {
		if _, err := s.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		above := filepath.Dir(path)
		if above == path {
			break
		}
		path = above
	}
	return path
}

// The bounds of a believable sync. No disk answers in less than fastSync; what
// takes longer than slowSync makes every push wait.
const (
	fastSync = 20 * time.Microsecond
	slowSync = 50 * time.Millisecond
)

func (s System) diskSync(path string) Finding {
	const check = "disk sync"
	path = s.existing(path)
	d, err := s.Sync(path)
	switch {
	case err != nil:
		return Finding{check, Failure, fmt.Sprintf("no file can be written and synced in %s: %s", path, err), "Give the user of the server the right to write there, or name another folder with --data."}
	case d < fastSync:
		return Finding{check, Warning, fmt.Sprintf("a sync takes %s, which no disk can do: accepted messages may be lost in a power cut", d), "Put the data folder on a disk that honours fsync (not tmpfs, no eatmydata, no unsafe cache mode of a virtual machine)."}
	case d > slowSync:
		return Finding{check, Warning, fmt.Sprintf("a sync takes %s; each push waits for one", d.Round(time.Millisecond)), "Put the data folder on a local SSD."}
	}
	return ok(check, "a sync takes %s", d.Round(time.Microsecond))
}
