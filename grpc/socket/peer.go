package socket

import "net"

// peerUID asks the kernel who is at the other end.
func peerUID(conn *net.UnixConn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var (
		uid    int
		asking error
	)
	if err := raw.Control(func(fd uintptr) { uid, asking = uidOfPeer(int(fd)) }); err != nil {
		return 0, err
	}
	return uid, asking
}
