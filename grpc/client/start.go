package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"ampulla/grpc/socket"
)

// programName is the annotator's program.
const programName = "ampulla"

// FindProgram returns the path of the annotator's program: $AMPULLA, or the
// first of: beside the running program, in ~/.local/bin, /usr/local/bin,
// /usr/bin, and along $PATH.
func FindProgram() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return FindProgramFrom("")
	}
	return FindProgramFrom(filepath.Dir(self))
}

// FindProgramFrom is what FindProgram returns to a program in a folder; empty is
// one in which nobody's program is.
func FindProgramFrom(folder string) (string, error) {
	if program := os.Getenv("AMPULLA"); program != "" {
		return program, nil
	}
	var folders []string
	if folder != "" {
		folders = append(folders, folder)
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

// errTaken means that the annotator ended since another one was there first,
// which does not answer yet, or has just ended too.
var errTaken = errors.New("another annotator was quicker")

// start runs the annotator, with more arguments than it needs, and waits until it
// answers. Several callers may do so at once: all but one of the annotators find
// the socket taken and end, and all callers reach the one that stays.
func (c *Conn) start(ctx context.Context, program string) error {
	for {
		ended, err := launch(program, append([]string{"serve", "--socket", c.path}, c.cfg.Arguments...))
		if err != nil {
			return fmt.Errorf("annotator: %w", err)
		}
		if err := c.await(ctx, ended); !errors.Is(err, errTaken) {
			return err
		}
	}
}

// launch runs the annotator in a session of its own, so that it outlives the
// caller and its terminal. The channel gets what it said when it failed, or nil
// when it ended well.
func launch(program string, arguments []string) (ended <-chan error, err error) {
	command := exec.Command(program, arguments...)
	command.Dir = "/"
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	// A pipe would break when the caller ends; a file without a name stays.
	stderr, err := os.CreateTemp("", "ampulla-*")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(stderr.Name())
	command.Stderr = stderr
	if err := command.Start(); err != nil {
		_ = stderr.Close()
		return nil, err
	}
	end := make(chan error, 1)
	go func() {
		defer stderr.Close()
		failure := new(exec.ExitError)
		if !errors.As(command.Wait(), &failure) {
			end <- nil // or the caller's program collects all children by itself
			return
		}
		if words := firstWords(stderr); words != "" {
			end <- fmt.Errorf("annotator: %s", words)
			return
		}
		end <- fmt.Errorf("annotator: %s serve: %w", program, failure)
	}()
	return end, nil
}

// firstWords returns what the annotator complained of: an error and a hint.
func firstWords(stderr *os.File) string {
	buffer := make([]byte, 1024)
	n, _ := stderr.ReadAt(buffer, 0)
	var words []string
	for line := range strings.Lines(string(buffer[:n])) {
		line = strings.TrimPrefix(strings.TrimSpace(line), programName+": ")
		if line = strings.TrimPrefix(line, "error: "); line != "" && len(words) < 2 {
			words = append(words, line)
		}
	}
	return strings.Join(words, "; ")
}

// await waits until an annotator answers, which it does when it has loaded its
// models, or at least listens when ctx ends. One that cannot run listens first,
// too: what it says as it ends is the reason, and not the connection that breaks.
func (c *Conn) await(ctx context.Context, ended <-chan error) error {
	var enough <-chan time.Time
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		err := c.answers(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			if status.Code(err) == codes.DeadlineExceeded {
				return nil // it listens
			}
			return fmt.Errorf("annotator: was started, and does not answer at %s", c.path)
		case err := <-ended:
			if err != nil {
				return err
			}
			ended, enough = nil, time.After(200*time.Millisecond)
		case <-enough:
			return errTaken
		case <-time.After(pause):
		}
	}
}

// answers tells whether there is an annotator that answers.
func (c *Conn) answers(ctx context.Context) error {
	conn, err := socket.Dial(ctx, c.path) // which gRPC would try again and again
	if err != nil {
		return err
	}
	_ = conn.Close()
	calls, err := c.connect()
	if err != nil {
		return err
	}
	defer calls.Close()
	_, err = Info(ctx, calls)
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return err
	}
	return nil // whatever else it is, somebody said so
}
