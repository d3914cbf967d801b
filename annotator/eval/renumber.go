package eval

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"io"
	"net/netip"

	"ampulla/annotator/packet"
	"ampulla/annotator/pcapng"
)

// The ports that a renumbered server may get: above those that IANA assigns,
// below those that clients get from the systems most in use.
const (
	firstPort = 20000
	ports     = 12000
)

// frameOf is what the table of flows tells of one frame.
type frameOf struct {
	flow    *LabelledFlow // nil where it knows none
	payload bool
	inside  bool // the engine looks into the tunnel that the flow is
}

// label finds the flow of every frame of a capture. It returns the capture as pcapng,
// with every server's port replaced, in all its flows, if seed is not 0. What
// was read before an error is returned with it.
func label(r io.Reader, name string, flows map[flowKey]*LabelledFlow, seed uint64) (frames []frameOf, capture *bytes.Buffer, err error) {
	var (
		reader  = pcapng.NewReader(r)
		decoder packet.Decoder
		block   pcapng.Block
		p       packet.Packet
	)
	capture = new(bytes.Buffer)
	for {
		switch err := reader.Read(&block); {
		case errors.Is(err, io.EOF):
			return frames, capture, nil
		case err != nil:
			return frames, capture, err
		}
		if block.IsFrame() {
			decoder.Decode(block.Frame(), &p)
			src, dst, proto, ok := outermost(&p)
			of := frameOf{payload: p.PayloadLength > 0}
			if ok {
				of.flow = flows[keyOf(proto, src, dst)]
			}
			if f := of.flow; f != nil && seed != 0 {
				renumber(block.Data(), src, dst, f.server, newPort(seed, name, proto, f.server.Port()))
				decoder.Decode(block.Frame(), &p) // a tunnel on another port is not looked into
			}
			of.inside = p.Tunnel != packet.TunnelNone && proto == p.OuterProto
			frames = append(frames, of)
		}
		capture.Write(block.Raw) // never fails
	}
}

// newPort is the port that takes the place of a server's within one capture.
func newPort(seed uint64, name string, proto uint8, old uint16) uint16 {
	h := fnv.New64a()
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, seed)) // never fails
	_, _ = h.Write([]byte(name))
	_, _ = h.Write([]byte{proto, byte(old >> 8), byte(old)})
	return firstPort + uint16(h.Sum64()>>20%ports)
}

// renumber replaces the server's port in a frame that was sent from src to dst.
// It finds the IP header by its addresses, whatever stands before it. Checksums
// are left wrong: nothing here reads them.
func renumber(frame []byte, src, dst, server netip.AddrPort, replacement uint16) {
	addresses := append(src.Addr().AsSlice(), dst.Addr().AsSlice()...)
	at := bytes.Index(frame, addresses)
	if at < 0 {
		return
	}
	header := at + len(addresses) // IPv6: the ports follow, or extension headers do
	if src.Addr().Is4() && at >= 12 {
		header = at - 12 + int(frame[at-12]&15)*4
	}
	pair := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, src.Port()), dst.Port())
	header += max(0, bytes.Index(frame[min(header, len(frame)):], pair))
	if header+4 > len(frame) {
		return
	}
	if dst == server {
		binary.BigEndian.PutUint16(frame[header+2:], replacement)
	} else {
		binary.BigEndian.PutUint16(frame[header:], replacement)
	}
}
