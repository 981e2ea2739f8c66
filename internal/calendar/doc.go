// Package calendar knows when a schedule occurs: once, every n days, weeks or
// months, or by a cron expression, in a time zone or at each recipient's own
// local time.
//
// Guarantees: a [Calendar] is a pure function of its trigger and zone, so that
// every node and every restart comes to the same instants; they grow strictly;
// a local time that a change of the clocks leaves out occurs at the first
// instant after it, one that comes twice occurs the first time.
package calendar
