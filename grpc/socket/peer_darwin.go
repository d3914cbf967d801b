package socket

import "golang.org/x/sys/unix"

// uidOfPeer asks with LOCAL_PEERCRED. Not run on its platform yet.
func uidOfPeer(fd int) (int, error) {
	cred, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return 0, err
	}
	return int(cred.Uid), nil
}
