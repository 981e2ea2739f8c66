// Package floor is a bare server: one thread on raw epoll with raw system
// calls, that upgrades connections, writes frames to them and passes on what
// is posted. It checks nobody, keeps nothing and knows no sessions. What it
// costs is the least that a Go program can do the same for, and the figures of
// "herald bench" are given as ratios to it.
package floor
