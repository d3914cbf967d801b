package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"ampulla/annotator/verdict"
	"ampulla/grpc/client"
)

var (
	errBusy   = errors.New("it goes on") // not an error: ask again
	errNoFile = errors.New("the capture file is not known to the native module: save the capture, and open it again")
)

// work is something that the user asked for and that may take a while: the
// capture's incidents, an explanation of a frame, an annotated copy, a report.
// Wireshark's thread begins it and asks for its result now and then.
type work struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when what follows is there
	finish func() string // to be called by Wireshark's thread
	err    error
	share  func() float64 // that is done, 0 to 1
}

// start begins a work, and gives up the one before: "incidents", the "path" of
// the capture file, "explain" (a frame, by its number), "propose" (feedback on
// it), "feedback" (what out says), "undo" (a rule, by its number), or else a
// command of the annotator's program that takes the capture and writes out,
// "annotate" or "report".
func (c *capture) start(kind string, number uint64, out string) error {
	c.stop()
	ctx, cancel := context.WithCancel(context.Background())
	w := &work{cancel: cancel, done: make(chan struct{}), share: func() float64 { return 0 }}
	var do func(context.Context) (func() string, error)
	switch path, err := c.path(); {
	case kind == "incidents":
		do = c.findIncidents(w)
	case kind == "feedback":
		do = c.say(out)
	case kind == "undo":
		do = c.undo(number)
	case err != nil:
		cancel()
		return err
	case kind == "path":
		do = func(context.Context) (func() string, error) { return func() string { return path }, nil }
	case kind == "explain":
		position, _ := c.position(number)
		do = c.explain(path, position)
	case kind == "propose":
		position, _ := c.position(number)
		do = c.propose(w, path, position)
	default:
		do = c.command(kind, path, out)
	}
	c.work = w
	go func() {
		defer close(w.done)
		defer func() {
			if problem := recover(); problem != nil { // it must not end Wireshark
				w.err = errPanic(problem)
			}
		}()
		w.finish, w.err = do(ctx)
	}()
	return nil
}

// stop gives up the work that goes on, if any.
func (c *capture) stop() {
	if c.work != nil {
		c.work.cancel()
		c.work = nil
	}
}

// result waits for the work, for at most d. It returns errBusy and how much is
// done while it goes on.
func (c *capture) result(d time.Duration) (text string, share float64, err error) {
	w := c.work
	if w == nil {
		return "", 0, errors.New("nothing was begun")
	}
	select {
	case <-w.done:
	case <-time.After(d):
		return "", w.share(), errBusy
	}
	c.stop()
	if w.err != nil {
		return "", 1, w.err
	}
	return w.finish(), 1, nil
}

// path names the capture file, for whoever is to read it.
func (c *capture) path() (string, error) {
	if c.file == nil {
		return "", errNoFile
	}
	link := fmt.Sprintf("/proc/self/fd/%d", c.file.Fd())
	path, err := os.Readlink(link)
	if err != nil {
		return "", err
	}
	info, err := c.file.Stat()
	if err != nil {
		return "", err
	}
	if found, err := os.Stat(path); err == nil && os.SameFile(found, info) {
		return path, nil
	}
	// It was deleted meanwhile, and is there as long as it is open.
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), c.file.Fd()), nil
}

// findIncidents finds the incidents of all frames, as lines of
// [verdict.Incident.Machine].
func (c *capture) findIncidents(w *work) func(context.Context) (func() string, error) {
	incidents := c.incidents(w)
	t := c.table
	return func(ctx context.Context) (func() string, error) {
		all, leftOut, err := incidents(ctx)
		return func() string { return incidentLines(t, all, leftOut) }, err
	}
}

// incidents finds the incidents of all frames, however far anybody has looked.
func (c *capture) incidents(w *work) func(context.Context) (all []verdict.Incident, leftOut uint64, err error) {
	c.begin(c.judged.Load() + 1)
	f, t := c.feed, c.table
	w.share = func() float64 { return float64(t.judged.Load()) / float64(max(t.known.Load(), 1)) }
	return func(ctx context.Context) ([]verdict.Incident, uint64, error) {
		f.want(math.MaxInt64)
		if ok, err := f.settled(ctx.Done(), func() bool { return f.flushed }); err != nil {
			return nil, 0, err
		} else if !ok {
			return nil, 0, ctx.Err()
		}
		session := f.current()
		for {
			all, leftOut, err := session.Incidents(time.Second)
			switch {
			case ctx.Err() != nil:
				return nil, 0, ctx.Err()
			case errors.Is(err, client.ErrTimeout):
				continue // many frames go before
			}
			return all, leftOut, err
		}
	}
}

// incidentLines puts incidents into words for Lua, their frames by number.
func incidentLines(t *table, all []verdict.Incident, leftOut uint64) string {
	var b strings.Builder
	for i := range all {
		in := &all[i]
		in.First.Frame, in.Last.Frame = t.number(in.First.Frame), t.number(in.Last.Frame)
		b.WriteString(in.Machine() + "\n")
	}
	fmt.Fprintf(&b, "left_out=%d\n", leftOut)
	return b.String()
}

// explain puts into words what the annotator makes of the frame at a position.
func (c *capture) explain(path string, position uint64) func(context.Context) (func() string, error) {
	explanation := c.explanation(path, position)
	return func(ctx context.Context) (func() string, error) {
		e, err := explanation(ctx)
		return func() string { return inPlainWords(e) }, err
	}
}

// explanation has the annotator explain the frame at a position.
func (c *capture) explanation(path string, position uint64) func(context.Context) (*client.Explanation, error) {
	dial, name := c.dial, c.client
	return func(ctx context.Context) (*client.Explanation, error) {
		conn, err := client.Dial(ctx, dial)
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		return conn.Explain(ctx, name, path, position)
	}
}

// command runs the annotator's program on the capture. Its file is done when the
// program is; until then nobody sees a part of it.
func (c *capture) command(kind, path, out string) func(context.Context) (func() string, error) {
	program := c.dial.Program
	return func(ctx context.Context) (func() string, error) {
		if program == "" || program == client.NoStart {
			var err error
			if program, err = client.FindProgram(); err != nil {
				return nil, err
			}
		}
		args := []string{kind, path, out}
		if kind == "report" {
			args = []string{kind, path, "-o", out}
		}
		var stderr bytes.Buffer
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.Dir, cmd.Stderr = filepath.Dir(out), &stderr
		if err := cmd.Run(); err != nil {
			return nil, saidBy(kind, stderr.String(), err)
		}
		return func() string { return out }, nil
	}
}

// saidBy returns what the program said of its failure.
func saidBy(kind, said string, err error) error {
	first, _, _ := strings.Cut(said, "\n")
	first = strings.TrimPrefix(first, "ampulla: error: ")
	switch {
	case strings.Contains(first, "no command"):
		return fmt.Errorf("the ampulla that is installed does not know %q yet: update it", kind)
	case first == "":
		return err
	}
	return errors.New(cut(first, maxSaid))
}

// maxSaid bounds what is shown of what a program said, in bytes.
const maxSaid = 500
