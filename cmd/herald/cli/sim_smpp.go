package cli

import (
	"context"
	"crypto/rand"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald/internal/sim"
	simsmpp "github.com/herald-push/herald/internal/sim/smpp"
	"github.com/herald-push/herald/internal/wire/smpp"
)

// smppFlags are those of the service centre.
type smppFlags struct {
	listen, folder, systemID string
	secure, reset            bool
	every                    int
	status                   uint32
	delay, after             time.Duration
	gone                     []string
}

func (c *command) simSMPP() *cobra.Command {
	f := smppFlags{systemID: "herald-sim", status: uint32(smpp.Throttled)}
	cmd := &cobra.Command{
		Use:   "smpp",
		Short: "Play the service centre of a telephone network",
		Long: "Speak SMPP 3.4 until Ctrl-C: with a password that is made new, with receipts, and with what a service centre checks. What is\n" +
			"taken is printed, long texts put together. Numbers have 3 to 15 digits.",
		Args: cobra.NoArgs,
		RunE: does(func(ctx context.Context, _ []string) error { return c.playSMPP(ctx, f) }),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", "127.0.0.1:0", "address to listen on, as host:port")
	flags.StringVar(&f.folder, "folder", "herald-sim-smpp", "where the certificate is written, with --tls")
	flags.StringVar(&f.systemID, "system-id", f.systemID, "name of the account")
	flags.BoolVar(&f.secure, "tls", false, "speak TLS")
	flags.DurationVar(&f.after, "receipt-after", time.Second, "when the receipt of a message comes")
	flags.StringArrayVar(&f.gone, "gone", nil, "number that nobody has, as its receipts say; may be repeated")
	flags.IntVar(&f.every, "fail-every", 0, "each so many-th message fails as the flags below say; 0 for none")
	flags.Uint32Var(&f.status, "status", f.status, "command_status of those that fail; 88 is throttled, 20 a full queue")
	flags.DurationVar(&f.delay, "delay", 0, "how long they take, in place of failing at once")
	flags.BoolVar(&f.reset, "reset", false, "cut their connection in place of an answer")
	return cmd
}

func (c *command) playSMPP(ctx context.Context, f smppFlags) error {
	if f.every < 0 || f.status == 0 {
		return usage("Write for example --fail-every 10 --status 88.", "--fail-every %d --status %d: that is no way to fail", f.every, f.status)
	}
	password := strings.ToLower(rand.Text()[:8]) // the protocol has no longer ones
	centre := simsmpp.New(simsmpp.Config{SystemID: f.systemID, Password: password, After: f.after, Show: func(m simsmpp.Taken) {
		c.printf("%s  %s  %d parts  %q\n", m.To.Address, m.From.Address, len(m.IDs), m.Text)
	}})
	for _, number := range f.gone {
		centre.Remove(strings.TrimPrefix(number, "+"), smpp.OK)
	}
	desk := &sim.Desk{}
	fault := sim.Fault{Status: int(f.status), Delay: f.delay, Reset: f.reset}
	if f.delay > 0 {
		fault.Status = 0
	}
	desk.Every(f.every, fault)
	s, err := simsmpp.Serve(ctx, f.listen, desk, centre, f.secure)
	if err != nil {
		return usage("Choose another address with --listen.", "%v", err)
	}
	defer func() { _ = s.Close() }()
	security := "none"
	if s.Certificate != nil {
		security = "tls"
	}
	c.printf("  address    %s\n  security   %s\n  system_id  %s\n  password   %s\n", s.Address, security, f.systemID, password)
	if s.Certificate != nil {
		certificate := filepath.Join(f.folder, "ca.pem")
		if err := os.MkdirAll(f.folder, 0o700); err != nil {
			return usage("Choose another one with --folder.", "the folder cannot be made: %v", err)
		}
		if err := os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate.Raw}), 0o600); err != nil {
			return err
		}
		c.printf("  ca         %s\n", certificate)
	}
	c.printf("\n")
	c.notef("playing smpp; Ctrl-C stops\n")
	<-ctx.Done()
	return nil
}
