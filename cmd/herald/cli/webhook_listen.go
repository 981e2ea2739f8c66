package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
)

// hookFlags are the flags of webhook listen.
type hookFlags struct {
	address, forward, secret string
	events                   []string
	json                     bool
	once                     int
}

func (c *command) webhookListen() *cobra.Command {
	var t targetFlags
	f := hookFlags{address: "127.0.0.1:0"}
	cmd := &cobra.Command{
		Use:   "listen",
		Short: "Receive webhooks in this terminal, and print them",
		Long: "Make a webhook that leads to this terminal, verify what comes, and print the events until Ctrl-C; then delete it.\n" +
			"The server has to be allowed to call this machine: \"herald dev\" is, others with egress.allow.\n" +
			"With --forward each request goes on to your own server, as it came, and its answer goes back.\n" +
			"With --signing-secret no webhook is made: what comes otherwise, e.g. through a tunnel, is verified and printed.",
		Example: "  herald webhook listen --event 'receipt.*' --forward http://127.0.0.1:8080/hooks/herald",
		Args:    cobra.NoArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			if f.once < 0 {
				return usage("Write for example --once 1.", "--once %d is negative", f.once)
			}
			if u, err := url.Parse(f.forward); f.forward != "" && (err != nil || u.Host == "") {
				return usage("Write for example http://127.0.0.1:8080/hook.", "--forward %.80q is no address", f.forward)
			}
			return c.hookListen(ctx, t, f)
		}),
	}
	cmd.Flags().StringVar(&f.address, "listen", f.address, "address to listen on, as host:port")
	cmd.Flags().StringVar(&f.forward, "forward", "", "address of your own server, to which requests go on")
	cmd.Flags().StringVar(&f.secret, "signing-secret", "", "secret of a webhook that is there already")
	cmd.Flags().StringArrayVar(&f.events, "event", nil, "type of event, or a family such as 'receipt.*'; may be repeated (default all)")
	cmd.Flags().BoolVar(&f.json, "json", false, "print one JSON object per line")
	cmd.Flags().IntVar(&f.once, "once", 0, "stop after this many events")
	addTarget(cmd, &t, true)
	return cmd
}

// hookListen serves until ctx ends or so many events have come.
func (c *command) hookListen(ctx context.Context, t targetFlags, f hookFlags) (err error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", f.address)
	if err != nil {
		return usage("Choose another address with --listen.", "cannot listen on %s: %v", f.address, err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ready := make(chan struct{}) // closed when the secret is known
	h := &hookReceiver{c: c, f: f, stop: stop, ready: ready, secret: f.secret, client: &http.Client{Timeout: 10 * time.Second}}
	srv := &http.Server{Handler: h, ReadTimeout: 30 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	defer func() {
		// What is under way is answered, so that the server need not repeat it.
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, srv.Shutdown(limit))
		if e := <-served; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
		h.client.CloseIdleConnections()
	}()
	address := "http://" + l.Addr().String() + "/"
	if f.secret == "" {
		remove, err := c.hookMake(ctx, t, f, h, address)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, remove()) }()
	}
	close(ready)
	c.notef("listening on %s; Ctrl-C stops\n", address)
	<-ctx.Done()
	return nil
}

// hookMake makes a webhook that leads here, and gives what deletes it.
func (c *command) hookMake(ctx context.Context, t targetFlags, f hookFlags, h *hookReceiver, address string) (remove func() error, err error) {
	cl, err := c.client(t)
	if err != nil {
		return nil, err
	}
	w, err := cl.CreateWebhook(ctx, client.WebhookSpec{URL: address, Events: f.events, Description: "herald webhook listen"})
	var e *herald.Error
	if errors.As(err, &e) && e.Field == "url" {
		e.Remedy = `Use a server of "herald dev"; or have the operator add this machine to egress.allow, its port to egress.ports, and set egress.http.`
	}
	if err != nil {
		return nil, err
	}
	h.secret = w.Secret
	return func() error {
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		return cl.DeleteWebhook(limit, w.ID)
	}, nil
}

// hookReceiver verifies webhooks and prints them.
type hookReceiver struct {
	c      *command
	f      hookFlags
	stop   func()
	ready  chan struct{}
	secret string // to be read after ready
	client *http.Client

	mu   sync.Mutex // guards what is printed, and what follows
	seen int
}

// maxHook is the largest webhook that is taken.
const maxHook = 1 << 20

// ServeHTTP takes one webhook.
func (h *hookReceiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case <-h.ready:
	case <-r.Context().Done():
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxHook))
	if err != nil {
		http.Error(w, "the body did not come whole", http.StatusBadRequest)
		return
	}
	hook, err := client.VerifyWebhook(r.Header, body, h.secret)
	if err != nil {
		h.note("refused: %s\n", oneLine(err.Error()))
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	if h.f.forward != "" {
		h.pass(w, r, body)
	} else {
		w.WriteHeader(http.StatusNoContent)
	}
	h.print(hook.Data.Events)
}

func (h *hookReceiver) note(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.c.notef(format, args...)
}

// pass gives a request to the user's own server, and its answer back.
func (h *hookReceiver) pass(w http.ResponseWriter, r *http.Request, body []byte) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, h.f.forward, bytes.NewReader(body))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	req.Header = r.Header.Clone()
	resp, err := h.client.Do(req)
	if err != nil {
		h.note("not forwarded: %s\n", oneLine(err.Error()))
		http.Error(w, "your server did not answer", http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		h.note("your server answered %s; it will be repeated\n", oneLine(resp.Status))
	}
	if v := resp.Header.Get("Retry-After"); v != "" {
		w.Header().Set("Retry-After", v)
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, io.LimitReader(resp.Body, maxHook))
}

func (h *hookReceiver) print(events []herald.WebhookEvent) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range events {
		if h.f.once > 0 && h.seen >= h.f.once {
			return
		}
		if h.f.json {
			_ = h.c.printJSON(e)
		} else {
			h.c.printEvent(e)
		}
		if h.seen++; h.seen == h.f.once {
			h.stop()
		}
	}
}

// printEvent prints an event as one line.
func (c *command) printEvent(e herald.WebhookEvent) {
	var b strings.Builder
	add := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "  %s %s", name, oneLine(value))
		}
	}
	if e.MessageID != 0 {
		add("message", e.MessageID.String())
	}
	add("device", string(e.RegistrationID))
	add("alias", string(e.Alias))
	add("platform", string(e.Platform))
	add("via", e.Via)
	add("because", e.Reason)
	c.printf("%s  %s%s\n", e.Time.In(c.Now().Location()).Format("15:04:05"), c.bold(oneLine(e.Type)), b.String())
}
