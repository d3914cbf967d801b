package lua_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

// frame is one packet of a test capture: a UDP datagram, with the comments.
type frame []string

// udp is the datagram that every frame holds: Ethernet, IPv4 from 10.0.0.1 to
// 10.0.0.2, UDP from port 4096 to port 4097, no payload.
const udp = "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00" +
	"\x45\x00\x00\x1c\x00\x01\x00\x00\x40\x11\x00\x00\x0a\x00\x00\x01\x0a\x00\x00\x02" +
	"\x10\x00\x10\x01\x00\x08\x00\x00"

// writeCapture writes a pcapng file (draft-ietf-opsawg-pcapng) with one frame
// a second. It is written by hand, to the letter, and not with the codec that
// annotate uses, so that both do not share a mistake.
func writeCapture(t testing.TB, path string, frames []frame) {
	t.Helper()
	le := binary.LittleEndian
	file := block(nil, 0x0a0d0d0a, "\x4d\x3c\x2b\x1a\x01\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff") // section header
	file = block(file, 1, "\x01\x00\x00\x00\x00\x00\x00\x00")                                          // interface: Ethernet
	for i, comments := range frames {
		micros := uint64(1_767_323_045+i) * 1e6
		body := le.AppendUint32(nil, 0) // interface
		body = le.AppendUint32(body, uint32(micros>>32))
		body = le.AppendUint32(body, uint32(micros))
		body = le.AppendUint32(body, uint32(len(udp)))
		body = le.AppendUint32(body, uint32(len(udp)))
		body = padded(body, udp)
		for _, c := range comments {
			body = le.AppendUint16(body, 1) // opt_comment
			body = le.AppendUint16(body, uint16(len(c)))
			body = padded(body, c)
		}
		if len(comments) > 0 {
			body = le.AppendUint32(body, 0) // opt_endofopt
		}
		file = block(file, 6, string(body)) // enhanced packet
	}
	if err := os.WriteFile(path, file, 0o644); err != nil {
		t.Fatal(err)
	}
}

func block(file []byte, kind uint32, body string) []byte {
	length := uint32(len(body) + 12)
	file = binary.LittleEndian.AppendUint32(file, kind)
	file = binary.LittleEndian.AppendUint32(file, length)
	file = append(file, body...)
	return binary.LittleEndian.AppendUint32(file, length)
}

// padded appends s and zeros up to a multiple of four bytes.
func padded(b []byte, s string) []byte {
	b = append(b, s...)
	return append(b, "\x00\x00\x00"[:-len(s)&3]...)
}

// capture writes frames into a file of their own.
func capture(t testing.TB, frames ...frame) string {
	path := filepath.Join(t.TempDir(), "test.pcapng")
	writeCapture(t, path, frames)
	return path
}
