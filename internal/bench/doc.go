// Package bench makes data folders of the size that Herald is meant for, and
// measures what it does with them. It is what "herald bench" runs; no server
// imports it.
//
// What it seeds follows from a number, so that two runs make the same devices,
// tags and messages but for their times.
package bench
