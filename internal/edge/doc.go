// Package edge is where connections from outside come in: whom the server
// believes about the address of a client, and how a client's address is found
// behind proxies. A proxy says it with the header X-Forwarded-For or with the
// PROXY protocol; both count only from addresses that the operator trusts.
// Everything here may be used from any goroutine.
package edge
