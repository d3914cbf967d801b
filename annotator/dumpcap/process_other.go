//go:build unix && !linux

package dumpcap

import (
	"os"
	"syscall"
)

// ownProcess keeps the terminal's Ctrl-C from dumpcap, which we stop ourselves.
// Not run on these platforms yet.
func ownProcess() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// enlarge would make a pipe hold more.
func enlarge(*os.File, int) {}
