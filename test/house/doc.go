// Package house has the tests about the tree itself: who may import whom, how
// long a file may be, what a document may link to. Each rule is a function
// over a small model of the tree that returns what breaks it, each time with
// the reason for the rule; so it runs on this tree, where it has to find
// nothing, and on small bad trees, where it has to find something.
package house
