package dumpcap

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownProcess keeps the terminal's Ctrl-C from dumpcap, which we stop ourselves,
// and ends it should we be killed. The kernel does the latter for root only,
// or where dumpcap has no capabilities of its own; otherwise it ends at the next
// frame, having nobody to write to.
func ownProcess() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// enlarge makes a pipe hold more, if it may.
func enlarge(pipe *os.File, n int) {
	raw, err := pipe.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, n) })
}
