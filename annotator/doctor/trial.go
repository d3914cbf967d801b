package doctor

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"ampulla/annotator/plugin"
	"ampulla/grpc/client"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// trial is an annotator for the time of an examination, with a socket of its own,
// and a capture of one packet to be judged. The user's own annotator, if one is
// running, is left alone.
type trial struct {
	folder string
	server *exec.Cmd
	said   bytes.Buffer
	err    error  // why it did not start
	hint   string // what it says about that
}

// startPatience is how long the annotator may take to start, and patience how long
// a tshark may take over one packet.
const (
	startPatience = 20 * time.Second
	patience      = 30 * time.Second
)

// begin starts the annotator of a program, and asks it for its version and models.
func begin(ctx context.Context, program string) (*trial, *annotatorv1.Info) {
	t := new(trial)
	var info *annotatorv1.Info
	if t.folder, t.err = os.MkdirTemp("", "ampulla-doctor-"); t.err != nil {
		return t, nil
	}
	if t.err = os.WriteFile(t.capture(), onePacket(), 0o600); t.err != nil {
		return t, nil
	}
	t.server = exec.CommandContext(ctx, program, "serve", "--socket", t.socket(), "--idle", "1m")
	t.server.Stderr = &t.said
	if t.err = t.server.Start(); t.err != nil {
		t.server = nil
		return t, nil
	}
	info, t.err = t.await(ctx)
	return t, info
}

// await waits until the annotator answers.
func (t *trial) await(ctx context.Context) (*annotatorv1.Info, error) {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		_ = t.server.Wait()
		close(ended)
	}()
	for {
		info, err := t.ask(ctx) // it may listen, and then find that it cannot run
		if err == nil {
			return info, nil
		}
		select {
		case <-ended:
			t.server = nil
			var said string
			said, t.hint = complaint(t.said.String())
			return nil, errors.New(said)
		case <-ctx.Done():
			return nil, fmt.Errorf("it was started and does not answer: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// ask asks the annotator once.
func (t *trial) ask(ctx context.Context) (*annotatorv1.Info, error) {
	conn, err := client.Dial(ctx, client.Config{Address: t.address(), Program: client.NoStart})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return client.Info(ctx, conn)
}

// complaint returns what a program of ours complained of, without its name, and
// its hint, if it has one.
func complaint(said string) (first, hint string) {
	first, rest, _ := strings.Cut(said, "\n")
	if first == "" {
		return "it ended without a word", ""
	}
	if _, hint, _ = strings.Cut(rest, "ampulla: hint: "); hint != "" {
		hint, _, _ = strings.Cut(hint, "\n")
	}
	return strings.TrimPrefix(strings.TrimPrefix(first, "ampulla: "), "error: "), hint
}

func (t *trial) socket() string  { return filepath.Join(t.folder, "annotator.sock") }
func (t *trial) address() string { return "unix:" + t.socket() }
func (t *trial) capture() string { return filepath.Join(t.folder, "packet.pcap") }

// end ends the annotator and removes what the trial needed.
func (t *trial) end() {
	if t.server != nil {
		_ = t.server.Process.Kill()
	}
	if t.folder != "" {
		_ = os.RemoveAll(t.folder)
	}
}

// judge has a Wireshark show the verdict on the packet, as it would show any.
func (t *trial) judge(ctx context.Context, shark plugin.Wireshark, everyone bool) Finding {
	finding := Finding{State: "ok", About: "a trial packet", Detail: "judged, and shown with its verdict"}
	if t.err != nil {
		return Finding{State: "info", About: "a trial packet", Detail: "not tried, as there is no annotator, see below"}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	command := exec.CommandContext(ctx, shark.Program, "-r", t.capture(), "-n", "-o", "ai.address:"+t.address(),
		"-T", "fields", "-E", "separator=|", "-e", "ai.class", "-e", "ai.source", "-e", "ai.status")
	var complaints bytes.Buffer
	command.Stderr = &complaints
	out, err := command.Output()
	fields := strings.Split(strings.TrimRight(string(out), "\n"), "|")
	if err == nil && len(fields) == 3 && fields[0] != "" && fields[1] == "annotator" && fields[2] == "" {
		return finding
	}
	finding.State, finding.Detail, finding.Mend = "failed", "shown without a verdict", plugin.InstallCommand(everyone)
	switch why, mend := disabled(ctx, shark); {
	case ctx.Err() != nil:
		finding.Detail, finding.Mend = "not shown within "+patience.String()+": is the machine busy?", "ampulla doctor"
	case err != nil:
		finding.Detail = lastLine(complaints.String(), err)
	case why != "":
		finding.State, finding.Detail, finding.Mend = "turned off", why, mend
	case len(fields) == 3 && fields[2] != "":
		finding.Detail = "ai.status: " + fields[2]
	}
	return finding
}

// lastLine returns what a tshark that failed said last.
func lastLine(complaints string, err error) string {
	lines := strings.Split(strings.TrimSpace(complaints), "\n")
	if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
		return last
	}
	return err.Error()
}

// onePacket is a capture of one UDP datagram, as libpcap writes it (pcap-savefile(5)).
func onePacket() []byte {
	frame := []byte{
		2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, // Ethernet
		0x45, 0, 0, 36, 0, 1, 0, 0, 64, 17, 0xf6, 0xc6, 192, 0, 2, 1, 192, 0, 2, 2, // IPv4
		0xc0, 0, 0x1f, 0x90, 0, 16, 0, 0, // UDP
		'a', 'm', 'p', 'u', 'l', 'l', 'a', '\n',
	}
	var file bytes.Buffer
	put := func(values ...any) {
		for _, value := range values {
			_ = binary.Write(io.Writer(&file), binary.LittleEndian, value) // to memory, no errors
		}
	}
	put(uint32(0xa1b2c3d4), uint16(2), uint16(4), uint32(0), uint32(0), uint32(262144), uint32(1))
	put(uint32(1700000000), uint32(0), uint32(len(frame)), uint32(len(frame)), frame)
	return file.Bytes()
}
