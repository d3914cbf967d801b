package packet

// Panics tells how many panics d survived. There should be none, as lengths
// are checked before gopacket's layers see the bytes.
func (d *Decoder) Panics() int { return d.panics }

// PanicInside does what Decode does when a layer panics in a tunnel that p is
// in, before or after the packet in it was understood.
func (d *Decoder) PanicInside(p *Packet, understood bool) {
	d.p = p
	defer d.finish()
	d.enter(TunnelGRE, 0)
	if understood {
		d.p.Version = 6
	}
	panic("a layer")
}
