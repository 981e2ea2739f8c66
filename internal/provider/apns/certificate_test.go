package apns_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/provider/apns"
)

func certificate(t *testing.T, until time.Time) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Apple Push Services: " + topic}, NotBefore: time.Now().Add(-time.Hour), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return k, c
}

func TestCertificate(t *testing.T) {
	k, c := certificate(t, time.Now().Add(time.Hour))
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})) + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	modern, err := pkcs12.Modern.Encode(k, c, nil, "secret")
	if err != nil {
		t.Fatal(err)
	}
	legacy, err := pkcs12.Legacy.Encode(k, c, nil, "secret")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ text, password string }{
		"pem": {text, ""}, "p12": {base64.StdEncoding.EncodeToString(modern), "secret"}, "old p12": {base64.StdEncoding.EncodeToString(legacy), "secret"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			p := w.provider(t, map[string]string{"topic": topic, "certificate": tt.text, "password": tt.password, "url": w.URL}, nil)
			if err := p.(provider.Checker).Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := p.Send(t.Context(), provider.Address{Token: here}, &provider.Message{ID: 1, Content: herald.Content{Notification: &herald.Notification{Title: "t"}}}); err != nil {
				t.Error(err)
			}
			for _, call := range w.Desk.Calls() {
				if call.Header.Get("Authorization") != "" {
					t.Error("there is a token beside the certificate")
				}
			}
		})
	}
	_, err = apns.New(provider.Config{Values: map[string]string{"topic": topic, "certificate": base64.StdEncoding.EncodeToString(modern), "password": "wrong"}})
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a wrong password: %v", err)
	}
	k, c = certificate(t, time.Now().Add(-time.Minute))
	if der, err = x509.MarshalPKCS8PrivateKey(k); err != nil {
		t.Fatal(err)
	}
	text = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})) + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if _, err := apns.New(provider.Config{Values: map[string]string{"topic": topic, "certificate": text}}); err == nil || !strings.Contains(err.Error(), "ended on") {
		t.Errorf("an old certificate: %v", err)
	}
}
