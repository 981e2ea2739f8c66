package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/version"
)

// newDevApp is the app that dev makes. Its devices may talk in the topics of the
// page, whose room is then of use without a setting.
func newDevApp() api.NewApp {
	return api.NewApp{Name: "dev", Topics: herald.TopicRules{Publish: []herald.TopicFilter{"demo/#"}}}
}

func (c *command) devCommand() *cobra.Command {
	var f serverFlags
	var lan, showSecret bool
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run a server to try things on, and say how",
		Long: "Run a server with a configuration that needs no thought: on loopback, with an app, a page that receives what you\n" +
			"push, and a context for \"herald push\" and \"herald listen\". It is \"herald serve\" with these settings and nothing else.",
		Args: cobra.NoArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			cfg, err := c.load(f, devConfig(lan))
			if err != nil {
				return err
			}
			node, err := c.Open(ctx, cfg, newLogger(c.Err, cfg.Log))
			if err != nil {
				return openError(err)
			}
			b, err := c.prepare(ctx, node, cfg, lan)
			if err != nil {
				return errors.Join(err, node.Close())
			}
			b.showSecret = b.made || showSecret
			return c.run(ctx, node, cfg, func() { c.banner(b) })
		}),
	}
	f.add(cmd, false)
	cmd.Flags().BoolVar(&lan, "lan", false, "listen on the local network too, and print a QR code for a phone")
	cmd.Flags().BoolVar(&showSecret, "show-secret", false, "print the master secret again")
	return cmd
}

// devConfig is what dev generates: the defaults, and what makes trying easy.
func devConfig(lan bool) *config.Config {
	cfg := config.Default()
	cfg.Server.NextPort = true
	cfg.Server.Demo = true
	cfg.Log = config.Log{Level: "warn", Format: "text"}
	// "herald webhook listen" is on the same machine.
	cfg.Egress = config.Egress{Allow: []string{"loopback"}, Ports: []string{"any"}, HTTP: true}
	if lan {
		_, port, _ := net.SplitHostPort(cfg.Server.HTTP)
		cfg.Server.HTTP = net.JoinHostPort("0.0.0.0", port)
		cfg.Server.AllowOpen = true
	}
	return &cfg
}

// banner is what dev prints.
type banner struct {
	version    string
	folder     string // as the user would write it; "" for the default
	context    string // path of the context file
	fresh      bool   // the data folder was empty
	made       bool   // the app was made now
	showSecret bool
	url        string
	tcp, mqtt  string // addresses of raw TCP and MQTT; "" for none
	wanted     string // the port that was taken; "" if it was free
	app        cliContext
	page       string // link
	lanPage    string // link; "" without --lan
}

// prepare makes what the banner speaks of: an app, links and the context.
func (c *command) prepare(ctx context.Context, node Node, cfg config.Config, lan bool) (banner, error) {
	b := banner{version: version.Version(), context: filepath.Join(cfg.Data, contextFile), fresh: node.Fresh(), url: localURL(node.URL())}
	if n, ok := node.(interface{ TCP() string }); ok {
		b.tcp = n.TCP()
	}
	if n, ok := node.(interface{ MQTT() string }); ok {
		b.mqtt = n.MQTT()
	}
	if cfg.Data != config.Default().Data {
		b.folder = cfg.Data
	}
	if want, got := port(cfg.Server.HTTP), portOf(b.url); cfg.Server.PublicURL == "" && want != "0" && want != got {
		b.wanted = want
	}
	x, err := readContext(cfg.Data)
	if err != nil {
		return banner{}, err
	}
	admin := node.Admin()
	known, err := hasApp(ctx, admin, x.AppKey)
	if err != nil {
		return banner{}, err
	}
	if !known || x.MasterSecret == "" {
		// No context, or one of another record: an app that others may use
		// keeps its secret, so a new one is made.
		app, err := admin.CreateApp(ctx, newDevApp())
		if err != nil {
			return banner{}, err
		}
		x = cliContext{AppKey: app.AppKey, MasterSecret: app.MasterSecret}
		b.made = true
	}
	x.URL = b.url
	if b.page, err = pageLink(ctx, admin, x.AppKey, &x.PageInstallation, b.url); err != nil {
		return banner{}, err
	}
	if lan {
		host, err := c.LAN()
		if err != nil {
			return banner{}, err
		}
		base := "http://" + net.JoinHostPort(host, portOf(b.url))
		if b.lanPage, err = pageLink(ctx, admin, x.AppKey, &x.LANInstallation, base); err != nil {
			return banner{}, err
		}
	}
	b.app = x
	return b, x.write(cfg.Data)
}

func hasApp(ctx context.Context, admin api.Admin, key herald.AppKey) (bool, error) {
	apps, err := admin.ListApps(ctx)
	if err != nil {
		return false, err
	}
	for _, a := range apps {
		if a.AppKey == key {
			return true, nil
		}
	}
	return false, nil
}

// pageLink makes the link to the page of an installation, which is made if it
// is empty. The token stands in the fragment, which browsers keep to
// themselves.
func pageLink(ctx context.Context, admin api.Admin, key herald.AppKey, installation *string, base string) (string, error) {
	if *installation == "" {
		*installation = herald.NewSecret(32)
	}
	token, err := admin.PageToken(ctx, key, *installation)
	if err != nil {
		return "", err
	}
	return base + "/demo/#" + token, nil
}

func (c *command) banner(b banner) {
	var out strings.Builder
	data := "new"
	if !b.fresh {
		data = "existing data"
	}
	fmt.Fprintf(&out, "%s  %s, %s\n\n", c.bold("Herald "+b.version), filepath.Dir(b.context), data)
	if b.wanted != "" {
		fmt.Fprintf(&out, "  Port %s is taken; using %s instead.\n\n", b.wanted, portOf(b.url))
	}
	secret := b.app.MasterSecret
	shown := secret
	if !b.showSecret {
		shown, secret = "(not shown again; --show-secret prints it)", "$HERALD_SECRET"
	}
	fmt.Fprintf(&out, "  address        %s\n", b.url)
	if b.tcp != "" {
		fmt.Fprintf(&out, "  raw TCP        %s\n", b.tcp)
	}
	if b.mqtt != "" {
		fmt.Fprintf(&out, "  MQTT           %s\n", b.mqtt)
	}
	fmt.Fprintf(&out, "  app key        %s\n  master secret  %s\n\n", b.app.AppKey, shown)
	fmt.Fprintf(&out, "%s\n\n%s\n\n", c.bold("Push from any program"), curl(b.url, string(b.app.AppKey), secret))
	fmt.Fprintf(&out, "%s\n\n  %s\n\n", c.bold("Open this page: it receives what you push"), b.page)
	if b.lanPage != "" {
		fmt.Fprintf(&out, "%s\n\n  %s\n\n%s\n", c.bold("The same on a phone in this network"), b.lanPage, qrText(b.lanPage, c.Color))
	}
	self := c.Self
	if b.folder != "" {
		self += " --data " + version.Quote(b.folder)
	}
	fmt.Fprintf(&out, "%s\n\n  %s listen\n  %s push \"Hello\"\n\n", c.bold("Or in a second terminal"), self, self)
	fmt.Fprintf(&out, "listening on %s\n", b.url)
	c.printf("%s", out.String())
}

// curl is a command to paste. Without a secret it refers to the variable, in
// double quotes so that the shell fills it in.
func curl(url, key, secret string) string {
	return fmt.Sprintf(`  curl -u "%s:%s" %s/v1/messages \
    -H "Content-Type: application/json" \
    -d '{"audience": "all", "notification": {"title": "Hello", "body": "from curl"}}'`, key, secret, url)
}

// localURL is the address by which this machine reaches a server that may
// listen on every address.
func localURL(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return base
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() == "" || ip != nil && ip.IsUnspecified() {
		u.Host = net.JoinHostPort("127.0.0.1", u.Port())
	}
	return strings.TrimRight(u.String(), "/")
}

func port(address string) string {
	_, p, _ := net.SplitHostPort(address)
	return p
}

func portOf(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	return u.Port()
}
