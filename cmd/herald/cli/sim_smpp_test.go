package cli

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/wire/smpp"
)

// playingSMPP runs the service centre in the background, and gives what it prints
// of its account and what ends it.
func playingSMPP(t *testing.T, w *world, args ...string) (account map[string]string, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() { ended <- Main(ctx, append([]string{"sim", "smpp"}, args...), w.World) }()
	for end := time.Now().Add(2 * time.Minute); !strings.Contains(w.err.String(), "Ctrl-C stops"); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it does not begin: %s%s", w.out, w.err)
		}
	}
	account = map[string]string{}
	for _, line := range regexp.MustCompile(`(?m)^  (\w+) +(\S+)$`).FindAllStringSubmatch(w.out.String(), -1) {
		account[line[1]] = line[2]
	}
	return account, func() int {
		cancel()
		return <-ended
	}
}

func TestSimSMPP(t *testing.T) {
	for _, secure := range []bool{false, true} {
		w, folder := newWorld(t), filepath.Join(t.TempDir(), "sim")
		args := []string{"--folder", folder, "--gone", "+8613800138001", "--receipt-after", "0s", "--fail-every", "3"}
		if secure {
			args = append(args, "--tls")
		}
		account, stop := playingSMPP(t, w, args...)
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", account["address"])
		if err != nil {
			t.Fatal(err)
		}
		if secure {
			pem, err := os.ReadFile(filepath.Join(folder, "ca.pem"))
			if err != nil {
				t.Fatal(err)
			}
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM(pem)
			conn = tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12})
		}
		r := bufio.NewReader(conn)
		ask := func(p smpp.PDU) *smpp.PDU {
			t.Helper()
			b, err := p.Append(nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Write(b); err != nil {
				t.Fatal(err)
			}
			a, err := smpp.Read(r)
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
		if a := ask(smpp.PDU{Command: smpp.BindTransceiver, Sequence: 1, Bind: &smpp.Bind{SystemID: account["system_id"], Password: account["password"]}}); a.Status != smpp.OK {
			t.Fatalf("%+v with %v", a, account)
		}
		for i, want := range []smpp.State{smpp.Delivered, smpp.Undeliverable} {
			number := []string{"8613800138000", "8613800138001"}[i]
			m := &smpp.Message{Source: smpp.Party{Address: "Shop"}, Dest: smpp.Party{Address: number}, Registered: 1, Text: []byte("hello")}
			if a := ask(smpp.PDU{Command: smpp.SubmitSM, Sequence: 2, Message: m}); a.Status != smpp.OK {
				t.Errorf("%+v", a)
			}
			p, err := smpp.Read(r)
			if err != nil {
				t.Fatal(err)
			}
			if receipt, ok := smpp.ReadReceipt(p); !ok || receipt.State != want {
				t.Errorf("%+v", receipt)
			}
		}
		if a := ask(smpp.PDU{Command: smpp.SubmitSM, Sequence: 3, Message: &smpp.Message{Text: []byte("x")}}); a.Status != smpp.Throttled {
			t.Errorf("the third: %+v", a)
		}
		_ = conn.Close()
		if code := stop(); code != 0 || !strings.Contains(w.out.String(), `8613800138000  Shop  1 parts  "hello"`) {
			t.Errorf("exit code %d, printed\n%s", code, w.out)
		}
	}
}

func TestSimSMPPUsage(t *testing.T) {
	for _, args := range [][]string{{"--fail-every", "-1"}, {"--status", "0"}, {"--listen", "nowhere"}, {"--tls", "--folder", "sim.go/x"}, {"more"}} {
		w := newWorld(t)
		if code := w.run(t, append([]string{"sim", "smpp"}, args...)...); code != 2 {
			t.Errorf("%q: exit code %d, %s", args, code, w.err)
		}
	}
}
