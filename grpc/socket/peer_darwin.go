package socket

import (
	"net"

	"golang.org/x/sys/unix"
)

// peerUID asks the kernel who is at the other end (LOCAL_PEERCRED). Not run on
// its platform yet.
func peerUID(conn *net.UnixConn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var (
		cred   *unix.Xucred
		asking error
	)
	err = raw.Control(func(fd uintptr) {
		cred, asking = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	})
	if err != nil {
		return 0, err
	}
	if asking != nil {
		return 0, asking
	}
	return int(cred.Uid), nil
}
