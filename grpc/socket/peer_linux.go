package socket

import "golang.org/x/sys/unix"

// uidOfPeer asks with SO_PEERCRED (unix(7)).
func uidOfPeer(fd int) (int, error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, err
	}
	return int(cred.Uid), nil
}
