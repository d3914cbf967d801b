// Package dumpcap runs dumpcap, the program by which Wireshark captures. It has
// the rights that capturing needs and knows the quirks of every platform, so
// that nothing of ours has to.
package dumpcap

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Program is the path of a dumpcap. It may be used concurrently.
type Program string

// name is what the program is called.
const name = "dumpcap"

// Find returns the dumpcap of the Wireshark that is installed: the first one
// along $PATH, beside tshark or wireshark, and in the usual folders. It need not
// be one that the user may run; using it then says what is missing. The error
// is an [*Error] of kind ErrMissing.
func Find() (Program, error) {
	folders := filepath.SplitList(os.Getenv("PATH"))
	for _, sibling := range []string{"tshark", "wireshark"} {
		path, err := exec.LookPath(sibling)
		if err != nil {
			continue
		}
		if path, err = filepath.EvalSymlinks(path); err == nil {
			folders = append(folders, filepath.Dir(path))
		}
	}
	folders = append(folders, "/usr/bin", "/usr/sbin", "/usr/local/bin", "/Applications/Wireshark.app/Contents/MacOS")
	for _, folder := range folders {
		path := filepath.Join(folder, name)
		if info, err := os.Stat(path); filepath.IsAbs(path) && err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return Program(path), nil
		}
	}
	return "", &Error{
		Kind: ErrMissing,
		Text: "dumpcap, the program by which Wireshark captures, is not installed",
		Hint: "install it with Wireshark or tshark; on Debian: sudo apt install wireshark-common",
	}
}

// run returns what dumpcap writes to its standard output. It fails if dumpcap
// does, and that is whenever it wrote nothing: some of its versions complain
// and exit with 0.
func (p Program) run(ctx context.Context, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, string(p), args...)
	command.Env = environment()
	var said complaints
	command.Stderr = &said
	out, err := command.Output()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && !errors.As(err, new(*exec.ExitError)):
		return nil, p.cannotRun(err)
	case err != nil || len(out) == 0:
		return nil, p.explain(said.String())
	}
	return out, nil
}

// environment is ours, less the language: messages are taken apart.
func environment() []string { return append(os.Environ(), "LC_ALL=C") }

// complaints keeps the beginning of what dumpcap writes to standard error.
type complaints struct{ text strings.Builder }

// maxComplaints is how much of it is kept, in bytes.
const maxComplaints = 16 << 10

func (c *complaints) Write(p []byte) (int, error) {
	room := maxComplaints - c.text.Len()
	c.text.Write(p[:min(len(p), room)])
	return len(p), nil
}

func (c *complaints) String() string { return c.text.String() }
