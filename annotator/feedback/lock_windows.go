package feedback

import (
	"os"
	"time"
)

// lock waits until no other program has the lock, and takes it: a file that only
// one can make. One that is older than a minute was left behind.
func lock(path string) (unlock func(), err error) {
	for {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if err == nil {
			return func() { _ = file.Close(); _ = os.Remove(path) }, nil
		}
		info, statErr := os.Stat(path)
		switch {
		case !os.IsExist(err):
			return nil, err
		case statErr == nil && time.Since(info.ModTime()) > time.Minute:
			_ = os.Remove(path)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
