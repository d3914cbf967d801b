//go:build !linux

package dumpcap

import "io/fs"

// groupOf would return the group that a file belongs to. Elsewhere Wireshark's
// installer sees to who may capture.
func groupOf(fs.FileInfo) (gid string, ok bool) { return "", false }

// hasCapabilities tells whether a file has capabilities, which Linux alone knows.
func hasCapabilities(string) bool { return false }
