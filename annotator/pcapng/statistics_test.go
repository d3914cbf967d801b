package pcapng

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAppendStatistics checks the block in both byte orders, and that nothing
// is made before there is an interface.
func TestAppendStatistics(t *testing.T) {
	const (
		want = "05000000 40000000 00000000 55060500 80969800" + // type, length, interface, time
			"0100 0500 68656c6c6f000000" + // comment
			"0400 0800 0700000000000000 0800 0800 0300000000000000 00000000 40000000"
		wantBE = "00000005 00000040 00000000 00050655 00989680" +
			"0001 0005 68656c6c6f000000" +
			"0004 0008 0000000000000007 0008 0008 0000000000000003 00000000 00000040"
	)
	for _, tt := range []struct{ section, netif, want string }{
		{sectionLE, netifLE, want}, {sectionBE, netifBE, wantBE},
	} {
		r := NewReader(bytes.NewReader(unhex(tt.section, tt.netif)))
		s := Statistics{Time: stamp, Received: 7, Delivered: 3, Comment: "hello"}
		for read := range 2 {
			if _, err := r.Next(); err != nil {
				t.Fatal(err)
			}
			dst := []byte("before")
			out, ok := r.AppendStatistics(dst, s)
			if ok != (read == 1) || !bytes.HasPrefix(out, dst) {
				t.Fatalf("after block %d: %v", read, ok)
			}
			if got := hex.EncodeToString(out[len(dst):]); ok && got != hex.EncodeToString(unhex(tt.want)) {
				t.Errorf("got  %s\nwant %x", got, unhex(tt.want))
			}
		}
	}
}

func TestDropped(t *testing.T) {
	for name, tt := range map[string]struct {
		block []byte
		netif uint32
		want  uint64
		ok    bool
	}{
		"alone":            {little.block(TypeStatistics, unhex("05000000 5506050080969800 0500 0800 0700000000000000")), 5, 7, true},
		"big endian":       {wire{binary.BigEndian}.block(TypeStatistics, unhex("00000005 0005065500989680 0005 0008 0000000000000007")), 5, 7, true},
		"behind a comment": {little.block(TypeStatistics, unhex("00000000 5506050080969800 0100 0200 68690000 0500 0800 0800000000000000 00000000")), 0, 8, true},
		"behind the end":   {little.block(TypeStatistics, unhex("00000000 5506050080969800 00000000 0500 0800 0800000000000000")), 0, 0, false},
		"of four bytes":    {little.block(TypeStatistics, unhex("00000000 5506050080969800 0500 0400 08000000")), 0, 0, false},
		"beyond the block": {little.block(TypeStatistics, unhex("00000000 5506050080969800 0500 0900 0800000000000000")), 0, 0, false},
		"received only":    {little.block(TypeStatistics, unhex("00000000 5506050080969800 0400 0800 0700000000000000")), 0, 0, false},
		"no options":       {little.block(TypeStatistics, make([]byte, 12)), 0, 0, false},
		"too short":        {little.block(TypeStatistics, make([]byte, 4)), 0, 0, false},
		"of another block": {little.block(0x80000001, unhex("05000000 5506050080969800 0500 0800 0700000000000000")), 0, 0, false},
	} {
		section := sectionLE
		if name == "big endian" {
			section = sectionBE
		}
		r := NewReader(bytes.NewReader(join(unhex(section), tt.block)))
		var b *Block
		for range 2 {
			var err error
			if b, err = r.Next(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if netif, n, ok := b.Dropped(); netif != tt.netif || n != tt.want || ok != tt.ok {
			t.Errorf("%s: %d, %d, %v", name, netif, n, ok)
		}
	}
}

// TestStamp checks that time stamps turn back into the times they stand for,
// less one where their units are no multiples of a nanosecond.
func TestStamp(t *testing.T) {
	for _, n := range []netif{{units: 1_000_000}, {units: 1_000_000_000}, {units: 1 << 20}, {units: 1, offset: 1000}, {units: 1_000_000, offset: -5}} {
		for _, stamp := range []uint64{5_000_000, 5_999_999, 1_700_000_000} {
			got := n.stamp(nanoseconds(stamp, n.units, n.offset))
			if got != stamp && (got != stamp-1 || n.units != 1<<20) {
				t.Errorf("%+v: %d becomes %d", n, stamp, got)
			}
		}
	}
	for _, tt := range []struct {
		n    netif
		time int64
	}{{netif{units: 1_000_000}, -1}, {netif{}, 5}, {netif{units: 1 << 63}, math.MaxInt64}, {netif{units: 1, offset: 10}, 5e9}} {
		if got := tt.n.stamp(tt.time); got != 0 {
			t.Errorf("%+v: %d becomes %d", tt.n, tt.time, got)
		}
	}
}

// TestWiresharkReadsStatistics lets capinfos look at a block in the midst of a
// capture.
func TestWiresharkReadsStatistics(t *testing.T) {
	if _, err := exec.LookPath("capinfos"); err != nil {
		t.Skip(err)
	}
	capture := unhex(sectionLE, netifLE, packetLE, packetLE)
	r := NewReader(bytes.NewReader(capture))
	var file []byte
	for range 3 {
		b, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		file = append(file, b.Raw...)
	}
	file, _ = r.AppendStatistics(file, Statistics{Time: stamp, Received: 2, Delivered: 2, Comment: "hello"})
	file = append(file, unhex(packetLE)...)
	path := filepath.Join(t.TempDir(), "a.pcapng")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("capinfos", "-c", "-I", path).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Number of packets:   2") || !strings.Contains(string(out), "Number of stat entries = 1") {
		t.Errorf("%v: %s", err, out)
	}
}
