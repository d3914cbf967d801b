package incident

import (
	"fmt"
	"strings"

	"ampulla/annotator/detect"
	"ampulla/annotator/packet"
)

// filter returns a display filter of Wireshark's own fields, valid in 4.0 and
// later, that has all packets of e.
func (e *event) filter() string {
	var terms []string
	for _, side := range []*tally[detect.Party]{&e.actors, &e.targets} {
		if side.n == 1 { // or else it is the other side that tells them from the rest
			terms = append(terms, filterParty(side.listed[0]))
		}
	}
	if e.services.n == 1 && !e.elsewhere {
		if s := e.services.listed[0]; protocols[s.Proto] != "" {
			terms = append(terms, fmt.Sprintf("%s.port == %d", protocols[s.Proto], s.Port))
		}
	}
	terms = append(terms, fmt.Sprintf("frame.number in {%d..%d}", e.first.Frame, e.last.Frame))
	return strings.Join(terms, " && ")
}

// protocols are those with ports, by Wireshark's names of them.
var protocols = map[uint8]string{packet.ProtoTCP: "tcp", packet.ProtoUDP: "udp", packet.ProtoSCTP: "sctp"}

// filterParty returns a filter for packets from or to somebody.
func filterParty(p detect.Party) string {
	switch {
	case p.MAC != packet.MAC{}:
		return fmt.Sprintf("(eth.addr == %[1]s || wlan.addr == %[1]s || arp.src.hw_mac == %[1]s)", p.MAC)
	case p.Addr.Netip().Is4():
		return "ip.addr == " + p.Addr.String()
	}
	return "ipv6.addr == " + p.Addr.String()
}
