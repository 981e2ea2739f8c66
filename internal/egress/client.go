package egress

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/herald-push/herald"
)

// Resolver finds the addresses of a host; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Config says where calls may go.
type Config struct {
	// Allow are networks beyond the public internet that may be called; see
	// ParseAllow. Default none.
	Allow []string
	// Ports are the ports that may be called, as numbers; "any" opens all.
	// Default 443.
	Ports []string
	// HTTP lets calls go without TLS. Default false.
	HTTP bool
	// Timeout bounds a call as a whole. Default 15 s.
	Timeout time.Duration
	// MaxBody is how much of an answer is kept, in bytes; the rest is not
	// waited for. Default 4,096.
	MaxBody int64
	// Resolver is asked for hosts. Default net.DefaultResolver.
	Resolver Resolver
	// Roots are the certificate authorities to trust. Default those of the
	// system.
	Roots *x509.CertPool
	// Certificates are shown to a server that asks for one. Default none.
	Certificates []tls.Certificate
}

// Client makes calls. It is safe for use by several goroutines.
type Client struct {
	rules     rules
	ports     []uint16 // empty: any
	http      bool
	timeout   time.Duration
	maxBody   int64
	resolver  Resolver
	transport *http.Transport
	last      atomic.Pointer[string] // the origin of what Check has found good
	dialer    net.Dialer
}

// New makes a client. The error is a *herald.Error.
func New(cfg Config) (*Client, error) {
	open, err := ParseAllow(cfg.Allow)
	if err != nil {
		return nil, err
	}
	ports, err := ParsePorts(cfg.Ports)
	if err != nil {
		return nil, err
	}
	c := &Client{
		rules: rules{never(), closed(), open}, ports: ports, http: cfg.HTTP, timeout: cfg.Timeout, maxBody: cfg.MaxBody, resolver: cfg.Resolver,
	}
	if c.timeout <= 0 {
		c.timeout = 15 * time.Second
	}
	if c.maxBody <= 0 {
		c.maxBody = 4096
	}
	if c.resolver == nil {
		c.resolver = net.DefaultResolver
	}
	c.dialer = net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Control: c.control}
	c.transport = &http.Transport{
		Proxy:       nil, // none of the environment: it would connect where we have not looked
		DialContext: c.dial, ForceAttemptHTTP2: true, DisableCompression: true,
		TLSClientConfig:     &tls.Config{RootCAs: cfg.Roots, Certificates: cfg.Certificates, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: c.timeout, MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConns: 256, MaxIdleConnsPerHost: 16, IdleConnTimeout: 90 * time.Second,
	}
	return c, nil
}

// ParsePorts reads the ports that an operator opens; none in the answer means
// any. The error is a *herald.Error.
func ParsePorts(list []string) (out []uint16, err error) {
	if len(list) == 0 {
		return []uint16{443}, nil
	}
	for _, s := range list {
		if s == "any" {
			return nil, nil
		}
		n, err := strconv.ParseUint(s, 10, 16)
		if err != nil || n == 0 {
			return nil, herald.Invalid("egress.ports", "Write port numbers such as 443, or any.", "%.20q is not a port", s)
		}
		out = append(out, uint16(n))
	}
	return out, nil
}

// Close lets go of connections that are not in use.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Answer is what a call was answered.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte // at most Config.MaxBody bytes
	// RetryAfter is how long the other side asks to wait; 0 if it does not.
	RetryAfter time.Duration
}

// Request is a call.
type Request struct {
	Method string // default POST
	URL    string
	Header http.Header
	Body   []byte
}

// Unanswered is the error of a call to which no answer came.
type Unanswered struct {
	// Asked tells that the request was sent: the other side may have acted on it.
	Asked bool
	Err   error
}

func (e *Unanswered) Error() string { return e.Err.Error() }
func (e *Unanswered) Unwrap() error { return e.Err }

// Post sends a body to an address. An answer of any status is no error.
func (c *Client) Post(ctx context.Context, raw string, header http.Header, body []byte) (Answer, error) {
	return c.Do(ctx, Request{URL: raw, Header: header, Body: body})
}

// Do makes a call. An answer of any status is no error; without one the error is
// an *Unanswered, or a *herald.Error if the address may not be called.
func (c *Client) Do(ctx context.Context, req Request) (Answer, error) {
	u, err := c.Check(req.URL)
	if err != nil {
		return Answer{}, err
	}
	if end, ok := ctx.Deadline(); !ok || time.Until(end) > c.timeout {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	var asked atomic.Bool // net/http writes on goroutines of its own
	ctx = httptrace.WithClientTrace(ctx, trace(&asked, len(req.Body) == 0))
	r, err := http.NewRequestWithContext(ctx, cmp.Or(req.Method, http.MethodPost), "", bytes.NewReader(req.Body))
	if err != nil {
		return Answer{}, fmt.Errorf("egress: %w", err)
	}
	r.URL, r.Host = u, u.Host // what was judged, not a text that is read once more
	for name, values := range req.Header {
		r.Header[name] = values
	}
	resp, err := c.transport.RoundTrip(r) // an answer that points elsewhere is the answer
	if err != nil {
		if err = plain(err); errors.As(err, new(*herald.Error)) {
			return Answer{}, err
		}
		return Answer{}, &Unanswered{asked.Load(), err}
	}
	defer resp.Body.Close()
	a := Answer{Status: resp.StatusCode, Header: resp.Header, RetryAfter: retryAfter(resp.Header, time.Now())}
	// The status is the answer; a body that does not come whole spoils nothing.
	a.Body, _ = io.ReadAll(io.LimitReader(resp.Body, c.maxBody))
	return a, nil
}

// trace sets asked before the other side can have the whole request, not after
// it was written: it may act, and the call may be given up, before the last
// write returns. A body is written after WroteHeaders was called; what has none
// may be gone by then. net/http repeats a POST only if nothing of it was read.
func trace(asked *atomic.Bool, bodiless bool) *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn:      func(string) { asked.Store(false) },
		GotConn:      func(httptrace.GotConnInfo) { asked.Store(bodiless) },
		WroteHeaders: func() { asked.Store(true) },
		WroteRequest: func(i httptrace.WroteRequestInfo) { asked.Store(i.Err == nil) },
	}
}

// plain gives the error of a call without its address: who asked knows it, and it
// may hold a secret.
func plain(err error) error {
	var known *herald.Error
	if errors.As(err, &known) {
		return known
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("egress: no answer in time: %w", context.DeadlineExceeded)
	}
	return fmt.Errorf("egress: %w", err)
}

// retryAfter reads Retry-After, seconds or a date (RFC 9110 section 10.2.3).
func retryAfter(h http.Header, now time.Time) time.Duration {
	s := h.Get("Retry-After")
	if s == "" {
		return 0
	}
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(s); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// dial connects to a host whose addresses are all such as may be called.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	ips, err := c.addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, ip := range ips {
		conn, err := c.dialer.DialContext(ctx, network, net.JoinHostPort(ip.String(), port))
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

// maxAddresses is how many addresses of a host are tried.
const maxAddresses = 4

// addresses resolves a host, once. One bad address among good ones is enough to
// refuse: nobody who means well has both.
func (c *Client) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip}, c.checkAddress(ip)
	}
	found, err := c.resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s has no address", host)
	}
	out := make([]netip.Addr, len(found))
	for i, ip := range found {
		if err := c.checkAddress(ip); err != nil {
			return nil, err
		}
		out[i] = ip.Unmap()
	}
	// Most networks still reach IPv4 more surely.
	slices.SortStableFunc(out, func(a, b netip.Addr) int { return a.BitLen() - b.BitLen() })
	return out[:min(len(out), maxAddresses)], nil
}

// control looks once more at the address that the system is about to connect
// to.
func (c *Client) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	return c.checkAddress(ap.Addr())
}
