//go:build unix

package main

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"ampulla/annotator/reread"
)

// closeInherited closes the descriptors that the program was started with,
// apart from the standard ones. The annotator outlives whoever started it, such
// as Wireshark: a pipe kept open would never end for its reader. What this
// process itself opened, the Go runtime included, is marked close-on-exec; what
// is not has come through an exec.
func closeInherited() error {
	folder, err := os.Open("/dev/fd")
	if err != nil {
		return fmt.Errorf("inherited files: %w", err)
	}
	names, err := folder.Readdirnames(-1)
	_ = folder.Close()
	if err != nil {
		return fmt.Errorf("inherited files: %w", err)
	}
	for _, name := range names {
		fd, err := strconv.Atoi(name)
		if err != nil || fd <= unix.Stderr {
			continue
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && flags&unix.FD_CLOEXEC == 0 {
			_ = unix.Close(fd)
		}
	}
	return nil
}

// programReplaced returns a function that tells whether the program's file is
// another one than now, as after an update. A file that is gone is not: there
// is nothing to start instead.
func programReplaced() func() bool {
	path, err := os.Executable()
	if err != nil {
		return nil
	}
	before, err := os.Stat(path)
	if err != nil {
		return nil
	}
	return func() bool {
		now, err := os.Stat(path)
		return err == nil && !reread.Same(before, now)
	}
}
