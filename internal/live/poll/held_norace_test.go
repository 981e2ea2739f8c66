//go:build !race

package poll_test

// manyHeld is how many requests TestManyHeld holds at once.
const manyHeld = 5000
