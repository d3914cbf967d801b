//go:build cgo

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ampulla/annotator/capturetest"
	"ampulla/annotator/engine"
	"ampulla/annotator/feedback"
	"ampulla/annotator/packet"
	"ampulla/annotator/pcapng"
	"ampulla/annotator/score/scoretest"
	"ampulla/annotator/verdict"
	"ampulla/grpc/client"
	"ampulla/grpc/server"
	"ampulla/grpc/socket"
)

// What the tests need to drive a capture: an annotator, capture files, and a
// Wireshark that asks.

// annotator is a server that the test can stop.
type annotator struct {
	path string // of its socket
	stop context.CancelFunc
	done chan error // what Serve returned
}

// start runs an annotator at a socket until the test ends, or its end.
func start(t testing.TB, path string) *annotator {
	t.Helper()
	cfg := server.Default()
	cfg.Feedback = feedback.NewFile(filepath.Join(t.TempDir(), "feedback.yaml"), func(err error) { t.Error(err) })
	cfg.Version, cfg.Scorer, cfg.Grace = "test", scoretest.Hash{}, time.Millisecond
	s, err := server.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := socket.Listen(path, s.Stranger)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	a := &annotator{path, stop, make(chan error, 1)}
	go func() { a.done <- s.Serve(ctx, server.Endpoint{Listener: listener}) }()
	t.Cleanup(a.end)
	return a
}

// end stops the annotator and waits until it has stopped.
func (a *annotator) end() {
	a.stop()
	a.done <- <-a.done
}

// socketPath returns where an annotator can listen.
func socketPath(t testing.TB) string { return filepath.Join(t.TempDir(), "run", "a.sock") }

// patient is more than any test takes.
const patient = time.Minute

// asking configures a capture that asks at a socket and reads files in small
// steps.
func asking(path string) config {
	return config{
		dial:   client.Config{Address: "unix:" + path, Program: client.NoStart},
		client: "test", patience: patient, ahead: 256,
	}
}

// frame is a frame as Wireshark has it.
type frame struct {
	packet.Frame
	caught uint32
	number uint64 // the last one that it was given
}

// framesOf returns the frames of a capture as far as it can be read.
func framesOf(t testing.TB, file []byte) []*frame {
	t.Helper()
	var list []*frame
	for r := pcapng.NewReader(bytes.NewReader(file)); ; {
		b, err := r.Next()
		switch {
		case errors.Is(err, io.EOF) || pcapng.IsBroken(err):
			return list
		case err != nil:
			t.Fatal(err)
		case b.IsFrame():
			f := &frame{Frame: b.Frame(), caught: b.Captured}
			f.Data = slices.Clone(f.Data)
			list = append(list, f)
		}
	}
}

// own returns one of our captures.
func own(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(filepath.Dir(capturetest.Own(t)[0]), name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// expected returns what the engine says of frames.
func expected(t testing.TB, frames []*frame) []verdict.Verdict {
	t.Helper()
	e, err := engine.New(engine.Default(), scoretest.Hash{})
	if err != nil {
		t.Fatal(err)
	}
	var list []packet.Frame
	for _, f := range frames {
		list = append(list, f.Frame)
	}
	verdicts, err := e.Process(list, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range verdicts {
		verdicts[i].Time = 0 // which clients do not get
	}
	return verdicts
}

// open has this process open a capture file, as Wireshark does while it shows it.
func open(t *testing.T, data []byte) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "capture")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return file
}

// wireshark asks a capture as ai.lua and the shim do.
type wireshark struct {
	*testing.T
	*capture
	quick int  // frames that the shim answered for
	slow  bool // the shim is not asked
	idle  bool // pass does not want to be called any more: this is tshark

	behind *frame // the first that is not in the file yet
	grow   func() // the file gets it, and the rest
}

func newWireshark(t *testing.T, cfg config) *wireshark {
	t.Helper()
	c, err := newCapture(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return &wireshark{T: t, capture: c}
}

// show dissects a frame that has a number.
func (w *wireshark) show(f *frame, number uint64, visited, look bool) found {
	w.reach(f)
	if !look && (visited || w.pass(number)) {
		return found{}
	}
	f.number = number
	s := &shot{number: number, visited: visited, look: look, time: inLua(f.Time), caught: f.caught, data: f.Data}
	got := w.ask(s)
	if got.answer == exactly {
		s.exact, s.length, s.nanos, s.encap = true, f.Length, f.Time, -1
		for encap, link := range linkTypes {
			if link == f.LinkType {
				s.encap = encap
			}
		}
		got = w.ask(s)
	}
	return got
}

// reach has the file grow when its time has come.
func (w *wireshark) reach(f *frame) {
	if f == w.behind {
		w.grow()
		w.behind = nil
	}
}

func (w *wireshark) ask(s *shot) found {
	if got, ok := w.lookUp(s); ok && !w.slow {
		w.quick++
		return got
	}
	return w.shown(s)
}

// load dissects frames for the first time, and numbers them: a frame that keep
// does not want has its number given to the next one.
func (w *wireshark) load(frames []*frame, look bool, keep func(i int) bool) {
	number := uint64(0)
	for i, f := range frames {
		w.reach(f)
		f.number = number + 1
		if !w.idle {
			got := w.show(f, f.number, false, look)
			if look && got.answer != judged {
				w.Fatalf("frame %d: %+v", i+1, got)
			}
			w.idle = !look && w.feed == nil && w.file != nil && i > 0 && !w.eager
		}
		if keep(i) {
			number++
		}
	}
}

// check looks at a frame that has a number, and compares its verdict.
func (w *wireshark) check(f *frame, visited bool, want verdict.Verdict) {
	w.Helper()
	got := w.show(f, f.number, visited, true)
	if got.answer != judged || got.score != want.Score {
		w.Fatalf("number %d: %+v, %s; want %+v", f.number, got, inWords(got.err), want)
	}
	v, last := w.verdict(got.position)
	if v.IncidentFirst != 0 { // or else it has no number here
		v.IncidentFirst, _ = w.position(v.IncidentFirst)
	} else {
		want.IncidentFirst = 0
	}
	if diff := cmp.Diff(want, v); diff != "" {
		w.Fatalf("number %d: %s", f.number, diff)
	}
	if end, _ := w.position(last); last != 0 && (v.Incident == 0 || end < got.position) {
		w.Fatalf("number %d: incident %d ends with %d", f.number, v.Incident, last)
	}
}

// Blocks of a pcapng file (draft-ietf-opsawg-pcapng, section 4), little-endian.

func block(kind uint32, body []byte) []byte {
	body = padded(body)
	length := uint32(len(body) + 12)
	b := binary.LittleEndian.AppendUint32(nil, kind)
	b = binary.LittleEndian.AppendUint32(b, length)
	b = append(b, body...)
	return binary.LittleEndian.AppendUint32(b, length)
}

func padded(b []byte) []byte { return append(slices.Clone(b), make([]byte, -len(b)&3)...) }

// fields are numbers of 16, 32 or 64 bits, and bytes.
func fields(list ...any) []byte {
	var b bytes.Buffer
	for _, field := range list {
		_ = binary.Write(&b, binary.LittleEndian, field)
	}
	return b.Bytes()
}

// header is a section header and the description of an interface for Ethernet.
func header() []byte {
	return slices.Concat(
		block(pcapng.TypeSection, fields(uint32(0x1a2b3c4d), uint16(1), uint16(0), int64(-1))),
		block(pcapng.TypeInterface, fields(uint16(1), uint16(0), uint32(0))))
}

// enhanced is an Enhanced Packet Block, with microseconds.
func enhanced(f *frame, comments ...string) []byte {
	micros := uint64(f.Time) / 1000
	body := padded(fields(uint32(0), uint32(micros>>32), uint32(micros), uint32(len(f.Data)), uint32(len(f.Data)), f.Data))
	for _, comment := range comments {
		body = append(body, padded(fields(uint16(pcapng.OptComment), uint16(len(comment)), []byte(comment)))...)
	}
	if len(comments) > 0 {
		body = append(body, fields(uint32(pcapng.OptEnd))...)
	}
	return block(pcapng.TypeEnhancedPacket, body)
}

// simple is a Simple Packet Block.
func simple(f *frame) []byte {
	return block(pcapng.TypeSimplePacket, fields(uint32(len(f.Data)), f.Data))
}
