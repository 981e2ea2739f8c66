package journey_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
)

// broker is a server of MQTT: Herald, or Mosquitto, to which the same cases are
// told so that a case that is wrong is found without a doubt about Herald.
type broker struct {
	tcp, tls, ws string // where it listens: addresses, and a URL
	ca           string // file with the certificate of tls
	member       func(t *testing.T) mqttOpen
	restart      func(t *testing.T) // without warning, where it can take that
	server       *server            // nil: Mosquitto
}

// client gives a client of a make that is connected as a new device.
func (b *broker) client(t *testing.T, c mqttClient) mqttClient {
	t.Helper()
	c.open(t, b, b.member(t))
	return c
}

// heraldBroker starts a server whose devices may use topics below demo/.
func heraldBroker(t *testing.T) *broker {
	t.Helper()
	s := &server{dir: t.TempDir()}
	b := &broker{tcp: freeOwnAddress(t), tls: freeOwnAddress(t), server: s}
	key, chain := selfSigned(t, s.dir)
	b.ca = chain
	s.env = []string{
		"HERALD_SERVER__MQTT=" + b.tcp, "HERALD_SERVER__MQTT_TLS=" + b.tls, "HERALD_TLS__CERT=" + chain, "HERALD_TLS__KEY=" + key,
		"HERALD_LIMITS__DEVICE_RATE=0", "HERALD_LIMITS__ADDRESS_RATE=1000000", "HERALD_LIMITS__ADDRESS_CONNECTIONS=0", "HERALD_MQTT__PUBLISH_RATE=10000",
	}
	s.start(t, ownAddress())
	b.ws = strings.Replace(s.url, "http:", "ws:", 1) + "/mqtt"
	b.member = func(t *testing.T) mqttOpen {
		t.Helper()
		d := s.register(t)
		return mqttOpen{id: d.RegistrationID, user: s.context.AppKey, password: d.Token}
	}
	b.restart = func(t *testing.T) {
		t.Helper()
		address := s.address(t)
		s.kill(t)
		s.start(t, address)
	}
	return b
}

// freeOwnAddress is an address of the tests' own that nobody listens on now.
func freeOwnAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := ownAddress()
		if l, err := net.Listen("tcp", address); err == nil {
			_ = l.Close()
			return address
		}
	}
	t.Fatal("no address is free")
	return ""
}

// selfSigned writes a certificate for 127.0.0.1 and its key.
func selfSigned(t *testing.T, dir string) (keyFile, certFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "journey"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("key.pem", "PRIVATE KEY", private), write("cert.pem", "CERTIFICATE", cert)
}

// mosquittoBroker starts Mosquitto on a folder of its own.
func mosquittoBroker(t *testing.T) *broker {
	t.Helper()
	program, err := exec.LookPath("mosquitto")
	if err != nil {
		program = need(t, "/usr/sbin/mosquitto")
	}
	dir := t.TempDir()
	b := &broker{tcp: freeOwnAddress(t), tls: freeOwnAddress(t)}
	web := freeOwnAddress(t)
	b.ws = "ws://" + web + "/mqtt"
	key, chain := selfSigned(t, dir)
	b.ca = chain
	var config bytes.Buffer
	config.WriteString("per_listener_settings false\nallow_anonymous true\npersistence true\npersistence_location " + dir + "/\nlog_dest stderr\nlog_type none\n")
	for i, address := range []string{b.tcp, b.tls, web} {
		host, port, _ := net.SplitHostPort(address)
		fmt.Fprintf(&config, "listener %s %s\n", port, host)
		switch i {
		case 1:
			fmt.Fprintf(&config, "certfile %s\nkeyfile %s\n", chain, key)
		case 2:
			config.WriteString("protocol websockets\n")
		}
	}
	if os.Geteuid() == 0 {
		config.WriteString("user root\n") // it reads the files of this user
	}
	path := filepath.Join(dir, "conf")
	if err := os.WriteFile(path, config.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(t *testing.T) func() {
		t.Helper()
		cmd := exec.Command(program, "-c", path)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for _, address := range []string{b.tcp, b.tls, web} {
			poll(t, "listening", func() (bool, string) {
				conn, err := net.Dial("tcp", address)
				if err != nil {
					return false, err.Error()
				}
				return conn.Close() == nil, ""
			})
		}
		return func() {
			_ = cmd.Process.Signal(os.Interrupt) // it keeps what it has in memory then
			_ = cmd.Wait()                       // a signal ends it
		}
	}
	stop := run(t)
	t.Cleanup(func() { stop() })
	b.member = func(*testing.T) mqttOpen {
		return mqttOpen{id: herald.NewSecret(12), user: "somebody", password: "anything"}
	}
	b.restart = func(t *testing.T) {
		t.Helper()
		stop()
		stop = run(t)
	}
	return b
}

// rules says what devices of the app may publish.
func (s *server) rules(t *testing.T, publish ...string) {
	t.Helper()
	if r := s.call(t, "PATCH", "/v1/app", s.basic(), object{"topics": object{"publish": publish}}); r.status != http.StatusOK {
		t.Fatalf("status %d: %s", r.status, r.body)
	}
}
