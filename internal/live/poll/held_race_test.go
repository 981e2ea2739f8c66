//go:build race

package poll_test

// manyHeld is fewer with the race detector, which makes 5,000 take six times as
// long.
const manyHeld = 1000
