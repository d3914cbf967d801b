package analysis

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// folder is where one Store keeps its files. A lock tells a folder in use from
// one that was left behind.
type folder struct {
	path string
	lock *os.File
}

const folderPrefix = "ampulla-jobs-"

// newFolder makes a folder of the caller's own below dir, and removes those that
// others left behind when they were killed.
func newFolder(dir string) (*folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder for jobs: %w", err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, folderPrefix+"*"))
	for _, path := range left {
		if f, err := lockFolder(path); err == nil {
			_ = f.remove()
		}
	}
	path, err := os.MkdirTemp(dir, folderPrefix) // mode 0700
	if err != nil {
		return nil, fmt.Errorf("folder for jobs: %w", err)
	}
	return lockFolder(path)
}

func lockFolder(path string) (*folder, error) {
	lock, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, err
	}
	return &folder{path, lock}, nil
}

// remove removes the folder with all files.
func (f *folder) remove() error {
	return errors.Join(os.RemoveAll(f.path), f.lock.Close())
}

// spool writes a capture that is sent to a file without a name, and returns it
// at its beginning.
func (s *Store) spool(body io.Reader) (*os.File, error) {
	file, err := os.CreateTemp(s.dir.path, "upload-")
	if err != nil {
		return nil, status.Errorf(codes.Internal, "no room for the upload: %v", err)
	}
	_ = os.Remove(file.Name())
	n, err := io.Copy(file, io.LimitReader(body, s.cfg.MaxUpload+1))
	switch {
	case err != nil:
		err = uploadError(err)
	case n > s.cfg.MaxUpload:
		err = ErrTooLarge
	case n == 0:
		err = status.Error(codes.InvalidArgument, "the body is empty")
	default:
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// ErrTooLarge means that an upload exceeds Config.MaxUpload.
var ErrTooLarge = status.Error(codes.OutOfRange, "the upload is larger than allowed (limits.max_upload)")

func uploadError(err error) error {
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return status.Error(codes.ResourceExhausted, "no room for the upload")
	case errors.As(err, new(*fs.PathError)):
		return status.Errorf(codes.Internal, "upload: %v", err)
	}
	return status.Errorf(codes.InvalidArgument, "the body breaks off: %v", err)
}

// open opens a capture below one of the allowed folders. Nothing behind the
// folder may be a symbolic link, and nothing leads out of it: os.Root sees to
// that even if the path changes meanwhile.
func (s *Store) open(path string) (*os.File, error) {
	var file *os.File
	err := s.below(path, func(dir, relative string) (err error) {
		file, err = openBelow(dir, relative)
		return err
	})
	return file, err
}

// create makes a file below one of the allowed folders, likewise, and returns
// what removes it.
func (s *Store) create(path string) (file *os.File, discard func(), err error) {
	err = s.below(path, func(dir, relative string) error {
		root, err := os.OpenRoot(dir)
		if err != nil {
			return err
		}
		if err = noSymlinks(root, filepath.Dir(relative)); err == nil {
			file, err = root.OpenFile(relative, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		}
		discard = func() { _ = os.Remove(filepath.Join(dir, relative)) }
		return errors.Join(err, root.Close())
	})
	return file, discard, err
}

// below calls use with the allowed folders that a path may be below, until one
// does.
func (s *Store) below(path string, use func(dir, relative string) error) error {
	if len(s.cfg.Folders) == 0 {
		return status.Error(codes.PermissionDenied, "path: no folders are allowed here; send the capture instead")
	}
	if strings.ContainsRune(path, 0) || len(path) > 4096 {
		return status.Error(codes.InvalidArgument, "path: this is none")
	}
	var missing error
	for _, dir := range s.cfg.Folders {
		relative := path
		if filepath.IsAbs(path) {
			var err error
			if relative, err = filepath.Rel(dir, path); err != nil {
				continue
			}
		}
		if !filepath.IsLocal(relative) {
			continue
		}
		err := use(dir, relative)
		if err == nil {
			return nil
		}
		if missing == nil || !errors.Is(err, fs.ErrNotExist) {
			missing = err
		}
	}
	switch {
	case missing == nil:
		return status.Errorf(codes.PermissionDenied, "path: %.200q is in none of the allowed folders", path)
	case errors.Is(missing, fs.ErrNotExist):
		return status.Errorf(codes.NotFound, "path: there is no file %.200q", path)
	case errors.Is(missing, fs.ErrExist):
		return status.Errorf(codes.AlreadyExists, "path: %.200q is there already", path)
	}
	return status.Errorf(codes.PermissionDenied, "path: %.200q: %v", path, plain(missing))
}

// plain leaves the server's own paths out of an error.
func plain(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

var errSymlink = errors.New("symbolic links are not followed")

// noSymlinks returns an error if any part of a path is a symbolic link.
func noSymlinks(root *os.Root, path string) error {
	parts := strings.Split(filepath.Clean(path), string(filepath.Separator))
	for i := range parts {
		info, err := root.Lstat(filepath.Join(parts[:i+1]...))
		if err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			return errSymlink
		}
	}
	return nil
}

// openBelow opens a regular file below dir.
func openBelow(dir, path string) (*os.File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if err := noSymlinks(root, path); err != nil {
		return nil, err
	}
	file, err := root.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("this is no regular file")
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}
