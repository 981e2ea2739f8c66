//go:build !linux

package livetest

import "net"

func vanish(*net.TCPConn) (unavailable string) {
	return "a socket can be taken away without a word on Linux only"
}
