// Package jpush serves version 3 of the REST API of JPush, so that back ends
// that speak it, with the SDKs that they have, work against Herald when they are
// pointed at it. It translates requests to calls of [api.Service] and its
// answers back, and holds no rules of its own about messages or devices beyond
// the limits that the API documents.
//
// One chain runs for every request, in [API.ServeHTTP]: find the call, count
// strangers by address, authenticate, count by key, read the body, call. What
// the SDKs are strict about is held here: success is always 200 with a body of
// exactly the documented members, numbers that they read as text are text, every
// answer has the rate headers, and an error is an object with a number. Paths
// with doubled slashes, or a slash at the end, are those without.
//
// What Herald does in another way than JPush is in
// docs/guide/from-jpush.md, why in docs/design/024-jpush.md.
package jpush
