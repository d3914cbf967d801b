package packet_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"ampulla/annotator/capturetest"
	"ampulla/annotator/packet"
)

// fields are asked of tshark, in this order.
var fields = []string{
	"frame.protocols", "ip.len", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst",
	"tcp.srcport", "tcp.dstport", "tcp.flags", "tcp.seq_raw", "tcp.len",
	"udp.srcport", "udp.dstport", "udp.length",
	"sctp.srcport", "sctp.dstport", "vlan.id", "arp.opcode", "icmp.type", "icmpv6.type",
}

// dissection is a frame as tshark sees it: the occurrences of each field.
type dissection map[string][]string

// tshark dissects the first n frames of a capture, every frame by itself.
func tshark(t testing.TB, path string, n int) ([]dissection, error) {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not installed")
	}
	args := []string{"-n", "-r", path, "-c", strconv.Itoa(n), "-T", "fields", "-E", "occurrence=a", "-E", "aggregator=|",
		"-o", "tcp.desegment_tcp_streams:FALSE", "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE",
	}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	out, err := exec.Command("tshark", args...).Output()
	if err != nil && len(out) == 0 {
		return nil, fmt.Errorf("tshark %s: %w", path, err)
	}
	var all []dissection
	for line := range strings.Lines(string(out)) {
		d := dissection{}
		for i, v := range strings.Split(strings.TrimSuffix(line, "\n"), "\t") {
			if v != "" {
				d[fields[i]] = strings.Split(v, "|")
			}
		}
		all = append(all, d)
	}
	return all, nil
}

// want is what tshark says of the innermost packet of a frame.
func (d dissection) want() map[string]string {
	count := map[string]int{}
	network, transport := "", ""
	tokens := strings.Split(d["frame.protocols"][0], ":")
walk:
	for i, token := range tokens {
		switch token {
		case "ip", "ipv6":
			network, transport = token, ""
			count[token]++
		case "tcp", "udp", "sctp":
			transport = token
			count[token]++
			if i+1 == len(tokens) || token != "udp" {
				break walk
			}
			switch tokens[i+1] {
			case "vxlan", "geneve", "gtp", "teredo", "l2tp":
			default:
				break walk
			}
		case "vlan":
			count[token]++
		case "arp":
			network, transport = token, ""
		case "icmp", "icmpv6":
			transport = token
			count[token]++
			break walk
		}
	}
	w := map[string]string{}
	last := func(field, kind string) {
		if v := d[field]; len(v) >= count[kind] && count[kind] > 0 {
			w[field] = v[count[kind]-1]
		}
	}
	for _, f := range fields[1:] {
		kind, _, _ := strings.Cut(f, ".")
		if kind == network || kind == transport {
			last(f, kind)
		}
	}
	for _, id := range d["vlan.id"][:min(len(d["vlan.id"]), count["vlan"])] {
		if id != "0" { // a priority only
			w["vlan.id"] = id
		}
	}
	if flags, err := strconv.ParseUint(w["tcp.flags"], 0, 16); err == nil {
		w["tcp.flags"] = fmt.Sprintf("0x%04x", flags&0x1ff) // no reserved bits
	}
	if network == "arp" {
		if v := d["arp.opcode"]; len(v) > 0 {
			w["arp.opcode"] = v[0]
		}
	}
	return w
}

// got is what Packet says in the same terms.
func got(p *packet.Packet) map[string]string {
	g := map[string]string{}
	set := func(field string, v uint32) { g[field] = strconv.FormatUint(uint64(v), 10) }
	switch p.Version {
	case 4:
		g["ip.src"], g["ip.dst"] = p.Src.String(), p.Dst.String()
	case 6:
		g["ipv6.src"], g["ipv6.dst"] = p.Src.String(), p.Dst.String()
	}
	if p.VLAN != 0 {
		set("vlan.id", uint32(p.VLAN))
	}
	if p.ARPOp != 0 {
		set("arp.opcode", uint32(p.ARPOp))
	}
	if p.Version == 0 || p.FragOffset != 0 {
		return g
	}
	switch p.Proto {
	case packet.ProtoTCP:
		set("tcp.srcport", uint32(p.SrcPort))
		set("tcp.dstport", uint32(p.DstPort))
		set("tcp.seq_raw", p.Seq)
		set("tcp.len", p.PayloadLength)
		g["tcp.flags"] = fmt.Sprintf("0x%04x", p.TCPFlags)
	case packet.ProtoUDP:
		set("udp.srcport", uint32(p.SrcPort))
		set("udp.dstport", uint32(p.DstPort))
		set("udp.length", p.PayloadLength+8)
	case packet.ProtoSCTP:
		set("sctp.srcport", uint32(p.SrcPort))
		set("sctp.dstport", uint32(p.DstPort))
	case packet.ProtoICMP:
		set("icmp.type", uint32(p.ICMPType))
	case packet.ProtoICMPv6:
		set("icmpv6.type", uint32(p.ICMPType))
	}
	return g
}

// TestAgainstTshark compares the decoder with Wireshark on captures, frame by
// frame.
func TestAgainstTshark(t *testing.T) {
	limit := 300
	if capturetest.Full() {
		limit = 1 << 30
	}
	total := 0
	for _, path := range captures(t) {
		if strings.Contains(path, "__fuzz-") {
			continue // noise, of which Wireshark shows what we refuse
		}
		ours := frames(t, path, limit)
		theirs, err := tshark(t, path, limit)
		if err != nil {
			t.Log(err)
			continue
		}
		n := min(len(theirs), len(ours))
		total += n
		agree(t, short(path), ours[:n], theirs[:n])
	}
	t.Logf("compared %d frames", total)
}

// agree reports where the decoder differs from tshark, five times a capture.
func agree(t *testing.T, capture string, ours []packet.Frame, theirs []dissection) {
	var d packet.Decoder
	shown := 0
	for i, f := range ours {
		var p packet.Packet
		d.Decode(f, &p)
		for _, diff := range compare(&p, theirs[i]) {
			if shown++; shown <= 5 {
				t.Errorf("%s frame %d: %s (%s)", capture, i+1, diff, theirs[i]["frame.protocols"][0])
			}
		}
	}
	if shown > 5 {
		t.Errorf("%s: %d more", capture, shown-5)
	}
}

// compare returns how p differs from tshark's dissection.
func compare(p *packet.Packet, their dissection) []string {
	var diffs []string
	g, w := got(p), their.want()
	if p.Version == 6 && p.Proto == 60 && len(p.Payload) < int(p.PayloadLength) {
		return nil // options that reach beyond SnapLen
	}
	for _, field := range fields[2:] {
		if p.Malformed && (w[field] == "" || field == "tcp.len") {
			continue // Wireshark shows less of it, or the length behind a header that cannot be
		}
		if field == "tcp.len" && (p.Fragment || strings.Contains(their["frame.protocols"][0], "cfp")) {
			continue // not told of fragments; FabricPath frames are taken to end in an FCS
		}
		if field == "udp.length" && w[field] == "0" {
			continue // of a jumbogram, where we tell the payload's
		}
		if field == "udp.length" && less(g[field], w[field], 0) && (p.Fragment || less(w["ip.len"], w[field], 20)) {
			continue // the datagram's claim, where we tell what this packet holds of it
		}
		if w[field] = strings.TrimPrefix(w[field], "::ffff:"); g[field] != w[field] {
			diffs = append(diffs, fmt.Sprintf("%s is %q, tshark says %q", field, g[field], w[field]))
		}
	}
	return diffs
}

// less tells whether a, a number in decimal, is less than b plus more.
func less(a, b string, more int) bool {
	x, _ := strconv.Atoi(a)
	y, _ := strconv.Atoi(b)
	return x < y+more
}

// short is the end of a path.
func short(path string) string {
	return filepath.Join(filepath.Base(filepath.Dir(path)), filepath.Base(path))
}
