// Package server puts the parts together into one running node: it opens the
// record, builds the stages, binds the listeners, and drains them in order.
// The list of transports, providers and stores is in plugins.go and nowhere
// else. Everybody is known here, and nobody imports this package but the
// binary.
package server
