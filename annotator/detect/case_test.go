package detect

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"ampulla/annotator/packet"
)

// TestNature compares what bytes say of addresses with what net/netip does: on
// both sides of every edge, and all over.
func TestNature(t *testing.T) {
	wide := func(a packet.Addr) bool {
		n := a.Netip()
		return n.IsMulticast() || n.IsUnspecified() || n.Is4() && n.As4() == [4]byte{255, 255, 255, 255}
	}
	own := func(a packet.Addr) bool {
		n := a.Netip()
		if n.IsPrivate() || n.IsLoopback() || n.IsLinkLocalUnicast() {
			return true
		}
		for _, network := range []string{"100.64.0.0/10", "198.18.0.0/15"} {
			if netip.MustParsePrefix(network).Contains(n) {
				return true
			}
		}
		return false
	}
	var many, inside int
	check := func(a packet.Addr) {
		t.Helper()
		if got, want := toMany(&a), wide(a); got != want {
			t.Errorf("toMany(%s) = %v", a, got)
		}
		if got, want := internal(&a), own(a); got != want {
			t.Errorf("internal(%s) = %v", a, got)
		}
		if wide(a) {
			many++
		}
		if own(a) {
			inside++
		}
	}
	for _, network := range []string{
		"0.0.0.0/32", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
		"198.18.0.0/15", "224.0.0.0/4", "255.255.255.255/32", "::/128", "::1/128", "fc00::/7", "fe80::/10", "ff00::/8", "::ffff:0:0/97",
	} {
		first := netip.MustParsePrefix(network).Addr()
		last := packet.Addr(first.As16())
		length := netip.MustParsePrefix(network).Bits()
		if first.Is4() {
			length += 96
		}
		for bit := length; bit < 128; bit++ {
			last[bit/8] |= 1 << (7 - bit%8)
		}
		for _, edge := range []packet.Addr{packet.Addr(first.As16()), last} {
			check(edge)
			check(neighbour(edge, 1))
			check(neighbour(edge, ^uint64(0)))
		}
	}
	for i := range uint64(1 << 16) {
		a := packet.Addr{10: 0xff, 11: 0xff}
		binary.BigEndian.PutUint32(a[12:], uint32(i<<16|mix(i)&0xffff))
		check(a)
		binary.BigEndian.PutUint64(a[:], i<<48|mix(i)>>16)
		check(a)
	}
	if many < 1000 || inside < 1000 {
		t.Errorf("only %d to many, %d internal", many, inside)
	}
}

// neighbour returns the address that is n higher.
func neighbour(a packet.Addr, n uint64) packet.Addr {
	low := binary.BigEndian.Uint64(a[8:])
	high := binary.BigEndian.Uint64(a[:])
	sum := low + n
	switch {
	case int64(n) > 0 && sum < low:
		high++
	case int64(n) < 0 && sum > low:
		high--
	}
	binary.BigEndian.PutUint64(a[8:], sum)
	binary.BigEndian.PutUint64(a[:], high)
	return a
}
