// Package courier does errands: it hands messages to vendors, owner by owner,
// and writes down what came of each. What is to be done is leased from the
// record, slab by slab; whom a message is for is decided before.
//
// Guarantees: what a vendor does, or fails to do, delays nothing of another
// credential. Nothing is sent after a message's TTL, or after [Courier.Recall]
// has returned. Each owner of an errand comes to exactly one outcome that is
// kept. A vendor that would show a copy is never given a message twice, unless it
// has said that it did not take it; a kill leaves those of at most one batch
// unknown. Any other is given again, at most, what a kill came between.
// Nothing is sent to an address that the vendor has said leads to nobody, until
// it is registered anew. Memory is bounded whatever waits.
package courier
