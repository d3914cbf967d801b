package engine_test

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ampulla/annotator/capturetest"
	"ampulla/annotator/engine"
	"ampulla/annotator/packet"
	"ampulla/annotator/pcapng"
	"ampulla/annotator/score/scoretest"
	"ampulla/annotator/verdict"
)

// TestInvariance checks that verdicts depend neither on when a capture was
// made, nor on the addresses in it, nor on the format of its file. The scorer's
// answers are hashes of the features, so none of those may change either.
func TestInvariance(t *testing.T) {
	for _, path := range capturetest.Own(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			list := frames(t, path)
			judge := func(list []packet.Frame) []verdict.Verdict {
				out := run(t, engine.Default(), scoretest.Hash{}, list, func(int) int { return 1000 })
				for i := range out {
					out[i].Time, out[i].CommunityID = 0, ""
					out[i].Reason = addresses.ReplaceAllString(out[i].Reason, "#")
				}
				return out
			}
			want := judge(list)
			for name, changed := range map[string][]packet.Frame{
				"an odd time later": shifted(list, 1234*24*time.Hour+5*time.Hour+67*time.Second+891*time.Millisecond+1),
				"years earlier":     shifted(list, -9876*24*time.Hour-4321*time.Millisecond),
				"other addresses":   renumbered(list),
				"as a pcap file":    rewritten(t, list),
			} {
				if got := judge(changed); !slices.Equal(got, want) {
					t.Errorf("%s: %s", name, cmp.Diff(want, got))
				}
			}
		})
	}
}

// addresses of IPv4, IPv6 and Ethernet, and their number where it is estimated
// from hashes of them.
var addresses = regexp.MustCompile(`about \d+ sources|more than 500 sources|\b\d+\.\d+\.\d+\.\d+\b|[0-9a-f]*(:[0-9a-f]*){2,}`)

func shifted(list []packet.Frame, by time.Duration) []packet.Frame {
	list = slices.Clone(list)
	for i := range list {
		list[i].Time += int64(by)
	}
	return list
}

// renumbered gives every machine another address, and every network, but
// leaves them of the same nature: private or public, one or many.
func renumbered(list []packet.Frame) []packet.Frame {
	list = slices.Clone(list)
	for i := range list {
		const ethernet = 1
		if list[i].LinkType != ethernet || len(list[i].Data) < 14 {
			continue
		}
		b := slices.Clone(list[i].Data)
		list[i].Data = b
		renumberMAC(b[:6])
		renumberMAC(b[6:12])
		b = b[12:]
		for len(b) > 6 && binary.BigEndian.Uint16(b) == 0x8100 {
			b = b[4:]
		}
		renumberNetwork(binary.BigEndian.Uint16(b), b[2:])
	}
	return list
}

func renumberNetwork(etherType uint16, b []byte) {
	switch {
	case etherType == 0x0800 && len(b) >= 20:
		renumberIPv4(b[12:16])
		renumberIPv4(b[16:20])
	case etherType == 0x0806 && len(b) >= 28:
		renumberMAC(b[8:14])
		renumberIPv4(b[14:18])
		renumberMAC(b[18:24])
		renumberIPv4(b[24:28])
	case etherType == 0x86dd && len(b) >= 40:
		renumberIPv6(b[8:24])
		renumberIPv6(b[24:40])
		const target = 48 // of neighbour solicitation and advertisement, RFC 4861 section 4.3
		if b[6] == packet.ProtoICMPv6 && len(b) >= target+16 && (b[40] == 135 || b[40] == 136) {
			renumberIPv6(b[target : target+16])
		}
	}
}

func renumberMAC(b []byte) {
	if b[0]&1 == 0 && !bytes.Equal(b, make([]byte, 6)) {
		b[3] ^= 0x5a
		b[4] ^= 0x33
	}
}

// renumberIPv4 leaves the last byte, as networks are dense or not.
func renumberIPv4(b []byte) {
	if b[0] == 0 || b[0] == 127 || b[0] >= 224 {
		return
	}
	b[2] ^= 0x35
	if b[0] == 10 {
		b[1] ^= 0x71
	}
}

func renumberIPv6(b []byte) {
	if b[0] == 0xff || bytes.Equal(b[:15], make([]byte, 15)) {
		return
	}
	b[8] ^= 0x11
	if b[0] != 0xfe {
		b[6] ^= 0x35
	}
}

// rewritten returns the frames as they are read from a pcap file.
func rewritten(t *testing.T, list []packet.Frame) []packet.Frame {
	t.Helper()
	file := binary.BigEndian.AppendUint32(nil, 0xa1b23c4d) // nanoseconds
	file = append(file, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0)
	file = binary.BigEndian.AppendUint32(file, uint32(list[0].LinkType))
	for _, f := range list {
		if f.LinkType != list[0].LinkType {
			return list // no pcap file can hold these
		}
		for _, v := range []int64{f.Time / 1e9, f.Time % 1e9, int64(len(f.Data)), int64(f.Length)} {
			file = binary.BigEndian.AppendUint32(file, uint32(v))
		}
		file = append(file, f.Data...)
	}
	return readFrames(t, pcapng.NewReader(bytes.NewReader(file)))
}
