//go:build !unix

package livetest

func noDescriptors(e *env) { e.Skip("unavailable: the number of descriptors cannot be limited here") }
