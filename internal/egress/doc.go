// Package egress holds the only HTTP client, and the only dialer, that may call
// an address that a user gave. What it refuses is a call to the operator's own network in the
// user's name (server-side request forgery).
//
// Guarantees: a host is resolved once for each connection, every address that
// it has is judged, and the connection is made to a judged address, so that no
// second answer of the DNS counts. Only what is on the public internet, or in a
// network that the operator has named, is called; of that, only the ports and
// schemes that are configured. No proxy of the environment is used, no redirect
// is followed, time and size of an answer are bounded.
package egress
