// Package client is the Go SDK for app servers: it sends messages through a
// Herald server, follows them, and manages devices, aliases and tags.
//
//	c, err := client.New("https://push.example.com", client.MasterSecret(appKey, secret), client.Options{})
//	sent, err := c.Send(ctx, client.Message{
//		Audience:     herald.Audience{All: true},
//		Notification: &herald.Notification{Title: "Hello"},
//	})
//
// Calls block until they are done. What a busy or restarting server refuses
// for now (429, 502, 503, 504) and what the network loses is tried again, with
// growing waits, for as long as the context and [Options] allow. That is safe:
// Send bears an Idempotency-Key, the others say what shall be and not what shall
// change, and Publish, which does neither, is tried again only where the server
// said that it did nothing. A server's refusal is a *herald.Error with its
// remedy; a server that could not be reached is [ErrUnreachable].
package client

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// ErrUnreachable is in the chain of errors of calls that got no answer.
var ErrUnreachable = errors.New("no answer from the server")

// Credentials prove who calls. They are made by [MasterSecret] or [Key].
type Credentials struct{ header string }

// MasterSecret makes the credentials of the owner of an app.
func MasterSecret(appKey, secret string) Credentials {
	return Credentials{"Basic " + base64.StdEncoding.EncodeToString([]byte(appKey+":"+secret))}
}

// Key makes credentials of a Bearer key ("hk1.…"), which has chosen scopes.
func Key(key string) Credentials { return Credentials{"Bearer " + key} }

// String hides the secret from logs.
func (Credentials) String() string { return "(credentials)" }

// GoString hides the secret from logs.
func (Credentials) GoString() string { return "(credentials)" }

// Options are the choices of a client. The zero value is useful.
type Options struct {
	// HTTPClient makes the requests. Default: one with a time-out of 30 s for
	// each try. Uploads of lists and exports take longer, and have none.
	HTTPClient *http.Client
	// Tries is how often a call is tried in all. Default 5; 1 means no retry.
	Tries int
	// MinWait and MaxWait bound the wait between tries, which doubles and is
	// drawn at random below its bound. Default 200 ms and 10 s. A server's
	// Retry-After counts instead, up to 5 minutes.
	MinWait, MaxWait time.Duration
	// UserAgent is sent with each request. Default "herald-go".
	UserAgent string
}

// Client calls one Herald server. It is safe for use by several goroutines.
type Client struct {
	base string
	cred Credentials
	o    Options
}

// New makes a client. base is the address of the server, such as
// "https://push.example.com". It makes no request.
func New(base string, cred Credentials, o Options) (*Client, error) {
	u, err := url.Parse(base)
	switch {
	case err != nil:
		return nil, errors.New("client: the address of the server is not a URL")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("client: %q is not the address of a server: write https://host or http://host:port", u.Redacted())
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("client: the address of the server must hold no user, query or fragment")
	case strings.ContainsAny(cred.header, "\r\n"):
		return nil, errors.New("client: the credentials contain a line break")
	}
	if o.HTTPClient == nil {
		o.HTTPClient = &http.Client{Timeout: 30 * time.Second}
	}
	if o.Tries <= 0 {
		o.Tries = 5
	}
	if o.MinWait <= 0 {
		o.MinWait = 200 * time.Millisecond
	}
	if o.MaxWait <= 0 {
		o.MaxWait = 10 * time.Second
	}
	if o.UserAgent == "" {
		o.UserAgent = "herald-go"
	}
	return &Client{base: strings.TrimRight(u.String(), "/"), cred: cred, o: o}, nil
}
