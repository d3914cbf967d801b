package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ampulla/annotator/engine"
	"ampulla/annotator/packet"
	"ampulla/annotator/pcapng"
	"ampulla/annotator/score"
	"ampulla/annotator/verdict"
)

// protocolCaptures are our own captures of one protocol each, named after it.
func protocolCaptures(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../testdata/protocols/captures/*.pcap.gz")
	if err != nil || len(files) == 0 {
		t.Fatal("no captures of protocols: ", err)
	}
	return files
}

// capturedFrames reads all frames of a gzip-compressed capture.
func capturedFrames(t *testing.T, path string) []packet.Frame {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var frames []packet.Frame
	for r := pcapng.NewReader(unzipped); ; {
		block, err := r.Next()
		if err == io.EOF {
			return frames
		}
		if err != nil {
			t.Fatal(err)
		}
		if block.IsFrame() {
			frame := block.Frame()
			frame.Data = bytes.Clone(frame.Data)
			frames = append(frames, frame)
		}
	}
}

// classesOf returns flow and class of every frame.
func classesOf(t *testing.T, scorer score.Scorer, frames []packet.Frame) (flows []uint32, classes []string) {
	t.Helper()
	e, err := engine.New(engine.Default(), scorer)
	if err != nil {
		t.Fatal(err)
	}
	verdicts, err := e.Process(frames, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range verdicts {
		flows, classes = append(flows, verdicts[i].Flow), append(classes, verdicts[i].Class)
	}
	return flows, classes
}

// TestProtocols checks that flows of real programs get their names, and hardly
// any a wrong one.
func TestProtocols(t *testing.T) {
	scorer := testScorer(t)
	var right, wrong, total int
	for _, path := range protocolCaptures(t) {
		want, _, _ := strings.Cut(filepath.Base(path), ".")
		if want == "vxlan" { // is looked into
			continue
		}
		flows, classes := classesOf(t, scorer, capturedFrames(t, path))
		last := map[uint32]string{}
		for i, flow := range flows {
			last[flow] = classes[i]
		}
		for _, class := range last {
			total++
			switch class {
			case want:
				right++
			case verdict.UnknownClass:
			default:
				wrong++
				t.Logf("%s: a flow is named %s", filepath.Base(path), class)
			}
		}
	}
	if 100*right < 85*total || 100*wrong > 2*total {
		t.Errorf("of %d flows %d are right and %d wrong", total, right, wrong)
	}
	t.Logf("of %d flows %d are right and %d wrong", total, right, wrong)
}

// TestClassesGoByContentAlone checks that time, addresses and ports have no say
// in a class: each capture is shifted by a year, all its hosts and ports get
// other numbers.
func TestClassesGoByContentAlone(t *testing.T) {
	scorer := testScorer(t)
	for _, path := range protocolCaptures(t) {
		frames := capturedFrames(t, path)
		_, want := classesOf(t, scorer, frames)
		for i := range frames {
			frames[i].Time += 365 * 24 * 3600 * 1e9
			if !disguise(frames[i].Data) {
				t.Fatalf("%s: frame %d has no address", path, i+1)
			}
		}
		if _, got := classesOf(t, scorer, frames); !slices.Equal(got, want) {
			t.Errorf("%s: other classes with other times, addresses and ports", filepath.Base(path))
		}
	}
}

// disguise gives both hosts of an Ethernet frame and, if it has any, its ports
// other numbers.
func disguise(frame []byte) bool {
	ip := frame[14:]
	var addresses, transport []byte
	var proto byte
	switch binary.BigEndian.Uint16(frame[12:]) {
	case 0x0800:
		addresses, proto, transport = ip[12:20], ip[9], ip[int(ip[0]&15)*4:]
	case 0x86dd:
		addresses, proto, transport = ip[8:40], ip[6], ip[40:]
	default:
		return false
	}
	half := len(addresses) / 2
	for _, a := range [][]byte{addresses[:half], addresses[half:]} {
		a[half-2] ^= 0x5a
		a[half-1] ^= 0xff // also turns the order of the two around
	}
	if proto == packet.ProtoTCP || proto == packet.ProtoUDP {
		for i := range 4 {
			transport[i] ^= 0x2b
		}
	}
	return true
}
