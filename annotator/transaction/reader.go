package transaction

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"ampulla/annotator/packet"
	"ampulla/annotator/pcapng"
)

// ErrNoTshark says that Wireshark's tshark is not installed.
var ErrNoTshark = errors.New("tshark is not installed")

// Bounds of what goes between us and tshark, in bytes.
const (
	inputBuffer = 256 << 10
	maxLine     = 1 << 20 // of what tshark prints of a frame; the rest is left out
	maxStderr   = 4 << 10
)

// Reader feeds a tshark with the frames of a capture, in order, and a [Tracker]
// with what it prints. Its methods are for one goroutine; the functions in the
// Config are called by another one, never two at a time, until Close returns.
type Reader struct {
	cmd     *exec.Cmd
	home    string // a folder of its own, so that nobody's preferences matter
	stdin   io.WriteCloser
	w       *bufio.Writer
	stderr  tail
	err     error // of writing: tshark has ended
	closed  bool
	decoder packet.Decoder
	packet  packet.Packet
	section []byte

	mutex   sync.Mutex
	waiting []fed // given to tshark; printed up to taken
	taken   int
	given   uint64
	done    chan error
}

// Start starts tshark. keyLog is a file with the secrets of TLS sessions
// (SSLKEYLOGFILE); it may be empty. A capture may carry secrets as well.
func Start(ctx context.Context, keyLog string, cfg Config) (*Reader, error) {
	program, err := exec.LookPath("tshark")
	if err != nil {
		return nil, ErrNoTshark
	}
	home, err := os.MkdirTemp("", "ampulla-tshark-")
	if err != nil {
		return nil, fmt.Errorf("tshark: %w", err)
	}
	r := &Reader{home: home, done: make(chan error, 1)}
	// The protocol ai is our own plugin's, which would ask about every frame.
	if err := os.WriteFile(filepath.Join(home, "disabled_protos"), []byte("ai\n"), 0o600); err != nil {
		_ = os.RemoveAll(home)
		return nil, fmt.Errorf("tshark: %w", err)
	}
	if err := r.start(ctx, program, keyLog, cfg); err != nil {
		_ = os.RemoveAll(home)
		return nil, fmt.Errorf("tshark: %w", err)
	}
	return r, nil
}

func (r *Reader) start(ctx context.Context, program, keyLog string, cfg Config) error {
	r.cmd = exec.CommandContext(ctx, program, arguments(keyLog)...)
	r.cmd.Env = append(os.Environ(), "HOME="+r.home, "XDG_CONFIG_HOME="+r.home, "WIRESHARK_CONFIG_DIR="+r.home)
	r.cmd.Stderr = &r.stderr
	stdout, err := r.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if r.stdin, err = r.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := r.cmd.Start(); err != nil {
		return err
	}
	r.w = bufio.NewWriterSize(r.stdin, inputBuffer)
	go func() { r.done <- r.read(stdout, newTracker(cfg)) }()
	return nil
}

// arguments returns the command line. Bodies are neither put together nor
// unpacked: their times and lengths are all that matters.
func arguments(keyLog string) []string {
	args := []string{
		"-n", "-r", "-", "-Q",
		"-o", "http.desegment_body:FALSE", "-o", "http.decompress_body:FALSE", "-o", "http.dechunk_body:FALSE",
		"-T", "fields", "-E", "occurrence=a", "-E", "aggregator=" + separator,
	}
	if keyLog != "" {
		args = append(args, "-o", "tls.keylog_file:"+keyLog)
	}
	for _, field := range fields {
		args = append(args, "-e", field)
	}
	return args
}

// Block takes the next block of the capture. Of a frame, frame is the number,
// class the protocol, and noise says that it is part of a scan or a flood: then
// it is left out unless it carries something. Block says whether tshark gets to
// see it. The block is looked at only during the call.
func (r *Reader) Block(b *pcapng.Block, frame uint64, class string, noise bool) bool {
	if r.err != nil {
		return false
	}
	switch {
	case b.IsFrame():
		r.decoder.Decode(b.Frame(), &r.packet)
		if !wanted(&r.packet, class) || noise && r.packet.PayloadLength == 0 {
			return false
		}
		r.mutex.Lock()
		r.given++
		r.waiting = append(r.waiting, fed{
			frame: frame, time: b.Time, src: r.packet.Src, dst: r.packet.Dst,
			srcPort: r.packet.SrcPort, dstPort: r.packet.DstPort, proto: r.packet.Proto,
			flags: r.packet.TCPFlags, payload: r.packet.PayloadLength,
		})
		r.mutex.Unlock()
		_, r.err = r.w.Write(b.Raw)
	case b.Type == pcapng.TypeSection:
		// Most blocks are left out, so the length of the section is no longer
		// what it says.
		r.section = append(r.section[:0], b.Raw...)
		section := pcapng.Block{Raw: r.section, BigEndian: b.BigEndian}
		section.SetSectionLength(-1)
		_, r.err = r.w.Write(r.section)
	case b.Type == pcapng.TypeInterface || b.Type == pcapng.TypeSecrets:
		_, r.err = r.w.Write(b.Raw)
	}
	return r.err == nil
}

// wanted tells whether a packet matters for the web: segments of TCP that carry
// something, begin or end a connection, and questions to name servers.
func wanted(p *packet.Packet, class string) bool {
	switch {
	case p.Version == 0:
		return false
	case p.Proto == packet.ProtoTCP:
		return p.Fragment || p.PayloadLength > 0 || p.TCPFlags&(packet.SYN|packet.FIN|packet.RST) != 0
	case p.Proto == packet.ProtoUDP:
		return class == "dns"
	}
	return false
}

// Close ends the input and waits until all of it is read. It returns an error
// if tshark did not get to the end; what was found before is good. Closing again
// does nothing.
func (r *Reader) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	if r.err == nil {
		r.err = r.w.Flush()
	}
	_ = r.stdin.Close()
	reading := <-r.done
	ended := r.cmd.Wait()
	_ = os.RemoveAll(r.home)
	switch {
	case ended != nil:
		return fmt.Errorf("tshark: %w%s", ended, r.stderr.reason())
	case reading != nil:
		return fmt.Errorf("tshark: %w", reading)
	case r.err != nil:
		return fmt.Errorf("tshark: %w", r.err)
	case r.unprinted() > 0:
		return fmt.Errorf("tshark: it ended after %d of %d frames", r.given-uint64(r.unprinted()), r.given)
	}
	return nil
}

// read reads what tshark prints, a line a frame.
func (r *Reader) read(stdout io.Reader, t *Tracker) error {
	defer t.finish()
	lines := bufio.NewReaderSize(stdout, maxLine)
	var seen uint64 // frames that tshark has printed
	var now row
	for {
		line, err := lines.ReadSlice('\n')
		if err == io.EOF {
			return nil
		}
		long := errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !long {
			return err
		}
		text := string(bytes.TrimSuffix(line, []byte("\n")))
		for long { // leave the rest out
			_, err = lines.ReadSlice('\n')
			long = errors.Is(err, bufio.ErrBufferFull)
		}
		now.parse(text)
		number := number(now.columns[colNumber])
		var ok bool
		if now.fed, ok = r.take(number - seen); !ok {
			_, _ = io.Copy(io.Discard, stdout) // so that nobody waits for us
			return fmt.Errorf("frame %d after %d of %d", number, seen, r.given)
		}
		seen = number
		t.row(&now)
	}
}

// take returns what is known of the n-th frame that waits, and forgets it and
// those before.
func (r *Reader) take(n uint64) (fed, bool) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if n < 1 || n > uint64(r.unprinted()) {
		return fed{}, false
	}
	r.taken += int(n)
	f := r.waiting[r.taken-1]
	if r.taken > len(r.waiting)/2 {
		r.waiting = r.waiting[:copy(r.waiting, r.waiting[r.taken:])]
		r.taken = 0
	}
	return f, true
}

// unprinted returns how many frames tshark has not printed yet.
func (r *Reader) unprinted() int { return len(r.waiting) - r.taken }

// tail keeps the end of what a program says on stderr.
type tail struct{ text []byte }

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	if extra := len(t.text) - maxStderr; extra > 0 {
		t.text = t.text[extra:]
	}
	return len(p), nil
}

// reason returns the last line, with a colon before it.
func (t *tail) reason() string {
	lines := strings.Split(strings.TrimSpace(string(t.text)), "\n")
	last := strings.TrimPrefix(strings.TrimSpace(lines[len(lines)-1]), "tshark: ")
	if last == "" || strings.HasPrefix(last, "Running as user") {
		return ""
	}
	return ": " + last
}
