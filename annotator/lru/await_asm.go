//go:build amd64 || arm64

package lru

import "unsafe"

// prefetch has the processor bring n bytes, at least 1, from p on into its caches.
//
//go:noescape
func prefetch(p unsafe.Pointer, n uintptr)
