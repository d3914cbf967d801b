package dumpcap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Config says what to capture. The zero value captures whole frames of the
// default interface in promiscuous mode.
type Config struct {
	// Interfaces to capture from, by name; dumpcap chooses the first that is
	// no loopback interface if empty.
	Interfaces []string
	Filter     string // capture filter of libpcap, for all of them; empty: all frames
	SnapLen    int    // longest part of a frame to capture, bytes; 0: all of it
	// NoPromiscuous captures only what is meant for this machine.
	NoPromiscuous bool
	Monitor       bool   // capture in the monitor mode of Wi-Fi
	LinkType      string // by name; empty: the first one of the interface
	TimestampType string // by name; empty: that of the interface
	BufferMB      int    // kernel buffer, MiB; 0: dumpcap's choice, which is 2

	// The capture ends by itself after so many packets, so many bytes of pcapng
	// (counted by the thousand) or so many seconds, whatever comes first; 0: it
	// does not.
	MaxPackets, MaxBytes, MaxSeconds int
}

// args returns the command line. What applies to all interfaces comes before
// the first one.
func (c Config) args() []string {
	args := []string{"-q", "-w", "-"} // pcapng to standard output
	add := func(flag, value string) {
		if value != "" && value != "0" {
			args = append(args, flag, value)
		}
	}
	add("-f", c.Filter)
	add("-s", strconv.Itoa(c.SnapLen))
	if c.NoPromiscuous {
		args = append(args, "-p")
	}
	if c.Monitor {
		args = append(args, "-I")
	}
	add("-y", c.LinkType)
	add("--time-stamp-type", c.TimestampType)
	add("-B", strconv.Itoa(c.BufferMB))
	add("-c", strconv.Itoa(c.MaxPackets))
	if c.MaxBytes > 0 {
		add("-a", fmt.Sprintf("filesize:%d", (c.MaxBytes+999)/1000))
	}
	if c.MaxSeconds > 0 {
		add("-a", fmt.Sprintf("duration:%d", c.MaxSeconds))
	}
	for _, netif := range c.Interfaces {
		args = append(args, "-i", netif)
	}
	return args
}

// Capture is a dumpcap that captures. Its bytes are a pcapng stream, which ends
// with a statistics block for each interface. Read is for one goroutine, the
// other methods are safe for concurrent use.
type Capture struct {
	program Program
	command *exec.Cmd
	out     *os.File // what it captures
	said    complaints
	first   []byte // bytes already taken from out
	limited bool   // it may end by itself
	stopped sync.Once
	asked   chan struct{} // closed by Stop
	ended   chan struct{} // closed when it has ended; then failure is valid
	failure error
}

// grace is how long dumpcap may take to end by itself, once nobody reads its
// output any more.
const grace = time.Second

// pipeLen is the size of the pipe between dumpcap and us, in bytes: while we
// are busy, frames wait there.
const pipeLen = 1 << 20

// Start captures. It returns when dumpcap has opened all interfaces, or with an
// [*Error] that says why it could not. ctx bounds the start only; the capture
// goes on until Stop or Close.
func (p Program) Start(ctx context.Context, cfg Config) (*Capture, error) {
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	enlarge(out, pipeLen)
	limited := cfg.MaxPackets > 0 || cfg.MaxBytes > 0 || cfg.MaxSeconds > 0
	c := &Capture{program: p, out: out, limited: limited, asked: make(chan struct{}), ended: make(chan struct{})}
	c.command = exec.Command(string(p), cfg.args()...)
	c.command.Env = environment()
	c.command.Stdout, c.command.Stderr = in, &c.said
	c.command.SysProcAttr = ownProcess()
	err = c.command.Start()
	_ = in.Close()
	if err != nil {
		_ = out.Close()
		return nil, p.cannotRun(err)
	}
	go c.wait()
	if err := c.await(ctx); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// wait waits for the end of dumpcap and finds out why it ended.
func (c *Capture) wait() {
	defer close(c.ended)
	err := c.command.Wait()
	if err == nil {
		return
	}
	if status, ok := c.command.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		c.failure = &Error{Kind: ErrFailed, Text: fmt.Sprintf("dumpcap was ended by a signal (%v)", status.Signal())}
		return
	}
	c.failure = c.program.explain(c.said.String())
}

// await waits for the first bytes: dumpcap writes the heads of the sections as
// soon as all interfaces are open.
func (c *Capture) await(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = c.out.SetReadDeadline(time.Unix(0, 0)) })
	defer stop()
	head := make([]byte, 4096)
	n, err := c.out.Read(head)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		<-c.ended
		return c.reason()
	}
	c.first = head[:n]
	return nil
}

// reason returns why dumpcap has ended although nobody asked it to.
func (c *Capture) reason() error {
	if c.failure == nil {
		return c.program.explain(c.said.String())
	}
	return c.failure
}

// Read reads the pcapng stream. After Stop, or when a limit of Config is
// reached, it yields what is left, and then io.EOF. When dumpcap ends before
// that, the error says why.
func (c *Capture) Read(p []byte) (int, error) {
	if len(c.first) > 0 {
		n := copy(p, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	n, err := c.out.Read(p)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	<-c.ended
	select {
	case <-c.asked:
		return n, io.EOF
	default:
	}
	if c.failure == nil && c.limited {
		return n, io.EOF
	}
	return n, c.reason()
}

// Stop asks dumpcap to end. What it captured so far can still be read.
func (c *Capture) Stop() {
	c.stopped.Do(func() {
		close(c.asked)
		_ = c.command.Process.Signal(syscall.SIGTERM)
	})
}

// Close ends dumpcap, whatever it is doing, and waits until it is gone. What
// was not read is lost.
func (c *Capture) Close() error {
	c.Stop()
	err := c.out.Close()
	select {
	case <-c.ended:
	case <-time.After(grace):
		_ = c.command.Process.Kill()
		<-c.ended
	}
	return err
}
