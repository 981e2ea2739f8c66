package edge

import (
	"net"
	"time"

	"github.com/pires/go-proxyproto"
)

// headerTime is how long a trusted peer may take to begin with a PROXY header;
// after that it is taken as one that sends none.
const headerTime = 5 * time.Second

// Listen lets trusted peers say for whom they connect, by the PROXY protocol,
// version 1 or 2 (HAProxy's specification). RemoteAddr of what is accepted is
// then the client's. It may wait until the header has come, so it is not to be
// called where others are accepted.
//
// A trusted peer that sends no header, such as a health check, is taken as it
// is. Who is not trusted gets the bare connection: a header is then no HTTP, no
// TLS and no frame, and the connection ends.
func (p Proxies) Listen(l net.Listener) net.Listener {
	return &proxyproto.Listener{
		Listener: l,
		ConnPolicy: func(o proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
			if p.Trusts(Address(o.Upstream)) {
				return proxyproto.USE, nil
			}
			return proxyproto.SKIP, nil
		},
		ReadHeaderTimeout: headerTime,
	}
}
