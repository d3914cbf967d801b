package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"ampulla/grpc/socket"
)

// programName is the annotator's program.
const programName = "ampulla"

// FindProgram returns the path of the annotator's program: $AMPULLA, or the
// first of: beside the running program, in ~/.local/bin, /usr/local/bin,
// /usr/bin, and along $PATH.
func FindProgram() (string, error) {
	if program := os.Getenv("AMPULLA"); program != "" {
		return program, nil
	}
	var folders []string
	if self, err := os.Executable(); err == nil {
		folders = append(folders, filepath.Dir(self))
	}
	if home, err := os.UserHomeDir(); err == nil {
		folders = append(folders, filepath.Join(home, ".local", "bin"))
	}
	for _, folder := range append(folders, "/usr/local/bin", "/usr/bin") {
		path := filepath.Join(folder, programName)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	path, err := exec.LookPath(programName)
	if err != nil {
		return "", errors.New("annotator: the program ampulla is not installed")
	}
	return path, nil
}

// start runs the annotator in a session of its own, so that it outlives the
// caller and its terminal, and waits until it answers at path. Several callers
// may do so at once: all but one of the annotators find the socket taken and
// end, and all callers reach the one that stays.
func start(ctx context.Context, program, path string) error {
	command := exec.Command(program, "serve", "--socket", path)
	command.Dir = "/"
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return fmt.Errorf("annotator: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		conn, err := socket.Dial(ctx, path)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("annotator: %s does not answer at %s", program, path)
		case failure := <-ended:
			if failure != nil {
				return fmt.Errorf("annotator: %s serve: %w", program, failure)
			}
			ended = nil // another one was quicker; it will answer
		case <-time.After(pause):
		}
	}
}
