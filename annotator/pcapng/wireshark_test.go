package pcapng

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ampulla/annotator/capturetest"
	"ampulla/annotator/packet"
)

// tshark returns a line for each frame of a capture: number, time, length,
// captured length and encapsulation. What it could read before an error counts.
func tshark(t *testing.T, file string) []string {
	t.Helper()
	var out, stderr bytes.Buffer
	cmd := exec.Command("tshark", "-n", "-r", file, "-T", "fields", "-e", "frame.number", "-e", "frame.time_epoch",
		"-e", "frame.len", "-e", "frame.cap_len", "-e", "frame.encap_type")
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if out.Len() == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

func needTshark(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not installed")
	}
}

// pseudoHeaders are the bytes at the start of a frame that Wireshark takes for
// a header of the capture and leaves out of its lengths, by link type.
var pseudoHeaders = map[uint16]uint32{
	123: 4,           // SunATM
	139: 4,           // MTP2 with pseudo-header
	144: 16,          // IrDA
	177: 16,          // LAPD
	201: 4,           // Bluetooth HCI H4 with direction
	204: 1,           // PPP with direction
	220: 48, 189: 64, // USB of Linux
	254: 4, // Bluetooth Linux monitor
}

// lines are our frames as tshark prints them, without the encapsulation, which
// is of its own numbering.
func lines(blocks []Block) []string {
	var list []string
	for i := range blocks {
		b := &blocks[i]
		if !b.IsFrame() {
			continue
		}
		header := min(pseudoHeaders[b.LinkType], b.Captured)
		seconds, nanos := b.Time/1e9, b.Time%1e9
		list = append(list, fmt.Sprintf("%d\t%d.%09d\t%d\t%d", len(list)+1, seconds, nanos, b.Length-header, b.Captured-header))
	}
	return list
}

// withoutTime blanks the time of a line: tshark prints none for frames without,
// ours have that of the frame before.
func withoutTime(line string) string {
	fields := strings.Split(line, "\t")
	fields[1] = ""
	return strings.Join(fields, "\t")
}

// compareTshark compares the frames of a capture with what tshark says of it.
func compareTshark(t *testing.T, name string, in []byte, theirs []string) {
	t.Helper()
	blocks, _ := readAll(in)
	ours := lines(blocks)
	for i, line := range theirs {
		theirs[i] = line[:strings.LastIndexByte(line, '\t')]
		if i >= len(ours) {
			break
		}
		switch {
		case strings.Contains(theirs[i], "\t\t"):
			ours[i] = withoutTime(ours[i])
		case strings.Contains(ours[i], "\t9223372036.854775807\t"): // clamped
			ours[i], theirs[i] = withoutTime(ours[i]), withoutTime(theirs[i])
		}
	}
	if diff := cmp.Diff(theirs, ours); diff != "" {
		t.Errorf("%s (-tshark +ours):\n%s", name, diff[:min(len(diff), 2000)])
	}
}

// TestTsharkBlocks asks tshark about the captures that show one thing each:
// which blocks are frames, which lengths and times they have, where it stops.
func TestTsharkBlocks(t *testing.T) {
	needTshark(t)
	head := unhex(sectionLE, netifLE)
	journal := "__REALTIME_TIMESTAMP=1500000000000001\nMESSAGE=hello\n"
	tests := map[string][]byte{
		"both byte orders": unhex(sectionLE, netifLE, packetLE, oldLE, sectionBE, netifBE, packetBE, oldBE),
		"simple packets":   unhex(sectionLE, netifLE, simpleLE, packetLE, simpleLE),
		"simple packet cut to the interface's limit": join(little.section(-1), little.netif(1, 3), little.simple(100, "abc"), little.simple(2, "ab")),
		"simple packet exceeds block":                join(little.section(-1), little.netif(1, 0), little.simple(9, "abcdefgh")),
		"section length lies":                        join(little.section(3), unhex(netifLE, packetLE)),
		"interfaces differ": join(bigEnd.section(-1), bigEnd.netif(1, 0), bigEnd.netif(101, 0, bigEnd.option(optTsResol, "\x09")),
			bigEnd.netif(113, 0, bigEnd.option(optTsResol, "\x8a"), bigEnd.option(optTsOffset, "\x00\x00\x00\x00\x00\x00\x00\x05"), end),
			bigEnd.packet(2, 5<<10|1<<9, "abcdefghijklmnopqrstuv"), bigEnd.packet(0, 7, "x"), bigEnd.packet(1, 7, "x")),
		"length without padding":        join(head, unhex("06000000 21000000 00000000 00000000 07000000 01000000 01000000 78000000 21000000")),
		"journal":                       join(head, little.block(TypeJournal, []byte(journal)), unhex(packetLE)),
		"journal with zero":             join(head, little.block(TypeJournal, []byte("A\x00"+journal)), unhex(packetLE)),
		"journal before any interface":  join(unhex(sectionLE), little.block(TypeJournal, []byte(journal)), unhex(netifLE, packetLE)),
		"journal without time":          join(head, little.block(TypeJournal, []byte("MESSAGE=hello, and something more")), unhex(packetLE)),
		"journal too short":             join(head, unhex(packetLE), little.block(TypeJournal, make([]byte, 20)), unhex(packetLE)),
		"custom blocks":                 join(head, little.block(TypeCustom, unhex("39300000 61626364")), little.block(TypeCustomNoCopy, unhex("39300000 61626364")), unhex(packetLE)),
		"blocks that are no frames":     join(head, little.block(TypeStatistics, make([]byte, 12)), little.block(0x80000001, make([]byte, 8)), little.block(0x208, make([]byte, 40)), unhex(packetLE)),
		"unknown link type":             join(unhex(sectionLE), little.netif(9999, 0), unhex(packetLE)),
		"comment without end":           join(head, little.packet(0, 7, "x", little.option(OptComment, "hi")), unhex(packetLE)),
		"bytes behind the end":          join(head, little.packet(0, 7, "x", end, unhex("0100ffff")), unhex(packetLE)),
		"wrong interface":               join(head, unhex(packetLE), little.packet(1, 7, "x"), unhex(packetLE)),
		"interface of another section":  join(head, unhex(packetLE, sectionLE, packetLE)),
		"simple packet, no interface":   unhex(sectionLE, simpleLE),
		"lengths differ":                join(head, unhex(packetLE, packetLE[:len(packetLE)-8], "2c000000"), unhex(packetLE)),
		"zero padding":                  join(head, unhex(packetLE), make([]byte, 64)),
		"cut":                           join(head, unhex(packetLE, packetLE)[:79]),
		"option exceeds block":          join(head, unhex(packetLE), little.packet(0, 0, "x", unhex("0100 0900 61626364")), unhex(packetLE)),
		"captured length exceeds block": join(head, unhex(packetLE), unhex("06000000 28000000 00000000 00000000 00000000 09000000 3c000000 0102030405000000 28000000")),
		"version 1.1":                   join(head, unhex(packetLE, "0a0d0d0a 1c000000 4d3c2b1a 01000100 ffffffffffffffff 1c000000", netifLE, packetLE)),
	}
	for name, in := range tests {
		file := filepath.Join(t.TempDir(), "in")
		if err := os.WriteFile(file, in, 0o600); err != nil {
			t.Fatal(err)
		}
		compareTshark(t, name, in, tshark(t, file))
	}
}

// TestTsharkClassic asks tshark about the variants of classic pcap, and whether
// it reads our conversion like the original.
func TestTsharkClassic(t *testing.T) {
	needTshark(t)
	dir := t.TempDir()
	for _, v := range variants {
		if v.name == "Ixia hardware" {
			continue // see variants
		}
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			v.order, v.snapLen = order, 65535
			in := v.file(4)
			original, converted := filepath.Join(dir, "in"), filepath.Join(dir, "out")
			if err := os.WriteFile(original, in, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(converted, raw(mustReadAll(t, in)), 0o600); err != nil {
				t.Fatal(err)
			}
			theirs := tshark(t, original)
			name := fmt.Sprint(v.name, ", ", order)
			compareTshark(t, name, in, slices.Clone(theirs))
			if order != binary.AppendByteOrder(binary.LittleEndian) {
				continue
			}
			if diff := cmp.Diff(theirs, tshark(t, converted)); diff != "" {
				t.Errorf("%s: tshark reads the conversion (+) unlike the original (-):\n%s", name, diff)
			}
		}
	}
}

// TestTsharkCaptures compares with tshark on a sample of the labelled captures.
func TestTsharkCaptures(t *testing.T) {
	needTshark(t)
	files := capturetest.Files(t, capturetest.Labelled(t))
	step := 200
	if capturetest.Full() {
		step = 1
	}
	for i := 0; i < len(files); i += step {
		in, err := os.ReadFile(files[i])
		if err != nil {
			t.Fatal(err)
		}
		compareTshark(t, files[i], in, tshark(t, files[i]))
	}
}

func TestLinkTypeNone(t *testing.T) {
	b := mustReadAll(t, join(unhex(sectionLE), little.block(TypeCustom, make([]byte, 8))))[1]
	if b.LinkType != packet.LinkTypeNone {
		t.Errorf("link type %d of a custom block", b.LinkType)
	}
}
