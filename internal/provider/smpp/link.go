package smpp

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"time"

	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/wire/smpp"
)

// bindWithin is how long it may take to open a session.
const bindWithin = 20 * time.Second

// attempt is one try to open a session. All who need one meanwhile wait for it.
type attempt struct {
	done chan struct{} // closed when what follows is set
	s    *session      // nil if it failed
	err  *provider.Error
	said provider.Exchange // with an error: what was said
	next time.Time         // with an error: when to try again
}

// open gives the session of an attempt if it can be used.
func (a *attempt) open() *session {
	if a == nil {
		return nil
	}
	select {
	case <-a.done:
		if a.s != nil && a.s.usable() {
			return a.s
		}
	default:
	}
	return nil
}

// opened gives the session that is open; nil if there is none.
func (p *Provider) opened() *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.attempt.open()
}

// session gives a session that is open, and opens one if there is none. After an
// attempt has failed, the next one waits, ever longer; meanwhile the error is the
// same, unless force is true. The error is an *provider.Error.
func (p *Provider) session(ctx context.Context, force bool) (*session, error) {
	a := p.try(force)
	select {
	case <-a.done:
	case <-ctx.Done():
		return nil, provider.Lost(ctx.Err(), false)
	}
	if a.err == nil {
		return a.s, nil
	}
	provider.TranscriptOf(ctx).Add(a.said)
	e := *a.err
	e.RetryAfter = max(0, a.next.Sub(p.now()))
	return nil, &e
}

// try gives the attempt that counts: the last one while it goes on, while its
// session is open, or until it is time for another one; else a new one.
func (p *Provider) try(force bool) *attempt {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.attempt; a != nil {
		select {
		case <-a.done:
			if a.open() != nil || a.err != nil && !force && p.now().Before(a.next) {
				return a
			}
		default:
			return a
		}
	}
	a := &attempt{done: make(chan struct{})}
	if p.closed {
		a.err = &provider.Error{Kind: provider.Unavailable, Text: "the credential was changed or removed meanwhile", Err: errClosed}
		close(a.done)
		return a
	}
	p.attempt = a
	p.wg.Go(func() { p.run(a) })
	return a
}

// run tries to open a session.
func (p *Provider) run(a *attempt) {
	ctx, cancel := context.WithTimeout(p.ctx, bindWithin)
	defer cancel()
	began := p.now()
	s, e := p.bindTo(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	defer close(a.done)
	if a.err = e; e != nil {
		p.failures++
		a.next = p.now().Add(pause(p.failures, e.Kind))
		a.said = p.exchange(began, p.command.String(), p.bindText(), uint32(smpp.OK), "", e)
		return
	}
	p.failures = 0
	a.s = s
	p.wg.Go(func() { p.follow(s) })
}

// pause is how long to wait after so many attempts have failed in a row. Some
// service centres lock an account whose password was wrong a few times.
func pause(failures int, k provider.Kind) time.Duration {
	first, most := time.Second, time.Minute
	if k == provider.Unauthorized {
		first, most = 30*time.Second, 10*time.Minute
	}
	return min(most, first<<min(failures-1, 16))
}

// bindTo connects and opens a session.
func (p *Provider) bindTo(ctx context.Context) (*session, *provider.Error) {
	conn, err := p.client.Dial(ctx, "tcp", p.address, plainPort, securePort)
	if err != nil {
		return nil, provider.NotReached(err)
	}
	if p.tls != nil {
		secure := tls.Client(conn, p.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, &provider.Error{Kind: provider.Unavailable, Err: err, Text: "no TLS with the service centre",
				Remedy: "Check host, port, security and ca of the credential."}
		}
		conn = secure
	}
	s := newSession(conn, p.window, p.delivered)
	bind := p.bind
	answer, _, err := s.ask(ctx, &smpp.PDU{Command: p.command, Bind: &bind}, nil)
	switch {
	case err != nil:
		s.end(err)
		s.wg.Wait()
		e := provider.Lost(err, false) // nothing was submitted
		e.Text = "the service centre has not answered the bind"
		e.Remedy = "Check host, port and security of the credential, and whether the service centre lets this machine's address in."
		return nil, e
	case answer.Status != smpp.OK || answer.Command == smpp.GenericNack:
		s.end(errClosed)
		s.wg.Wait()
		return nil, bindRefusal(answer.Status)
	}
	return s, nil
}

// follow waits until a session has ended. If somebody listens, another one is
// opened then: receipts come on a session only.
func (p *Provider) follow(s *session) {
	select {
	case <-s.done:
	case <-p.ctx.Done():
		s.end(errClosed)
	}
	s.wg.Wait()
	p.mu.Lock()
	p.owed = p.owed || s.used.Load()
	keep := p.report != nil && p.owed && p.command == smpp.BindTransceiver
	p.mu.Unlock()
	if !keep {
		return
	}
	for wait := pause(1, provider.Unavailable); ; {
		select {
		case <-time.After(wait):
		case <-p.ctx.Done():
			return
		}
		_, err := p.session(p.ctx, false)
		if err == nil {
			return
		}
		e := (*provider.Error)(nil)
		if errors.As(err, &e) {
			wait = max(pause(1, e.Kind), e.RetryAfter)
		}
	}
}

// exchange is what is taken down of a request and its response.
func (p *Provider) exchange(began time.Time, method, body string, status uint32, answer string, err error) provider.Exchange {
	scheme := "smpp://"
	if p.tls != nil {
		scheme = "smpps://"
	}
	x := provider.Exchange{At: began, Took: p.now().Sub(began), Method: method, URL: scheme + p.address, Body: body, Status: int(status), Answer: answer}
	if err != nil {
		x.Err = err.Error()
	}
	return x
}

// bindText is what a bind says, without the password.
func (p *Provider) bindText() string {
	said := map[string]string{"system_id": p.bind.SystemID, "password": "", "system_type": p.bind.SystemType}
	if p.bind.Password != "" {
		said["password"] = "…"
	}
	return jsonText(said)
}

func jsonText(v any) string {
	b, _ := json.Marshal(v) // of strings and numbers
	return string(b)
}
