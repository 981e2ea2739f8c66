// Package bench holds benchmarks that take several stages together. What they
// measured, and with which commands, is in README.md beside it.
package bench
