package cli

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald/internal/sim"
	simapns "github.com/herald-push/herald/internal/sim/apns"
	simfcm "github.com/herald-push/herald/internal/sim/fcm"
)

// simFlags are those of every simulator.
type simFlags struct {
	listen, folder string
	every, status  int
	retryAfter     time.Duration
	delay          time.Duration
	reset          bool
	gone           []string
}

func (c *command) simCommand() *cobra.Command {
	return group("sim", "Play a vendor's push service on this machine, for tests", c.simAPNs(), c.simFCM(), c.simDingTalk(), c.simWebhook(), c.simSMTP(), c.simSMPP(), c.simTwilio(), c.simWebPush())
}

func (c *command) simFlagsOf(cmd *cobra.Command, f *simFlags) *cobra.Command {
	cmd.Args = cobra.NoArgs
	cmd.Flags().StringVar(&f.listen, "listen", "127.0.0.1:0", "address to listen on, as host:port")
	cmd.Flags().StringVar(&f.folder, "folder", "", "where the credential and the certificate are written (default herald-sim-VENDOR)")
	cmd.Flags().IntVar(&f.every, "fail-every", 0, "each so many-th call fails as the flags below say; 0 for none")
	cmd.Flags().IntVar(&f.status, "status", http.StatusServiceUnavailable, "status of those that fail")
	cmd.Flags().DurationVar(&f.retryAfter, "retry-after", 0, "what their Retry-After says")
	cmd.Flags().DurationVar(&f.delay, "delay", 0, "how long they take, in place of failing at once")
	cmd.Flags().BoolVar(&f.reset, "reset", false, "cut their connection in place of an answer")
	cmd.Flags().StringArrayVar(&f.gone, "gone", nil, "token of a device that has removed the app; may be repeated")
	return cmd
}

func (c *command) simAPNs() *cobra.Command {
	var f simFlags
	topic := "com.example.app"
	cmd := c.simFlagsOf(&cobra.Command{
		Use:   "apns",
		Short: "Play Apple's push service",
		Long: "Serve the provider API of APNs until Ctrl-C: over HTTP/2, with its checks of signatures, headers and payloads, and with its\n" +
			"answers. A new key for it is written to the folder, and what is taken is printed. Tokens are hexadecimal, 64 or more.",
		RunE: does(func(ctx context.Context, _ []string) error { return c.playAPNs(ctx, f, topic) }),
	}, &f)
	cmd.Flags().StringVar(&topic, "topic", topic, "bundle ID of the app")
	return cmd
}

func (c *command) playAPNs(ctx context.Context, f simFlags, topic string) error {
	const keyID, teamID = "HERALDSIM1", "HERALDTEAM"
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	apple := simapns.New(simapns.Config{Keys: map[string]*ecdsa.PublicKey{keyID: &key.PublicKey}, TeamID: teamID, Topics: []string{topic}, Certificates: true})
	for _, token := range f.gone {
		apple.Remove(token, time.Now())
	}
	return c.play(ctx, "apns", f, apple, func(folder, url string) error {
		if err := writeKey(filepath.Join(folder, "AuthKey_"+keyID+".p8"), key); err != nil {
			return err
		}
		c.printf("  url      %s\n  topic    %s\n  key      %s\n  key_id   %s\n  team_id  %s\n", url, topic, filepath.Join(folder, "AuthKey_"+keyID+".p8"), keyID, teamID)
		return nil
	}, func() {
		for _, p := range apple.Taken() {
			c.printf("%s  %s  %s\n", short(p.Token), p.Type, p.Payload)
		}
	})
}

func (c *command) simFCM() *cobra.Command {
	var f simFlags
	project := "herald-sim"
	cmd := c.simFlagsOf(&cobra.Command{
		Use:   "fcm",
		Short: "Play Firebase Cloud Messaging",
		Long: "Serve the HTTP v1 API of FCM for one project, and the endpoint for access tokens, until Ctrl-C. The file of a new service\n" +
			"account is written to the folder, and what is taken is printed. Tokens have 20 characters or more.",
		RunE: does(func(ctx context.Context, _ []string) error { return c.playFCM(ctx, f, project) }),
	}, &f)
	cmd.Flags().StringVar(&project, "project", project, "ID of the project")
	return cmd
}

func (c *command) playFCM(ctx context.Context, f simFlags, project string) error {
	email := "push@" + project + ".iam.gserviceaccount.com"
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	google := simfcm.New(simfcm.Config{Project: project, Email: email, KeyID: "sim", Key: &key.PublicKey})
	for _, token := range f.gone {
		google.Remove(token, "UNREGISTERED")
	}
	return c.play(ctx, "fcm", f, google, func(folder, url string) error {
		google.SetTokenURL(url + "/token")
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return err
		}
		account, err := json.MarshalIndent(map[string]string{
			"type": "service_account", "project_id": project, "private_key_id": "sim", "client_email": email, "token_uri": url + "/token",
			"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		}, "", "  ")
		if err != nil {
			return err
		}
		path := filepath.Join(folder, "service-account.json")
		if err := os.WriteFile(path, account, 0o600); err != nil {
			return err
		}
		c.printf("  url              %s\n  service_account  %s\n", url, path)
		return nil
	}, func() {
		for _, p := range google.Taken() {
			c.printf("%s  %s\n", short(p.Token), p.Message)
		}
	})
}

// play serves a simulator until ctx ends. begin writes the credential, show
// prints what was taken since.
func (c *command) play(ctx context.Context, vendor string, f simFlags, h http.Handler, begin func(folder, url string) error, show func()) error {
	folder, desk, err := simDesk(vendor, f)
	if err != nil {
		return err
	}
	var printing sync.Mutex
	shown := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		printing.Lock()
		defer printing.Unlock()
		show()
	})
	s, err := sim.Serve(ctx, f.listen, desk, shown)
	if err != nil {
		return usage("Choose another address with --listen.", "%v", err)
	}
	defer func() { _ = s.Close() }()
	certificate := filepath.Join(folder, "ca.pem")
	if err := os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate.Raw}), 0o600); err != nil {
		return err
	}
	if err := begin(folder, s.URL); err != nil {
		return err
	}
	c.printf("  trust    %s\n\n", certificate)
	c.notef("playing %s; Ctrl-C stops\n", vendor)
	<-ctx.Done()
	return nil
}

// simDesk makes the folder of a simulator, and the desk that fails as the flags say.
func simDesk(vendor string, f simFlags) (folder string, _ *sim.Desk, _ error) {
	if f.every < 0 || f.status < 300 || f.status > 599 {
		return "", nil, usage("Write for example --fail-every 10 --status 503.", "--fail-every %d --status %d: that is no way to fail", f.every, f.status)
	}
	folder = f.folder
	if folder == "" {
		folder = "herald-sim-" + vendor
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", nil, usage("Choose another one with --folder.", "the folder cannot be made: %v", err)
	}
	desk := &sim.Desk{}
	fault := sim.Fault{Status: f.status, RetryAfter: f.retryAfter, Delay: f.delay, Reset: f.reset}
	if f.delay > 0 {
		fault.Status = 0
	}
	desk.Every(f.every, fault)
	return folder, desk, nil
}

func writeKey(path string, key crypto.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

// short cuts a token for people.
func short(token string) string {
	if len(token) <= 16 {
		return token
	}
	return fmt.Sprintf("%s…%s", token[:8], token[len(token)-6:])
}
