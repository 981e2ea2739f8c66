// Package webhook tells app servers what happens: receipts, devices, ends of
// messages. It reads what the record wrote down in the commit in which it
// happened, and sends it as Standard Webhooks 1.0.
//
// Guarantees: what an endpoint is told of arrives at least once, unless it is
// away for longer than the log is kept, which is counted. A request is written
// down before it is made and keeps its webhook ID whenever it is repeated. An
// endpoint has several requests at once when it has to catch up; events of a
// device stay in the order of the log. Nothing here holds up receipts.
package webhook
