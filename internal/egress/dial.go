package egress

import (
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"strconv"

	"github.com/herald-push/herald"
)

// Dial connects to host:port for a protocol other than HTTP, such as mail, under
// the rules of all calls: the host may not lead to an address that is not called.
// Its port has to be one of ports, which are those that the protocol is spoken
// at, or one of the operator's. The error is an *Unanswered, or a *herald.Error
// about the field url if the address may not be called.
func (c *Client) Dial(ctx context.Context, network, address string, ports ...uint16) (net.Conn, error) {
	if err := c.CheckDial(address, ports...); err != nil {
		return nil, err
	}
	conn, err := c.dial(ctx, network, address)
	if err == nil {
		return conn, nil
	}
	if known := (*herald.Error)(nil); errors.As(err, &known) {
		return nil, known
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return nil, &Unanswered{Err: err}
}

// CheckDial judges what Dial would be given, without asking the DNS, as Check
// does for URLs.
func (c *Client) CheckDial(address string, ports ...uint16) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return refuse("Write it as host:port.", "is not a host and a port")
	}
	u := &url.URL{Host: address}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || !slices.Contains(ports, uint16(n)) || strconv.FormatUint(n, 10) != port {
		if err := c.checkPort(u); err != nil {
			return err
		}
	}
	return c.checkHost(u)
}
