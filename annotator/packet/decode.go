package packet

import "github.com/google/gopacket/layers"

const (
	maxTunnels = 8  // encapsulations looked into, one inside the other
	maxLayers  = 48 // headers of any kind in one frame
)

// Decoder decodes frames. The zero value is ready. It keeps gopacket's layers
// from frame to frame so that decoding allocates nothing; therefore it must
// not be used by two goroutines at once, and it keeps the bytes of frames it
// decoded from being freed. Different decoders share nothing.
type Decoder struct {
	tag  layers.Dot1Q
	llc  layers.LLC
	snap layers.SNAP
	arp  layers.ARP
	icmp layers.ICMPv4

	p       *Packet
	nLayers int
	depth   int                // encapsulations entered
	outer   [maxTunnels]Packet // p before entering each of them
	panics  int                // how many were survived
}

// Decode fills p from f, looking at the first SnapLen bytes only. It never
// fails and never panics: what was understood before the first undecodable
// byte is kept. p.Payload points into f.Data.
func (d *Decoder) Decode(f Frame, p *Packet) {
	*p = Packet{Time: f.Time, Length: f.Length, LinkType: f.LinkType}
	d.p, d.depth, d.nLayers = p, 0, 0
	defer d.finish()
	data := f.Data[:min(len(f.Data), SnapLen)]
	wire := max(f.Length, uint32(len(data)))
	d.link(f.LinkType, span{data: data, wire: wire})
}

// finish survives a panic of one of gopacket's layers: the innermost packet
// that was understood stays.
func (d *Decoder) finish() {
	if recover() != nil {
		d.panics++
		for d.depth > 0 && !d.p.known() {
			d.depth--
			*d.p = d.outer[d.depth]
		}
		d.p.Malformed = true
	}
	d.p = nil
}

// known tells whether decoding got as far as a packet one can name.
func (p *Packet) known() bool { return p.Version != 0 || p.Name != "" }

// layer counts one more header and tells whether there may be one.
func (d *Decoder) layer() bool {
	d.nLayers++
	if d.nLayers > maxLayers {
		d.p.Malformed = true
		return false
	}
	return true
}

// need tells whether n bytes of s were captured. Malformed is set when the
// wire did not carry as many.
func (d *Decoder) need(s span, n int) bool {
	if len(s.data) >= n {
		return true
	}
	if uint64(s.wire) < uint64(n) {
		d.p.Malformed = true
	}
	return false
}

// malformed marks the frame and returns false.
func (d *Decoder) malformed() bool {
	d.p.Malformed = true
	return false
}

// name marks the packet as one of class name.
func (d *Decoder) name(name string) bool {
	d.p.Name = name
	return true
}

// wrapper marks the packet as one of which only the encapsulation called name
// is known. Within another one that counts as nothing known.
func (d *Decoder) wrapper(name string) bool { return d.depth == 0 && d.name(name) }

// payload ends decoding: s is what the last header carries.
func (d *Decoder) payload(s span) bool {
	d.p.Payload, d.p.PayloadLength = s.data, s.wire
	return true
}

// enter steps into an encapsulation, keeping the packet around it. It tells
// whether nesting allows it; if so, leave must follow.
func (d *Decoder) enter(t Tunnel, domain uint32) bool {
	if d.depth == maxTunnels {
		return false
	}
	p := d.p
	d.outer[d.depth] = *p
	d.depth++
	*p = Packet{
		Time: p.Time, Length: p.Length, LinkType: p.LinkType,
		SrcMAC: p.SrcMAC, DstMAC: p.DstMAC, VLAN: p.VLAN,
		Tunnel: t, Domain: p.Domain,
		OuterSrc: p.OuterSrc, OuterDst: p.OuterDst,
		OuterSrcPort: p.OuterSrcPort, OuterDstPort: p.OuterDstPort,
		OuterProto: p.OuterProto,
	}
	if domain != 0 {
		p.Domain = domain
	}
	return true
}

// leave steps out again. Unless ok, the packet is the one around the
// encapsulation.
func (d *Decoder) leave(ok bool) bool {
	d.depth--
	if !ok {
		*d.p = d.outer[d.depth]
	}
	return ok
}

// span is a stretch of a frame: the bytes captured of it, and how many it
// measured on the wire, which are never fewer.
type span struct {
	data []byte
	wire uint32
}

// skip returns s without its first n bytes, all captured.
func (s span) skip(n int) span { return span{s.data[n:], s.wire - uint32(n)} }

// cut returns s without its first n bytes, captured or not.
func (s span) cut(n uint32) span {
	n = min(n, s.wire)
	return span{s.data[min(int(n), len(s.data)):], s.wire - n}
}

// limit returns the first n bytes of s.
func (s span) limit(n uint32) span {
	if n < s.wire {
		s.wire = n
		s.data = s.data[:min(uint32(len(s.data)), n)]
	}
	return s
}
