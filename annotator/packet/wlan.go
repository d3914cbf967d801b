package packet

import "encoding/binary"

// wlan decodes an 802.11 frame (IEEE 802.11-2020 section 9.3) down to the data
// that it carries in clear; padded tells that the header fills whole words of
// four bytes. gopacket's layer allocates and insists on an FCS.
func (d *Decoder) wlan(s span, padded bool) bool {
	const name = "wlan"
	if !d.layer() || !d.need(s, 10) {
		return d.name(name)
	}
	const kind, control = 0x0c, 0x04
	if s.data[0]&kind == control || len(s.data) < 24 {
		copy(d.p.DstMAC[:], s.data[4:10])
		return d.name(name)
	}
	d.wlanAddresses(s.data)
	n, aggregate := wlanHeader(s.data)
	if n == 0 {
		return d.name(name)
	}
	if padded {
		n = (n + 3) &^ 3
	}
	if !d.skipTo(&s, n) {
		return d.name(name)
	}
	if aggregate { // the first of an A-MSDU
		if !d.need(s, 14) {
			return d.name(name)
		}
		d.macs(s.data)
		s = s.limit(14 + uint32(binary.BigEndian.Uint16(s.data[12:]))).skip(14)
	}
	// What is not 802.2 is most likely encrypted without saying so.
	if !d.need(s, 8) || s.data[0] != 0xaa && s.data[0] != 0x42 || !d.logicalLink(s) {
		return d.name(name)
	}
	return true
}

// wlanHeader returns the length of the 802.11 header that h begins with, 0
// unless it is one of data, whole and in clear, and tells whether several
// packets follow it.
func wlanHeader(h []byte) (n int, aggregate bool) {
	const version, kind, data, noData, qos = 0x03, 0x0c, 0x08, 0x40, 0x80 // first byte
	const toAndFromDS, moreFragments, encrypted, more = 0x03, 0x04, 0x40, 0x80
	const fragment = 0x0f
	if h[0]&(version|kind|noData) != data || h[1]&(encrypted|moreFragments) != 0 || h[22]&fragment != 0 {
		return 0, false
	}
	n = 24
	if h[1]&toAndFromDS == toAndFromDS {
		n += 6
	}
	if h[0]&qos != 0 {
		const amsdu = 0x80
		aggregate = len(h) > n && h[n]&amsdu != 0
		n += 2
		if h[1]&more != 0 { // HT control
			n += 4
		}
	}
	return n, aggregate
}

// wlanAddresses finds destination and source among the addresses of the
// header h (IEEE 802.11-2020 table 9-30).
func (d *Decoder) wlanAddresses(h []byte) {
	const first, second, third, fourth = 4, 10, 16, 24
	dst, src := first, second
	switch h[1] & 3 {
	case 1: // to the distribution system
		dst = third
	case 2: // from it
		src = third
	case 3:
		dst = third
		if src = fourth; len(h) < fourth+6 {
			return
		}
	}
	copy(d.p.DstMAC[:], h[dst:dst+6])
	copy(d.p.SrcMAC[:], h[src:src+6])
}

// radiotap skips the radiotap header (https://www.radiotap.org) of an 802.11
// frame. gopacket's layer copies the frame.
func (d *Decoder) radiotap(s span) bool {
	const name = "wlan"
	if !d.need(s, 8) {
		return d.name(name)
	}
	length := int(binary.LittleEndian.Uint16(s.data[2:]))
	if s.data[0] != 0 || length < 8 {
		d.p.Malformed = true
		return d.name(name)
	}
	padded := radiotapFlags(s.data[:min(length, len(s.data))])&0x20 != 0
	return d.skipTo(&s, length) && d.wlan(s, padded) || d.name(name)
}

// radiotapFlags returns the flags field of the radiotap header h, 0 if absent.
func radiotapFlags(h []byte) byte {
	const timer, flags, another = 1, 2, 1 << 31
	present := binary.LittleEndian.Uint32(h[4:])
	if present&flags == 0 {
		return 0
	}
	at := 8
	for bitmap := present; bitmap&another != 0 && len(h) >= at+4; at += 4 {
		bitmap = binary.LittleEndian.Uint32(h[at:])
	}
	if present&timer != 0 {
		at = (at+7)&^7 + 8
	}
	if at >= len(h) {
		return 0
	}
	return h[at]
}

// prism skips the headers that Prism and AVS drivers put before an 802.11
// frame: a code, then the length, in the byte order of the capturing machine.
// The code tells them apart, as both occur under either link type.
func (d *Decoder) prism(s span) bool {
	const name = "wlan"
	if !d.need(s, 8) {
		return d.name(name)
	}
	code, length := binary.BigEndian.Uint32(s.data), binary.BigEndian.Uint32(s.data[4:])
	if code == 0x44000000 || code == 0x41000000 {
		length = binary.LittleEndian.Uint32(s.data[4:])
	}
	const prismCode1, prismCode2, avs = 0x44, 0x41, 0x8021100
	switch {
	case code == 0x44000000, code == 0x41000000, code == prismCode1, code == prismCode2, code>>4 == avs:
		return length < SnapLen && d.skipTo(&s, int(length)) && d.wlan(s, false) || d.name(name)
	}
	return d.wlan(s, false) // some drivers leave the header out
}

// ppi skips the Per-Packet Information header, which gives the link type of
// what follows.
func (d *Decoder) ppi(s span) bool {
	if !d.layer() || !d.need(s, 8) {
		return false
	}
	length := int(binary.LittleEndian.Uint16(s.data[2:]))
	linkType := binary.LittleEndian.Uint32(s.data[4:])
	if length < 8 || linkType > 0xffff {
		return d.malformed()
	}
	return d.skipTo(&s, length) && d.link(uint16(linkType), s)
}
