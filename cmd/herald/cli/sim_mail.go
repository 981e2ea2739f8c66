package cli

import (
	"context"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/spf13/cobra"

	simsmtp "github.com/herald-push/herald/internal/sim/smtp"
)

func (c *command) simSMTP() *cobra.Command {
	var f simFlags
	user, password, whole := "sim", "sim-password", false
	cmd := c.simFlagsOf(&cobra.Command{
		Use:   "smtp",
		Short: "Play a mail server",
		Long: "Take mails over SMTP until Ctrl-C, with STARTTLS and a user who has to sign in, and print them. Nothing is passed on. The\n" +
			"certificate is written to the folder. --gone names addresses that lead to nobody, --status is the code of a reply, such as 451.",
		RunE: does(func(ctx context.Context, _ []string) error {
			return c.playSMTP(ctx, f, simsmtp.Config{Users: map[string]string{user: password}, TLS: whole}, user, password)
		}),
	}, &f)
	cmd.Flags().StringVar(&user, "user", user, "name of the user")
	cmd.Flags().StringVar(&password, "password", password, "password of the user")
	cmd.Flags().BoolVar(&whole, "tls", false, "speak TLS from the first byte")
	return cmd
}

func (c *command) playSMTP(ctx context.Context, f simFlags, cfg simsmtp.Config, user, password string) error {
	folder, desk, err := simDesk("smtp", f)
	if err != nil {
		return err
	}
	s, err := simsmtp.Serve(ctx, f.listen, desk, cfg)
	if err != nil {
		return usage("Choose another address with --listen.", "%v", err)
	}
	defer func() { _ = s.Close() }()
	for _, address := range f.gone {
		s.Remove(address)
	}
	var printing sync.Mutex
	s.Show(func() {
		printing.Lock()
		defer printing.Unlock()
		for _, m := range s.Taken() {
			c.printf("%s → %s\n%s\n", m.From, m.To, m.Data)
		}
	})
	certificate := filepath.Join(folder, "ca.pem")
	if err := os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate.Raw}), 0o600); err != nil {
		return err
	}
	host, port, _ := net.SplitHostPort(s.Address)
	security := "starttls"
	if cfg.TLS {
		security = "tls"
	}
	c.printf("  host      %s\n  port      %s\n  security  %s\n  username  %s\n  password  %s\n  ca        %s\n\n", host, port, security, user, password, certificate)
	c.notef("playing smtp; Ctrl-C stops\n")
	<-ctx.Done()
	return nil
}
