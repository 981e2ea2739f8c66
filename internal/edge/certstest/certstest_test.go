package certstest

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
)

func TestPair(t *testing.T) {
	p := Valid(t, "push.example.com")
	cert, key := p.Write(t, t.TempDir())
	if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"localhost", "127.0.0.1", "push.example.com"} {
		if _, err := p.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: p.Pool()}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
