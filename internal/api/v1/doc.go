// Package v1 serves the HTTP API /v1 of Herald: it translates requests to
// calls of [api.Service] and its answers back, and holds no rules of its own
// about messages or devices.
//
// One chain runs for every request, in [API.ServeHTTP]: find the operation,
// refuse what is too large, count strangers by address, authenticate, count
// by key, read the body, call. Every refusal is problem+json (RFC 9457) with a
// stable code and a remedy. The OpenAPI document is generated from the same
// table of operations that serves the requests.
//
// huma registers the operations and writes their answers. It reads no bodies
// and validates nothing: package strict and the service do, so that an error
// has one form wherever it is found.
package v1
